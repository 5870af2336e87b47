//! Only good tokens get in: claims, algorithms, where a token may stand. C05, C06, C07, C10.

use std::sync::LazyLock;
use std::time::Duration;

use portcullis_testkit::{Issuer, Key, Request, Token, until};
use serde_json::json;

use crate::world::{BASE, HOSTS, UPSTREAMS, World};

const CONFIG: &str = r#"
issuers:
  - name: corporate
    issuer: https://idp.test/r1
    audience: [api]
    algorithms: [RS256, ES256, EdDSA]
    keys: {url: "@JWKS@"}
    claims: {roles: [realm_access, roles]}
  - name: short
    issuer: https://idp.test/short
    audience: [api]
    algorithms: [RS256]
    keys: {url: "@JWKS@"}
    maximum_lifetime: 1h
  - name: anywhere
    issuer: https://idp.test/anywhere
    audience: [api]
    algorithms: [RS256]
    keys: {url: "@JWKS@"}
    read_token_from: [authorization, {query: access_token}, {cookie: session}]
  - name: client
    issuer: https://idp.test/client
    audience: [app-7]
    audience_claim: client_id
    algorithms: [RS256]
    keys: {url: "@JWKS@"}
    required_claims: [sub, tenant]
    token_types: [at+jwt]
routes:
  - {name: public, path: "/public/{*rest}", access: public, forward: {upstream: u}}
  - {name: api, path: "/api/{*rest}", access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}
  - {name: short, path: "/short/{*rest}", access: {any_of: [{issuer: short}]}, forward: {upstream: u}}
  - {name: anywhere, path: "/anywhere/{*rest}", access: {any_of: [{issuer: anywhere}]}, forward: {upstream: u}}
  - {name: client, path: "/client/{*rest}", access: {any_of: [{issuer: client}]}, forward: {upstream: u}}
  - name: scoped
    path: /scoped/{*rest}
    access: {any_of: [{issuer: corporate, scopes: [orders:read, orders:list]}, {issuer: short}]}
    forward: {upstream: u}
  - {name: maybe, path: "/maybe/{*rest}", access: {any_of: [{issuer: corporate}, anonymous]}, forward: {upstream: u}}
  - name: admin
    path: /admin/{*rest}
    access: {any_of: [{issuer: corporate}], roles: [admin, root]}
    forward: {upstream: u}
"#;

static WORLD: LazyLock<World> = LazyLock::new(|| World::start(&[BASE, HOSTS, UPSTREAMS, CONFIG]));

fn token() -> Token {
    WORLD.issuer.token()
}

fn api() -> Request {
    Request::get("/api/x")
}

#[track_caller]
fn accepted(token: &str) {
    WORLD.forwarded(api().bearer(token));
}

/// Where the metadata of [`api`] are.
const METADATA: &str =
    "resource_metadata=\"http://api.test/.well-known/oauth-protected-resource/api\"";

#[track_caller]
fn rejected(token: &str) {
    let answer = WORLD.refused(api().bearer(token), 401, "credential-invalid");
    let expected = format!("Bearer error=\"invalid_token\", {METADATA}");
    assert_eq!(answer.field("www-authenticate"), Some(&*expected));
}

#[test]
fn a_good_token_gets_in_and_none_does_not() {
    accepted(&token().sign());
    let answer = WORLD.refused(api(), 401, "credential-missing");
    assert_eq!(answer.field("www-authenticate"), Some(&*format!("Bearer {METADATA}")));
    WORLD.forwarded(Request::get("/public/x"));
    // A route that asks for nothing does not look at what was sent.
    WORLD.forwarded(Request::get("/public/x").bearer("rubbish"));
}

#[test]
fn c05_exp_must_be_a_time_to_come() {
    rejected(&token().without("exp").sign());
    rejected(&token().claim("exp", "4102444800").sign());
    rejected(&token().claim("exp", json!(null)).sign());
    rejected(&token().claim("exp", -1).sign());
    rejected(&token().time("exp", -31).sign());
    accepted(&token().time("exp", -10).sign());
    accepted(&token().claim("exp", 4_102_444_800_u64).sign());
}

#[test]
fn c05_numeric_dates_may_be_fractions_but_not_absurd() {
    let soon = Token::new("x", &WORLD.issuer.key()).claims()["exp"].as_f64().unwrap();
    accepted(&token().claim("exp", soon + 0.5).sign());
    rejected(&token().claim("exp", 1e50).sign());
    rejected(&token().claim("exp", u64::MAX).sign());
    rejected(&token().claim("exp", 253_402_300_800_u64).sign());
}

#[test]
fn c05_nbf_counts_where_it_is() {
    accepted(&token().without("nbf").sign());
    accepted(&token().time("nbf", 20).sign());
    // A few seconds more than the leeway: the clock goes on between signing and judging.
    rejected(&token().time("nbf", 40).sign());
    rejected(&token().claim("nbf", "1700000000").sign());
    rejected(&token().claim("nbf", u64::MAX).sign());
}

#[test]
fn c05_iat_counts_where_the_lifetime_is_limited() {
    accepted(&token().time("iat", 3600).time("exp", 7200).sign());
    let short = || Token::new("https://idp.test/short", &WORLD.issuer.key());
    let send = |token: Token| WORLD.marked(Request::get("/short/x").bearer(token.sign())).0;
    send(short()).expect(200);
    send(short().time("iat", 3600).time("exp", 3700)).expect_refusal(401, "credential-invalid");
    send(short().time("exp", 3700)).expect_refusal(401, "credential-invalid");
    send(short().without("iat")).expect_refusal(401, "credential-invalid");
}

#[test]
fn c05_a_cached_token_still_ends_when_it_ends() {
    let token = token().time("exp", -27).sign();
    accepted(&token);
    until(Duration::from_secs(10), "the token has ended", || {
        let answer = WORLD.plain().send(&api().bearer(&token));
        (answer.status == 401).then(|| answer.expect_refusal(401, "credential-invalid").status)
    });
}

#[test]
fn c06_aud_is_a_string_or_a_list_of_strings() {
    accepted(&token().claim("aud", json!(["x", "api"])).sign());
    for bad in [
        json!("API"),
        json!(123),
        json!({"a": "api"}),
        json!(null),
        json!([]),
        json!(["evil", 1]),
        json!(["api", 1]),
        json!("api "),
    ] {
        rejected(&token().claim("aud", bad).sign());
    }
    rejected(&token().without("aud").sign());
}

#[test]
fn c06_iss_is_compared_byte_for_byte() {
    for bad in [
        json!(1),
        json!(["evil", "https://idp.test/r1"]),
        json!(["https://idp.test/r1"]),
        json!("https://idp.test/r1/"),
        json!("HTTPS://idp.test/r1"),
        json!("https://idp.test/short"),
    ] {
        rejected(&token().claim("iss", bad).sign());
    }
    rejected(&token().without("iss").sign());
}

#[test]
fn c06_a_discovery_document_of_another_name_is_not_believed() {
    let issuer = Issuer::discoverable();
    let (ours, theirs) = (issuer.name().to_owned(), format!("{}/", issuer.name()));
    issuer.discovery(&json!({ "issuer": theirs, "jwks_uri": issuer.jwks_url() }));
    let config = "
issuers: [{name: corporate, issuer: \"@ISSUER@\", audience: [api], algorithms: [RS256]}]
routes:
  - {name: public, path: \"/public/{*rest}\", access: public, forward: {upstream: u}}
  - {name: api, path: \"/api/{*rest}\", access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}
";
    let world = World::with_issuer(issuer, &[BASE, HOSTS, UPSTREAMS, config]);
    let answer =
        world.refused(api().bearer(world.issuer.token().sign()), 503, "issuer-unavailable");
    assert!(answer.field("retry-after").is_some());
    assert_eq!(world.issuer.fetches(), 0);
    let line = world.gateway.log_line(&theirs);
    assert!(line.replace(&theirs, "").contains(&ours), "both names are in the log: {line}");
    world.forwarded(Request::get("/public/x"));
}

#[test]
fn c07_a_public_key_is_no_hmac_secret() {
    let (pkcs1, spki, pem) = WORLD.issuer.key().rsa_public();
    let confused = token().header("alg", "HS256");
    for secret in [
        pem.as_bytes().to_vec(),
        spki,
        pkcs1,
        format!("\n{pem}").into_bytes(),
        Vec::from(pem.trim()),
    ] {
        rejected(&confused.hmac(&secret));
    }
}

#[test]
fn c07_none_is_no_algorithm() {
    for alg in ["none", "None", "nOnE", "NONE", ""] {
        let token = token().header("alg", alg);
        rejected(&token.with_signature(""));
        rejected(&token.with_signature([7; 256]));
        rejected(&token.sign());
    }
    rejected(&token().without_header("alg").sign());
    rejected(&token().header("alg", json!(["RS256"])).sign());
    // A good signature in an algorithm that the file does not list.
    rejected(&token().header("alg", "PS256").sign());
    rejected(&token().header("alg", "RS512").sign());
}

#[test]
fn tokens_of_doubtful_shape_are_refused() {
    let good = token().sign();
    let (head, signature) = good.rsplit_once('.').unwrap();
    rejected(head);
    rejected(&format!("{head}."));
    rejected(&format!("{good}."));
    rejected(&format!("{good}.{signature}"));
    rejected(&format!("{head}.{signature}="));
    rejected(&token().header("crit", json!(["exp"])).sign());
    rejected(&token().header("typ", "portcullis-identity+jwt").sign());
    rejected(&token().header("typ", "dpop+jwt").sign());
    rejected(&token().without("sub").sign());
    rejected(&token().claim("sub", 7).sign());
    rejected(&token().payload("[]").sign());
    let claims = token().claims().to_string();
    let doubled = claims.replacen('{', "{\"aud\":\"api\",", 1);
    rejected(&token().payload(doubled).sign());
    rejected(&token().claim("filler", "x".repeat(16 * 1024)).sign());
    // One bit of the signature.
    let last = if good.ends_with('A') { 'B' } else { 'A' };
    let middle = good.len() - 40;
    let flipped = format!("{}{last}{}", &good[..middle], &good[middle + 1..]);
    assert_ne!(flipped, good);
    rejected(&flipped);
    // Signed by somebody else.
    rejected(&token().signed_by(&Key::rsa("k1")).sign());
}

#[test]
fn c10_the_scheme_in_any_case_and_nothing_but_the_scheme() {
    let good = token().sign();
    for value in [format!("bearer {good}"), format!("BEARER {good}"), format!("Bearer   {good}")] {
        WORLD.forwarded(api().field("authorization", value));
    }
    for value in [
        "Bearer".into(),
        "Bearer ".into(),
        format!("BearerX {good}"),
        "Basic dTpw".into(),
        good.clone(),
    ] {
        let (answer, mark) = WORLD.marked(api().field("authorization", &value));
        answer.expect(401);
        let challenge = answer.field("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Bearer"), "{value}: {challenge}");
        WORLD.upstream.saw_nothing_of(&mark);
    }
    let (answer, mark) = WORLD.marked(api().bearer(&good).bearer(&good));
    assert!(matches!(answer.status, 400 | 401), "{}", answer.status);
    WORLD.upstream.saw_nothing_of(&mark);
}

#[test]
fn c10_a_token_in_the_query_is_no_credential_and_is_not_logged() {
    let good = token().sign();
    let secret = good.rsplit('.').next().unwrap().to_owned();
    let answer = WORLD.refused(
        Request::get(format!("/api/q?access_token={good}&token=t0ps3cret&id_token=t0ps3cret&code=t0ps3cret&state=t0ps3cret&page=7")),
        401,
        "credential-missing",
    );
    let id = answer.field("x-request-id").unwrap();
    let line = WORLD.gateway.access_line(id).to_string();
    for name in ["access_token", "token", "id_token", "code", "state"] {
        assert!(line.contains(&format!("{name}=REDACTED")), "{name}: {line}");
    }
    assert!(line.contains("page=7"), "{line}");
    let everything = [
        WORLD.gateway.process().stdout().join("\n"),
        WORLD.gateway.process().stderr().join("\n"),
        WORLD.gateway.metrics(),
    ]
    .concat();
    assert!(!everything.contains(&secret) && !everything.contains("t0ps3cret"));
}

#[test]
fn c10_a_token_in_query_or_cookie_where_the_file_says_so() {
    let good = Token::new("https://idp.test/anywhere", &WORLD.issuer.key()).sign();
    let target = format!("/anywhere/x?a=1&access_token={good}&b=2");
    let seen = WORLD.forwarded(Request::get(&target));
    assert_eq!(seen.target, "/anywhere/x?a=1&b=2");
    let both = Request::get(&target).bearer(&good);
    let answer = WORLD.refused(both, 400, "ambiguous-credentials");
    assert_eq!(answer.field("www-authenticate"), Some("Bearer error=\"invalid_request\""));
    let twice = Request::get(format!("{target}&access_token={good}"));
    let (answer, mark) = WORLD.marked(twice);
    assert!(matches!(answer.status, 400 | 401), "{}", answer.status);
    WORLD.upstream.saw_nothing_of(&mark);

    let cookie = |token: &str| format!("a=1; session={token}; b=2");
    let ambient = Request::get("/anywhere/x").field("cookie", cookie(&good));
    let seen = WORLD.forwarded(ambient.clone());
    assert_eq!(seen.field("cookie"), Some("a=1; b=2"));
    // Explicit before ambient, and a wrong one is not rescued by a good one.
    WORLD.refused(ambient.bearer("rubbish"), 401, "credential-invalid");
    let stale = Request::get("/anywhere/x").field("cookie", cookie("stale")).bearer(&good);
    WORLD.forwarded(stale);
}

#[test]
fn scopes_are_all_needed_and_named_in_the_challenge() {
    let request = |token: Token| Request::get("/scoped/x").bearer(token.sign());
    let answer =
        WORLD.refused(request(token().claim("scope", "orders:read")), 403, "scope-missing");
    let challenge = answer.field("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains("scope=\"orders:read orders:list\""), "{challenge}");
    WORLD.refused(
        request(token().claim("scope", "orders:read orders:lists")),
        403,
        "scope-missing",
    );
    WORLD.forwarded(request(token().claim("scope", "a orders:list b orders:read")));
    WORLD.forwarded(request(token().claim("scp", json!(["orders:read", "orders:list"]))));
    // The other way in needs no scope, and the issuer of the token chooses the way.
    WORLD.forwarded(request(Token::new("https://idp.test/short", &WORLD.issuer.key())));
}

#[test]
fn one_of_the_roles_is_needed() {
    let request = |token: Token| Request::get("/admin/x").bearer(token.sign());
    WORLD.refused(request(token()), 403, "role-missing");
    let with = |roles: serde_json::Value| token().claim("realm_access", json!({ "roles": roles }));
    WORLD.refused(request(with(json!(["administrator", "user"]))), 403, "role-missing");
    WORLD.refused(request(token().claim("roles", json!(["admin"]))), 403, "role-missing");
    WORLD.forwarded(request(with(json!(["user", "root"]))));
    WORLD.refused(Request::get("/admin/x"), 401, "credential-missing");
}

#[test]
fn anonymous_means_without_a_credential_not_with_a_bad_one() {
    WORLD.forwarded(Request::get("/maybe/x"));
    WORLD.forwarded(Request::get("/maybe/x").bearer(token().sign()));
    WORLD.refused(
        Request::get("/maybe/x").bearer(token().time("exp", -60).sign()),
        401,
        "credential-invalid",
    );
}

#[test]
fn audience_claim_types_and_required_claims_are_as_the_file_says() {
    let good = || {
        Token::new("https://idp.test/client", &WORLD.issuer.key())
            .header("typ", "at+jwt")
            .claim("client_id", "app-7")
            .claim("tenant", "t1")
    };
    let request = |token: Token| Request::get("/client/x").bearer(token.sign());
    WORLD.forwarded(request(good()));
    WORLD.forwarded(request(good().without("aud")));
    WORLD.forwarded(request(good().header("typ", "application/AT+jwt")));
    for bad in [
        good().without("client_id").claim("aud", "app-7"),
        good().claim("client_id", "app-8"),
        good().without("tenant"),
        good().header("typ", "JWT"),
        good().without_header("typ"),
    ] {
        WORLD.refused(request(bad), 401, "credential-invalid");
    }
}
