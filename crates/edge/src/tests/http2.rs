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
    client.refused(ok().method("M-X").body(()).unwrap(), 400).await;
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
    // Beyond twice the size the h2 library refuses.
    let huge = get("https://a.test/").header("x", "y".repeat(5_000));
    let answer = client.send(huge.body(()).unwrap()).await;
    assert!(!matches!(answer, Ok((200, ..))), "{answer:?}");
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
