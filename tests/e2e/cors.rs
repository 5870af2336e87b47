//! Browsers on other origins: preflights, our own refusals, exact origins. C39, C40, C41, C42.

use std::sync::LazyLock;
use std::time::Duration;

use portcullis_testkit::{Answer, Reply, Request, marker};

use crate::world::{BASE, HOSTS, ISSUERS, UPSTREAMS, World, bare};

const UI: &str = "https://ui.test";

const CONFIG: &str = r#"
cors:
  - name: web
    origins: ["https://ui.test", "https://*.ui.test"]
    methods: [GET, PUT]
    headers: [authorization, x-a]
    expose_headers: [x-total]
    credentials: true
    max_age: 10m
  - {name: anybody, origins: ["*"], methods: [GET]}
  - {name: sandboxed, origins: ["null"], methods: [GET]}
limits: [{name: two, key: address, rate: 2/h}]
defaults: {cors: web}
routes:
  - {name: api, path: "/api/{*rest}", methods: [GET, PUT, POST], access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}
  - {name: admin, path: /admin, access: {any_of: [{issuer: corporate}], roles: [admin]}, forward: {upstream: u}}
  - {name: open, path: "/open/{*rest}", access: public, forward: {upstream: u}}
  - {name: small, path: /small, access: public, request: {body: {maximum: 10B}}, forward: {upstream: u}}
  - {name: limited, path: /limited, access: public, limits: [two], forward: {upstream: u}}
  - {name: slow, path: /slow, access: public, timeouts: {total: 300ms}, forward: {upstream: u}}
  - {name: gone, path: /gone, access: public, forward: {upstream: nobody}}
  - {name: star, path: "/star/{*rest}", access: public, cors: anybody, forward: {upstream: u}}
  - {name: sandboxed, path: /sandboxed, access: public, cors: sandboxed, forward: {upstream: u}}
  - name: own
    path: /own
    methods: [GET, OPTIONS]
    access: {any_of: [{issuer: corporate}]}
    forward: {upstream: u}
  - {name: app, path: "/app/{*rest}", access: {any_of: [{issuer: corporate}]}, cors: app, forward: {upstream: u}}
"#;

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let upstreams =
        UPSTREAMS.replace("}]", "}, {name: nobody, endpoints: [\"http://127.0.0.1:9\"]}]");
    World::start(&[BASE, HOSTS, &upstreams, ISSUERS, CONFIG])
});

fn preflight(path: &str, origin: &str, method: &str) -> Request {
    Request::new("OPTIONS", path).origin(origin).field("access-control-request-method", method)
}

/// The fields of a grant to `origin`, for scripts.
#[track_caller]
fn granted(answer: &Answer, origin: &str) {
    assert_eq!(answer.field("access-control-allow-origin"), Some(origin), "{answer:?}");
    assert_eq!(answer.field("access-control-allow-credentials"), Some("true"));
    let vary = answer.all("vary").join(",").to_ascii_lowercase();
    assert!(vary.contains("origin"), "{vary}");
}

#[track_caller]
fn not_granted(answer: &Answer) {
    let fields: Vec<_> =
        answer.fields.iter().filter(|(n, _)| n.starts_with("access-control-allow")).collect();
    assert!(fields.is_empty(), "{fields:?}");
}

fn words(answer: &Answer, field: &str) -> Vec<String> {
    let value = answer.field(field).unwrap_or_default();
    let mut words: Vec<String> = value.split(',').map(|w| w.trim().to_ascii_lowercase()).collect();
    words.sort();
    words
}

#[test]
fn c39_a_preflight_needs_no_token_and_never_reaches_the_app() {
    let request =
        preflight("/api/x", UI, "PUT").field("access-control-request-headers", "authorization,x-a");
    let (answer, mark) = WORLD.marked(request);
    answer.expect(204);
    granted(&answer, UI);
    assert_eq!(words(&answer, "access-control-allow-methods"), ["get", "put"]);
    assert_eq!(words(&answer, "access-control-allow-headers"), ["authorization", "x-a"]);
    assert_eq!(answer.field("access-control-max-age"), Some("600"));
    WORLD.upstream.saw_nothing_of(&mark);
}

#[test]
fn c39_a_preflight_from_elsewhere_is_granted_nothing() {
    let (answer, mark) = WORLD.marked(preflight("/api/x", "https://evil.test", "PUT"));
    assert!(matches!(answer.status, 204 | 403), "{}", answer.status);
    not_granted(&answer);
    WORLD.upstream.saw_nothing_of(&mark);
}

#[test]
fn c39_options_that_is_no_preflight_is_an_ordinary_request() {
    let answer = WORLD.refused(Request::new("OPTIONS", "/api/x"), 405, "method-not-allowed");
    assert!(words(&answer, "allow").contains(&"put".to_owned()));
    let origin_alone = Request::new("OPTIONS", "/api/x").origin(UI);
    WORLD.refused(origin_alone, 405, "method-not-allowed");
    WORLD.refused(Request::new("OPTIONS", "/own"), 401, "credential-missing");
    let token = WORLD.issuer.token().sign();
    let seen = WORLD.forwarded(Request::new("OPTIONS", "/own").bearer(token));
    assert_eq!(seen.method, "OPTIONS");
}

#[test]
fn c40_our_own_refusals_can_be_read_by_the_page() {
    WORLD.upstream.answer("/slow", Reply::hang());
    let token = WORLD.issuer.token().sign();
    let limited = || Request::get("/limited");
    let client = WORLD.plain().from("127.0.0.81");
    client.send(&limited()).expect(200);
    client.send(&limited()).expect(200);
    for (request, status, code) in [
        (Request::get("/api/x"), 401, "credential-missing"),
        (Request::get("/api/x").bearer("x"), 401, "credential-invalid"),
        (Request::get("/admin").bearer(&token), 403, "role-missing"),
        (Request::post("/small", "more than ten bytes"), 413, "body-too-large"),
        (limited(), 429, "rate-limited"),
        (Request::get("/gone"), 503, "upstream-unavailable"),
        (Request::get("/slow"), 504, "upstream-timeout"),
        (Request::get("/none"), 404, "route-not-found"),
        (Request::new("DELETE", "/api/x"), 405, "method-not-allowed"),
    ] {
        let answer = client.send(&request.origin(UI));
        answer.expect_refusal(status, code);
        granted(&answer, UI);
        let exposed = words(&answer, "access-control-expose-headers");
        for name in [
            "retry-after",
            "www-authenticate",
            "ratelimit",
            "ratelimit-policy",
            "x-request-id",
            "x-total",
        ] {
            assert!(exposed.contains(&name.to_owned()), "{status} {code}: {name} in {exposed:?}");
        }
    }
    let elsewhere = client.send(&Request::get("/api/x").origin("https://evil.test"));
    elsewhere.expect_refusal(401, "credential-missing");
    not_granted(&elsewhere);
}

#[test]
fn c41_one_side_speaks_of_cors() {
    let reply = Reply::new(200, "ok")
        .field("Access-Control-Allow-Origin", "*")
        .field("Access-Control-Allow-Credentials", "true")
        .field("Access-Control-Expose-Headers", "x-app");
    let send = |path: &str, origin: &str| {
        let mark = marker("both");
        WORLD.upstream.answer(&mark, reply.clone());
        let request = Request::get(path).origin(origin).field("x-marker", &mark);
        let answer = WORLD.plain().send(&request.bearer(WORLD.issuer.token().sign()));
        answer.expect(200);
        answer
    };
    let answer = send("/api/x", UI);
    granted(&answer, UI);
    assert!(!words(&answer, "access-control-expose-headers").contains(&"x-app".to_owned()));
    not_granted(&send("/api/x", "https://evil.test"));
    // `cors: app`: the app's word passes untouched.
    let answer = send("/app/x", "https://evil.test");
    assert_eq!(answer.all("access-control-allow-origin"), ["*"]);
    assert_eq!(answer.all("access-control-expose-headers"), ["x-app"]);
}

#[test]
fn c41_preflights_go_to_an_app_that_speaks_cors() {
    let (answer, mark) = WORLD.marked(preflight("/app/x", "https://evil.test", "PUT"));
    answer.expect(200);
    assert_eq!(WORLD.upstream.only(&mark).method, "OPTIONS");
    not_granted(&answer);
    // Everything else on the route asks for a token still.
    WORLD.refused(Request::get("/app/x"), 401, "credential-missing");
    WORLD.refused(Request::new("OPTIONS", "/app/x"), 405, "method-not-allowed");
}

#[test]
fn c41_without_cors_nothing_is_touched() {
    let config =
        "routes: [{name: all, path: \"/{*rest}\", access: public, forward: {upstream: u}}]\n";
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, config]);
    world.upstream.answer("/x", Reply::new(200, "ok").field("access-control-allow-origin", "*"));
    let answer = world.plain().send(&Request::get("/x").origin("https://evil.test"));
    assert_eq!(answer.all("access-control-allow-origin"), ["*"]);
    let answer = world.plain().send(&preflight("/x", UI, "GET"));
    answer.expect_refusal(405, "method-not-allowed");
}

#[test]
fn c42_origins_are_compared_whole() {
    for origin in [UI, "https://a.ui.test"] {
        let answer = WORLD.plain().send(&Request::get("/open/x").origin(origin));
        answer.expect(200);
        granted(&answer, origin);
    }
    for origin in [
        "http://ui.test",
        "https://ui.test:8443",
        "https://ui.test.evil.test",
        "https://evilui.test",
        "https://uiXtest",
        "https://a_.ui.test.evil.test",
        "https://a.b.ui.test",
        "https://.ui.test",
        "null",
        "https://UI.TEST",
        "https://ui.test, https://evil.test",
        "https://ui.test/",
        "https://evil.test/.ui.test",
        "",
    ] {
        let answer = WORLD.plain().send(&Request::get("/open/x").origin(origin));
        answer.expect(200);
        not_granted(&answer);
    }
    let two = Request::get("/open/x").origin(UI).origin("https://evil.test");
    let answer = WORLD.plain().send(&two);
    assert!(matches!(answer.status, 200 | 400));
    not_granted(&answer);
}

#[test]
fn c42_star_and_null_only_in_words() {
    let answer = WORLD.plain().send(&Request::get("/star/x").origin("https://evil.test"));
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.field("access-control-allow-credentials"), None);
    let answer = WORLD.plain().send(&Request::get("/sandboxed").origin("null"));
    assert_eq!(answer.field("access-control-allow-origin"), Some("null"));
    for cors in [
        "{name: web, origins: [\"*\"], credentials: true}",
        "{name: web, origins: []}",
        "{name: web, origins: [\"https://*\"]}",
        "{name: web, origins: [\"https://ui.*\"]}",
        "{name: web, origins: [\"https://ui.test/\"]}",
        "{name: web, origins: [\"ui.test\"]}",
    ] {
        let config = format!(
            "{BASE}{HOSTS}cors: [{cors}]\nupstreams: [{{name: u, endpoints: [\"http://127.0.0.1:9\"]}}]\n\
             routes: [{{name: x, path: /x, access: public, cors: web, forward: {{upstream: u}}}}]\n"
        );
        let checked = bare(&config).command(&["check", "gateway.yaml", "--no-files"]);
        assert_eq!(checked.code, 1, "{cors}: {}", checked.stdout);
    }
}

#[test]
fn a_page_waits_for_no_slow_preflight() {
    // The app is away: preflights are answered all the same.
    let clock = portcullis_core::clock::Clock::system();
    WORLD.plain().send(&preflight("/gone", UI, "GET")).expect(204);
    assert!(clock.monotonic() < Duration::from_secs(2));
}
