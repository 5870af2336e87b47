//! The safe set is on every answer, whoever made it. C43.
//!
//! The 308 of a redirect listener belongs to a later part of the language.

use std::sync::LazyLock;

use portcullis_testkit::{Answer, Client, Reply, Request, marker};

use crate::world::{BASE, HOSTS, ISSUERS, UPSTREAMS, World};

const OWN_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
const PAGE_POLICY: &str = "frame-ancestors 'none'; base-uri 'self'; object-src 'none'";

const CONFIG: &str = r#"
connections: {request_head: {fields: 30}}
limits: [{name: one, key: address, rate: 1/h}]
routes:
  - {name: open, path: "/open/{*rest}", access: public, forward: {upstream: u}}
  - {name: api, path: /api, access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}
  - {name: admin, path: /admin, access: {any_of: [{issuer: corporate}], roles: [admin]}, forward: {upstream: u}}
  - {name: small, path: /small, access: public, request: {body: {maximum: 10B}}, forward: {upstream: u}}
  - {name: limited, path: /limited, access: public, limits: [one], forward: {upstream: u}}
  - {name: slow, path: /slow, access: public, timeouts: {total: 300ms}, forward: {upstream: u}}
  - {name: gone, path: /gone, access: public, forward: {upstream: nobody}}
  - name: chosen
    path: /chosen
    access: public
    response_headers:
      content_security_policy: "default-src 'self'"
      frame_options: {if_missing: SAMEORIGIN}
      referrer_policy: remove
      cross_origin_opener_policy: keep
      strict_transport_security: {include_subdomains: true}
      server: keep
    forward: {upstream: u}
  - name: cookies
    path: /cookies
    access: public
    forward: {upstream: u, cookies: {secure: true, http_only: true, same_site: lax}}
"#;

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let upstreams =
        UPSTREAMS.replace("}]", "}, {name: nobody, endpoints: [\"http://127.0.0.1:9\"]}]");
    let world = World::start(&[BASE, HOSTS, &upstreams, ISSUERS, CONFIG]);
    world.upstream.answer("/slow", Reply::hang());
    world
});

#[track_caller]
fn safe(answer: &Answer, tls: bool) {
    let what = format!("{} {:?}", answer.status, answer.fields);
    assert_eq!(answer.field("x-content-type-options"), Some("nosniff"), "{what}");
    assert_eq!(answer.field("referrer-policy"), Some("no-referrer"), "{what}");
    assert_eq!(answer.field("x-frame-options"), Some("DENY"), "{what}");
    assert_eq!(answer.field("cross-origin-opener-policy"), Some("same-origin"), "{what}");
    assert_eq!(answer.field("cross-origin-resource-policy"), Some("same-origin"), "{what}");
    assert!(answer.field("permissions-policy").is_some_and(|v| v.contains("camera=()")), "{what}");
    let hsts = answer.field("strict-transport-security");
    assert_eq!(hsts, tls.then_some("max-age=31536000"), "{what}");
    assert_eq!((answer.field("server"), answer.field("x-powered-by")), (None, None), "{what}");
    assert!(answer.field("x-request-id").is_some(), "{what}");
}

/// A refusal of ours: safe, loads nothing, kept by no cache.
#[track_caller]
fn own(answer: &Answer, tls: bool) {
    safe(answer, tls);
    assert_eq!(answer.field("content-security-policy"), Some(OWN_POLICY), "{answer:?}");
    assert_eq!(answer.field("cache-control"), Some("no-store"), "{answer:?}");
}

fn app_reply(status: u16) -> Reply {
    Reply::new(status, if status == 204 || status == 304 { "" } else { "<p>page" })
        .field("content-type", "text/html; charset=utf-8")
        .field("Server", "uvicorn")
        .field("X-Powered-By", "something")
        .field("x-content-type-options", "sniff-away")
}

#[test]
fn c43_on_every_answer_of_the_app() {
    for status in [200, 201, 204, 301, 304, 400, 404, 500, 503] {
        for (client, tls) in [(WORLD.plain(), false), (WORLD.https(), true)] {
            let mark = marker("app");
            WORLD.upstream.answer(&mark, app_reply(status));
            let answer = client.send(&Request::get("/open/x").field("x-marker", &mark));
            assert_eq!(answer.status, status);
            safe(&answer, tls);
            if status != 204 && status != 304 {
                assert_eq!(answer.field("content-security-policy"), Some(PAGE_POLICY));
                assert_eq!(answer.text(), "<p>page");
            }
        }
    }
}

#[test]
fn c43_on_every_refusal_of_ours() {
    let token = WORLD.issuer.token().sign();
    WORLD.plain().from("127.0.0.91").send(&Request::get("/limited")).expect(200);
    let many = (0..40).fold(Request::get("/open/x"), |r, n| r.field(&format!("x-{n}"), "y"));
    let cases = || {
        [
            (Request::get("/open/x").host("u@api.test"), 400),
            (Request::get("/api"), 401),
            (Request::get("/admin").bearer(&token), 403),
            (Request::get("/none"), 404),
            (Request::new("TRACE", "/api"), 405),
            (Request::post("/small", "more than ten bytes"), 413),
            (Request::get(format!("/open/{}", "x".repeat(9000))), 414),
            (Request::get("/open/x").host("evil.test"), 421),
            (Request::get("/limited"), 429),
            (many.clone(), 431),
            (Request::get("/gone"), 503),
            (Request::get("/slow"), 504),
        ]
    };
    for (client, tls) in [(WORLD.plain(), false), (WORLD.https(), true)] {
        for (request, status) in cases() {
            let answer = client.clone().from("127.0.0.91").send(&request);
            assert_eq!(answer.status, status, "{}", answer.text());
            own(&answer, tls);
        }
    }
}

#[test]
fn c43_on_answers_given_before_there_is_a_request() {
    let raw = |client: Client, bytes: &str| client.raw(bytes);
    for (client, tls) in [(WORLD.plain(), false), (WORLD.https(), true)] {
        for bytes in [
            "NONSENSE\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: api.test\r\n\r\n",
        ] {
            let answer = raw(client.clone(), bytes);
            assert!(matches!(answer.status, 204 | 400 | 405), "{bytes}: {}", answer.status);
            safe(&answer, tls);
        }
    }
}

#[test]
fn c43_over_http2() {
    let client = WORLD.https();
    let mark = marker("app");
    WORLD.upstream.answer(&mark, app_reply(200));
    let answer = client.http2(&Request::get("/open/x").field("x-marker", &mark));
    answer.expect(200);
    safe(&answer, true);
    let answer = client.http2(&Request::get("/api"));
    answer.expect_refusal(401, "credential-missing");
    own(&answer, true);
    let answer = client.http2(&Request::get("/gone"));
    answer.expect_refusal(503, "upstream-unavailable");
    own(&answer, true);
}

#[test]
fn policies_for_pages_are_not_put_on_data() {
    let policy = |content_type: Option<&str>| {
        let mark = marker("kind");
        let reply = Reply::new(200, "x");
        let reply = content_type.iter().fold(reply, |r, kind| r.field("content-type", kind));
        WORLD.upstream.answer(&mark, reply);
        let answer = WORLD.plain().send(&Request::get("/open/x").field("x-marker", &mark));
        answer.field("content-security-policy").map(str::to_owned)
    };
    assert_eq!(policy(Some("application/json")), None);
    assert_eq!(policy(Some("image/png")), None);
    assert_eq!(policy(Some("image/svg+xml")).as_deref(), Some(PAGE_POLICY));
    assert_eq!(policy(Some("application/xhtml+xml")).as_deref(), Some(PAGE_POLICY));
    assert_eq!(policy(None).as_deref(), Some(PAGE_POLICY));
}

#[test]
fn what_the_app_says_itself_stays_where_that_is_safe() {
    let mark = marker("app");
    let reply = app_reply(200)
        .field("content-security-policy", "default-src 'self'")
        .field("x-frame-options", "SAMEORIGIN")
        .field("referrer-policy", "origin")
        .field("strict-transport-security", "max-age=1")
        .field("cache-control", "public");
    WORLD.upstream.answer(&mark, reply);
    let answer = WORLD.https().send(&Request::get("/open/x").field("x-marker", &mark));
    assert_eq!(answer.field("content-security-policy"), Some("default-src 'self'"));
    assert_eq!(answer.field("x-frame-options"), Some("SAMEORIGIN"));
    assert_eq!(answer.field("referrer-policy"), Some("origin"));
    assert_eq!(answer.field("strict-transport-security"), Some("max-age=31536000"));
    assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.field("cache-control"), Some("public"));
}

#[test]
fn a_route_chooses_its_own_fields() {
    let send = |reply: Reply| {
        let mark = marker("app");
        WORLD.upstream.answer(&mark, reply);
        WORLD.https().send(&Request::get("/chosen").field("x-marker", &mark))
    };
    let answer = send(app_reply(200).field("content-security-policy", "script-src *"));
    assert_eq!(answer.field("content-security-policy"), Some("default-src 'self'"));
    assert_eq!(answer.field("x-frame-options"), Some("SAMEORIGIN"));
    assert_eq!(answer.field("referrer-policy"), None);
    assert_eq!(answer.field("cross-origin-opener-policy"), None);
    assert_eq!(answer.field("server"), Some("uvicorn"));
    let hsts = answer.field("strict-transport-security");
    assert_eq!(hsts, Some("max-age=31536000; includeSubDomains"));
    let answer = send(
        app_reply(200)
            .field("x-frame-options", "DENY")
            .field("referrer-policy", "origin")
            .field("cross-origin-opener-policy", "unsafe-none"),
    );
    assert_eq!(answer.field("x-frame-options"), Some("DENY"));
    assert_eq!(answer.field("referrer-policy"), None);
    assert_eq!(answer.field("cross-origin-opener-policy"), Some("unsafe-none"));
}

#[test]
fn cookies_are_hardened_and_never_loosened() {
    let mark = marker("app");
    let reply = Reply::new(200, "ok")
        .field("set-cookie", "a=1")
        .field("set-cookie", "b=2; Path=/; SameSite=Strict; Secure")
        .field("set-cookie", "c=3; samesite=none; httponly");
    WORLD.upstream.answer(&mark, reply);
    let answer = WORLD.plain().send(&Request::get("/cookies").field("x-marker", &mark));
    let attributes = |name: &str| {
        let cookies = answer.all("set-cookie");
        let cookie = cookies.iter().find(|c| c.starts_with(name)).expect("the cookie is there");
        let mut parts: Vec<String> =
            cookie.split(';').map(|p| p.trim().to_ascii_lowercase()).collect();
        parts.sort();
        parts
    };
    assert_eq!(answer.all("set-cookie").len(), 3);
    assert_eq!(attributes("a="), ["a=1", "httponly", "samesite=lax", "secure"]);
    assert_eq!(attributes("b="), ["b=2", "httponly", "path=/", "samesite=strict", "secure"]);
    assert_eq!(attributes("c="), ["c=3", "httponly", "samesite=lax", "secure"]);
}
