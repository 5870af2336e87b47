//! What the app is told of the caller, and nothing that the client said. C24, C25.

use std::sync::LazyLock;

use portcullis_testkit::jwt::verified_es256;
use portcullis_testkit::{Request, Seen, Token};
use serde_json::json;

use crate::world::{BASE, HOSTS, ISSUERS, UPSTREAMS, World};

const ROUTES: &str = r#"
identity: {issuer: "https://gateway.test", lifetime: 60s}
routes:
  - {name: public, path: "/public/{*rest}", access: public, forward: {upstream: u}}
  - name: api
    path: /api/{*rest}
    access: {any_of: [{issuer: corporate}]}
    forward:
      upstream: u
      identity:
        headers: {x-auth-subject: subject, x-auth-roles: roles, x-auth-scopes: scopes, x-auth-issuer: issuer, x-auth-tenant: {claim: [org, tenant]}}
  - name: maybe
    path: /maybe/{*rest}
    access: {any_of: [{issuer: corporate}, anonymous]}
    forward: {upstream: u, identity: {headers: {x-auth-subject: subject}, token: signed}}
  - name: signed
    path: /signed/{*rest}
    access: {any_of: [{issuer: corporate}]}
    forward: {upstream: u, identity: {token: signed, audience: orders}}
  - name: original
    path: /original/{*rest}
    access: {any_of: [{issuer: corporate}]}
    forward: {upstream: u, identity: {token: original}}
"#;

static WORLD: LazyLock<World> =
    LazyLock::new(|| World::start(&[BASE, HOSTS, UPSTREAMS, ISSUERS, ROUTES]));

fn token() -> Token {
    WORLD.issuer.token()
}

/// All ways to write a field that some server reads as `x-auth-subject` or `x-auth-roles`.
fn forged(request: Request) -> Request {
    request
        .field("X-Auth-Subject", "admin")
        .field("x-auth-subject", "admin")
        .field("X_Auth_Subject", "admin")
        .field("X-Auth_Subject", "admin")
        .field("x_auth-roles", "admin")
        .field("X-Auth-Roles", "admin")
        .field("x-auth-scopes", "everything")
        .field("x-portcullis-identity", "forged")
        .field("X_Portcullis_Identity", "forged")
        .field("x.auth.roles", "admin")
        .field("x!auth+subject", "admin")
        .field("x-remote-user", "admin")
}

/// Fields of the upstream's request that somebody could take for the identity field `name`.
fn readable_as<'a>(seen: &'a Seen, name: &str) -> Vec<&'a str> {
    let fold =
        |text: &str| text.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    seen.fields.iter().filter(|(n, _)| fold(n) == name).map(|(_, v)| v.as_str()).collect()
}

#[test]
fn c24_forged_identity_headers() {
    let none: Vec<&str> = Vec::new();
    let names = [
        "x-auth-subject",
        "x-auth-roles",
        "x-auth-scopes",
        "x-portcullis-identity",
        "x-remote-user",
    ];
    for request in [
        Request::get("/public/x"),
        Request::get("/public/x").bearer(token().sign()),
        Request::get("/maybe/x"),
    ] {
        let seen = WORLD.forwarded(forged(request));
        for name in names {
            assert_eq!(readable_as(&seen, name), none, "{name}");
        }
    }
    let seen = WORLD.forwarded(forged(Request::get("/api/x")).bearer(token().sign()));
    assert_eq!(readable_as(&seen, "x-auth-subject"), ["u1"]);
    for name in &names[1..] {
        assert_eq!(readable_as(&seen, name), none, "{name}");
    }
    let full = token().claim("roles", json!(["clerk", "chief"])).claim("scope", "a b");
    let seen = WORLD.forwarded(forged(Request::get("/api/x")).bearer(full.sign()));
    assert_eq!(readable_as(&seen, "x-auth-roles"), ["clerk,chief"]);
    assert_eq!(readable_as(&seen, "x-auth-scopes"), ["a b"]);
    WORLD.refused(forged(Request::get("/api/x")), 401, "credential-missing");
}

#[test]
fn c24_over_http2_too() {
    let mark = portcullis_testkit::marker("m");
    let request = forged(Request::get("/public/x")).field("x-marker", &mark).lower_case_names();
    WORLD.https().http2(&request).expect(200);
    let seen = WORLD.upstream.only(&mark);
    for name in ["x-auth-subject", "x-auth-roles", "x-auth-scopes", "x-portcullis-identity"] {
        assert_eq!(readable_as(&seen, name), Vec::<&str>::new(), "{name}");
    }
}

#[test]
fn c25_a_client_cannot_nominate_our_fields_away() {
    let request = Request::get("/api/x")
        .bearer(token().claim("roles", json!(["clerk"])).sign())
        .field(
            "connection",
            "close, X-Auth-Subject, X-Auth-Roles, X-Forwarded-For, X-Forwarded-Proto, x-request-id",
        )
        .field("keep-alive", "timeout=5")
        .field("proxy-connection", "keep-alive")
        .field("te", "trailers")
        .field("proxy-authorization", "Basic dTpw")
        .field("x-other", "kept");
    let (answer, mark) = WORLD.marked(request);
    // Some servers refuse to nominate such fields at all; what passes must be whole.
    answer.expect(200);
    let seen = WORLD.upstream.only(&mark);
    assert_eq!(seen.field("x-auth-subject"), Some("u1"));
    assert_eq!(seen.field("x-auth-roles"), Some("clerk"));
    assert_eq!(seen.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.field("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.field("x-request-id"), answer.field("x-request-id"));
    assert_eq!(seen.field("x-other"), Some("kept"));
    for gone in ["keep-alive", "proxy-connection", "te", "proxy-authorization"] {
        assert_eq!(seen.all(gone), Vec::<&str>::new(), "{gone}");
    }
    let connection = seen.field("connection").unwrap_or_default().to_ascii_lowercase();
    assert!(!connection.contains("x-auth") && !connection.contains("x-forwarded"), "{connection}");
}

#[test]
fn no_claim_can_split_a_line_or_a_list() {
    let odd = "a\r\nx-evil: 1, b%c é";
    let claims = json!({ "tenant": odd });
    let token = token().claim("sub", odd).claim("roles", json!(["x,y", "z"])).claim("org", claims);
    let seen = WORLD.forwarded(Request::get("/api/x").bearer(token.sign()));
    let encoded = "a%0D%0Ax-evil:%201%2C%20b%25c%20%C3%A9";
    assert_eq!(seen.field("x-auth-subject"), Some(encoded));
    assert_eq!(seen.field("x-auth-tenant"), Some(encoded));
    assert_eq!(seen.field("x-auth-roles"), Some("x%2Cy,z"));
    assert_eq!(seen.field("x-auth-issuer"), Some("https://idp.test/r1"));
    assert_eq!(seen.all("x-evil"), Vec::<&str>::new());
}

#[test]
fn the_credential_goes_no_further_unless_the_route_says_so() {
    let good = token().sign();
    let seen = WORLD.forwarded(Request::get("/api/x").bearer(&good));
    assert_eq!(seen.all("authorization"), Vec::<&str>::new());
    let seen = WORLD.forwarded(Request::get("/original/x").bearer(&good));
    assert_eq!(seen.field("authorization"), Some(format!("Bearer {good}").as_str()));
    let seen = WORLD.forwarded(Request::get("/public/x").field("authorization", "Basic dTpw"));
    assert_eq!(seen.all("authorization"), Vec::<&str>::new());
}

#[test]
fn the_signed_token_proves_the_caller_to_the_app() {
    let full = token().claim("roles", json!(["clerk"])).claim("scope", "a b").sign();
    let seen = WORLD.forwarded(Request::get("/signed/x").bearer(&full));
    let jwt = seen.field("x-portcullis-identity").expect("an identity token");
    let jwks = WORLD.gateway.probe("/.well-known/portcullis/jwks.json");
    let jwks = jwks.expect(200).json();
    assert!(jwks["keys"][0].get("d").is_none(), "no private key is published");
    let (header, claims) = verified_es256(jwt, &jwks);
    assert_eq!(header["typ"], "portcullis-identity+jwt");
    assert_eq!(claims["iss"], "https://gateway.test");
    assert_eq!(claims["aud"], "orders");
    assert_eq!(claims["sub"], "u1");
    assert_eq!(claims["scope"], "a b");
    assert_eq!(claims["roles"], json!(["clerk"]));
    let lifetime = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(lifetime, 60);
    // Minted once per principal and audience, and never a credential itself.
    let again = WORLD.forwarded(Request::get("/signed/y").bearer(&full));
    assert_eq!(again.field("x-portcullis-identity"), Some(jwt));
    WORLD.refused(Request::get("/api/x").bearer(jwt), 401, "credential-invalid");
    let maybe = WORLD.forwarded(Request::get("/maybe/x").bearer(&full));
    let (_, claims) = verified_es256(maybe.field("x-portcullis-identity").unwrap(), &jwks);
    assert_eq!(claims["aud"], "u", "the upstream's name by default");
}

#[test]
fn the_signing_key_is_kept_sealed_in_the_state() {
    let state = WORLD.gateway.launch().folder().join("state");
    for name in ["state.db", "state.key"] {
        assert!(state.join(name).is_file(), "{name}");
    }
    for file in std::fs::read_dir(state).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        assert!(!bytes.windows(11).any(|part| part == b"PRIVATE KEY"), "{}", path.display());
    }
}

#[test]
fn the_signing_key_outlives_a_restart() {
    let config = ROUTES.replace("lifetime: 60s", "lifetime: 30s, header: x-who");
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, ISSUERS, &config]);
    let keys = |gateway: &portcullis_testkit::Gateway| {
        gateway.probe("/.well-known/portcullis/jwks.json").json()["keys"].clone()
    };
    let before = keys(&world.gateway);
    let World { upstream, issuer, gateway, .. } = world;
    let gateway = gateway.stop().start();
    assert_eq!(keys(&gateway), before);
    let request = Request::get("/signed/x").bearer(issuer.token().sign()).field("X_Who", "me");
    gateway.plain("plain").send(&request).expect(200);
    let seen = upstream.only("/signed/x");
    let tokens = readable_as(&seen, "x-who");
    assert_eq!(tokens.len(), 1);
    let (_, claims) = verified_es256(tokens[0], &serde_json::json!({ "keys": before }));
    let lifetime = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(lifetime, 30);
}

#[test]
fn every_request_has_an_id_of_ours() {
    let (answer, mark) = WORLD.marked(Request::get("/public/x").field("x-request-id", "mine"));
    let id = answer.field("x-request-id").unwrap();
    assert_ne!(id, "mine");
    assert_eq!(WORLD.upstream.only(&mark).field("x-request-id"), Some(id));
}
