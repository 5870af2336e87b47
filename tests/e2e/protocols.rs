//! What is spoken beside plain requests: gRPC, upgrades, `Expect`, HTTP/2's own rules.
//!
//! Web sockets belong to a later part of the language: no upgrade is forwarded yet (C29, second row).

use std::sync::LazyLock;

use portcullis_testkit::{Request, marker};

use crate::world::{BASE, HOSTS, ISSUERS, UPSTREAMS, World};

const CONFIG: &str = r#"
limits: [{name: one, key: address, rate: 1/h}]
routes:
  - {name: open, path: "/open/{*rest}", access: public, request: {body: {maximum: 1KiB}}, forward: {upstream: u}}
  - {name: api, path: "/api/{*rest}", access: {any_of: [{issuer: corporate, scopes: [a]}]}, forward: {upstream: u}}
  - {name: limited, path: /limited, access: public, limits: [one], forward: {upstream: u}}
  - {name: gone, path: /gone, access: public, forward: {upstream: nobody}}
"#;

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let upstreams =
        UPSTREAMS.replace("}]", "}, {name: nobody, endpoints: [\"http://127.0.0.1:9\"]}]");
    World::start(&[BASE, HOSTS, &upstreams, ISSUERS, CONFIG])
});

#[test]
fn a_grpc_client_reads_a_refusal_in_its_own_way() {
    let token = WORLD.issuer.token().sign();
    let client = WORLD.https().from("127.0.0.101");
    client.send(&Request::get("/limited")).expect(200);
    let call = |path: &str| {
        Request::post(path, [0; 5])
            .field("content-type", "application/grpc+proto")
            .field("te", "trailers")
    };
    for (request, code) in [
        (call("/api/x"), "16"),
        (call("/api/x").bearer(&token), "7"),
        (call("/none"), "12"),
        (call("/limited"), "8"),
        (call("/gone"), "14"),
        (call("/open/x").host("evil.test"), "3"),
    ] {
        let answer = client.http2(&request);
        answer.expect(200);
        assert_eq!(answer.field("grpc-status"), Some(code), "{answer:?}");
        assert_eq!(answer.field("content-type"), Some("application/grpc"));
        assert!(answer.body.is_empty());
        assert!(answer.field("x-request-id").is_some());
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
    }
    // Trailers only: the status stands in the last head of the stream, which is the first.
    let mut http2 = client.open_http2();
    let incoming = http2.start(&call("/none"), false).head().expect("an answer");
    assert!(incoming.is_bare());
    let answer = client.http2(&call("/open/x").field("x-y", "z"));
    assert_eq!((answer.status, answer.field("grpc-status")), (200, None));
    // A look-alike is no gRPC.
    let other = Request::post("/api/x", "x").field("content-type", "application/grpcx");
    client.http2(&other).expect_refusal(401, "credential-missing");
}

#[test]
fn c29_upgrades_are_not_forwarded() {
    for upgrade in ["websocket", "foo", "h2c", "TLS/1.0"] {
        let mark = marker("up");
        let request = Request::get("/open/x")
            .field("connection", "Upgrade, HTTP2-Settings")
            .field("upgrade", upgrade)
            .field("http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA")
            .field("x-marker", &mark);
        WORLD.plain().send(&request).expect(200);
        let seen = WORLD.upstream.only(&mark);
        assert_eq!(seen.all("upgrade"), Vec::<&str>::new(), "{upgrade}");
        assert_eq!(seen.all("http2-settings"), Vec::<&str>::new(), "{upgrade}");
        // What follows at once is a request of its own, judged by itself, or nothing at all.
        let second = marker("up");
        let follow = Request::get(format!("/api/{second}"));
        let mut connection = WORLD.plain().connect();
        connection.write([request.to_bytes(), follow.to_bytes()].concat());
        let answer = connection.read().expect("an answer");
        assert!(matches!(answer.status, 200 | 400), "{answer:?}");
        match connection.read() {
            Ok(answer) => drop(answer.expect_refusal(401, "credential-missing")),
            Err(_) => assert!(connection.is_closed()),
        }
        WORLD.upstream.saw_nothing_of(&second);
    }
}

#[test]
fn expect_is_answered_after_the_head_was_judged() {
    let head = |path: &str, length: usize, mark: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: api.test\r\nx-marker: {mark}\r\nexpect: 100-continue\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n"
        )
    };
    for (path, length, status) in
        [("/open/x", 5000, "413"), ("/api/x", 5, "401"), ("/none", 5, "404")]
    {
        let mark = marker("expect");
        let mut connection = WORLD.plain().connect();
        connection.write(head(path, length, &mark));
        let answer = String::from_utf8_lossy(&connection.read_all()).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "no 100 before it: {answer}");
        WORLD.upstream.saw_nothing_of(&mark);
    }
    let mark = marker("expect");
    let mut connection = WORLD.plain().connect();
    connection.write(head("/open/x", 5, &mark));
    connection.write("hello");
    connection.read().expect("an answer").expect(200);
    assert_eq!(WORLD.upstream.only(&mark).body, b"hello");
}

#[test]
fn an_answer_of_the_app_cannot_split_into_two() {
    use portcullis_testkit::Reply;
    let mark = marker("split");
    let two = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    WORLD.upstream.answer(&mark, Reply::raw(two));
    let mut connection = WORLD.plain().connect();
    let answer = connection.send(&Request::get("/open/x").field("x-marker", &mark));
    assert_eq!(answer.text(), "ok");
    assert_eq!(connection.send(&Request::get("/open/next")).text(), "ok");
    for bad in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
    ] {
        let mark = marker("split");
        WORLD.upstream.answer(&mark, Reply::raw(bad));
        let answer = WORLD.plain().send(&Request::get("/open/x").field("x-marker", &mark));
        answer.expect_refusal(502, "upstream-failed");
    }
}

#[test]
fn http2_fields_that_belong_to_http1_are_refused() {
    for (name, value) in [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
    ] {
        let mark = marker("h2");
        let request = Request::get("/open/x").field(name, value).field("x-marker", &mark);
        // A stream error or a 400; never forwarded.
        if let Ok(answers) = WORLD.https().try_http2(&[request]) {
            assert_eq!(answers[0].status, 400, "{name}: {:?}", answers[0]);
        }
        WORLD.upstream.saw_nothing_of(&mark);
    }
    let mark = marker("h2");
    let request =
        Request::post("/open/x", "abc").field("content-length", "2").field("x-marker", &mark);
    if let Ok(answers) = WORLD.https().try_http2(&[request]) {
        assert_ne!(answers[0].status, 200, "a length that is not the body's");
    }
    let seen = WORLD.upstream.seen(&mark);
    assert!(seen.is_empty(), "{seen:#?}");
    WORLD
        .https()
        .http2(&Request::get("/open/x").field("cookie", "a=1").field("cookie", "b=2"))
        .expect(200);
}
