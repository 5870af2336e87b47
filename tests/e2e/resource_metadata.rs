//! What a client without a token learns of a resource (RFC 9728).

use portcullis_testkit::Request;
use serde_json::json;

use crate::world::{BASE, HOSTS, UPSTREAMS, World};

const REST: &str = r#"
issuers:
  - {name: corporate, issuer: "https://idp.test/r1", audience: [api], algorithms: [RS256, ES256, EdDSA], keys: {url: "@JWKS@"}}
  - {name: bound, issuer: "https://idp.test/bound", audience: [api], keys: {url: "@JWKS@"}, proof: {dpop: required, certificate: optional}}
limits: [{name: few, key: address, rate: 3/h}]
routes:
  - {name: tools, path: "/mcp/{*rest}", methods: [GET, POST], access: {any_of: [{issuer: corporate, scopes: [tools]}]}, forward: {upstream: u}}
  - {name: admin, path: "/mcp/{*rest}", methods: [DELETE], access: {any_of: [{issuer: corporate, scopes: [tools, admin]}]}, forward: {upstream: u}}
  - {name: bound, path: /bound, access: {any_of: [{issuer: bound}]}, forward: {upstream: u}}
  - {name: counted, path: /counted, access: {any_of: [{issuer: corporate}]}, limits: [few], forward: {upstream: u}}
  - {name: mine, path: /mine, access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}
  - {name: own, path: /.well-known/oauth-protected-resource/mine, access: public, forward: {upstream: u}}
  - {name: open, path: /open, access: public, forward: {upstream: u}}
  - {name: everything, path: "/{*rest}", access: public, forward: {upstream: u}}
"#;

fn metadata(path: &str) -> Request {
    asked("GET", path)
}

fn asked(method: &str, path: &str) -> Request {
    Request::new(method, format!("/.well-known/oauth-protected-resource{path}"))
}

#[test]
fn a_challenge_leads_to_the_metadata_of_the_resource() {
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, REST]);
    let url = "http://api.test/.well-known/oauth-protected-resource/mcp";
    let wanted = format!("resource_metadata=\"{url}\"");
    let challenge = |answer: portcullis_testkit::Answer| {
        answer.field("www-authenticate").expect("a challenge").to_owned()
    };
    let missing = world.refused(Request::post("/mcp/x", ""), 401, "credential-missing");
    assert!(challenge(missing).contains(&wanted));
    let bad = world.refused(Request::get("/mcp/").bearer("a.b.c"), 401, "credential-invalid");
    assert!(challenge(bad).contains(&wanted));
    let poor = world.issuer.token().sign();
    let poor = world.refused(Request::get("/mcp/y").bearer(&poor), 403, "scope-missing");
    assert!(challenge(poor).contains(&wanted));

    let answer = world.plain().send(&metadata("/mcp").field("origin", "https://any.test"));
    answer.expect(200);
    let document = answer.json();
    let expected = json!({
        "resource": "http://api.test/mcp",
        "authorization_servers": ["https://idp.test/r1"],
        "scopes_supported": ["tools", "admin"],
        "bearer_methods_supported": ["header"],
    });
    assert_eq!(document, expected);
    assert_eq!(answer.all("access-control-allow-origin"), ["*"]);
    assert_eq!(answer.field("content-type"), Some("application/json"));
    // By https the resource is one of https.
    let secure = world.https().send(&metadata("/mcp"));
    assert_eq!(secure.expect(200).json()["resource"], "https://api.test/mcp");
    let bound = world.plain().send(&metadata("/bound"));
    let bound = bound.expect(200).json();
    assert_eq!(bound["dpop_bound_access_tokens_required"], true, "{bound}");
    assert_eq!(bound["tls_client_certificate_bound_access_tokens"], true, "{bound}");
}

#[test]
fn metadata_are_read_alone_counted_and_never_in_the_way_of_a_route() {
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, REST]);
    let preflight = asked("OPTIONS", "/mcp")
        .field("origin", "https://any.test")
        .field("access-control-request-method", "GET")
        .field("access-control-request-headers", "mcp-protocol-version");
    let answer = world.plain().send(&preflight);
    assert_eq!(answer.expect(204).all("access-control-allow-origin"), ["*"]);
    assert_eq!(answer.field("access-control-allow-headers"), Some("*"));
    world.plain().send(&asked("HEAD", "/mcp")).expect(200);
    world.refused(asked("POST", "/mcp"), 405, "method-not-allowed");
    // A resource without tokens has none: whatever else is there answers.
    for path in ["/open", "/mcp/x", "", "/mcpx"] {
        world.forwarded(metadata(path));
    }
    world.forwarded(metadata("/mine"));
    for _ in 0..3 {
        world.plain().send(&metadata("/counted")).expect(200);
    }
    world.refused(metadata("/counted"), 429, "rate-limited");
    world.refused(metadata("/mcp").host("evil.test"), 421, "host-not-allowed");
}
