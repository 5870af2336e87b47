//! The way to the app: more than one endpoint, TLS with a private authority, time-outs, retries.

use std::sync::LazyLock;
use std::time::Duration;

use portcullis_testkit::poll::until_true;
use portcullis_testkit::scripted::{frame, greet, read_stream};
use portcullis_testkit::{CertificateAuthority, Reply, Request, Scripted, Upstream, marker};

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
        answer.expect_refusal(503, "upstream-unavailable");
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
        // A connection may be asked for before the last one is back in the pool.
        assert!(next.is_empty() || next.starts_with("GET "), "{next}");
    }
}

fn routes(names: &[&str]) -> String {
    let route = |name: &&str| {
        format!(
            "  - {{name: {name}, path: \"/{name}/{{*rest}}\", access: public, forward: {{upstream: {name}}}}}\n"
        )
    };
    ["routes:\n".to_owned(), names.iter().map(route).collect()].concat()
}

#[test]
fn apps_on_unix_sockets_and_over_http2() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("app.sock");
    Scripted::start_unix(&socket, "from a socket");
    let h2c = Scripted::start(|mut connection, _| {
        greet(&mut connection);
        while let Some(stream) = read_stream(&mut connection) {
            std::io::Write::write_all(&mut connection, &frame(1, 5, stream, &[0x88])).ok();
        }
    });
    let config = format!(
        "upstreams:\n  - {{name: unix, endpoints: [\"unix:{}\"], health: {{path: /, every: 200ms}}}}\n  - {{name: h2c, endpoints: [\"h2c://{}\"], health: {{path: /, every: 200ms}}}}\n{}",
        socket.display(),
        h2c.address(),
        routes(&["unix", "h2c"]),
    );
    let world = World::start(&[BASE, HOSTS, &config]);
    let answer = world.plain().send(&Request::get("/unix/x"));
    assert_eq!((answer.status, answer.text().as_str()), (200, "from a socket"));
    for _ in 0..3 {
        world.plain().send(&Request::post("/h2c/x", "body")).expect(200);
    }
    until_true(Duration::from_secs(5), "both are checked", || h2c.connections() > 1);
    for name in ["\"unix\"", "\"h2c\""] {
        assert_eq!(world.gateway.metric(&["gateway_upstream_healthy{", name]), 1);
    }
    world.plain().send(&Request::get("/unix/x")).expect(200);
}

#[test]
fn certificates_of_apps_are_checked_in_every_way() {
    let authority = CertificateAuthority::new();
    let clients = CertificateAuthority::new();
    let expired = Upstream::start_tls(authority.issue_expired(&["127.0.0.1"]).server_config());
    let named = Upstream::start_tls(authority.issue(&["localhost"]).server_config());
    let addressed = Upstream::start_tls(authority.issue(&["127.0.0.1"]).server_config());
    let mutual = authority.issue(&["127.0.0.1"]).server_config_for(&clients);
    let mutual = Upstream::start_tls(mutual);
    let trust = "trust: {file: \"@DIR@/app-ca.pem\"}";
    let pair = "client_certificate: {certificate: \"@DIR@/client.pem\", key: {file: \"@DIR@/client.key\"}}";
    let mut config = "upstreams:\n".to_owned();
    let by_name = named.url().replace("127.0.0.1", "localhost");
    for (name, url, tls) in [
        ("expired", expired.url(), trust.to_owned()),
        ("named", by_name, trust.to_owned()),
        ("unnamed", named.url(), trust.to_owned()),
        ("addressed", addressed.url(), trust.to_owned()),
        ("mutual", mutual.url(), format!("{trust}, {pair}")),
        ("anonymous", mutual.url(), trust.to_owned()),
    ] {
        let line = format!("  - {{name: {name}, endpoints: [\"{url}\"], tls: {{{tls}}}}}\n");
        config += &line;
    }
    config += &routes(&["expired", "named", "unnamed", "addressed", "mutual", "anonymous"]);
    let client = clients.issue(&["gateway.internal"]);
    let own = CertificateAuthority::new();
    let gateway = launch(&[BASE, HOSTS, &config].concat(), &own)
        .file("app-ca.pem", authority.pem())
        .file("client.pem", &client.certificate)
        .file("client.key", &client.key)
        .start();
    let status = |name: &str| {
        let answer = gateway.plain("plain").send(&Request::get(format!("/{name}/x")));
        answer.status
    };
    assert_eq!((status("named"), status("addressed"), status("mutual")), (200, 200, 200));
    assert_eq!((status("expired"), status("unnamed")), (503, 503));
    // The app ends the handshake after the gateway is done with its part (TLS 1.3).
    let refused = status("anonymous");
    assert!([502, 503].contains(&refused), "{refused}");
}

#[test]
fn an_app_that_is_not_well_gets_no_requests() {
    let (first, second) = (Upstream::start(), Upstream::start());
    let health = "health: {path: /healthz, host: health.test, every: 100ms, timeout: 1s, unhealthy_after: 2, healthy_after: 2}";
    let config = format!(
        "upstreams:\n  - {{name: u, endpoints: [\"{}\", \"{}\"], {health}}}\n{}",
        first.url(),
        second.url(),
        routes(&["u"]),
    );
    let world = World::start(&[BASE, HOSTS, &config]);
    let send = || world.plain().send(&Request::get("/u/x").field("x-marker", "asked"));
    let shares = |upstream: &Upstream| upstream.seen("x-marker: asked").len();
    let healthy = |upstream: &Upstream| {
        let endpoint = format!("\"{}\"", upstream.address());
        world.gateway.metric(&["gateway_upstream_healthy{", &endpoint])
    };
    let wait = |upstream: &Upstream, state: i64| {
        until_true(Duration::from_secs(10), "the checks see it", || healthy(upstream) == state);
    };
    first.answer("/healthz", Reply::new(500, "ill"));
    wait(&first, 0);
    let before = shares(&first);
    for _ in 0..6 {
        send().expect(200);
    }
    assert_eq!((shares(&first) - before, shares(&second) >= 6), (0, true));
    assert!(
        first.seen("GET /healthz ").iter().all(|seen| seen.field("host") == Some("health.test"))
    );
    let ready = world.gateway.probe("/readyz").json();
    assert_eq!(ready["upstreams"]["u"][0]["healthy"], false);

    second.answer("/healthz", Reply::new(500, "ill"));
    wait(&second, 0);
    let answer = send();
    answer.expect_refusal(503, "upstream-unavailable");
    assert!(answer.field("retry-after").is_some());

    first.answer("/healthz", Reply::new(200, "well"));
    wait(&first, 1);
    send().expect(200);
}

#[test]
fn an_app_that_fails_requests_is_left_out_for_a_while() {
    let (first, second) = (Upstream::start(), Upstream::start());
    let config = format!(
        "upstreams:\n  - {{name: u, endpoints: [\"{}\", \"{}\"], retries: 1, eject: {{after_failures: 2, for: 1s}}}}\n{}",
        first.url(),
        second.url(),
        routes(&["u"]),
    );
    let world = World::start(&[BASE, HOSTS, &config]);
    let send = || world.plain().send(&Request::get("/u/x"));
    first.down();
    for _ in 0..12 {
        send().expect(200);
    }
    let endpoint = format!("\"{}\"", first.address());
    let ejections = || world.gateway.metric(&["gateway_upstream_ejections_total{", &endpoint]);
    assert!(ejections() >= 1);
    let failures = world.gateway.metric(&["gateway_upstream_failures_total{", "\"u\""]);
    assert!(failures <= 4, "two, and one trial after each second: {failures}");
    let before = first.seen("GET /u/x ").len();
    // Back again: the trial after the pause finds it.
    first.up();
    until_true(Duration::from_secs(10), "it gets requests again", || {
        send().expect(200);
        first.seen("GET /u/x ").len() > before
    });
    // All left out: none is worse than one that may fail, and the answer is quick.
    first.down();
    second.down();
    for _ in 0..6 {
        send().expect_refusal(503, "upstream-unavailable");
    }
    second.up();
    until_true(Duration::from_secs(10), "the first answer comes at once", || send().status == 200);
}

#[test]
fn a_name_that_is_not_there_closes_its_route_alone() {
    let config = format!(
        "upstreams:\n  - {{name: gone, endpoints: [\"http://no-such-name.invalid:80\"]}}\n  - {{name: u, endpoints: [\"@UPSTREAM@\"], balance: {{hash: address}}}}\n{}",
        routes(&["gone", "u"]),
    );
    let world = World::start(&[BASE, HOSTS, &config]);
    let answer = world.plain().send(&Request::get("/gone/x"));
    answer.expect_refusal(503, "upstream-unavailable");
    assert!(answer.field("retry-after").is_some());
    world.plain().send(&Request::get("/u/x")).expect(200);
    until_true(Duration::from_secs(15), "the failure is counted", || {
        world.gateway.metric(&["gateway_upstream_resolve_failures_total{", "\"gone\""]) >= 1
    });
}

#[test]
fn a_client_keeps_its_endpoint() {
    let (first, second) = (Upstream::start(), Upstream::start());
    let config = format!(
        "upstreams:\n  - {{name: u, endpoints: [\"{}\", \"{}\"], balance: {{hash: address}}}}\n{}",
        first.url(),
        second.url(),
        routes(&["u"]),
    );
    let world = World::start(&[BASE, HOSTS, &config]);
    for _ in 0..6 {
        world.plain().send(&Request::get("/u/x")).expect(200);
    }
    let shares = (first.seen("/u/x ").len(), second.seen("/u/x ").len());
    assert!([(6, 0), (0, 6)].contains(&shares), "{shares:?}");
}
