//! Opaque tokens: a certified provider that introspects them, and a server that fails in every way.

use std::time::Duration;

use portcullis_testkit::{Issuer, Launch, Reply, Request, Upstream, until_true};
use serde_json::{Value, json};

use crate::oidc::Provider;
use crate::world::{BASE, HOSTS, ISSUERS, UPSTREAMS, World, launch};

const OPAQUE: &str = r#"
  - name: partner
    issuer: "@PARTNER@"
    audience: [urn:opaque-api]
    required_claims: [client_id]
    claims: {subject: [client_id]}
    introspection: {url: "@PARTNER@@PATH@", client_id: gate way, client_secret: "${PARTNER_SECRET}", cache: 1s, timeout: 2s}
"#;

const ROUTES: &str = r"
routes:
  - {name: opaque, path: /opaque, access: {any_of: [{issuer: partner, scopes: [orders:read]}]}, forward: {upstream: u, identity: {headers: {x-auth-subject: subject}}}}
  - {name: write, path: /write, access: {any_of: [{issuer: partner, scopes: [orders:write]}]}, forward: {upstream: u}}
  - {name: either, path: /either, access: {any_of: [{issuer: corporate}, {issuer: partner}]}, forward: {upstream: u, identity: {headers: {x-auth-subject: subject}}}}
";

const SECRET: &str = "p@ss:w%rd+& of-the-gateway-p@ss:w%rd";

fn opaque(token: &str) -> Request {
    Request::get("/opaque").bearer(token)
}

/// A gateway whose partner is at this URL.
fn world(partner: &str, path: &str) -> World {
    world_with(OPAQUE, partner, path, |launch| launch)
}

fn world_with(
    issuer: &str,
    partner: &str,
    path: &str,
    prepare: impl FnOnce(Launch) -> Launch,
) -> World {
    let (upstream, corporate) = (Upstream::start(), Issuer::start());
    let authority = portcullis_testkit::CertificateAuthority::new();
    let text = [BASE, HOSTS, UPSTREAMS, ISSUERS, issuer, ROUTES].concat();
    let text = text
        .replace("@UPSTREAM@", &upstream.url())
        .replace("@JWKS@", &corporate.jwks_url())
        .replace("@PARTNER@", partner)
        .replace("@PATH@", path);
    let launched = launch(&text, &authority).env("PARTNER_SECRET", SECRET);
    let gateway = prepare(launched).start();
    World { upstream, issuer: corporate, authority, gateway }
}

#[test]
fn a_certified_provider_is_asked_about_its_opaque_tokens() {
    let Some(provider) = Provider::start() else { return };
    let world = world(&provider.url, "/token/introspection");
    let token = provider.token_for("urn:opaque-api", "orders:read");
    assert!(!token.contains('.'), "it is opaque");
    let seen = world.forwarded(opaque(&token));
    assert_eq!(seen.field("x-auth-subject"), Some("robot"));
    world.refused(Request::get("/write").bearer(&token), 403, "scope-missing");
    let made_up = "A".repeat(43);
    world.refused(opaque(&made_up), 401, "credential-invalid");
    // A JWT of another issuer of the route goes to that issuer, all else to the provider.
    let either = |token: &str| Request::get("/either").bearer(token);
    let seen = world.forwarded(either(&token));
    assert_eq!(seen.field("x-auth-subject"), Some("robot"));
    let signed = world.issuer.token().sign();
    let calls = world.gateway.metric(&["gateway_introspection_calls_total", "partner"]);
    assert_eq!(world.forwarded(either(&signed)).field("x-auth-subject"), Some("u1"));
    let after = world.gateway.metric(&["gateway_introspection_calls_total", "partner"]);
    assert_eq!(calls, after, "nobody else is shown the token");
    // Revoked at the provider, it is refused once the answer is too old to be used.
    provider.revoke(&token);
    until_true(Duration::from_mins(1), "the revocation is known", || {
        world.plain().send(&opaque(&token)).status == 401
    });
    world.refused(either(&token), 401, "credential-invalid");
}

#[test]
fn a_token_for_another_audience_is_refused() {
    let Some(provider) = Provider::start() else { return };
    let issuer = OPAQUE.replace("[urn:opaque-api]", "[urn:other]");
    let world = world_with(&issuer, &provider.url, "/token/introspection", |launch| launch);
    let token = provider.token_for("urn:opaque-api", "orders:read");
    world.refused(opaque(&token), 401, "credential-invalid");
    let line = world.gateway.access_line("/opaque");
    assert_eq!(line["status"], 401, "{line}");
}

#[test]
fn the_gateway_authenticates_by_a_signed_assertion() {
    let key = portcullis_testkit::Key::p256("gateway");
    let jwks = json!({"keys": [key.jwk()]}).to_string();
    let Some(provider) = Provider::with(&[("GATEWAY_JWKS".to_owned(), jwks)]) else { return };
    let issuer = OPAQUE.replace(
        "client_id: gate way, client_secret: \"${PARTNER_SECRET}\"",
        "client_id: gateway-jwt, auth: private_key_jwt, private_key: {file: \"@DIR@/client.pem\"}",
    );
    let body = portcullis_testkit::keys::base64(&key.pkcs8());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let prepare = |launch: Launch| launch.file("client.pem", &pem);
    let world = world_with(&issuer, &provider.url, "/token/introspection", prepare);
    let token = provider.token_for("urn:opaque-api", "orders:read");
    world.forwarded(opaque(&token));
}

/// A partner that answers as a test says.
fn scripted() -> (Upstream, World) {
    let partner = Upstream::start();
    let world = world(&partner.url(), "/introspect");
    (partner, world)
}

fn says(partner: &Upstream, reply: Reply) {
    partner.answer("POST /introspect ", reply);
}

fn good() -> Value {
    json!({"active": true, "client_id": "robot", "aud": "urn:opaque-api", "scope": "orders:read"})
}

#[test]
fn a_server_that_fails_is_a_503_and_never_a_verdict() {
    let (partner, world) = scripted();
    let replies = [
        Reply::new(500, ""),
        Reply::new(401, ""),
        Reply::new(200, "<html>"),
        Reply::json(&json!({"active": "true"})),
        Reply::json(&json!({"aud": "urn:opaque-api"})),
    ];
    for (n, reply) in replies.into_iter().enumerate() {
        says(&partner, reply);
        let answer = world.refused(opaque(&format!("token-{n}")), 503, "issuer-unavailable");
        assert!(answer.field("retry-after").is_some());
        assert!(answer.field("www-authenticate").is_none(), "the token may be good");
        let ready = world.gateway.probe("/readyz").json();
        assert_eq!(ready["issuers"]["partner"]["ready"], false, "{ready}");
    }
    assert_eq!(world.gateway.metric(&["gateway_introspection_failures_total", "partner"]), 5);
    says(&partner, Reply::json(&good()));
    world.forwarded(opaque("token-0"));
    let ready = world.gateway.probe("/readyz").json();
    assert_eq!(ready["issuers"]["partner"]["ready"], true, "{ready}");
    assert_eq!(ready["issuers"]["partner"]["last_error"], Value::Null);
    says(&partner, Reply::json(&json!({"active": false})));
    world.refused(opaque("token-1"), 401, "credential-invalid");
    let log = world.gateway.metrics();
    assert!(!log.contains("token-"), "no token is in the metrics");
}

#[test]
fn the_end_that_a_server_tells_does_not_end_a_revocation() {
    let (partner, world) = scripted();
    let mut answer = good();
    answer["jti"] = json!("sliding");
    answer["exp"] = json!(portcullis_testkit::jwt::now() + 1);
    says(&partner, Reply::json(&answer));
    let admin = |body: &Value| {
        let request = Request::post("/revocations", body.to_string());
        let request = request.field("content-type", "application/json");
        let host = world.gateway.address("admin").to_string();
        let request = request.host(&host).bearer(crate::world::ADMIN_TOKEN);
        world.gateway.plain("admin").send(&request)
    };
    world.forwarded(opaque("token-1"));
    let made = admin(&json!({"issuer": "partner", "token": "token-1"}));
    made.expect(201);
    assert_eq!(made.json()["jti"], "sliding", "{}", made.text());
    assert_eq!(made.json()["expires"], Value::Null, "{}", made.text());
    world.refused(opaque("token-1"), 401, "credential-invalid");
}

#[test]
fn a_server_that_is_silent_or_gone_is_a_503() {
    let silent = crate::world::raw_app(|_| std::thread::sleep(Duration::from_secs(30)));
    let world = world(&format!("http://{silent}"), "/introspect");
    world.refused(opaque("token"), 503, "issuer-unavailable");
    let ready = world.gateway.probe("/readyz").json();
    let error = ready["issuers"]["partner"]["last_error"].to_string();
    assert!(error.contains("no answer within"), "{error}");
    let gone = self::world("http://127.0.0.1:9", "/introspect");
    gone.refused(opaque("token"), 503, "issuer-unavailable");
}

#[test]
fn a_changed_secret_file_is_read_again() {
    let (partner, issuer) =
        (Upstream::start(), OPAQUE.replace("\"${PARTNER_SECRET}\"", "{file: \"@DIR@/partner\"}"));
    says(&partner, Reply::json(&good()));
    let prepare = |launch: Launch| launch.file("partner", "first\n");
    let world = world_with(&issuer, &partner.url(), "/introspect", prepare);
    let basic = || {
        let asked = partner.seen("POST /introspect ");
        asked.last().and_then(|request| request.field("authorization").map(str::to_owned))
    };
    world.forwarded(opaque("token-1"));
    assert_eq!(basic().as_deref(), Some("Basic Z2F0ZSt3YXk6Zmlyc3Q="));
    world.gateway.write("partner", "second\n");
    let mut count = 0;
    until_true(Duration::from_mins(1), "the new secret is used", || {
        count += 1;
        world.plain().send(&opaque(&format!("again-{count}")));
        basic().as_deref() == Some("Basic Z2F0ZSt3YXk6c2Vjb25k")
    });
}
