//! HTTP/2: the gate's rules stream by stream.

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Request, Version};

use super::tls::{BOTH, connect, start};
use super::*;

struct H2 {
    gateway: Gateway,
    sender: SendRequest<Bytes>,
    connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl H2 {
    async fn start(settings: ConnectionSettings) -> Self {
        let (gateway, store) = start(settings, BOTH);
        let stream = connect(&gateway, &store, "a.test", &["h2"]).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        Self { gateway, sender, connection: tokio::spawn(connection) }
    }

    /// Status, head and body of the answer.
    async fn send(
        &mut self,
        request: Request<()>,
    ) -> Result<(u16, http::HeaderMap, String), String> {
        let exchange = async {
            let mut sender = self.sender.clone().ready().await.map_err(|e| e.to_string())?;
            let (answer, _) = sender.send_request(request, true).map_err(|e| e.to_string())?;
            let (head, mut body) = answer.await.map_err(|e| e.to_string())?.into_parts();
            let mut content = Vec::new();
            while let Some(part) = body.data().await {
                content.extend_from_slice(&part.map_err(|e| e.to_string())?);
            }
            Ok((head.status.as_u16(), head.headers, String::from_utf8_lossy(&content).into_owned()))
        };
        tokio::time::timeout(HANGS, exchange).await.expect("no answer")
    }

    /// Sends what is to be refused with `status` by an answer of ours.
    async fn refused(&mut self, request: Request<()>, status: u16) {
        let shown = format!("{request:?}");
        let before = self.gateway.echo.count();
        let (actual, head, body) = self.send(request).await.unwrap();
        assert_eq!(actual, status, "{shown}: {body}");
        assert_eq!(head["content-type"], "application/problem+json", "{shown}");
        assert_eq!(head["cache-control"], "no-store", "{shown}");
        assert!(head.contains_key("x-request-id") && !head.contains_key("server"), "{shown}");
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["status"], status, "{shown}");
        assert_eq!(self.gateway.echo.count(), before, "{shown}");
        self.gateway.recorder.saw(&format!("refused HTTP/2 {status}")).await;
    }
}

fn get(uri: &str) -> http::request::Builder {
    Request::builder().version(Version::HTTP_2).uri(uri)
}

#[tokio::test]
async fn a_good_request_reaches_the_service() {
    let mut client = H2::start(ConnectionSettings::default()).await;
    for _ in 0..2 {
        let request = get("https://a.test/a/../b?c").body(()).unwrap();
        let (status, _, body) = client.send(request).await.unwrap();
        assert_eq!(status, 200);
        assert_eq!(body, "GET /a/../b?c  [] main TLSv1.3 X25519MLKEM768 a.test");
    }
}

#[tokio::test]
async fn the_rules_are_those_of_http_1() {
    let mut client = H2::start(ConnectionSettings::default()).await;
    let ok = || get("https://a.test/");
    client.refused(ok().method(Method::TRACE).body(()).unwrap(), 405).await;
    client.refused(ok().method("get").body(()).unwrap(), 400).await;
    client.refused(ok().method("m-x").body(()).unwrap(), 400).await;
    client.refused(get("https://a.test..:443/").body(()).unwrap(), 400).await;
    client.refused(get("ftp://a.test/").body(()).unwrap(), 400).await;
    client.refused(ok().header("content-length", "00").body(()).unwrap(), 400).await;
    client.refused(ok().header("content_length", "0").body(()).unwrap(), 400).await;
    client.refused(ok().header("transfer_encoding", "chunked").body(()).unwrap(), 400).await;
    let twice = ok().header("content-length", "0").header("content-length", "0");
    client.refused(twice.body(()).unwrap(), 400).await;
}

#[tokio::test]
async fn sizes_have_bounds() {
    let settings = ConnectionSettings {
        head_size: 2_000,
        head_fields: 5,
        target_size: 100,
        ..Default::default()
    };
    let mut client = H2::start(settings).await;
    let mut many = get("https://a.test/");
    for _ in 0..6 {
        many = many.header("x", "y");
    }
    client.refused(many.body(()).unwrap(), 431).await;
    let large = get("https://a.test/").header("x", "y".repeat(2_100));
    client.refused(large.body(()).unwrap(), 431).await;
    let long = get(&format!("https://a.test/{}", "x".repeat(100)));
    client.refused(long.body(()).unwrap(), 414).await;
    let huge = get("https://a.test/").header("x", "y".repeat(1_200_000));
    client.refused(huge.body(()).unwrap(), 431).await;
    let good = get("https://a.test/").body(()).unwrap();
    assert_eq!(client.send(good).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_refused_head_request_has_no_body() {
    let mut client = H2::start(ConnectionSettings::default()).await;
    let request = get("ftp://a.test/").method(Method::HEAD).body(()).unwrap();
    let (status, _, body) = client.send(request).await.unwrap();
    assert_eq!((status, body.as_str()), (400, ""));
}

#[tokio::test]
async fn what_is_in_flight_ends_well_when_it_drains() {
    let mut client = H2::start(ConnectionSettings::default()).await;
    let echo = Arc::clone(&client.gateway.echo);
    let edge = client.gateway.edge.clone();
    let lever = tokio::spawn(async move {
        echo.is_waiting().await;
        edge.drain();
        echo.release();
    });
    let (status, _, body) =
        client.send(get("https://a.test/wait").body(()).unwrap()).await.unwrap();
    assert_eq!(status, 200);
    assert!(body.starts_with("GET /wait"), "{body}");
    lever.await.unwrap();
    // GOAWAY without an error ends the client's side too.
    drop(client.sender);
    tokio::time::timeout(HANGS, client.connection).await.unwrap().unwrap().unwrap();
    tokio::time::timeout(HANGS, client.gateway.edge.drained()).await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let client = H2::start(ConnectionSettings { idle: SHORT, ..Default::default() }).await;
    let closed = tokio::time::timeout(HANGS, client.connection).await;
    closed.expect("it stays open").unwrap().ok();
    client.gateway.recorder.saw("closed main").await;
}

/// A connection whose frames are the test's.
struct Raw {
    gateway: Gateway,
    client: Client,
}

impl Raw {
    /// In cleartext, behind the preface and SETTINGS of both.
    async fn start(settings: ConnectionSettings) -> Self {
        let gateway = Gateway::start_speaking(settings, None, vec![Protocol::H2, Protocol::Http11]);
        let mut client = gateway.connect().await;
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        client.send(frame(4, 0, 0, b"")).await;
        Self { gateway, client }
    }

    /// All frames until the gateway closes: type, flags, stream, payload.
    async fn rest(&mut self) -> Vec<(u8, u8, u32, Vec<u8>)> {
        let mut bytes = Vec::new();
        let read = self.client.0.read_to_end(&mut bytes);
        tokio::time::timeout(HANGS, read).await.expect("it stays open").unwrap();
        let mut frames = Vec::new();
        let mut left = bytes.as_slice();
        while let [high, middle, low, kind, flags, a, b, c, d, rest @ ..] = left {
            let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
            let stream = u32::from_be_bytes([*a, *b, *c, *d]);
            frames.push((*kind, *flags, stream, rest[..length].to_vec()));
            left = &rest[length..];
        }
        frames
    }

    /// The code of the GOAWAY that the connection ends with.
    async fn goodbye(&mut self) -> u32 {
        let frames = self.rest().await;
        let (kind, _, _, payload) = frames.last().expect("nothing came");
        assert_eq!(*kind, 7, "{frames:?}");
        u32::from_be_bytes(payload[4..8].try_into().unwrap())
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// `GET / https a.test` from the static table and one literal.
const GET: &[u8] = b"\x82\x87\x84\x41\x06a.test";

#[tokio::test]
async fn the_preface_chooses_http_2_in_cleartext() {
    let mut raw = Raw::start(ConnectionSettings::default()).await;
    raw.client.send(frame(1, 5, 1, GET)).await;
    // A client that goes away is answered first.
    raw.client.send(frame(7, 0, 0, &[0; 8])).await;
    raw.client.0.shutdown().await.unwrap();
    let frames = raw.rest().await;
    assert!(frames.iter().any(|(kind, _, stream, _)| (*kind, *stream) == (1, 1)), "{frames:?}");
    let answer =
        raw.gateway.exchange(wire("GET / HTTP/1.1⏎Host: a.test⏎Connection: close⏎⏎")).await;
    assert_eq!(status(&answer), "200");
}

#[tokio::test]
async fn a_listener_without_http_2_refuses_the_preface() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let answer = gateway.exchange("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(status(&answer), "400");
}

#[tokio::test]
async fn a_listener_with_http_2_alone_speaks_nothing_else() {
    let settings = ConnectionSettings::default();
    let gateway = Gateway::start_speaking(settings, None, vec![Protocol::H2]);
    assert_eq!(gateway.exchange(wire("GET / HTTP/1.1⏎Host: a.test⏎⏎")).await, "");
    gateway.recorder.saw("handshake main no_preface").await;
}

#[tokio::test]
async fn half_a_preface_has_the_time_of_a_head() {
    let settings = ConnectionSettings { head_time: SHORT, ..Default::default() };
    let gateway = Gateway::start_speaking(settings, None, vec![Protocol::H2, Protocol::Http11]);
    assert_eq!(gateway.exchange("").await, "");
    assert_eq!(status(&gateway.exchange("PRI * HT").await), "408");
}

#[tokio::test]
async fn a_breach_of_the_protocol_is_told_with_its_code() {
    for (bytes, code) in [
        (frame(6, 0, 0, &[0; 7]), 6),
        (frame(9, 4, 1, b""), 1),
        (frame(1, 5, 1, b"\xff\xff\xff\xff\xff\xff"), 9),
        (frame(0, 0, 1, &vec![0; 16_385]), 6),
    ] {
        let mut raw = Raw::start(ConnectionSettings::default()).await;
        raw.client.send(bytes).await;
        assert_eq!(raw.goodbye().await, code);
        raw.gateway.recorder.saw("ended main protocol_error").await;
        raw.gateway.recorder.saw("closed main").await;
        assert_eq!(raw.gateway.echo.count(), 0);
    }
}

#[tokio::test]
async fn a_breach_that_only_the_engine_sees_is_told_too() {
    let mut raw = Raw::start(ConnectionSettings::default()).await;
    // The window of the connection, beyond 2^31 - 1.
    raw.client.send(frame(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff])).await;
    assert_eq!(raw.goodbye().await, 3);
    raw.gateway.recorder.saw("ended main protocol_error").await;
}

#[tokio::test]
async fn a_malformed_request_is_answered_and_reset() {
    let mut raw = Raw::start(ConnectionSettings::default()).await;
    let bad = [GET, b"\x00\x01X\x01y"].concat();
    raw.client.send(frame(1, 5, 1, &bad)).await;
    raw.client.send(frame(1, 5, 3, GET)).await;
    raw.gateway.recorder.saw("refused HTTP/2 400").await;
    raw.client.0.shutdown().await.unwrap();
    let frames = raw.rest().await;
    let of = |id: u32| -> Vec<u8> {
        frames.iter().filter(|(_, _, stream, _)| *stream == id).map(|(kind, ..)| *kind).collect()
    };
    assert_eq!(of(1), [1, 0, 3], "a head, a body, and then the error: {frames:?}");
    assert_eq!(raw.gateway.echo.count(), 1, "the other request");
}

#[tokio::test]
async fn a_head_that_does_not_end_has_its_time() {
    let settings = ConnectionSettings { head_time: SHORT, ..Default::default() };
    let mut raw = Raw::start(settings).await;
    raw.client.send(frame(1, 1, 1, &GET[..2])).await;
    let is_over = |raw: &Raw| raw.gateway.recorder.lines().iter().any(|l| l.starts_with("ended"));
    for _ in 0..90 {
        if is_over(&raw) {
            break;
        }
        tokio::time::sleep(SHORT / 10).await;
        raw.client.send(frame(9, 0, 1, b"")).await;
    }
    assert!(is_over(&raw), "it is endured");
    raw.gateway.recorder.saw("ended main head_time").await;
    raw.gateway.recorder.saw("closed main").await;
}

#[tokio::test]
async fn trailers_that_are_malformed_end_their_stream_alone() {
    let mut raw = Raw::start(ConnectionSettings::default()).await;
    let post = [b"\x83", &GET[1..]].concat();
    raw.client.send(frame(1, 4, 1, &post)).await;
    raw.client.send(frame(1, 5, 1, b"\x84")).await;
    raw.client.send(frame(1, 5, 3, GET)).await;
    raw.client.0.shutdown().await.unwrap();
    let frames = raw.rest().await;
    let reset = frames.iter().find(|(kind, ..)| *kind == 3).expect("no reset");
    assert_eq!((reset.2, reset.3.as_slice()), (1, &[0, 0, 0, 1][..]));
    assert!(frames.iter().any(|(kind, _, stream, _)| (*kind, *stream) == (1, 3)), "{frames:?}");
    assert!(frames.iter().all(|(kind, _, stream, _)| (*kind, *stream) != (1, 1)), "{frames:?}");
}

#[tokio::test]
async fn an_idle_connection_is_told_that_nothing_was_lost() {
    let mut raw = Raw::start(ConnectionSettings { idle: SHORT, ..Default::default() }).await;
    raw.client.send(frame(1, 5, 1, GET)).await;
    let frames = raw.rest().await;
    assert!(frames.iter().any(|(kind, _, stream, _)| (*kind, *stream) == (1, 1)), "{frames:?}");
    let goodbye = frames.last().unwrap();
    assert_eq!((goodbye.0, goodbye.3.as_slice()), (7, &[0, 0, 0, 1, 0, 0, 0, 0][..]));
    assert!(raw.gateway.recorder.lines().iter().all(|line| !line.starts_with("ended")));
}
