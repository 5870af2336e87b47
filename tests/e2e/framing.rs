//! One request is one request, for us and for the app. C27, C32, and the limits of a head.

use std::sync::LazyLock;

use portcullis_testkit::{Request, marker, tools};
use serde_json::Value;

use crate::world::{BASE, HOSTS, UPSTREAMS, World};

const CONFIG: &str = r#"
connections: {request_head: {time: 1s, size: 8KiB, fields: 20, target: 1KiB}, idle: 2s}
routes:
  - {name: public, path: "/public/{*rest}", access: public, forward: {upstream: u}}
  - name: upload
    path: /upload
    access: public
    request: {body: {maximum: 64KiB, types: [application/json, "text/*"]}}
    forward: {upstream: u}
"#;

static WORLD: LazyLock<World> = LazyLock::new(|| World::start(&[BASE, HOSTS, UPSTREAMS, CONFIG]));

/// A raw request with a marker in its target.
fn head(mark: &str, fields: &str) -> String {
    format!("POST /public/{mark} HTTP/1.1\r\nHost: api.test\r\n{fields}")
}

/// The request must be refused, the connection closed, and the upstream must have seen nothing.
#[track_caller]
fn refused_and_closed(statuses: &[u16], build: impl Fn(&str) -> Vec<u8>) {
    let mark = marker("frame");
    let mut connection = WORLD.plain().connect();
    connection.write(build(&mark));
    let answer = connection.read().expect("an answer comes");
    assert!(statuses.contains(&answer.status), "{}: {}", answer.status, answer.text());
    let code = if answer.status == 501 { "transfer-coding-unknown" } else { "malformed-request" };
    answer.expect_refusal(answer.status, code);
    assert!(connection.is_closed(), "the connection must end");
    WORLD.upstream.saw_nothing_of(&mark);
    // Whoever comes next finds everything in order.
    let after = marker("after");
    let next = WORLD.plain().send(&Request::post(format!("/public/{after}"), "whole"));
    next.expect(200);
    assert_eq!(WORLD.upstream.only(&after).body, b"whole");
}

#[test]
fn the_app_gets_an_absolute_form_in_origin_form() {
    let mark = marker("absolute");
    let mut connection = WORLD.plain().connect();
    connection
        .write(format!("GET http://api.test/public/{mark}?a=b HTTP/1.1\r\nHost: api.test\r\n\r\n"));
    assert_eq!(connection.read().expect("an answer comes").status, 200);
    let seen = WORLD.upstream.only(&mark);
    assert_eq!(seen.target, format!("/public/{mark}?a=b"));
}

#[test]
fn c27_length_and_coding_together() {
    refused_and_closed(&[400], |mark| {
        head(mark, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").into()
    });
    refused_and_closed(&[400], |mark| {
        head(mark, "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n").into()
    });
}

#[test]
fn c27_codings_that_are_not_chunked_alone() {
    for coding in [
        "xchunked",
        "chunked, identity",
        "\u{b}chunked",
        "",
        "identity, chunked",
        "chunked, chunked",
        "identity\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: chunked",
        "gzip, chunked",
        "chunked;q=1",
        "\"chunked\"",
    ] {
        refused_and_closed(&[400, 501], |mark| {
            head(mark, &format!("Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n")).into()
        });
    }
}

#[test]
fn c27_a_doubtful_length() {
    for length in
        ["5\r\nContent-Length: 6", "5, 6", "+5", "-1", "0x5", "5 5", "", "18446744073709551616"]
    {
        refused_and_closed(&[400], |mark| {
            head(mark, &format!("Content-Length: {length}\r\n\r\nabcde")).into()
        });
    }
    refused_and_closed(&[400], |mark| {
        format!("POST /public/{mark} HTTP/1.0\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
            .into()
    });
}

#[test]
fn c27_other_spellings_of_chunked_arrive_as_one_clean_field() {
    for coding in ["\tchunked", "CHUNKED", "chunked \t"] {
        let mark = marker("frame");
        let raw = head(&mark, &format!("Transfer-Encoding:{coding}\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
        WORLD.plain().raw(raw).expect(200);
        let seen = WORLD.upstream.only(&mark);
        assert_eq!(seen.body, b"abc");
        let coding = seen.all("transfer-encoding");
        let length = seen.all("content-length");
        assert!(matches!((&*coding, &*length), (["chunked"], []) | ([], ["3"])), "{seen:?}");
    }
}

#[test]
fn c27_a_nominated_length_still_frames_the_body() {
    let mark = marker("frame");
    let raw = head(&mark, "Connection: Content-Length\r\nContent-Length: 3\r\n\r\nabc");
    let answer = WORLD.plain().raw(raw);
    assert!(matches!(answer.status, 200 | 400), "{}", answer.status);
    if answer.status == 200 {
        assert_eq!(WORLD.upstream.only(&mark).body, b"abc");
    } else {
        WORLD.upstream.saw_nothing_of(&mark);
    }
}

#[test]
fn c27_requests_in_one_write_are_judged_one_by_one() {
    let (first, second) = (marker("pipe"), marker("pipe"));
    let mut connection = WORLD.plain().connect();
    connection.write(format!(
        "GET /public/{first} HTTP/1.1\r\nHost: api.test\r\n\r\n\
         GET /none/{second} HTTP/1.1\r\nHost: api.test\r\n\r\n"
    ));
    connection.read().expect("an answer").expect(200);
    connection.read().expect("an answer").expect_refusal(404, "route-not-found");
    WORLD.upstream.only(&first);
    WORLD.upstream.saw_nothing_of(&second);
}

#[test]
fn c27_the_corpus_of_doubtful_requests_never_splits() {
    let Some(file) = tools::vectors("smuggling/rfc9112.jsonl") else { return };
    let text = std::fs::read_to_string(file).unwrap();
    let mut sent = 0;
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let Some(raw) = case["raw"].as_str() else { continue };
        let mark = marker("corpus");
        let raw = raw
            .replacen(" / ", &format!(" /public/{mark} "), 1)
            .replace("Host: localhost", "Host: api.test");
        let mut connection = WORLD.plain().connect();
        connection.write(latin1(&raw));
        connection.finish();
        connection.read_all();
        sent += 1;
        let seen = WORLD.upstream.seen(&mark);
        assert!(seen.len() < 2, "{}: {seen:#?}", case["id"]);
        for request in &seen {
            let framings =
                request.all("content-length").len() + request.all("transfer-encoding").len();
            assert!(framings < 2, "{}: {request:#?}", case["id"]);
            assert!(!request.head.windows(3).any(|w| w == b"\n\n\n"), "{}", case["id"]);
        }
    }
    assert!(sent > 80);
    WORLD.plain().send(&Request::get("/public/after-the-corpus")).expect(200);
}

/// The corpus writes each byte as the character of its number.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}

#[test]
fn c32_exactly_one_host() {
    let with = |version: &str, hosts: &str, mark: &str| {
        format!("GET /public/{mark} {version}\r\n{hosts}\r\n").into_bytes()
    };
    for (version, hosts) in [
        ("HTTP/1.1", ""),
        ("HTTP/1.0", ""),
        ("HTTP/1.1", "Host:\r\n"),
        ("HTTP/1.1", "Host: api.test\r\nHost: api.test\r\n"),
        ("HTTP/1.1", "Host: api.test\r\nhost: evil.test\r\n"),
        ("HTTP/1.1", " Host: api.test\r\n"),
        ("HTTP/1.1", " x: y\r\nHost: api.test\r\n"),
        ("HTTP/1.1", "Host : api.test\r\n"),
        ("HTTP/1.1", "Host: api.test\r\n evil.test\r\n"),
    ] {
        refused_and_closed(&[400], |mark| with(version, hosts, mark));
    }
}

#[test]
fn a_head_has_strict_syntax() {
    for raw in [
        "GET /public/@ HTTP/1.1\nHost: api.test\n\n",
        "GET /public/@ HTTP/1.1\r\nHost: api.test\r\nx: a\rb\r\n\r\n",
        "GET /public/@ HTTP/1.1\r\nHost: api.test\r\nx: a\0b\r\n\r\n",
        "GET /public/@ HTTP/1.1\r\nHost: api.test\r\nno colon\r\n\r\n",
        "GET /public/@ HTTP/1.1\r\nHost: api.test\r\n: empty name\r\n\r\n",
        "GET /public/@ HTTP/1.1\r\nHost: api.test\r\nx(y): z\r\n\r\n",
        "GET  /public/@ HTTP/1.1\r\nHost: api.test\r\n\r\n",
        "GET /public/@ HTTP/2.0\r\nHost: api.test\r\n\r\n",
        "GET /public/@ HTTP/1.2\r\nHost: api.test\r\n\r\n",
        "GET /public/@\r\nHost: api.test\r\n\r\n",
        "G@T /public/@ HTTP/1.1\r\nHost: api.test\r\n\r\n",
    ] {
        refused_and_closed(&[400], |mark| raw.replace('@', mark).into_bytes());
    }
}

#[test]
fn a_head_has_limits_on_both_versions() {
    let refused = |request: Request, status: u16, code: &str| {
        let answer = WORLD.refused(request.clone(), status, code);
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
        let http2 = WORLD.https().try_http2(std::slice::from_ref(&request));
        // A head that HTTP/2 itself finds too large may end the stream instead.
        if let Ok(answers) = http2 {
            assert!(matches!(answers[0].status, s if s == status || s == 431), "{answers:?}");
        }
    };
    let plain = || Request::get("/public/x");
    refused(plain().field("x-big", "x".repeat(9000)), 431, "head-too-large");
    let many = (0..25).fold(plain(), |request, n| request.field(&format!("x-{n}"), "y"));
    refused(many, 431, "head-too-large");
    refused(Request::get(format!("/public/{}", "x".repeat(1100))), 414, "target-too-long");
    WORLD.forwarded(plain().field("cookie", "a=b; ".repeat(1000).trim_end_matches("; ")));
    WORLD.forwarded(Request::get(format!("/public/{}", "x".repeat(900))));
}

#[test]
fn a_head_has_a_deadline_as_a_whole() {
    let mut connection = WORLD.plain().connect();
    connection.write("GET /public/slow HTTP/1.1\r\n");
    let clock = portcullis_core::clock::Clock::system();
    // A byte now and then must not keep it open.
    for _ in 0..8 {
        std::thread::sleep(std::time::Duration::from_millis(200));
        connection.write("x");
    }
    let answer = connection.read();
    assert!(answer.is_err() || answer.is_ok_and(|a| a.status == 408));
    assert!(connection.is_closed());
    assert!(clock.monotonic() < std::time::Duration::from_secs(10));
    // A connection that has nothing to say is closed too.
    let mut idle = WORLD.plain().connect();
    idle.send(&Request::get("/public/x")).expect(200);
    assert!(idle.is_closed());
}

#[test]
fn a_body_has_a_size_and_a_type() {
    let json = |body: Vec<u8>| {
        Request::post("/upload", body).field("content-type", "application/json; charset=UTF-8")
    };
    WORLD.forwarded(json(vec![b'x'; 64 << 10]));
    WORLD.refused(json(vec![b'x'; (64 << 10) + 1]), 413, "body-too-large");
    for kind in ["application/xml", "application/jsonx", "application/json; charset=utf-7", "x"] {
        let request = Request::post("/upload", "x").field("content-type", kind);
        WORLD.refused(request, 415, "media-type-not-allowed");
    }
    WORLD.refused(Request::post("/upload", "x"), 415, "media-type-not-allowed");
    WORLD.forwarded(Request::post("/upload", "x").field("content-type", "text/plain"));
    WORLD.forwarded(Request::get("/upload"));
}

#[test]
fn a_body_of_unknown_length_is_counted_as_it_comes() {
    let mark = marker("chunks");
    let chunk = format!("2000\r\n{}\r\n", "x".repeat(0x2000));
    let upload = |mark: &str, more: &str| {
        format!(
            "POST /upload HTTP/1.1\r\nHost: api.test\r\nx-marker: {mark}\r\n\
             content-type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n{}{more}0\r\n\r\n",
            chunk.repeat(8)
        )
    };
    WORLD.plain().raw(upload(&mark, "1\r\nx\r\n")).expect_refusal(413, "body-too-large");
    assert!(WORLD.upstream.seen(&mark).is_empty(), "no complete request at the upstream");
    let mark = marker("chunks");
    WORLD.plain().raw(upload(&mark, "")).expect(200);
    assert_eq!(WORLD.upstream.only(&mark).body.len(), 64 << 10);
    let mark = marker("chunks");
    let request = Request::post("/upload", vec![b'x'; 70 << 10])
        .field("x-marker", &mark)
        .field("content-type", "text/plain");
    WORLD.https().http2(&request).expect_refusal(413, "body-too-large");
    assert!(WORLD.upstream.seen(&mark).is_empty());
}
