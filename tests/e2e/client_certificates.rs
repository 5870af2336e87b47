//! Client certificates: which handshakes come about, who the app is told it is, and what becomes of a
//! connection whose certificate is good no more.

use std::sync::LazyLock;
use std::time::Duration;

use portcullis_testkit::authority::Pair;
use portcullis_testkit::{
    Bearer, CertificateAuthority, Client, Gateway, Issuer, Request, Upstream, marker, until_true,
};

use crate::world::{HOSTS, ISSUERS, UPSTREAMS, launch};

/// Long enough for a slow machine; nothing waits so long where all is well.
const LIMIT: Duration = Duration::from_secs(60);

/// One listener for each mode, and one for names that differ.
const LISTENERS: &str = r#"
version: 1
listeners:
  - {name: none, address: "127.0.0.1:0", tls: {minimum_version: "1.2"}}
  - name: optional
    address: "127.0.0.1:0"
    tls:
      minimum_version: "1.2"
      client_certificates: {mode: optional, trust: {file: "@DIR@/clients.pem"}}
  - name: required
    address: "127.0.0.1:0"
    tls:
      minimum_version: "1.2"
      client_certificates: {mode: required, trust: {file: "@DIR@/clients.pem"}}
certificates:
  files: [{certificate: "@DIR@/tls.crt", key: {file: "@DIR@/tls.key"}}]
admin:
  address: "127.0.0.1:0"
  probes: "127.0.0.1:0"
  token: {file: "@DIR@/admin-token"}
"#;

const OPEN: &str =
    "routes: [{name: open, path: \"/{*rest}\", access: public, forward: {upstream: u}}]\n";

/// A gateway, and the authority of its clients.
struct Mutual {
    upstream: Upstream,
    issuer: Issuer,
    server: CertificateAuthority,
    clients: CertificateAuthority,
    gateway: Gateway,
}

impl Mutual {
    /// Starts a gateway on `parts`; `more` are files beside those of [`launch`].
    #[track_caller]
    fn start(
        parts: &[&str],
        more: impl Fn(&CertificateAuthority) -> Vec<(&'static str, String)>,
    ) -> Self {
        let (upstream, issuer) = (Upstream::start(), Issuer::start());
        let text = parts.concat().replace("@UPSTREAM@", &upstream.url());
        let text = text.replace("@JWKS@", &issuer.jwks_url());
        let server = CertificateAuthority::new();
        let clients = CertificateAuthority::named("clients of the tests");
        let mut launch = launch(&text, &server).file("clients.pem", clients.pem());
        for (name, content) in more(&clients) {
            launch = launch.file(name, &content);
        }
        Self { gateway: launch.start(), upstream, issuer, server, clients }
    }

    fn client(&self, listener: &str) -> Client {
        Client::tls(self.gateway.address(listener), self.server.trust())
    }

    fn with(&self, listener: &str, pair: &Pair) -> Client {
        self.client(listener).certificate(pair)
    }
}

static MODES: LazyLock<Mutual> =
    LazyLock::new(|| Mutual::start(&[LISTENERS, HOSTS, UPSTREAMS, OPEN], |_| Vec::new()));

/// The handshake of either version comes about, and a request is served.
#[track_caller]
fn served(client: &Client) {
    for client in [client.clone(), client.clone().only_tls12()] {
        client.send(&Request::get("/x")).expect(200);
        assert_eq!(client.http2(&Request::get("/x")).status, 200);
    }
}

/// What ends a connection before its first answer: in TLS 1.3 the client is done before the server
/// has judged its certificate.
#[track_caller]
fn alert(client: &Client) -> String {
    let mark = marker("alert");
    let error = match client.try_connect() {
        Err(error) => error,
        Ok(mut connection) => {
            connection.write(Request::get("/x").field("x-marker", &mark).to_bytes());
            connection.read().expect_err("no answer")
        }
    };
    MODES.upstream.saw_nothing_of(&mark);
    error.to_string()
}

#[track_caller]
fn refused(client: &Client, alert13: &str, alert12: &str) {
    let text = alert(client);
    assert!(text.contains(alert13), "TLS 1.3: {text}");
    let text = alert(&client.clone().only_tls12());
    assert!(text.contains(alert12), "TLS 1.2: {text}");
}

#[test]
fn modes_decide_which_handshakes_come_about() {
    let good = MODES.clients.issue_to(&Bearer::new("good"));
    let below = MODES.clients.below("below").issue_to(&Bearer::new("below"));
    let by = |name: &str| CertificateAuthority::named(name).issue_to(&Bearer::new("foreign"));
    let (foreign, namesake) = (by("somebody else"), by("clients of the tests"));
    for listener in ["none", "optional"] {
        served(&MODES.client(listener));
    }
    for listener in ["none", "optional", "required"] {
        served(&MODES.with(listener, &good));
        served(&MODES.with(listener, &below));
    }
    refused(&MODES.client("required"), "CertificateRequired", "CertificateRequired");
    for listener in ["optional", "required"] {
        let bad = |bearer: &Bearer| MODES.with(listener, &MODES.clients.issue_to(bearer));
        refused(&MODES.with(listener, &foreign), "UnknownCA", "UnknownCA");
        refused(&MODES.with(listener, &namesake), "DecryptError", "DecryptError");
        let expired = bad(&Bearer::new("late").expired());
        refused(&expired, "CertificateExpired", "CertificateExpired");
        let server = bad(&Bearer::new("server").for_servers());
        refused(&server, "UnsupportedCertificate", "UnsupportedCertificate");
        let odd = bad(&Bearer::new("odd").uri("spiffe://example.org/a\0b"));
        refused(&odd, "BadCertificate", "BadCertificate");
    }
    let count = |kind: &str| {
        MODES.gateway.metric(&["gateway_handshake_failures_total{", &format!("reason=\"{kind}\"")])
    };
    for kind in [
        "bad_certificate",
        "certificate_expired",
        "certificate_required",
        "unknown_ca",
        "unsupported_certificate",
    ] {
        until_true(LIMIT, kind, || count(kind) >= 2);
    }
}

const ACCESS: &str = r#"
routes:
  - name: billing
    path: /billing
    access: {any_of: [{client_certificate: {san: ["spiffe://example.org/billing", "Billing.example.org"]}}]}
    limits: [per_principal]
    forward:
      upstream: u
      identity: {headers: {x-auth-subject: subject, x-auth-issuer: issuer, x-auth-thumb: {claim: [cnf, "x5t#S256"]}}, token: signed}
  - name: any
    path: /any
    access: {any_of: [client_certificate]}
    forward: {upstream: u, identity: {headers: {x-auth-subject: subject}}}
  - name: either
    path: /either
    access: {any_of: [{issuer: corporate, scopes: [a]}, {client_certificate: {san: ["spiffe://example.org/billing"]}}]}
    forward: {upstream: u, identity: {headers: {x-auth-subject: subject}}}
  - name: guest
    path: /guest
    access: {any_of: [{client_certificate: {san: ["spiffe://example.org/billing"]}}, anonymous]}
    forward: {upstream: u, identity: {headers: {x-auth-subject: subject}}}
  - name: both
    path: /both
    access: {any_of: [{issuer: corporate}], also: [client_certificate], roles: [admin]}
    forward: {upstream: u, identity: {headers: {x-auth-subject: subject}}}
  - name: both-named
    path: /both-named
    access: {any_of: [{issuer: corporate}], also: [{client_certificate: {san: [ops@example.org]}}]}
    forward: {upstream: u}
limits: [{name: per_principal, key: principal, rate: 2/h}]
identity: {issuer: "https://gateway.test"}
"#;

static ACCESSES: LazyLock<Mutual> = LazyLock::new(|| {
    Mutual::start(&[LISTENERS, HOSTS, UPSTREAMS, ISSUERS, ACCESS], |_| Vec::new())
});

/// Sends a request that must reach the app, and tells what of `field` it saw.
#[track_caller]
fn told(client: &Client, request: Request, field: &str) -> Vec<String> {
    let mark = marker("cc");
    client.send(&request.field("x-marker", &mark)).expect(200);
    let seen = ACCESSES.upstream.only(&mark);
    seen.all(field).iter().map(ToString::to_string).collect()
}

#[track_caller]
fn denied(
    client: &Client,
    request: Request,
    status: u16,
    code: &str,
) -> portcullis_testkit::Answer {
    let mark = marker("cc");
    let answer = client.send(&request.field("x-marker", &mark));
    answer.expect_refusal(status, code);
    ACCESSES.upstream.saw_nothing_of(&mark);
    answer
}

#[test]
fn a_certificate_is_a_principal() {
    let billing = Bearer::new("billing").uri("spiffe://example.org/billing").dns("x.example.org");
    let billing = ACCESSES.clients.issue_to(&billing);
    let client = ACCESSES.with("required", &billing);
    let mark = marker("cc");
    let spoof = Request::get("/billing").field("x-marker", &mark).field("X_Auth_Subject", "admin");
    client.send(&spoof).expect(200);
    let seen = ACCESSES.upstream.only(&mark);
    assert_eq!(seen.all("x-auth-subject"), ["spiffe://example.org/billing"]);
    assert_eq!(seen.all("x-auth-issuer"), ["CN=clients%20of%20the%20tests"]);
    let thumbprint = seen.all("x-auth-thumb")[0].to_owned();
    assert_eq!(thumbprint.len(), 43, "{thumbprint}");
    let token = seen.all("x-portcullis-identity")[0].to_owned();
    let keys = ACCESSES.gateway.probe("/.well-known/portcullis/jwks.json").expect(200).json();
    let (_, claims) = portcullis_testkit::jwt::verified_es256(&token, &keys);
    assert_eq!(claims["sub"], "spiffe://example.org/billing");
    assert_eq!(claims["idp"], "CN=clients of the tests");
    // Two an hour for each principal, on whatever connection.
    client.send(&Request::get("/billing")).expect(200);
    denied(&client, Request::get("/billing"), 429, "rate-limited");
    // A DNS name of the certificate in any case is the same name, and another principal.
    let by_dns = ACCESSES.clients.issue_to(&Bearer::new("other").dns("BILLING.example.org"));
    let subject =
        told(&ACCESSES.with("optional", &by_dns), Request::get("/billing"), "x-auth-subject");
    assert_eq!(subject, ["billing.example.org"]);
    // Any certificate of the trust: its SPIFFE id, else its subject.
    let subject = |bearer: Bearer| {
        let pair = ACCESSES.clients.issue_to(&bearer);
        told(&ACCESSES.with("optional", &pair), Request::get("/any"), "x-auth-subject")
    };
    assert_eq!(subject(Bearer::new("a, b+c")), ["CN=a\\%2C%20b\\+c%2CO=Example\\%2C%20Inc."]);
    assert_eq!(subject(Bearer::new("x").uri("spiffe://example.org/x")), ["spiffe://example.org/x"]);
    assert_eq!(subject(Bearer::new("").email("ops@example.org")), ["ops@example.org"]);
}

#[test]
fn who_has_no_certificate_or_another_is_refused() {
    let other = Bearer::new("other")
        .uri("spiffe://example.org/billing/x")
        .dns("spiffe://example.org/billing")
        .dns("*.example.org")
        .email("spiffe://example.org/billing");
    let other = ACCESSES.with("optional", &ACCESSES.clients.issue_to(&other));
    let nobody = ACCESSES.client("optional");
    let unasked = ACCESSES.with(
        "none",
        &ACCESSES.clients.issue_to(&Bearer::new("billing").uri("spiffe://example.org/billing")),
    );
    for path in ["/billing", "/any"] {
        let answer = denied(&nobody, Request::get(path), 403, "client-certificate-missing");
        assert_eq!(answer.field("www-authenticate"), None);
        denied(&unasked, Request::get(path), 403, "client-certificate-missing");
    }
    denied(&other, Request::get("/billing"), 403, "client-certificate-not-allowed");
    // Where a token would do, it is asked for.
    for client in [&nobody, &other] {
        let answer = denied(client, Request::get("/either"), 401, "credential-missing");
        assert!(answer.field("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
    }
    // Nobody at all may come, but no other.
    assert!(told(&nobody, Request::get("/guest"), "x-auth-subject").is_empty());
    denied(&other, Request::get("/guest"), 403, "client-certificate-not-allowed");
}

#[test]
fn a_token_comes_before_the_certificate() {
    let billing = Bearer::new("billing").uri("spiffe://example.org/billing");
    let client = ACCESSES.with("required", &ACCESSES.clients.issue_to(&billing));
    let get = || Request::get("/either");
    assert_eq!(told(&client, get(), "x-auth-subject"), ["spiffe://example.org/billing"]);
    let token = ACCESSES.issuer.token().claim("scope", "a").sign();
    assert_eq!(told(&client, get().bearer(&token), "x-auth-subject"), ["u1"]);
    // A wrong one is not rescued by the certificate, nor one that lacks a scope.
    denied(&client, get().bearer("nonsense"), 401, "credential-invalid");
    denied(&client, get().field("authorization", "Bearer a b"), 401, "credential-invalid");
    let weak = ACCESSES.issuer.token().claim("scope", "b").sign();
    denied(&client, get().bearer(&weak), 403, "scope-missing");
    // Where no token is read, none counts.
    told(&client, Request::get("/any").bearer("nonsense"), "x-auth-subject");
}

#[test]
fn a_certificate_on_top_of_a_token() {
    let ops = Bearer::new("ops").email("ops@example.org");
    let ops = ACCESSES.with("optional", &ACCESSES.clients.issue_to(&ops));
    let other = ACCESSES.with("optional", &ACCESSES.clients.issue_to(&Bearer::new("other")));
    let nobody = ACCESSES.client("optional");
    let token = ACCESSES.issuer.token().claim("roles", serde_json::json!(["admin"])).sign();
    let weak = ACCESSES.issuer.token().sign();
    let get = |path: &str| Request::get(path).bearer(&token);
    assert_eq!(told(&other, get("/both"), "x-auth-subject"), ["u1"]);
    told(&ops, get("/both-named"), "x-auth-subject");
    denied(&nobody, get("/both"), 403, "client-certificate-missing");
    denied(&other, get("/both-named"), 403, "client-certificate-not-allowed");
    denied(&other, Request::get("/both").bearer(&weak), 403, "role-missing");
    denied(&other, Request::get("/both"), 401, "credential-missing");
}
