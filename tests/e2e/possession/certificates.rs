//! Tokens that are bound to a certificate (RFC 8705 §3).

use std::sync::LazyLock;

use portcullis_testkit::authority::Pair;
use portcullis_testkit::dpop::{Proof, thumbprint};
use portcullis_testkit::jwt::Token;
use portcullis_testkit::{
    Answer, Bearer, CertificateAuthority, Client, Gateway, Issuer, Key, Request, Upstream, marker,
};
use serde_json::json;

use crate::world::{HOSTS, UPSTREAMS, launch};

const LISTENERS: &str = r#"
version: 1
listeners:
  - name: https
    address: "127.0.0.1:0"
    tls:
      minimum_version: "1.2"
      client_certificates: {mode: optional, trust: {file: "@DIR@/clients.pem"}}
  - {name: plain, address: "127.0.0.1:0", cleartext: true}
certificates:
  files: [{certificate: "@DIR@/tls.crt", key: {file: "@DIR@/tls.key"}}]
admin: {address: "127.0.0.1:0", probes: "127.0.0.1:0", token: {file: "@DIR@/admin-token"}}
"#;

const REST: &str = r#"
issuers:
  - {name: none, issuer: https://none.test, audience: [api], keys: {url: "@JWKS@"}}
  - {name: optional, issuer: https://optional.test, audience: [api], keys: {url: "@JWKS@"}, proof: {certificate: optional}}
  - {name: required, issuer: https://required.test, audience: [api], keys: {url: "@JWKS@"}, proof: {certificate: required}}
  - {name: both, issuer: https://both.test, audience: [api], keys: {url: "@JWKS@"}, proof: {certificate: required, dpop: required}}
routes:
  - {name: both, path: /both, access: {any_of: [{issuer: both}]}, forward: {upstream: u}}
  - {name: none, path: /none, access: {any_of: [{issuer: none}]}, forward: {upstream: u}}
  - {name: optional, path: /optional, access: {any_of: [{issuer: optional}, anonymous]}, forward: {upstream: u}}
  - {name: required, path: /required, access: {any_of: [{issuer: required}]}, forward: {upstream: u}}
  - {name: mixed, path: /mixed, access: {any_of: [{issuer: none}, {issuer: required}, client_certificate]}, forward: {upstream: u}}
"#;

struct Parties {
    upstream: Upstream,
    issuer: Issuer,
    server: CertificateAuthority,
    clients: CertificateAuthority,
    gateway: Gateway,
}

static PARTIES: LazyLock<Parties> = LazyLock::new(|| {
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let text = [LISTENERS, HOSTS, UPSTREAMS, REST].concat();
    let text = text.replace("@UPSTREAM@", &upstream.url()).replace("@JWKS@", &issuer.jwks_url());
    let server = CertificateAuthority::new();
    let clients = CertificateAuthority::named("clients of the tests");
    let gateway = launch(&text, &server).file("clients.pem", clients.pem()).start();
    Parties { upstream, issuer, server, clients, gateway }
});

impl Parties {
    fn client(&self) -> Client {
        Client::tls(self.gateway.address("https"), self.server.trust())
    }

    fn with(&self, pair: &Pair) -> Client {
        self.client().certificate(pair)
    }

    /// A token of the issuer that has the name of the route.
    fn token(&self, issuer: &str) -> Token {
        Token::new(&format!("https://{issuer}.test"), &self.issuer.key())
    }

    /// The same, bound to a certificate.
    fn bound(&self, issuer: &str, pair: &Pair) -> String {
        self.token(issuer).claim("cnf", json!({"x5t#S256": pair.thumbprint()})).sign()
    }
}

#[track_caller]
fn ask(client: &Client, path: &str, token: &str) -> (Answer, bool) {
    let mark = marker("possession");
    let request = Request::get(path).field("x-marker", &mark);
    let answer = client.send(&request.bearer(token));
    let came_through = !PARTIES.upstream.seen(&mark).is_empty();
    (answer, came_through)
}

#[track_caller]
fn passes(client: &Client, path: &str, token: &str) {
    let (answer, came_through) = ask(client, path, token);
    answer.expect(200);
    assert!(came_through);
}

#[track_caller]
fn refused(client: &Client, path: &str, token: &str) {
    let (answer, came_through) = ask(client, path, token);
    answer.expect_refusal(401, "credential-invalid");
    assert!(!came_through);
    let challenge = answer.field("www-authenticate").unwrap_or_default();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
}

#[test]
fn a_bound_token_is_good_over_its_own_certificate_alone() {
    let (me, other) = (issue("me"), issue("other"));
    for path in ["/optional", "/required"] {
        let token = PARTIES.bound(&path[1..], &me);
        for only12 in [false, true] {
            let version = |client: Client| if only12 { client.only_tls12() } else { client };
            passes(&version(PARTIES.with(&me)), path, &token);
            refused(&version(PARTIES.with(&other)), path, &token);
            refused(&version(PARTIES.client()), path, &token);
        }
        refused(&PARTIES.gateway.plain("plain"), path, &token);
        // Found good once, it is judged again on every connection.
        passes(&PARTIES.with(&me), path, &token);
        let h2 = Request::get(path).bearer(&token);
        assert_eq!(PARTIES.with(&me).http2(&h2).status, 200);
        assert_eq!(PARTIES.with(&other).http2(&h2).status, 401);
    }
}

#[test]
fn a_second_certificate_of_the_same_name_and_key_authority_is_another() {
    let (first, second) = (issue("same"), issue("same"));
    let token = PARTIES.bound("required", &first);
    refused(&PARTIES.with(&second), "/required", &token);
}

#[test]
fn nobody_is_asked_for_what_the_issuer_does_not_ask_for() {
    let me = issue("me");
    let unbound = |issuer: &str| PARTIES.token(issuer).sign();
    for client in [PARTIES.client(), PARTIES.with(&me)] {
        passes(&client, "/none", &unbound("none"));
        passes(&client, "/optional", &unbound("optional"));
        refused(&client, "/required", &unbound("required"));
        // It says that it is bound, and nobody would look whether its holder sent it.
        refused(&client, "/none", &PARTIES.bound("none", &me));
    }
    // Each issuer of a route is asked for its own.
    passes(&PARTIES.client(), "/mixed", &unbound("none"));
    refused(&PARTIES.client(), "/mixed", &unbound("required"));
    refused(&PARTIES.with(&me), "/mixed", &unbound("required"));
    passes(&PARTIES.with(&me), "/mixed", &PARTIES.bound("required", &me));
}

#[test]
fn a_binding_that_cannot_be_checked_is_no_bearer_token() {
    let me = issue("me");
    for cnf in [
        json!({}),
        json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
        json!({"kid": "k1"}),
        json!({"x5t#S256": me.thumbprint(), "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
        json!({"x5t#S256": [me.thumbprint()]}),
        json!({"x5t#S256": me.thumbprint().to_uppercase()}),
        json!(me.thumbprint()),
    ] {
        let token = PARTIES.token("optional").claim("cnf", cnf).sign();
        refused(&PARTIES.with(&me), "/optional", &token);
    }
    passes(&PARTIES.client(), "/optional", &PARTIES.token("optional").claim("cnf", ()).sign());
}

#[test]
fn a_resumed_session_shows_the_certificate_of_its_first_handshake() {
    use rustls::HandshakeKind::{Full, Resumed};
    let (me, other) = (issue("me"), issue("other"));
    let (mine, others) = (PARTIES.bound("required", &me), PARTIES.bound("required", &other));
    for only12 in [false, true] {
        let client = PARTIES.with(&me);
        let client = if only12 { client.only_tls12() } else { client }.keeping_sessions();
        for kind in [Full, Resumed, Resumed] {
            let mut connection = client.connect();
            let mut status = |token: &str| {
                let request = Request::get("/required");
                connection.send(&request.bearer(token)).status
            };
            assert_eq!((status(&mine), status(&others), status(&mine)), (200, 401, 200));
            assert_eq!(connection.tls().and_then(|tls| tls.handshake_kind()), Some(kind));
        }
    }
}

#[test]
fn a_token_that_is_bound_twice_holds_twice() {
    let (me, other, key) = (issue("me"), issue("other"), Key::p256("holder"));
    let by = |cnf: serde_json::Value| PARTIES.token("both").claim("cnf", cnf).sign();
    let (x5t, jkt) = (me.thumbprint(), thumbprint(&key));
    let token = by(json!({"x5t#S256": x5t, "jkt": jkt}));
    // Proofs of the second in which a process begins have to bring a nonce.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let status = |client: &Client, token: &str, key: &Key| {
        let proof = Proof::new(key, "GET", "https://api.test/both", token).sign();
        client.send(&Request::get("/both").dpop(token, proof)).status
    };
    assert_eq!(status(&PARTIES.with(&me), &token, &key), 200);
    assert_eq!(status(&PARTIES.with(&other), &token, &key), 401);
    assert_eq!(status(&PARTIES.client(), &token, &key), 401);
    assert_eq!(status(&PARTIES.with(&me), &token, &Key::p256("thief")), 401);
    refused(&PARTIES.with(&me), "/both", &token);
    for half in [json!({"x5t#S256": x5t}), json!({"jkt": jkt})] {
        assert_eq!(status(&PARTIES.with(&me), &by(half), &key), 401);
    }
}

fn issue(name: &str) -> Pair {
    PARTIES.clients.issue_to(&Bearer::new(name))
}
