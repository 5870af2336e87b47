//! Messages as HTTP has them: cookies in crumbs, HEAD, interim answers, fields of one hop, old
//! clients, and clients that have said all they want to say.

use std::io::{Read, Write};
use std::sync::LazyLock;

use portcullis_testkit::{Connection, Reply, Request, marker};

use crate::world::{BASE, HOSTS, UPSTREAMS, World, raw_app};

const ISSUER: &str = r#"
issuers:
  - name: corporate
    issuer: https://idp.test/r1
    audience: [api]
    algorithms: [RS256]
    keys: {url: "@JWKS@"}
    read_token_from: [{cookie: session}]
"#;

const CONFIG: &str = r#"
routes:
  - {name: open, path: "/open/{*rest}", access: public, forward: {upstream: u}}
  - {name: api, path: "/api/{*rest}", access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}
"#;

static WORLD: LazyLock<World> =
    LazyLock::new(|| World::start(&[BASE, HOSTS, UPSTREAMS, ISSUER, CONFIG]));

/// Everything that comes until the connection closes.
fn raw(bytes: impl AsRef<[u8]>) -> String {
    let mut connection = WORLD.plain().connect();
    connection.write(bytes);
    String::from_utf8_lossy(&connection.read_all()).into_owned()
}

fn get(target: &str, version: &str, fields: &str) -> String {
    format!("GET {target} {version}\r\nhost: api.test\r\n{fields}\r\n")
}

#[test]
fn cookies_that_came_in_crumbs_are_one_field() {
    let token = WORLD.issuer.token().sign();
    let mark = marker("crumbs");
    let request = Request::get(format!("/api/{mark}"))
        .field("cookie", "a=1")
        .field("cookie", format!("session={token}"))
        .field("cookie", "b=2; c=3");
    WORLD.https().http2(&request).expect(200);
    assert_eq!(WORLD.upstream.only(&mark).all("cookie"), ["a=1; b=2; c=3"]);
    let mark = marker("crumbs");
    let request =
        Request::get(format!("/open/{mark}")).field("cookie", "a=1").field("cookie", "b=2");
    WORLD.https().http2(&request).expect(200);
    assert_eq!(WORLD.upstream.only(&mark).all("cookie"), ["a=1; b=2"]);
}

#[test]
fn a_head_has_the_length_of_what_a_get_would_bring() {
    let mark = marker("head");
    let request = Request::new("HEAD", format!("/open/{mark}"));
    for _ in 0..3 {
        let mut connection = WORLD.plain().connect();
        for _ in 0..2 {
            let answer = connection.send(&request);
            answer.expect(200);
            assert_eq!((answer.field("content-length"), answer.body.len()), (Some("2"), 0));
        }
        // Nothing of a body stands before the next answer.
        assert_eq!(connection.send(&Request::get("/open/x")).text(), "ok");
    }
    let mut http2 = WORLD.https().open_http2();
    let answer = http2.start(&request, true).answer().expect("an answer");
    assert_eq!((answer.status, answer.field("content-length")), (200, Some("2")));
    assert!(answer.body.is_empty() && answer.complete);
    WORLD.upstream.answer(&mark, Reply::new(200, "in pieces").chunked());
    let answer = WORLD.plain().send(&request);
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    // A refusal has no body either.
    let answer = WORLD.plain().send(&Request::new("HEAD", "/api/x"));
    assert_eq!((answer.status, answer.body.len()), (401, 0));
}

#[test]
fn interim_answers_pass_to_those_who_understand_them() {
    const EARLY: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";
    const FINAL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let mark = marker("interim");
    WORLD.upstream.answer(&mark, Reply::raw([EARLY, EARLY, FINAL].concat()));
    let target = format!("/open/{mark}");
    let answer = raw(get(&target, "HTTP/1.1", "connection: close\r\n"));
    assert_eq!(answer.matches("HTTP/1.1 103").count(), 2, "{answer}");
    assert!(answer.contains("link: </a.css>; rel=preload"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    let answer = raw(get(&target, "HTTP/1.0", ""));
    assert!(answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert!(!answer.contains("103"), "{answer}");
    WORLD.https().http2(&Request::get(&target)).expect(200);
    // A 100 that the client did not ask for, or had already.
    WORLD.upstream.answer(&mark, Reply::raw(["HTTP/1.1 100 Continue\r\n\r\n", FINAL].concat()));
    let answer = raw(get(&target, "HTTP/1.1", "connection: close\r\n"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let expecting = "connection: close\r\nexpect: 100-continue\r\ncontent-length: 1\r\n";
    let answer = raw(get(&target, "HTTP/1.1", expecting) + "x");
    assert_eq!(answer.matches("HTTP/1.1 100").count(), 1, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
}

#[test]
fn an_old_client_gets_no_chunks() {
    let mark = marker("old");
    let target = format!("/open/{mark}");
    for reply in [
        Reply::new(200, "in pieces").chunked(),
        Reply::raw("HTTP/1.1 200 OK\r\n\r\nin pieces"),
        Reply::raw("HTTP/1.0 200 OK\r\n\r\nin pieces"),
    ] {
        WORLD.upstream.answer(&mark, reply);
        let answer = raw(get(&target, "HTTP/1.0", ""));
        assert!(!answer.to_ascii_lowercase().contains("transfer-encoding"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nin pieces"), "{answer}");
        assert!(
            answer.contains("connection: close") || answer.contains("Connection: close"),
            "{answer}"
        );
        let newer = WORLD.plain().send(&Request::get(&target));
        assert_eq!((newer.text().as_str(), newer.complete), ("in pieces", true));
    }
    let answer =
        raw(format!("POST {target} HTTP/1.0\r\nhost: api.test\r\ncontent-length: 3\r\n\r\nabc"));
    assert!(answer.contains(" 200 "), "{answer}");
}

#[test]
fn fields_of_one_hop_go_no_further() {
    let mark = marker("hop");
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: x-hop, X-Other, content-length\r\n\
                  x-hop: 1\r\nx-other: 2\r\nx-kept: 3\r\nkeep-alive: timeout=5\r\ntrailer: x-sum\r\n\
                  te: trailers\r\nproxy-connection: close\r\nupgrade: h2c\r\n\r\nok";
    WORLD.upstream.answer(&mark, Reply::raw(answer));
    let request = Request::get(format!("/open/{mark}"));
    let answers = [WORLD.plain().send(&request), WORLD.https().http2(&request)];
    for answer in answers {
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        assert_eq!(answer.field("x-kept"), Some("3"));
        for name in
            ["x-hop", "x-other", "keep-alive", "trailer", "te", "proxy-connection", "upgrade"]
        {
            assert_eq!(answer.field(name), None, "{name}");
        }
    }
    let mark = marker("hop");
    let request = Request::get(format!("/open/{mark}"))
        .field("connection", "x-hop, keep-alive, te")
        .field("x-hop", "1")
        .field("keep-alive", "timeout=5")
        .field("te", "trailers")
        .field("trailer", "x-sum")
        .field("proxy-connection", "keep-alive")
        .field("x-kept", "3");
    WORLD.plain().send(&request).expect(200);
    let seen = WORLD.upstream.only(&mark);
    assert_eq!(seen.field("x-kept"), Some("3"));
    for name in ["x-hop", "keep-alive", "te", "trailer", "proxy-connection", "connection"] {
        assert_eq!(seen.all(name), Vec::<&str>::new(), "{name}");
    }
}

#[test]
fn who_has_said_all_it_wants_to_say_still_gets_its_answer() {
    let finish = |request: &Request, connection: &mut Connection| {
        connection.write(request.to_bytes());
        connection.finish();
    };
    let mark = marker("half");
    let slow = Reply::new(200, "x".repeat(500_000)).after(std::time::Duration::from_millis(300));
    WORLD.upstream.answer(&mark, slow);
    for request in
        [Request::get(format!("/open/{mark}")), Request::post(format!("/open/{mark}"), "abc")]
    {
        let mut connection = WORLD.plain().connect();
        finish(&request, &mut connection);
        let answer = connection.read().expect("an answer");
        assert_eq!((answer.status, answer.body.len(), answer.complete), (200, 500_000, true));
        assert!(connection.is_closed());
    }
    let mut connection = WORLD.plain().connect();
    finish(&Request::get("/api/x"), &mut connection);
    connection.read().expect("an answer").expect_refusal(401, "credential-missing");
}

#[test]
fn an_answer_before_the_end_of_the_body_is_one_answer() {
    // The app answers when it has seen the head, and never reads on.
    let app = raw_app(|stream| {
        let mut head = [0; 100];
        stream.read_exact(&mut head).ok();
        stream.write_all(b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno").ok();
        std::thread::sleep(std::time::Duration::from_secs(1));
    });
    let routes = r#"
routes: [{name: r, path: "/{*rest}", access: public, request: {body: {maximum: 8MiB}}, forward: {upstream: u}}]
"#;
    let upstreams = format!("upstreams: [{{name: u, endpoints: [\"http://{app}\"]}}]\n");
    let world = World::start(&[BASE, HOSTS, &upstreams, routes]);
    let answer = world.plain().send(&Request::post("/x", vec![b'x'; 4 << 20]));
    assert_eq!((answer.status, answer.text().as_str()), (403, "no"));
    let mut http2 = world.https().open_http2();
    let mut call = http2.start(&Request::new("POST", "/x"), false);
    call.send(vec![b'x'; 4 << 20], true);
    let answer = call.answer().expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (403, "no"));
}
