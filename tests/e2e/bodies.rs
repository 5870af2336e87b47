//! Bodies: small ones are whole before the app hears of them, large ones stream, none is too large
//! or too slow. C28, C51.

use std::sync::LazyLock;
use std::time::Duration;

use portcullis_testkit::{Connection, Reply, Request, Seen, marker, until_true};

use crate::world::{BASE, HOSTS, ISSUERS, UPSTREAMS, World};

const CONFIG: &str = r#"
routes:
  - {name: open, path: "/open/{*rest}", access: public, request: {body: {maximum: 4MiB}}, forward: {upstream: u}}
  - {name: upload, path: "/upload/{*rest}", access: public, request: {body: {maximum: 1MiB}}, forward: {upstream: u}}
  - {name: api, path: "/api/{*rest}", access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}
  - {name: quick, path: "/quick/{*rest}", access: public, timeouts: {total: 1s}, forward: {upstream: u}}
"#;

static WORLD: LazyLock<World> =
    LazyLock::new(|| World::start(&[BASE, HOSTS, UPSTREAMS, ISSUERS, CONFIG]));

/// Bytes in which a lost, doubled or moved piece shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|n| u8::try_from(n / 251 % 256).unwrap() ^ u8::try_from(n % 251).unwrap())
        .collect()
}

fn chunked(pieces: &[&[u8]]) -> Vec<u8> {
    let mut wire = Vec::new();
    for piece in pieces {
        wire.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        wire.extend(*piece);
        wire.extend(b"\r\n");
    }
    wire.extend(b"0\r\n\r\n");
    wire
}

/// The head of a request with `framing`, a marker in its target.
fn head(path: &str, mark: &str, framing: &str) -> String {
    format!("POST {path}/{mark} HTTP/1.1\r\nhost: api.test\r\n{framing}\r\n\r\n")
}

#[track_caller]
fn arrived(mark: &str, body: &[u8]) -> Seen {
    let seen = WORLD.upstream.only(mark);
    assert_eq!(seen.body.len(), body.len(), "{mark}");
    assert!(seen.body == body, "{mark}: other bytes than were sent");
    seen
}

#[test]
fn bodies_of_every_size_arrive_as_they_were_sent() {
    let sizes = [1, 49_151, 49_152, 49_153, 65_535, 65_536, 65_537, 70_000, 131_073, 1 << 20];
    let mut http2 = WORLD.https().open_http2();
    for size in sizes {
        let body = pattern(size);
        let mark = marker("length");
        let request = Request::post(format!("/open/{mark}"), &body);
        WORLD.plain().send(&request).expect(200);
        arrived(&mark, &body);
        for piece in [size, 1000, 65_536] {
            let mark = marker("chunks");
            let pieces: Vec<&[u8]> = body.chunks(piece).collect();
            let mut connection = WORLD.plain().connect();
            connection.write(head("/open", &mark, "transfer-encoding: chunked"));
            connection.write(chunked(&pieces));
            connection.read().expect("an answer").expect(200);
            let seen = arrived(&mark, &body);
            if size < 65_536 {
                assert_eq!(seen.field("content-length"), Some(&*size.to_string()));
                assert_eq!(seen.field("transfer-encoding"), None);
            }
        }
        for declared in [true, false] {
            let mark = marker("h2");
            let mut request = Request::new("POST", format!("/open/{mark}"));
            if declared {
                request = request.field("content-length", size.to_string());
            }
            let mut call = http2.start(&request, false);
            call.send(&body, true);
            call.answer().expect("an answer").expect(200);
            arrived(&mark, &body);
        }
    }
}

#[test]
fn a_small_body_is_whole_before_the_app_hears_of_it() {
    let mark = marker("half");
    let mut connection = WORLD.plain().connect();
    connection.write(head("/open", &mark, "content-length: 10"));
    connection.write("hello");
    std::thread::sleep(Duration::from_millis(1300));
    WORLD.upstream.saw_nothing_of(&mark);
    connection.write("world");
    connection.read().expect("an answer").expect(200);
    arrived(&mark, b"helloworld");
    let mark = marker("half");
    let mut http2 = WORLD.https().open_http2();
    let request = Request::new("POST", format!("/open/{mark}")).field("content-length", "10");
    let mut call = http2.start(&request, false);
    call.send("hello", false);
    std::thread::sleep(Duration::from_millis(1300));
    WORLD.upstream.saw_nothing_of(&mark);
    call.send("world", true);
    call.answer().expect("an answer").expect(200);
    arrived(&mark, b"helloworld");
}

#[test]
fn a_body_without_a_length_streams_after_a_second() {
    let mark = marker("stream");
    let mut connection = WORLD.plain().connect();
    connection.write(head("/open", &mark, "transfer-encoding: chunked"));
    connection.write("5\r\nhello\r\n");
    until_true(Duration::from_secs(5), "the app hears of it", || {
        WORLD.upstream.has_heard_of(&mark)
    });
    connection.write("5\r\nworld\r\n0\r\n\r\n");
    connection.read().expect("an answer").expect(200);
    arrived(&mark, b"helloworld");
    let mark = marker("stream");
    let mut http2 = WORLD.https().open_http2();
    let mut call = http2.start(&Request::new("POST", format!("/open/{mark}")), false);
    call.send("hello", false);
    until_true(Duration::from_secs(5), "the app hears of it", || {
        WORLD.upstream.has_heard_of(&mark)
    });
    call.send("world", true);
    call.answer().expect("an answer").expect(200);
    arrived(&mark, b"helloworld");
}

#[test]
fn a_small_body_that_breaks_its_framing_never_reaches_the_app() {
    for body in [
        "5\r\nhello\r\nx\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\r\nhello\r\n-1\r\n\r\n",
        "5\nhello\n0\n\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let mark = marker("broken");
        let mut connection = WORLD.plain().connect();
        connection.write(head("/open", &mark, "transfer-encoding: chunked"));
        connection.write(body);
        let answer = connection.read().unwrap_or_else(|error| panic!("{body:?}: {error}"));
        answer.expect_refusal(400, "malformed-request");
        assert!(connection.is_closed());
        WORLD.upstream.saw_nothing_of(&mark);
    }
    // A client that goes away half-way is not answered, and not forwarded.
    for (framing, body) in
        [("content-length: 9", "hello"), ("transfer-encoding: chunked", "5\r\nhello\r\n0\r\n")]
    {
        let mark = marker("broken");
        let mut connection = WORLD.plain().connect();
        connection.write(head("/open", &mark, framing));
        connection.write(body);
        connection.finish();
        connection.read_all();
        WORLD.upstream.saw_nothing_of(&mark);
    }
}

#[test]
fn http2_lengths_must_match() {
    for (declared, body) in [("5", "hell"), ("5", "hello!"), ("0", "x")] {
        let mark = marker("length");
        let mut http2 = WORLD.https().open_http2();
        let request = Request::new("POST", format!("/open/{mark}"));
        let mut call = http2.start(&request.field("content-length", declared), false);
        call.send(body, true);
        let answer = call.answer();
        assert!(answer.as_ref().is_err() || answer.is_ok_and(|a| a.status == 400));
        WORLD.upstream.saw_nothing_of(&mark);
    }
}

#[test]
fn c28_pingora_935_an_empty_last_frame_ends_a_body_once() {
    let upstream = portcullis_testkit::Upstream::start();
    let routes = r#"
routes: [{name: r, path: "/{*rest}", access: public, forward: {upstream: u}}]
"#;
    let upstreams = format!("upstreams: [{{name: u, endpoints: [\"{}\"]}}]\n", upstream.url());
    let world = World::start(&[BASE, HOSTS, &upstreams, routes]);
    let mut http2 = world.https().open_http2();
    let large = pattern(100_000);
    let bodies: [&[&[u8]]; 6] = [
        &[b""],
        &[b"abc", b""],
        &[b"abc", b"", b"def", b""],
        &[b"", b"abc"],
        &[&large, b""],
        &[&large],
    ];
    let mut sent = 0;
    for length in [false, true] {
        for pieces in bodies {
            let whole = pieces.concat();
            let mark = marker("empty");
            let mut request = Request::new("POST", format!("/{mark}"));
            if length {
                request = request.field("content-length", whole.len().to_string());
            }
            let mut call = http2.start(&request, false);
            for (n, piece) in pieces.iter().enumerate() {
                call.send(piece, n + 1 == pieces.len());
            }
            call.answer().expect("an answer").expect(200);
            assert!(upstream.only(&mark).body == whole, "{length} {pieces:?}");
            sent += 1;
        }
    }
    // A streamed one too: its end comes when the rest is long gone.
    let mark = marker("empty");
    let mut call = http2.start(&Request::new("POST", format!("/{mark}")), false);
    call.send("abc", false);
    until_true(Duration::from_secs(5), "the app hears of it", || upstream.has_heard_of(&mark));
    call.send("", true);
    call.answer().expect("an answer").expect(200);
    assert_eq!(upstream.only(&mark).body, b"abc");
    for n in 0..20 {
        let mark = marker("next");
        let mut call = http2.start(&Request::get(format!("/{n}/{mark}")), true);
        call.answer().expect("an answer").expect(200);
        upstream.only(&mark);
    }
    // A connection may be asked for before the last one is back in the pool.
    assert!(upstream.connections() < 10, "pooled connections are used again");
    let raw: Vec<Vec<u8>> = (0..upstream.connections()).map(|n| upstream.raw(n)).collect();
    let raw = String::from_utf8_lossy(&raw.concat()).into_owned();
    assert_eq!(raw.matches(" HTTP/1.1\r\n").count(), sent + 1 + 20);
    assert!(!raw.contains("0\r\n\r\n0\r\n\r\n"));
}

#[test]
fn c51_a_declared_length_over_the_limit() {
    let (mark, two) = (marker("c51"), 2 << 20);
    let request = Request::post(format!("/upload/{mark}"), pattern(two));
    let answer = WORLD.plain().send(&request);
    answer.expect_refusal(413, "body-too-large");
    let mut http2 = WORLD.https().open_http2();
    let head = Request::new("POST", format!("/upload/{mark}"));
    let mut call = http2.start(&head.field("content-length", two.to_string()), false);
    call.send(pattern(two), true);
    call.answer().expect("an answer").expect_refusal(413, "body-too-large");
    WORLD.upstream.saw_nothing_of(&mark);
}

#[test]
fn c51_no_declared_length_over_the_limit() {
    for (size, status) in [(1 << 20, 200), ((1 << 20) + 1, 413)] {
        let (mark, body) = (marker("c51"), pattern(size));
        let pieces: Vec<&[u8]> = body.chunks(9000).collect();
        let mut connection = WORLD.plain().connect();
        connection.write(head("/upload", &mark, "transfer-encoding: chunked"));
        connection.write(chunked(&pieces));
        assert_eq!(connection.read().expect("an answer").status, status, "{size}");
    }
    let two = pattern(2 << 20);
    let mark = marker("c51");
    let pieces: Vec<&[u8]> = two.chunks(9000).collect();
    let mut connection = WORLD.plain().connect();
    connection.write(head("/upload", &mark, "transfer-encoding: chunked"));
    connection.write(chunked(&pieces));
    connection.read().expect("an answer").expect_refusal(413, "body-too-large");
    assert!(WORLD.upstream.seen(&mark).is_empty(), "no complete request");
    let mark = marker("c51");
    let mut http2 = WORLD.https().open_http2();
    let mut call = http2.start(&Request::new("POST", format!("/upload/{mark}")), false);
    call.send(&two, true);
    call.answer().expect("an answer").expect_refusal(413, "body-too-large");
    assert!(WORLD.upstream.seen(&mark).is_empty(), "no complete request");
    assert!(http2.is_open(), "other streams go on");
}

#[test]
fn c51_a_small_limit_is_judged_before_the_app_hears_of_it() {
    let routes = r#"
routes: [{name: r, path: "/{*rest}", access: public, request: {body: {maximum: 10B}}, forward: {upstream: u}}]
"#;
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, routes]);
    let mark = marker("c51");
    let mut connection = world.plain().connect();
    connection.write(head("", &mark, "transfer-encoding: chunked"));
    connection.write("6\r\nabcdef\r\n5\r\nghijk\r\n0\r\n\r\n");
    connection.read().expect("an answer").expect_refusal(413, "body-too-large");
    let mut http2 = world.https().open_http2();
    let mut call = http2.start(&Request::new("POST", format!("/{mark}")), false);
    call.send("abcdef", false);
    call.send("ghijk", true);
    call.answer().expect("an answer").expect_refusal(413, "body-too-large");
    world.upstream.saw_nothing_of(&mark);
    let exact = marker("c51");
    world.plain().send(&Request::post(format!("/{exact}"), "0123456789")).expect(200);
    assert_eq!(world.upstream.only(&exact).body, b"0123456789");
}

#[test]
fn c51_an_expectation_is_met_only_where_the_body_is_wanted() {
    let read =
        |connection: &mut Connection| String::from_utf8_lossy(&connection.read_all()).into_owned();
    let mark = marker("c51");
    let mut connection = WORLD.plain().connect();
    let framing = "expect: 100-continue\r\nconnection: close\r\ncontent-length: 2097152";
    connection.write(head("/upload", &mark, framing));
    let answer = read(&mut connection);
    assert!(answer.starts_with("HTTP/1.1 413"), "no 100: {answer}");
    WORLD.upstream.saw_nothing_of(&mark);
    for length in [5, 100_000] {
        let (mark, body) = (marker("c51"), pattern(length));
        let mut connection = WORLD.plain().connect();
        let framing =
            format!("expect: 100-continue\r\nconnection: close\r\ncontent-length: {length}");
        connection.write(head("/upload", &mark, &framing));
        connection.write(&body);
        let answer = read(&mut connection);
        assert!(answer.starts_with("HTTP/1.1 100"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 100").count(), 1, "one is enough: {answer}");
        assert!(answer.contains("HTTP/1.1 200"), "{answer}");
        assert_eq!(arrived(&mark, &body).field("expect"), None);
    }
    let mark = marker("c51");
    let request = Request::post(format!("/upload/{mark}"), "x").field("expect", "200-ok");
    WORLD.plain().send(&request).expect_refusal(417, "expectation-unknown");
    WORLD.upstream.saw_nothing_of(&mark);
}

#[test]
fn c51_exactly_the_limit_passes_and_a_refused_upload_is_not_drained() {
    let (mark, body) = (marker("c51"), pattern(1 << 20));
    WORLD.plain().send(&Request::post(format!("/upload/{mark}"), &body)).expect(200);
    arrived(&mark, &body);
    // An answer that does not need the body comes at once, and the connection ends.
    let two = pattern(2 << 20);
    let pieces: Vec<&[u8]> = two.chunks(9000).collect();
    let mut connection = WORLD.plain().connect();
    connection.write(head("/api", "x", "transfer-encoding: chunked"));
    connection.write(chunked(&pieces));
    connection.read().expect("an answer").expect_refusal(401, "credential-missing");
    assert!(connection.is_closed());
}

#[test]
fn a_small_body_has_its_time() {
    let mark = marker("slow");
    let mut connection = WORLD.plain().connect();
    connection.write(head("/quick", &mark, "content-length: 10"));
    connection.write("hello");
    connection.read().expect("an answer").expect_refusal(408, "request-timeout");
    let mut http2 = WORLD.https().open_http2();
    let request = Request::new("POST", format!("/quick/{mark}")).field("content-length", "10");
    let mut call = http2.start(&request, false);
    call.send("hello", false);
    call.answer().expect("an answer").expect_refusal(408, "request-timeout");
    WORLD.upstream.saw_nothing_of(&mark);
}

#[test]
fn a_request_ends_when_its_time_is_over() {
    // An upload that stops half-way: its stream ends, others on the connection go on.
    let mark = marker("late");
    let mut http2 = WORLD.https().open_http2();
    let request = Request::new("POST", format!("/quick/{mark}")).field("content-length", "200000");
    let mut call = http2.start(&request, false);
    call.send(pattern(100_000), false);
    call.answer().expect("an answer").expect_refusal(408, "request-timeout");
    assert_eq!(WORLD.gateway.access_line(&mark)["code"], "request-timeout");
    http2.start(&Request::get("/quick/x"), true).answer().expect("an answer").expect(200);
    let mark = marker("late");
    let mut connection = WORLD.plain().connect();
    connection.write(head("/quick", &mark, "content-length: 200000"));
    connection.write(pattern(100_000));
    connection.read().expect("an answer").expect_refusal(408, "request-timeout");
    assert!(connection.is_closed());
    // An answer that trickles for ever.
    let mark = marker("late");
    WORLD.upstream.answer(&mark, Reply::endless());
    let answer = WORLD.plain().send(&Request::get(format!("/quick/{mark}")));
    assert!(!answer.complete, "{answer:?}");
    // An app that says nothing.
    let mark = marker("late");
    WORLD.upstream.answer(&mark, Reply::hang());
    let answer = WORLD.plain().send(&Request::get(format!("/quick/{mark}")));
    answer.expect_refusal(504, "upstream-timeout");
}

#[test]
fn the_type_of_a_call_changes_nothing_in_http_1() {
    let mark = marker("call");
    let framing = "Content-Type: application/grpc\r\nTransfer-Encoding: chunked";
    let mut connection = WORLD.plain().connect();
    connection.write(format!("{}5\r\nhello\r\n", head("/open", &mark, framing)));
    std::thread::sleep(Duration::from_millis(100));
    connection.write("ZZ\r\n");
    connection.read().expect("an answer").expect_refusal(400, "malformed-request");
    WORLD.upstream.saw_nothing_of(&mark);
    let call = Request::get("/api/x").field("content-type", "application/grpc");
    WORLD.plain().send(&call).expect_refusal(401, "credential-missing");
}
