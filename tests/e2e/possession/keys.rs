//! Tokens that are bound to a key, and the DPoP proofs that go with them (RFC 9449).

use std::sync::LazyLock;

use portcullis_testkit::dpop::{Proof, public};
use portcullis_testkit::jwt::Token;
use portcullis_testkit::{Answer, Key, Request, marker};
use serde_json::{Value, json};

use crate::world::{BASE, HOSTS, UPSTREAMS, World};

const CONFIG: &str = r#"
issuers:
  - {name: none, issuer: https://none.test, audience: [api], keys: {url: "@JWKS@"}}
  - {name: optional, issuer: https://optional.test, audience: [api], keys: {url: "@JWKS@"}, proof: {dpop: optional}, read_token_from: [authorization, {cookie: token}, {query: token}]}
  - {name: required, issuer: https://required.test, audience: [api], keys: {url: "@JWKS@"}, proof: {dpop: required}}
  - {name: nonces, issuer: https://nonces.test, audience: [api], keys: {url: "@JWKS@"}, proof: {dpop: required, nonce: required}}
clients: {trusted_proxies: [127.0.0.10]}
cors: [{name: web, origins: ["https://ui.test"], methods: [GET], headers: [authorization, dpop]}]
defaults: {cors: web}
routes:
  - {name: none, path: /none, access: {any_of: [{issuer: none}]}, forward: {upstream: u}}
  - {name: optional, path: "/optional/{*rest}", access: {any_of: [{issuer: optional}, anonymous]}, forward: {upstream: u}}
  - {name: required, path: "/required/{*rest}", access: {any_of: [{issuer: required}]}, forward: {upstream: u}}
  - {name: scoped, path: /scoped, access: {any_of: [{issuer: required, scopes: [a]}]}, forward: {upstream: u}}
  - {name: nonces, path: /nonces, access: {any_of: [{issuer: nonces}]}, forward: {upstream: u}}
  - {name: handed-on, path: /handed-on, access: {any_of: [{issuer: required}]}, forward: {upstream: u, identity: {token: original}}}
  - {name: open, path: /open, access: public, forward: {upstream: u}}
"#;

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, CONFIG]);
    // Proofs of the second of the start would have to bring a nonce.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    world
});

/// The key of the holder of every token here.
static HOLDER: LazyLock<Key> = LazyLock::new(|| Key::p256("holder"));

fn unbound(issuer: &str) -> Token {
    Token::new(&format!("https://{issuer}.test"), &WORLD.issuer.key())
}

fn bound(issuer: &str) -> String {
    unbound(issuer).bound_to(&HOLDER).sign()
}

/// A good proof for a GET over TLS.
fn proof(path: &str, token: &str) -> Proof {
    Proof::new(&HOLDER, "GET", &format!("https://api.test{path}"), token)
}

/// The answer, and whether the app saw the request.
fn ask(request: Request) -> (Answer, bool) {
    let mark = marker("dpop");
    let answer = WORLD.https().send(&request.field("x-marker", &mark));
    (answer, !WORLD.upstream.seen(&mark).is_empty())
}

#[track_caller]
fn passes(request: Request) {
    let (answer, came_through) = ask(request);
    answer.expect(200);
    assert!(came_through);
}

#[track_caller]
fn refused(request: Request, error: &str) -> Answer {
    let (answer, came_through) = ask(request);
    answer.expect_refusal(401, "credential-invalid");
    assert!(!came_through);
    let challenge = answer.field("www-authenticate").unwrap_or_default();
    assert!(challenge.contains(&format!("error=\"{error}\"")), "{challenge}");
    answer
}

const BAD: &str = "invalid_dpop_proof";
const TOKEN: &str = "invalid_token";

#[test]
fn a_bound_token_comes_with_a_proof_of_its_key() {
    for path in ["/optional/1", "/required/1"] {
        let issuer = path[1..].trim_end_matches("/1");
        let token = bound(issuer);
        for scheme in ["DPoP", "dpop", "DPOP"] {
            let request = Request::get(path).field("authorization", format!("{scheme} {token}"));
            passes(request.field("dpop", proof(path, &token).sign()));
        }
        let h2 = Request::get(path).dpop(&token, proof(path, &token).sign());
        assert_eq!(WORLD.https().http2(&h2).status, 200);
        refused(Request::get(path).bearer(&token), TOKEN);
        refused(Request::get(path).bearer(&token).field("dpop", proof(path, &token).sign()), TOKEN);
        refused(Request::get(path).field("authorization", format!("DPoP {token}")), BAD);
    }
}

#[test]
fn every_kind_of_key_may_be_bound() {
    for key in [Key::rsa("r"), Key::p256("p"), Key::p384("q"), Key::ed25519("e")] {
        let token = unbound("required").bound_to(&key).sign();
        let url = "https://api.test/required/kind";
        passes(
            Request::get("/required/kind")
                .dpop(&token, Proof::new(&key, "GET", url, &token).sign()),
        );
        let pss = Proof::new(&key, "GET", url, &token).header("alg", "PS256").sign();
        let request = Request::get("/required/kind").dpop(&token, pss);
        if key.alg() == "RS256" { passes(request) } else { drop(refused(request, BAD)) }
    }
    let p521 = Key::p521("w");
    let token = unbound("required").bound_to(&p521).sign();
    let proof = Proof::new(&p521, "GET", "https://api.test/required/x", &token).sign();
    refused(Request::get("/required/x").dpop(&token, proof), BAD);
}

#[test]
fn a_token_that_is_not_bound_is_taken_as_the_issuer_says() {
    let (path, token) = ("/optional/2", unbound("optional").sign());
    passes(Request::get(path).bearer(&token));
    // Nobody asked for the proof, so that nobody looks at it.
    passes(Request::get(path).bearer(&token).field("dpop", "x").field("dpop", "y"));
    passes(Request::get(path).field("cookie", format!("token={token}")));
    refused(Request::get(path).dpop(&token, proof(path, &token).sign()), TOKEN);
    let token = unbound("required").sign();
    refused(Request::get("/required/2").bearer(&token), TOKEN);
    refused(Request::get("/required/2").dpop(&token, proof("/required/2", &token).sign()), TOKEN);
    // An issuer that is not asked for proofs takes neither its bound tokens nor the scheme.
    passes(Request::get("/none").bearer(unbound("none").sign()));
    let token = bound("none");
    refused(Request::get("/none").bearer(&token), TOKEN);
    refused(Request::get("/none").dpop(&token, proof("/none", &token).sign()), TOKEN);
    let token = unbound("none").sign();
    refused(Request::get("/none").dpop(&token, proof("/none", &token).sign()), TOKEN);
}

#[test]
fn a_bound_token_stands_in_authorization_alone() {
    let token = bound("optional");
    for target in ["/optional/3".to_owned(), format!("/optional/3?token={token}")] {
        let in_query = target.contains('?');
        let request = Request::get(target).field("dpop", proof("/optional/3", &token).sign());
        let cookie = format!("token={token}");
        refused(if in_query { request } else { request.field("cookie", cookie) }, TOKEN);
    }
}

#[test]
fn a_proof_is_used_once() {
    let (path, token) = ("/required/once", bound("required"));
    let proof = proof(path, &token).sign();
    passes(Request::get(path).dpop(&token, &proof));
    for _ in 0..2 {
        refused(Request::get(path).dpop(&token, &proof), BAD);
    }
    assert_eq!(WORLD.https().http2(&Request::get(path).dpop(&token, &proof)).status, 401);
    refused(Request::get("/required/other").dpop(&token, &proof), BAD);
    refused(Request::new("DELETE", path).dpop(&token, &proof), BAD);
    refused(Request::get(path).host("app.test").dpop(&token, &proof), BAD);
    let seen = WORLD.gateway.metric(&["gateway_dpop_replays_total"]);
    assert!(seen >= 3, "{seen}");
    assert!(WORLD.gateway.metric(&["gateway_dpop_proofs_held"]) >= 1);
}

#[test]
fn of_many_at_once_one_passes() {
    let (path, token) = ("/required/race", bound("required"));
    let request = Request::get(path).dpop(&token, proof(path, &token).sign());
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let send = || scope.spawn(|| WORLD.https().send(&request).status);
        let threads: Vec<_> = (0..6).map(|_| send()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
}

#[test]
fn a_proof_is_for_one_request() {
    let (path, token) = ("/required/a/b~c", bound("required"));
    let claim = |name: &str, value: Value| {
        let proof = proof(path, &token).claim(name, value).sign();
        Request::get(path).dpop(&token, proof)
    };
    for target in [
        "https://API.Test/required/a/b~c",
        "HTTPS://api.test:443/required/a/b%7Ec",
        "https://api.test/required/a/./x/../b~c",
        "https://api.test/required/a/b~c?q=1#top",
    ] {
        passes(claim("htu", json!(target)));
    }
    for target in [
        "http://api.test/required/a/b~c",
        "https://app.test/required/a/b~c",
        "https://api.test:8443/required/a/b~c",
        "https://api.test/required/a/b~c/",
        "https://api.test/required/a%2Fb~c",
        "https://api.test@evil.test/required/a/b~c",
        "/required/a/b~c",
        "",
    ] {
        refused(claim("htu", json!(target)), BAD);
    }
    for (name, value) in [
        ("htm", json!("POST")),
        ("htm", json!("get")),
        ("ath", json!("AAAA")),
        ("ath", json!(null)),
        ("jti", json!("")),
        ("jti", json!("x".repeat(300))),
        ("iat", json!("now")),
    ] {
        refused(claim(name, value), BAD);
    }
    for name in ["jti", "htm", "htu", "iat", "ath"] {
        refused(Request::get(path).dpop(&token, proof(path, &token).without(name).sign()), BAD);
    }
    for seconds in [-3_600, -62, 35, 3_600] {
        let proof = proof(path, &token).time("iat", seconds).sign();
        refused(Request::get(path).dpop(&token, proof), BAD);
    }
    let other = unbound("required").bound_to(&HOLDER).claim("n", 1).sign();
    refused(Request::get(path).dpop(&other, proof(path, &token).sign()), BAD);
}

#[test]
fn the_path_is_that_of_the_client_in_its_normal_form() {
    let token = bound("required");
    for (target, htu) in [
        ("/required/x/%7ey?q=%2e", "https://api.test/required/x/~y"),
        ("/required/./x/../z", "https://api.test/required/z"),
        ("/required/%c3%bc", "https://api.test/required/%C3%BC"),
    ] {
        let proof = Proof::new(&HOLDER, "GET", htu, &token).sign();
        passes(Request::get(target).dpop(&token, proof));
    }
}

#[test]
fn a_proof_is_by_the_key_of_the_token_and_shows_no_secret() {
    let (path, token) = ("/required/key", bound("required"));
    let send = |proof: String| Request::get(path).dpop(&token, proof);
    let other = Key::p256("other");
    let url = format!("https://api.test{path}");
    refused(send(Proof::new(&other, "GET", &url, &token).sign()), TOKEN);
    refused(send(proof(path, &token).signed_by(&other).sign()), BAD);
    let with = |member: &str, value: &str| {
        let mut jwk = public(&HOLDER);
        jwk[member] = json!(value);
        proof(path, &token).header("jwk", jwk).sign()
    };
    refused(send(with("d", "AQAB")), BAD);
    let oct = json!({"kty": "oct", "k": "c2VjcmV0"});
    let symmetric = proof(path, &token).header("jwk", oct.clone()).header("alg", "HS256");
    refused(send(symmetric.token().hmac(b"secret")), BAD);
    refused(send(symmetric.header("alg", "ES256").sign()), TOKEN);
    for alg in ["none", "HS256", "ES512"] {
        let proof = proof(path, &token).header("alg", alg);
        refused(send(proof.sign()), BAD);
        refused(send(proof.token().with_signature("")), BAD);
    }
    for typ in ["JWT", "at+jwt", ""] {
        refused(send(proof(path, &token).header("typ", typ).sign()), BAD);
    }
    refused(send(proof(path, &token).header("crit", json!(["jwk"])).sign()), BAD);
    refused(send(proof(path, &token).claim("x", "x".repeat(9_000)).sign()), BAD);
    for odd in ["", "x", "a.b.c", "a.b.c.d", "é"] {
        refused(send(odd.to_owned()), BAD);
    }
    let good = proof(path, &token).sign();
    refused(send(good.clone()).field("dpop", proof(path, &token).sign()), BAD);
    refused(send(format!("{good}, {good}")), BAD);
    passes(send(good));
}

#[test]
fn a_challenge_names_what_would_do() {
    let algs = "algs=\"ES256 ES384 EdDSA PS256 RS256\"";
    let check = |answer: &Answer, expected: &str| {
        answer.expect(401);
        assert_eq!(answer.field("www-authenticate"), Some(expected));
    };
    let of = |route: &str| {
        format!(
            "resource_metadata=\"https://api.test/.well-known/oauth-protected-resource/{route}\""
        )
    };
    let (required, optional, none) = (of("required"), of("optional"), of("none"));
    check(&ask(Request::get("/required/1")).0, &format!("DPoP {algs}, {required}"));
    let token = unbound("optional").time("exp", -100).sign();
    let both = format!("Bearer error=\"invalid_token\", {optional}, DPoP {algs}, {optional}");
    check(&ask(Request::get("/optional/1").bearer(&token)).0, &both);
    let token = unbound("optional").bound_to(&HOLDER).time("exp", -100).sign();
    let request = Request::get("/optional/1").dpop(&token, proof("/optional/1", &token).sign());
    let wrong = format!("Bearer {optional}, DPoP error=\"invalid_token\", {algs}, {optional}");
    check(&ask(request).0, &wrong);
    check(
        &ask(Request::get("/required/1").bearer("x")).0,
        &format!("DPoP error=\"invalid_token\", {algs}, {required}"),
    );
    check(&ask(Request::get("/none")).0, &format!("Bearer {none}"));
    let token = bound("required");
    let (answer, _) = ask(Request::get("/scoped").dpop(&token, proof("/scoped", &token).sign()));
    answer.expect_refusal(403, "scope-missing");
    let scoped = of("scoped");
    let expected = format!("DPoP error=\"insufficient_scope\", {algs}, scope=\"a\", {scoped}");
    assert_eq!(answer.field("www-authenticate"), Some(&*expected));
}

#[test]
fn nonces_are_given_out_and_demanded() {
    let (path, token) = ("/nonces", bound("nonces"));
    let answer =
        refused(Request::get(path).dpop(&token, proof(path, &token).sign()), "use_dpop_nonce");
    let nonce = answer.field("dpop-nonce").expect("a nonce").to_owned();
    let with = |nonce: &str| {
        Request::get(path).dpop(&token, proof(path, &token).claim("nonce", nonce).sign())
    };
    let (answer, _) = ask(with(&nonce));
    answer.expect(200);
    assert_eq!(answer.field("dpop-nonce"), None, "it is still the same");
    let answer = refused(with("x"), "use_dpop_nonce");
    assert_eq!(answer.field("dpop-nonce"), Some(&*nonce));
    // Where none is demanded, a wrong one is still wrong, and ours is good.
    let (path, token) = ("/required/nonce", bound("required"));
    let with = |nonce: &str| {
        Request::get(path).dpop(&token, proof(path, &token).claim("nonce", nonce).sign())
    };
    refused(with("x"), "use_dpop_nonce");
    passes(with(&nonce));
    let old = proof(path, &token).time("iat", -50).sign();
    let answer = refused(Request::get(path).dpop(&token, old), "use_dpop_nonce");
    assert_eq!(answer.field("dpop-nonce"), Some(&*nonce), "it may have been used before the start");
    let old = proof(path, &token).time("iat", -50).claim("nonce", &*nonce).sign();
    passes(Request::get(path).dpop(&token, old));
}

#[test]
fn pages_of_other_origins_can_read_what_they_need() {
    let answer = ask(Request::get("/required/1").origin("https://ui.test")).0;
    let exposed = answer.field("access-control-expose-headers").unwrap_or_default();
    assert!(exposed.contains("www-authenticate") && exposed.contains("dpop-nonce"), "{exposed}");
    let answer = ask(Request::get("/none").origin("https://ui.test")).0;
    assert!(!answer.field("access-control-expose-headers").unwrap_or_default().contains("dpop"));
}

#[test]
fn the_proof_goes_no_further_than_the_token() {
    let token = bound("required");
    let told = |path: &str| {
        let mark = marker("dpop");
        let request = Request::get(path).field("x-marker", &mark);
        WORLD.https().send(&request.dpop(&token, proof(path, &token).sign())).expect(200);
        let seen = WORLD.upstream.only(&mark);
        (seen.all("dpop").len(), seen.all("authorization").len())
    };
    assert_eq!(told("/required/told"), (0, 0));
    assert_eq!(told("/handed-on"), (1, 1));
    assert_eq!(told("/open"), (0, 0));
}

#[test]
fn behind_a_trusted_proxy_the_client_came_by_what_it_says() {
    let (path, token) = ("/required/proxied", bound("required"));
    let send = |from: &str, proto: &str, htu: &str| {
        let proof = Proof::new(&HOLDER, "GET", htu, &token).sign();
        let request = Request::get(path).field("x-forwarded-proto", proto);
        let request =
            request.field("x-forwarded-host", "evil.test").field("x-forwarded-for", "203.0.113.9");
        WORLD.plain().from(from).send(&request.dpop(&token, proof)).status
    };
    let (http, https) = (format!("http://api.test{path}"), format!("https://api.test{path}"));
    assert_eq!(send("127.0.0.10", "https", &https), 200);
    assert_eq!(send("127.0.0.10", "https", &http), 401);
    assert_eq!(send("127.0.0.10", "http", &http), 200);
    assert_eq!(send("127.0.0.10", "https", &format!("https://evil.test{path}")), 401);
    assert_eq!(send("127.0.0.1", "https", &https), 401, "nobody trusts it");
    assert_eq!(send("127.0.0.1", "https", &http), 200);
}
