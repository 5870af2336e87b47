//! Faults that HTTP engines had, each by its number; those of HTTP/2 and of upgrades stand with their
//! kind in `http2_floods.rs`, `upgrade.rs` and `bodies.rs`.

use std::sync::LazyLock;

use portcullis_testkit::{Reply, marker};

use crate::world::{BASE, HOSTS, UPSTREAMS, World};

const CONFIG: &str = r#"
routes:
  - {name: public, path: "/public/{*rest}", access: public, forward: {upstream: u}}
  - name: small
    path: "/small/{*rest}"
    access: public
    request: {body: {maximum: 10B}}
    forward: {upstream: u}
"#;

static WORLD: LazyLock<World> = LazyLock::new(|| World::start(&[BASE, HOSTS, UPSTREAMS, CONFIG]));

/// A request that hides in the body of `outer` must never be a request, whoever answers `outer`.
#[track_caller]
fn a_body_is_no_request(outer: &str, statuses: &[u16]) {
    let hidden = marker("hidden");
    let body = format!("GET /public/{hidden} HTTP/1.1\r\nHost: api.test\r\n\r\n");
    let mut connection = WORLD.plain().connect();
    connection.write(format!("{outer}Content-Length: {}\r\n\r\n{body}", body.len()));
    let answer = connection.read().expect("an answer comes");
    assert!(statuses.contains(&answer.status), "{outer:?}: {}", answer.status);
    // Either the connection ends, or the next request on it is the one that the client sends.
    let next = marker("next");
    connection.write(format!("GET /public/{next} HTTP/1.1\r\nHost: api.test\r\n\r\n"));
    if let Ok(answer) = connection.read() {
        answer.expect(200);
        WORLD.upstream.only(&next);
    }
    let lines = WORLD.upstream.seen(&hidden);
    assert!(lines.iter().all(|seen| !seen.target.contains(&hidden)), "{outer:?}: {lines:?}");
}

/// CVE-2025-4366: what was not read of a body was taken for the next request.
#[test]
fn cve_2025_4366_an_unread_body_is_never_the_next_request() {
    a_body_is_no_request("POST /none HTTP/1.1\r\nHost: api.test\r\n", &[404]);
    a_body_is_no_request("POST /small/x HTTP/1.1\r\nHost: api.test\r\n", &[413]);
    a_body_is_no_request("POST /public/x HTTP/1.1\r\nHost: other.test\r\n", &[421]);
    a_body_is_no_request("GET /public/x HTTP/1.1\r\nHost: api.test\r\n", &[200]);
    let early = marker("early");
    WORLD.upstream.answer(&early, Reply::new(200, "early").field("connection", "close"));
    let outer = format!("POST /public/{early} HTTP/1.1\r\nHost: api.test\r\n");
    a_body_is_no_request(&outer, &[200]);
}

/// CVE-2026-2835: HTTP/1.0 with a transfer coding, and codings beside each other, framed a request
/// in a way of their own.
#[test]
fn cve_2026_2835_no_version_and_no_coding_frames_in_its_own_way() {
    for head in [
        "POST /public/MARK HTTP/1.0\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /public/MARK HTTP/1.0\r\nHost: api.test\r\nConnection: keep-alive\r\n\
         Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        "POST /public/MARK HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: identity\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        "POST /public/MARK HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: identity\r\n\r\n",
        "POST /public/MARK HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\
         Content-Length: 3\r\n\r\n",
    ] {
        let mark = marker("frame");
        let mut connection = WORLD.plain().connect();
        connection.write(head.replace("MARK", &mark));
        connection.write("0\r\n\r\nGET /public/after HTTP/1.1\r\nHost: api.test\r\n\r\n");
        let answer = connection.read().expect("an answer comes");
        assert!(matches!(answer.status, 400 | 501), "{head:?}: {}", answer.status);
        assert!(connection.is_closed(), "{head:?}");
        WORLD.upstream.saw_nothing_of(&mark);
    }
    // Without a length, HTTP/1.0 has no body: bytes behind the head are not one that ends with the
    // connection.
    let mark = marker("frame");
    let mut connection = WORLD.plain().connect();
    connection.write(format!("POST /public/{mark} HTTP/1.0\r\nHost: api.test\r\n\r\nabc"));
    connection.read().expect("an answer comes").expect(200);
    assert_eq!(WORLD.upstream.only(&mark).body, b"");
}

/// CVE-2026-2836: an answer for one host was served to another, because both asked for one path.
#[test]
fn cve_2026_2836_hosts_never_share_an_answer() {
    let path = marker("shared");
    WORLD
        .upstream
        .answer(&path, Reply::new(200, "x").field("cache-control", "public, max-age=600"));
    for host in ["api.test", "app.test", "api.test"] {
        let mut connection = WORLD.plain().connect();
        connection.write(format!("GET /public/{path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        connection.read().expect("an answer comes").expect(200);
    }
    let hosts: Vec<String> =
        WORLD.upstream.seen(&path).iter().map(|seen| seen.all("host").concat()).collect();
    assert_eq!(hosts, ["api.test", "app.test", "api.test"]);
}
