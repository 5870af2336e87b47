//! What policy judges is what the app receives. C21, C22, C23.

use std::sync::LazyLock;

use portcullis_testkit::{Request, marker, tools};
use serde_json::Value;

use crate::world::{BASE, HOSTS, ISSUERS, UPSTREAMS, World};

const ROUTES: &str = r#"
routes:
  - {name: public, path: "/public/{*rest}", methods: [GET, POST], access: public, forward: {upstream: u}}
  - {name: raw, path: "/raw/{*rest}", encoded_slash: true, access: public, forward: {upstream: u}}
  - {name: stripped, path: "/v1/{*rest}", access: public, forward: {upstream: u, strip_prefix: /v1}}
  - {name: health, path: /health, access: public, forward: {upstream: u}}
  - {name: exact, path: /exact, methods: [GET], access: public, forward: {upstream: u}}
  - {name: variable, path: "/items/{id}", methods: [GET], access: public, forward: {upstream: u}}
  - {name: item, path: "/items/special", methods: [GET], access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}
  - {name: bare_admin, path: /admin, access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}
  - {name: admin, path: "/admin/{*rest}", access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}
"#;

static WORLD: LazyLock<World> =
    LazyLock::new(|| World::start(&[BASE, HOSTS, UPSTREAMS, ISSUERS, ROUTES]));

/// Sends a target as it stands; status and code of a refusal, or the target that the upstream saw.
#[track_caller]
fn outcome(method: &str, target: &str) -> Result<String, (u16, String)> {
    let mark = marker("path");
    let raw = format!("{method} {target} HTTP/1.1\r\nhost: api.test\r\nx-marker: {mark}\r\n\r\n");
    let answer = WORLD.plain().raw(raw);
    if answer.status == 200 {
        let seen = WORLD.upstream.only(&mark);
        let id = answer.field("x-request-id").expect("an id");
        let logged = WORLD.gateway.access_line(id)["path"].as_str().expect("a path").to_owned();
        let judged = logged.split('?').next().unwrap_or_default();
        let judged = judged.strip_prefix("/v1").unwrap_or(judged);
        assert_eq!(judged, seen.path(), "policy and upstream disagree on {target}");
        return Ok(seen.target);
    }
    WORLD.upstream.saw_nothing_of(&mark);
    Err((answer.status, answer.code()))
}

#[track_caller]
fn passes(target: &str, as_target: &str) {
    assert_eq!(outcome("GET", target), Ok(as_target.to_owned()), "{target}");
}

#[track_caller]
fn refused(target: &str, status: u16, code: &str) {
    assert_eq!(outcome("GET", target), Err((status, code.to_owned())), "{target}");
}

#[test]
fn c21_dot_segments_lead_where_policy_looks() {
    for target in
        ["/public/../admin/x", "/public/%2e%2e/admin/x", "/public/.%2E/admin/x", "/./admin/x"]
    {
        refused(target, 401, "credential-missing");
    }
    for target in
        ["/public//../admin/x", "//admin/x", "/....//admin", "/../../x", "/public/..;/admin/x"]
    {
        refused(target, 400, "malformed-request");
    }
    passes("/public/a/./b/%7Euser", "/public/a/b/~user");
    passes("/admin/../public/a", "/public/a");
    passes("/public/%c3%a9%20x", "/public/%C3%A9%20x");
    passes("/public/", "/public/");
    passes("/public/a?x=%2e%2e/%2F&y=//z", "/public/a?x=%2e%2e/%2F&y=//z");
}

#[test]
fn c21_encoded_slashes_only_where_a_route_opts_in() {
    for target in ["/public/..%2fadmin/x", "/public/%252e%252e/admin/x", "/public/a%2Fb"] {
        refused(target, 400, "malformed-request");
    }
    passes("/raw/a%2Fb", "/raw/a%2Fb");
    passes("/raw/%252e%252e/x", "/raw/%252e%252e/x");
    passes("/raw/..%2Fadmin/x", "/raw/..%2Fadmin/x");
    refused("/raw/../admin/x", 401, "credential-missing");
}

#[test]
fn c21_the_corpus_of_detours_never_reaches_the_admin_route() {
    let Some(file) = tools::vectors("path/path.json") else { return };
    let corpus: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let detours = corpus["access"].as_array().unwrap();
    assert!(detours.len() >= 30);
    for detour in detours {
        let target = detour[0].as_str().unwrap();
        let (status, _) = outcome("GET", target).expect_err(target);
        assert!(matches!(status, 400 | 401 | 404 | 421), "{target}: {status}");
    }
}

#[test]
fn c22_a_target_begins_with_a_slash() {
    for target in ["admin/x", "?x", "*", "public/x"] {
        refused(target, 400, "malformed-request");
    }
    let (status, _) = outcome("OPTIONS", "*").expect_err("OPTIONS * is not forwarded");
    assert!(matches!(status, 204 | 405), "{status}");
    refused("http://evil.test/public/x", 400, "malformed-request");
    let absolute = outcome("GET", "http://api.test/admin/x");
    assert!(matches!(absolute, Err((401, _))), "{absolute:?}");
    let (status, _) = outcome("CONNECT", "api.test:443").expect_err("CONNECT is not forwarded");
    assert!(matches!(status, 400 | 405), "{status}");
}

#[test]
fn c23_patterns_match_the_whole_path_and_nothing_else() {
    refused("/admin/x?y=/health", 401, "credential-missing");
    refused("/admin/x#/health", 400, "malformed-request");
    refused("/x/health", 404, "route-not-found");
    refused("/health/", 404, "route-not-found");
    refused("/healthz", 404, "route-not-found");
    refused("/HEALTH", 404, "route-not-found");
    refused("/public", 404, "route-not-found");
    refused("/items/", 404, "route-not-found");
    refused("/items/a/b", 404, "route-not-found");
    passes("/items/a", "/items/a");
    refused("/items/special", 401, "credential-missing");
    refused("/items/%73pecial", 401, "credential-missing");
    refused("/items/special;a=b", 400, "malformed-request");
    passes("/items/other;a=b", "/items/other;a=b");
}

#[test]
fn c23_fields_that_name_another_target_count_for_nothing() {
    let names = ["x-forwarded-uri", "x-original-url", "x-rewrite-url", "x-original-uri"];
    let dressed = |request: Request| {
        names.iter().fold(request, |request, name| request.field(name, "/public/"))
    };
    WORLD.refused(dressed(Request::get("/admin/x")), 401, "credential-missing");
    let overriding = dressed(Request::post("/public/x", ""))
        .field("x-http-method-override", "DELETE")
        .field("X-Method-Override", "DELETE")
        .field("X_HTTP_METHOD", "DELETE");
    let seen = WORLD.forwarded(overriding);
    assert_eq!(seen.method, "POST");
    for (name, _) in &seen.fields {
        let name = name.to_ascii_lowercase().replace('_', "-");
        assert!(!names.contains(&name.as_str()) && !name.contains("method"), "{name}");
    }
    WORLD.refused(Request::new("DELETE", "/public/x"), 405, "method-not-allowed");
}

#[test]
fn methods_are_those_of_the_route_and_head_comes_with_get() {
    let answer = WORLD.refused(Request::post("/exact", "x"), 405, "method-not-allowed");
    let allow: Vec<&str> = answer.field("allow").unwrap().split(", ").collect();
    assert!(allow.contains(&"GET") && allow.contains(&"HEAD") && allow.len() == 2, "{allow:?}");
    let (answer, mark) = WORLD.marked(Request::new("HEAD", "/exact"));
    answer.expect(200);
    assert_eq!(WORLD.upstream.only(&mark).method, "HEAD");
    let (answer, mark) = WORLD.marked(Request::new("HEAD", "/admin/x"));
    answer.expect(401);
    assert!(answer.body.is_empty());
    WORLD.upstream.saw_nothing_of(&mark);
    WORLD.refused(Request::new("OPTIONS", "/exact"), 405, "method-not-allowed");
    WORLD.refused(Request::new("TRACE", "/exact"), 405, "method-not-allowed");
    WORLD.refused(Request::new("get", "/exact"), 400, "malformed-request");
}

#[test]
fn a_prefix_is_stripped_and_nothing_else_changes() {
    passes("/v1/users/%7Ea?q=/v1/", "/users/~a?q=/v1/");
    passes("/v1/", "/");
    passes("/v1/v1/x", "/v1/x");
    refused("/v1", 404, "route-not-found");
    refused("/v1//evil", 400, "malformed-request");
}
