//! What is known of used proofs: over reloads and restarts, and to who asks by hand.

use std::time::Duration;

use portcullis_testkit::dpop::Proof;
use portcullis_testkit::{CertificateAuthority, Issuer, Key, Request, Upstream, until_true};
use serde_json::json;

use crate::world::{BASE, HOSTS, UPSTREAMS, World, launch};

const SOON: Duration = Duration::from_mins(1);

const CONFIG: &str = r#"
issuers: [{name: main, issuer: https://idp.test/r1, audience: [api], keys: {url: "@JWKS@"}, proof: {dpop: required}}]
routes:
  - {name: a, path: /a, access: {any_of: [{issuer: main}]}, forward: {upstream: u}}
"#;

const URL: &str = "https://api.test/a";

#[test]
fn a_reload_forgets_no_proof() {
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, CONFIG]);
    past_the_start();
    let key = Key::p256("holder");
    let token = world.issuer.token().bound_to(&key).sign();
    let send = |request: Request| world.https().send(&request).status;
    let used = Request::get("/a").dpop(&token, Proof::new(&key, "GET", URL, &token).sign());
    assert_eq!((send(used.clone()), send(used.clone())), (200, 401));

    let folder = world.gateway.launch().folder();
    let file = std::fs::read_to_string(folder.join("gateway.yaml")).unwrap();
    let changed = file.replace("dpop: required", "dpop: optional")
        + "  - {name: b, path: /b, access: public, forward: {upstream: u}}\n";
    world.gateway.write("gateway.yaml", &changed);
    until_true(SOON, "/b is served", || send(Request::get("/b")) == 200);
    assert_eq!(send(used), 401, "it was used before the reload");
    // What an issuer asks for bites at once.
    assert_eq!(send(Request::get("/a").bearer(world.issuer.token().sign())), 200);
    world.gateway.write("gateway.yaml", &changed.replace("dpop: optional", "dpop: none"));
    let fresh = || Request::get("/a").dpop(&token, Proof::new(&key, "GET", URL, &token).sign());
    until_true(SOON, "bound tokens are refused", || send(fresh()) == 401);
}

#[test]
fn a_restart_asks_for_a_nonce_of_its_own() {
    let (issuer, upstream, key) = (Issuer::start(), Upstream::start(), Key::p256("holder"));
    let authority = CertificateAuthority::new();
    let config = [BASE, HOSTS, UPSTREAMS, CONFIG].concat();
    let config =
        config.replace("@JWKS@", &issuer.jwks_url()).replace("@UPSTREAM@", &upstream.url());
    let token = issuer.token().bound_to(&key).sign();
    let gateway = launch(&config, &authority).start();
    let proof = || Proof::new(&key, "GET", URL, &token);
    past_the_start();
    let used = Request::get("/a").dpop(&token, proof().sign());
    gateway.https(authority.trust()).send(&used).expect(200);

    // At once: the proof may well be of the second in which the next process begins.
    let gateway = gateway.stop().start();
    let client = gateway.https(authority.trust());
    let answer = client.send(&used);
    answer.expect_refusal(401, "credential-invalid");
    let challenge = answer.field("www-authenticate").unwrap_or_default();
    assert!(challenge.contains("use_dpop_nonce"), "{challenge}");
    let nonce = answer.field("dpop-nonce").expect("a nonce").to_owned();
    let old = proof().time("iat", -30).claim("nonce", nonce.as_str()).sign();
    client.send(&Request::get("/a").dpop(&token, old)).expect(200);
    past_the_start();
    client.send(&Request::get("/a").dpop(&token, proof().sign())).expect(200);
}

/// Proofs of the second in which a process begins have to bring a nonce.
fn past_the_start() {
    std::thread::sleep(Duration::from_millis(1_100));
}

#[test]
fn explain_says_what_became_of_the_proof() {
    let (issuer, key) = (Issuer::start(), Key::p256("holder"));
    let keys = json!({ "keys": [issuer.key().jwk()] }).to_string();
    let config = [BASE, HOSTS, UPSTREAMS, CONFIG].concat();
    let config = config.replace("{url: \"@JWKS@\"}", "{file: \"@DIR@/jwks.json\"}");
    let config = config.replace("@UPSTREAM@", "http://127.0.0.1:9");
    let prepared = launch(&config, &CertificateAuthority::new()).file("jwks.json", &keys);
    let token = issuer.token().bound_to(&key).sign();
    let explain = |proof: Option<String>| {
        let start = ["explain", "--config", "gateway.yaml", "GET", URL, "--token-file", "-"];
        let field = proof.map(|proof| format!("DPoP: {proof}"));
        let more: Vec<&str> = field.iter().flat_map(|field| ["-H", field.as_str()]).collect();
        let finished = prepared.command_with_input(&[&start, &*more].concat(), &token);
        assert!(!finished.stdout.contains("eyJ"), "{}", finished.stdout);
        (finished.code, finished.stdout)
    };
    let proof = || Proof::new(&key, "GET", URL, &token);
    let (code, text) = explain(Some(proof().claim("nonce", "x").sign()));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("token bound to a key: the DPoP proof is good"), "{text}");
    let (code, text) = explain(Some(proof().claim("htm", "POST").sign()));
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("DPoP proof: it is for another method"), "{text}");
    let (code, text) = explain(None);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("was sent as a bearer token"), "{text}");
}
