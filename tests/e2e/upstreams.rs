//! The way to the app: more than one endpoint, TLS with a private authority, time-outs, retries.

use std::sync::LazyLock;
use std::time::Duration;

use portcullis_testkit::{CertificateAuthority, Reply, Request, Upstream, marker};

use crate::world::{BASE, HOSTS, World, launch};

const CONFIG: &str = r#"
upstreams:
  - {name: u, endpoints: ["@UPSTREAM@"]}
  - {name: pair, endpoints: ["@UPSTREAM@", "@OTHER@"]}
  - {name: half, endpoints: ["http://127.0.0.1:9", "@OTHER@"]}
  - {name: hasty, endpoints: ["@UPSTREAM@"], timeouts: {response_head: 300ms, between_reads: 300ms}}
  - {name: renamed, endpoints: ["@UPSTREAM@"], host_header: endpoint}
  - {name: once, endpoints: ["@UPSTREAM@"], retries: 0}
  - {name: tls, endpoints: ["@TLS@"], tls: {trust: {file: "@DIR@/app-ca.pem"}, server_name: app.internal}}
  - {name: misnamed, endpoints: ["@TLS@"], tls: {trust: {file: "@DIR@/app-ca.pem"}}}
  - {name: untrusted, endpoints: ["@TLS@"], tls: {server_name: app.internal}}
routes:
"#;

struct Setting {
    world: World,
    other: Upstream,
    tls: Upstream,
}

static SETTING: LazyLock<Setting> = LazyLock::new(|| {
    let other = Upstream::start();
    let authority = CertificateAuthority::new();
    let tls = Upstream::start_tls(authority.issue(&["app.internal"]).server_config());
    let mut config = CONFIG.replace("@OTHER@", &other.url()).replace("@TLS@", &tls.url());
    for name in ["u", "pair", "half", "hasty", "renamed", "once", "tls", "misnamed", "untrusted"] {
        let to = format!("forward: {{upstream: {name}}}");
        let route =
            format!("  - {{name: {name}, path: \"/{name}/{{*rest}}\", access: public, {to}}}\n");
        config += &route;
    }
    let world = world(&config, &authority);
    Setting { world, other, tls }
});

fn world(config: &str, app_authority: &CertificateAuthority) -> World {
    let upstream = Upstream::start();
    let text = [BASE, HOSTS, config].concat().replace("@UPSTREAM@", &upstream.url());
    let authority = CertificateAuthority::new();
    let gateway = launch(&text, &authority).file("app-ca.pem", app_authority.pem()).start();
    World { upstream, issuer: portcullis_testkit::Issuer::start(), authority, gateway }
}

#[test]
fn endpoints_are_taken_in_turn() {
    let mark = marker("turn");
    for _ in 0..10 {
        let request = Request::get("/pair/x").field("x-marker", &mark);
        SETTING.world.plain().send(&request).expect(200);
    }
    let first = SETTING.world.upstream.seen(&mark).len();
    assert_eq!((first, SETTING.other.seen(&mark).len()), (5, 5));
}

#[test]
fn an_endpoint_that_takes_no_connection_is_passed_over() {
    let mark = marker("half");
    for _ in 0..6 {
        // A POST too: not a byte of it was sent.
        let request = Request::post("/half/x", "body").field("x-marker", &mark);
        SETTING.world.plain().send(&request).expect(200);
    }
    assert_eq!(SETTING.other.seen(&mark).len(), 6);
    let retries = SETTING.world.gateway.metric(&["gateway_upstream_retries_total", "\"half\""]);
    assert!(retries >= 3, "{retries}");
}

#[test]
fn https_upstreams_are_verified() {
    let mark = marker("tls");
    let client = SETTING.world.plain();
    client.send(&Request::get("/tls/x").field("x-marker", &mark)).expect(200);
    assert_eq!(SETTING.tls.only(&mark).field("host"), Some("api.test"));
    for path in ["/misnamed/x", "/untrusted/x"] {
        let mark = marker("tls");
        let answer = client.send(&Request::get(path).field("x-marker", &mark));
        answer.expect_refusal(502, "upstream-unavailable");
        SETTING.tls.saw_nothing_of(&mark);
    }
}

#[test]
fn a_slow_app_is_a_time_out() {
    let mark = marker("slow");
    SETTING.world.upstream.answer(&mark, Reply::new(200, "late").after(Duration::from_secs(3)));
    let request = Request::get("/hasty/x").field("x-marker", &mark);
    SETTING.world.plain().send(&request).expect_refusal(504, "upstream-timeout");
    let failures = SETTING.world.gateway.metric(&["gateway_upstream_failures_total", "\"hasty\""]);
    assert!(failures >= 1);
}

#[test]
fn an_app_that_breaks_off_is_a_failure() {
    let send = |reply: Reply, method: &str| {
        let mark = marker("broken");
        SETTING.world.upstream.answer(&mark, reply);
        let request = Request::new(method, "/u/x").field("x-marker", &mark);
        let answer = SETTING.world.plain().send(&request);
        (answer, SETTING.world.upstream.seen(&mark).len())
    };
    let (answer, times) = send(Reply::raw("NONSENSE\r\n\r\n"), "POST");
    answer.expect_refusal(502, "upstream-failed");
    assert_eq!(times, 1, "a POST that was sent is not sent again");
    let (answer, times) = send(Reply::close(), "POST");
    answer.expect_refusal(502, "upstream-failed");
    assert_eq!(times, 1);
    // An answer that was begun cannot be taken back: the client must see that it is not whole.
    let (answer, times) = send(Reply::new(200, "0123456789").cut_after(4), "GET");
    assert!(answer.status == 502 || !answer.complete, "{answer:?}");
    assert_eq!(times, 1);
    // What the app says is passed on, not repeated.
    let (answer, times) = send(Reply::new(503, "busy"), "GET");
    assert_eq!((answer.status, answer.text().as_str(), times), (503, "busy", 1));
}

#[test]
fn the_host_is_kept_or_the_endpoints() {
    let seen = SETTING.world.forwarded(Request::get("/u/x").host("API.test"));
    assert_eq!(seen.field("host"), Some("api.test"));
    let seen = SETTING.world.forwarded(Request::get("/renamed/x"));
    assert_eq!(seen.field("host"), Some(SETTING.world.upstream.address().to_string().as_str()));
    assert_eq!(seen.field("x-forwarded-host"), Some("api.test"));
}

#[test]
fn connections_are_kept_and_bodies_arrive_whole() {
    let body: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let mark = marker("body");
    let client = SETTING.world.https();
    let mut connection = client.connect();
    for _ in 0..3 {
        let request = Request::post("/once/x", &body).field("x-marker", &mark);
        connection.send(&request).expect(200);
    }
    client.http2(&Request::post("/once/x", &body).field("x-marker", &mark)).expect(200);
    let seen = SETTING.world.upstream.seen(&mark);
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|request| request.body == body));

    let mark = marker("body");
    SETTING.world.upstream.answer(&mark, Reply::new(200, &body).chunked());
    let request = Request::get("/u/x").field("x-marker", &mark);
    for (version, answer) in [(1, client.send(&request)), (2, client.http2(&request))] {
        let version = format!("HTTP/{version}");
        assert_eq!(
            (answer.status, answer.body.len(), answer.complete),
            (200, body.len(), true),
            "{version}"
        );
        assert!(answer.body == body, "every byte in its place");
    }
}

#[test]
fn an_empty_last_frame_does_not_disturb_the_next_request() {
    for body in ["", "abc"] {
        let mark = marker("frames");
        let mut requests = vec![Request::post("/u/x", body).field("x-marker", &mark)];
        requests.extend((0..20).map(|_| Request::get("/u/x").field("x-marker", &mark)));
        let answers = SETTING.world.https().try_http2(&requests).expect("answers come");
        assert!(answers.iter().all(|answer| answer.status == 200));
        let seen = SETTING.world.upstream.seen(&mark);
        assert_eq!(seen.len(), 21);
        assert_eq!(seen[0].body, body.as_bytes());
        // A second terminator would stand before the next request of the connection.
        let raw = SETTING.world.upstream.raw(seen[0].connection);
        let head = &seen[0].head;
        let start = raw.windows(head.len()).position(|bytes| bytes == head).expect("the request");
        let rest = String::from_utf8_lossy(&raw[start + head.len()..]).into_owned();
        // It was read whole, so that its length is known.
        let next = rest.strip_prefix(body).expect("the body");
        assert!(next.starts_with("GET "), "{next}");
    }
}
