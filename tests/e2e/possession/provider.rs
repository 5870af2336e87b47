//! Tokens of a certified provider, bound to a key and to a certificate.

use portcullis_testkit::authority::Pair;
use portcullis_testkit::dpop::Proof;
use portcullis_testkit::{Bearer, CertificateAuthority, Client, Key, Request, Upstream};

use crate::oidc::Provider;
use crate::world::{HOSTS, UPSTREAMS, launch};

const CONFIG: &str = r#"
version: 1
listeners:
  - name: https
    address: "127.0.0.1:0"
    tls: {client_certificates: {mode: optional, trust: {file: "@DIR@/clients.pem"}}}
certificates:
  files: [{certificate: "@DIR@/tls.crt", key: {file: "@DIR@/tls.key"}}]
admin: {address: "127.0.0.1:0", probes: "127.0.0.1:0", token: {file: "@DIR@/admin-token"}}
issuers:
  - name: provider
    issuer: "@PROVIDER@"
    audience: [urn:orders-api]
    algorithms: [RS256, ES256]
    proof: {dpop: optional, certificate: optional}
routes:
  - {name: read, path: /read, access: {any_of: [{issuer: provider, scopes: [orders:read]}]}, forward: {upstream: u, identity: {headers: {x-auth-subject: subject}}}}
"#;

const URL: &str = "https://api.test/read";

/// A token of the client credentials grant, as the fields of the request have it.
#[track_caller]
fn token(provider: &Provider, client: &str, fields: &[(&str, String)]) -> (String, String) {
    let secret = format!("{client}-secret-{client}-secret-{client}-secret");
    let basic = portcullis_testkit::keys::base64(format!("{client}:{secret}").as_bytes());
    let request = Request::post("/token", "grant_type=client_credentials&scope=orders:read")
        .host(&provider.host)
        .field("authorization", format!("Basic {}", basic.replace('\n', "")))
        .field("content-type", "application/x-www-form-urlencoded");
    let request = fields.iter().fold(request, |request, (name, value)| request.field(name, value));
    let answer = provider.client.send(&request);
    let answer = answer.expect(200).json();
    let text = |name: &str| answer[name].as_str().expect(name).to_owned();
    (text("access_token"), text("token_type"))
}

/// A certificate as the provider is told of it.
fn shown(pair: &Pair) -> (&'static str, String) {
    let pem = pair.certificate.replace('\n', "%0A").replace('+', "%2B").replace(' ', "%20");
    ("x-client-certificate", pem)
}

#[test]
fn bound_tokens_of_a_certified_provider_are_worth_nothing_in_other_hands() {
    let Some(provider) = Provider::start() else { return };
    let (upstream, server) = (Upstream::start(), CertificateAuthority::new());
    let clients = CertificateAuthority::named("clients of the tests");
    let text = [CONFIG, HOSTS, UPSTREAMS].concat();
    let text = text.replace("@UPSTREAM@", &upstream.url()).replace("@PROVIDER@", &provider.url);
    let gateway = launch(&text, &server).file("clients.pem", clients.pem()).start();
    // Proofs of the second in which a process begins have to bring a nonce.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let client = Client::tls(gateway.address("https"), server.trust());

    let (unbound, kind) = token(&provider, "robot", &[]);
    assert_eq!(kind, "Bearer");
    client.send(&Request::get("/read").bearer(&unbound)).expect(200);

    let (key, thief) = (Key::p256("holder"), Key::p256("thief"));
    let at_provider = Proof::new(&key, "POST", &format!("{}/token", provider.url), "");
    let (bound, kind) = token(&provider, "robot", &[("dpop", at_provider.without("ath").sign())]);
    assert_eq!(kind, "DPoP");
    let by = |key: &Key| Proof::new(key, "GET", URL, &bound).sign();
    let used = Request::get("/read").dpop(&bound, by(&key));
    client.send(&used).expect(200);
    client.send(&used).expect_refusal(401, "credential-invalid");
    client.send(&Request::get("/read").bearer(&bound)).expect(401);
    client.send(&Request::get("/read").dpop(&bound, by(&thief))).expect(401);
    assert_eq!(client.http2(&Request::get("/read").dpop(&bound, by(&key))).status, 200);

    let (me, other) =
        (clients.issue_to(&Bearer::new("me")), clients.issue_to(&Bearer::new("other")));
    let (bound, _) = token(&provider, "bound", &[shown(&me)]);
    let request = Request::get("/read").bearer(&bound);
    client.clone().certificate(&me).send(&request).expect(200);
    client.clone().certificate(&other).send(&request).expect_refusal(401, "credential-invalid");
    client.send(&request).expect(401);
}
