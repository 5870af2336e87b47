//! Client certificates: which handshakes come about, who the app is told it is, and what becomes of a
//! connection whose certificate is good no more.

use std::sync::LazyLock;
use std::time::Duration;

use portcullis_testkit::authority::{Pair, Trust};
use portcullis_testkit::{
    Bearer, CertificateAuthority, Client, Gateway, Issuer, Request, Upstream, marker, until_true,
};

use crate::world::{HOSTS, ISSUERS, UPSTREAMS, launch};

/// Long enough for a slow machine; nothing waits so long where all is well.
const LIMIT: Duration = Duration::from_mins(1);

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

/// Hosts of one certificate, of which some ask for certificates of clients.
const SHARED: &str = r#"
version: 1
listeners:
  - {name: https, address: "127.0.0.1:0"}
  - {name: plain, address: "127.0.0.1:0", cleartext: true}
  - {name: http, address: "127.0.0.1:0", redirect_to: https}
certificates:
  files: [{certificate: "@DIR@/shared.crt", key: {file: "@DIR@/shared.key"}}]
admin: {address: "127.0.0.1:0", probes: "127.0.0.1:0", token: {file: "@DIR@/admin-token"}}
hosts:
  - app.test
  - api.test
  - {name: mtls.test, tls: {client_certificates: {mode: required, trust: {file: "@DIR@/clients.pem"}}}}
  - {name: same.test, tls: {client_certificates: {mode: required, trust: {file: "@DIR@/clients.pem"}}}}
  - {name: loose.test, tls: {client_certificates: {mode: optional, trust: {file: "@DIR@/clients.pem"}}}}
"#;

fn shared(config: &str) -> Mutual {
    let leaf = CertificateAuthority::new().issue(&["*.test"]);
    Mutual::start(&[config, UPSTREAMS, OPEN], |_| {
        vec![("shared.crt", leaf.certificate.clone()), ("shared.key", leaf.key.clone())]
    })
}

impl Mutual {
    /// A client who asks for a name of the shared certificate; it is wider than most clients believe.
    fn named(&self, name: &str) -> Client {
        Client::tls(self.gateway.address("https"), Trust::Anybody).server_name(name)
    }

    /// Sends a request for each of `hosts` on one HTTP/2 connection and on one of HTTP/1.1 that was
    /// opened for the first name; the app must see those alone that are a 200.
    #[track_caller]
    fn coalesce(&self, client: &Client, hosts: &[(&str, u16)]) {
        let requests: Vec<(Request, String)> = hosts
            .iter()
            .map(|(host, _)| {
                let mark = marker("c37");
                (Request::get("/x").host(host).field("x-marker", &mark), mark)
            })
            .collect();
        let all: Vec<Request> = requests.iter().map(|(request, _)| request.clone()).collect();
        let http2 = client.try_http2(&all).expect("the connection goes on");
        let mut http1 = client.connect();
        for (((host, status), (request, mark)), answer) in hosts.iter().zip(&requests).zip(http2) {
            assert_eq!(answer.status, *status, "{host}: {answer:?}");
            assert_eq!(http1.send(request).status, *status, "{host} in HTTP/1.1");
            let seen = self.upstream.seen(mark).len();
            assert_eq!(seen, if *status == 200 { 2 } else { 0 }, "{host}");
        }
    }
}

#[test]
fn c37_a_connection_serves_hosts_of_its_own_policy() {
    let world = shared(SHARED);
    let me = world.clients.issue_to(&Bearer::new("me"));
    let client = |name: &str| world.named(name);
    // ①, ② and ③.
    let names = [("app.test", 200), ("api.test", 200), ("mtls.test", 421), ("evil.test", 421)];
    world.coalesce(&client("app.test"), &names);
    world.coalesce(&client("app.test").certificate(&me), &names);
    let names = [("mtls.test", 200), ("same.test", 200), ("app.test", 421), ("loose.test", 421)];
    world.coalesce(&client("mtls.test").certificate(&me), &names);
    world.coalesce(
        &client("loose.test"),
        &[("loose.test", 200), ("mtls.test", 421), ("app.test", 421)],
    );
    // ④ and ⑤: nobody is shown a certificate.
    let ended = |name: &str| client(name).try_connect().map(|_| ()).unwrap_err().to_string();
    assert!(ended("127.0.0.1").contains("UnrecognisedName"), "{}", ended("127.0.0.1"));
    assert!(ended("evil.test").contains("UnrecognisedName"), "{}", ended("evil.test"));
    // In cleartext no certificate can be shown; a redirect leads to where it can.
    let plain = |listener: &str, host: &str| {
        world.gateway.plain(listener).send(&Request::get("/x").host(host)).status
    };
    assert_eq!((plain("plain", "app.test"), plain("plain", "mtls.test")), (200, 421));
    assert_eq!(plain("plain", "loose.test"), 200);
    assert_eq!((plain("http", "app.test"), plain("http", "mtls.test")), (308, 308));
}

#[test]
fn c37_a_name_may_stand_in_for_none() {
    let world =
        shared(&SHARED.replace("certificates:\n", "certificates:\n  without_sni: app.test\n"));
    let client = world.named("127.0.0.1");
    world.coalesce(&client, &[("app.test", 200), ("mtls.test", 421)]);
}

#[test]
fn c37_a_connection_from_before_a_tighter_policy_is_turned_away() {
    let world = shared(SHARED);
    let mut before = world.named("app.test").connect();
    let get = || Request::get("/x").host("app.test");
    before.send(&get()).expect(200);
    let tls = "{client_certificates: {mode: required, trust: {file: \"@DIR@/clients.pem\"}}}";
    let tighter =
        SHARED.replace("  - app.test\n", &format!("  - {{name: app.test, tls: {tls}}}\n"));
    let tighter = [&tighter, UPSTREAMS, OPEN].concat().replace("@UPSTREAM@", &world.upstream.url());
    world.gateway.write("gateway.yaml", &tighter);
    until_true(LIMIT, "the connection is turned away", || {
        let answer = before.send(&get());
        answer.status == 421 && answer.text().contains("host-not-allowed")
    });
    before.send(&Request::get("/x").host("api.test")).expect(200);
    let me = world.clients.issue_to(&Bearer::new("me"));
    let client = world.named("app.test").certificate(&me);
    client.send(&get()).expect(200);
}

/// One listener that asks for certificates, with revocation lists.
const REVOKING: &str = r#"
version: 1
listeners:
  - name: https
    address: "127.0.0.1:0"
    tls:
      minimum_version: "1.2"
      client_certificates:
        mode: optional
        trust: {file: "@DIR@/clients.pem"}
        crl: {files: ["@DIR@/clients.crl"]}
certificates:
  files: [{certificate: "@DIR@/tls.crt", key: {file: "@DIR@/tls.key"}}]
admin: {address: "127.0.0.1:0", probes: "127.0.0.1:0", token: {file: "@DIR@/admin-token"}}
"#;

const DAY: Duration = Duration::from_hours(24);

const ANY: &str = r#"
routes:
  - {name: any, path: /any, access: {any_of: [client_certificate]}, forward: {upstream: u}}
  - {name: open, path: "/{*rest}", access: public, forward: {upstream: u}}
"#;

/// The connection is refused from some moment on, and until then served.
#[track_caller]
fn turned_away(connection: &mut portcullis_testkit::Connection, what: &str) {
    until_true(LIMIT, what, || {
        let answer = connection.send(&Request::get("/any"));
        if answer.status == 200 {
            return false;
        }
        answer.expect_refusal(421, "client-certificate-invalid");
        // Whatever the route asks for: it is the connection that is not trusted.
        connection.send(&Request::get("/open")).expect_refusal(421, "client-certificate-invalid");
        true
    });
}

/// What ends the handshake of `client`, or its first request.
fn ending(client: &Client) -> Option<String> {
    match client.try_connect() {
        Err(error) => Some(error.to_string()),
        Ok(mut connection) => {
            connection.write(Request::get("/any").to_bytes());
            connection.read().err().map(|error| error.to_string())
        }
    }
}

#[test]
fn a_revoked_certificate_is_refused_and_so_is_its_connection() {
    let world = Mutual::start(&[REVOKING, HOSTS, UPSTREAMS, ANY], |clients| {
        vec![("clients.crl", clients.revocations(&[], DAY))]
    });
    let [good, bad_pair] = ["good", "bad"].map(|name| world.clients.issue_to(&Bearer::new(name)));
    let below = world.clients.below("below");
    let deep = below.issue_to(&Bearer::new("deep"));
    let deep = world.with("https", &deep).keeping_sessions();
    let (good, bad) =
        (world.with("https", &good), world.with("https", &bad_pair).keeping_sessions());
    let [mut standing, mut revoked] = [&good, &bad].map(Client::connect);
    for connection in [&mut standing, &mut revoked] {
        connection.send(&Request::get("/any")).expect(200);
    }
    // No list speaks of what the authority below it signed.
    assert!(ending(&deep).is_some_and(|error| error.contains("UnknownCA")));
    // A list that cannot be used changes nothing, and is told.
    world.gateway.write("clients.crl", "nonsense");
    until_true(LIMIT, "the refused list is counted", || {
        world.gateway.metric(&["gateway_certificate_reload_failures_total"]) >= 1
    });
    let ready = world.gateway.probe("/readyz").expect(200).json();
    let told = &ready["client_certificates"][0];
    assert!(
        told["last_error"].as_str().is_some_and(|error| error.contains("revocation list")),
        "{told}"
    );
    assert_eq!((told["mode"].as_str(), told["authorities"].as_u64()), (Some("optional"), Some(1)));
    world.gateway.log_line("client-trust-refused");
    revoked.send(&Request::get("/any")).expect(200);
    let lists =
        [world.clients.revocations(&[&bad_pair], DAY), below.revocations(&[], DAY)].concat();
    world.gateway.write("clients.crl", &lists);
    turned_away(&mut revoked, "the revoked certificate is turned away");
    for client in [&bad, &world.with("https", &bad_pair).only_tls12()] {
        assert!(ending(client).is_some_and(|error| error.contains("CertificateRevoked")));
    }
    standing.send(&Request::get("/any")).expect(200);
    deep.send(&Request::get("/any")).expect(200);
    world.gateway.log_line("client-trust-replaced");
    until_true(LIMIT, "the revocations are counted", || {
        world.gateway.metric(&["handshake_failures_total{", "reason=\"certificate_revoked\""]) >= 2
    });
}

#[test]
fn trust_that_is_withdrawn_ends_what_it_was_given_for() {
    let world = Mutual::start(&[LISTENERS, HOSTS, UPSTREAMS, ANY], |_| Vec::new());
    let pair = world.clients.issue_to(&Bearer::new("me"));
    let me = world.with("required", &pair).keeping_sessions();
    let mut http1 = me.connect();
    let mut http2 = world.with("required", &pair).open_http2();
    http1.send(&Request::get("/any")).expect(200);
    assert_eq!(http2.start(&Request::get("/any"), true).answer().expect("an answer").status, 200);
    let next = CertificateAuthority::named("the next authority");
    let both = [world.clients.pem(), next.pem()].concat();
    world.gateway.write("clients.pem", &both);
    let new = world.with("required", &next.issue_to(&Bearer::new("new")));
    until_true(LIMIT, "the next authority is believed", || ending(&new).is_none());
    http1.send(&Request::get("/any")).expect(200);
    world.gateway.write("clients.pem", next.pem());
    turned_away(&mut http1, "the old authority is believed no more");
    let answer = http2.start(&Request::get("/any"), true).answer().expect("an answer");
    answer.expect_refusal(421, "client-certificate-invalid");
    assert!(ending(&me).is_some_and(|error| error.contains("UnknownCA")));
    new.send(&Request::get("/any")).expect(200);
}

#[test]
fn a_certificate_that_ends_ends_its_connection() {
    let world = Mutual::start(&[LISTENERS, HOSTS, UPSTREAMS, ANY], |_| Vec::new());
    let brief = Bearer::new("brief").ends_in(Duration::from_secs(6));
    let brief = world.with("optional", &world.clients.issue_to(&brief)).keeping_sessions();
    let mut connection = brief.connect();
    connection.send(&Request::get("/any")).expect(200);
    turned_away(&mut connection, "the certificate ends");
    assert!(ending(&brief).is_some_and(|error| error.contains("CertificateExpired")));
    world.client("optional").send(&Request::get("/open")).expect(200);
}

#[test]
fn sessions_resume_under_their_own_policy_alone() {
    use rustls::HandshakeKind::{Full, Resumed};
    for tls12 in [false, true] {
        let me = ACCESSES.clients.issue_to(&Bearer::new("me"));
        let version = |client: Client| if tls12 { client.only_tls12() } else { client };
        let at = |listener: &str| ACCESSES.gateway.address(listener);
        let kind = |client: &Client, path: &str| {
            let mut connection = client.connect();
            let status = connection.send(&Request::get(path)).status;
            (connection.tls().and_then(|tls| tls.handshake_kind()), status)
        };
        let client = version(ACCESSES.with("optional", &me)).keeping_sessions();
        assert_eq!(kind(&client, "/any"), (Some(Full), 200));
        assert_eq!(kind(&client, "/any"), (Some(Resumed), 200));
        assert_eq!(kind(&client.clone().at(at("required")), "/any"), (Some(Full), 200));
        assert_eq!(kind(&client.clone().at(at("none")), "/any"), (Some(Full), 403));
        let nobody = version(ACCESSES.client("optional")).keeping_sessions();
        assert_eq!(kind(&nobody, "/guest"), (Some(Full), 200));
        assert_eq!(kind(&nobody, "/guest"), (Some(Resumed), 200));
        let error = ending(&nobody.clone().at(at("required"))).expect("no session stands in");
        assert!(error.contains("CertificateRequired"), "{error}");
    }
}

const TELLING: &str = r"
routes:
  - name: told
    path: /told
    access: public
    forward:
      upstream: u
      identity: {headers: {client-cert: certificate, client-cert-chain: certificate_chain, x-thumb: certificate_thumbprint}}
  - {name: untold, path: /untold, access: public, forward: {upstream: u}}
";

fn der(pem: &str) -> Vec<String> {
    let all = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
    let body = all.map(|one| one.split("-----END").next().unwrap_or_default());
    body.map(|one| format!(":{}:", one.replace(['\r', '\n'], ""))).collect()
}

#[test]
fn the_app_is_told_of_the_certificate_as_rfc_9440_has_it() {
    let world = Mutual::start(&[LISTENERS, HOSTS, UPSTREAMS, TELLING], |_| Vec::new());
    let middle = world.clients.below("middle");
    let mut pair = middle.below("low").issue_to(&Bearer::new("me"));
    let sent = der(&pair.certificate);
    assert_eq!(sent.len(), 3);
    // A stranger's certificate that is sent along leads nowhere and goes nowhere.
    let stranger = CertificateAuthority::named("stranger");
    let (leaf, rest) = pair.certificate.split_once("-----END CERTIFICATE-----").expect("a PEM");
    pair.certificate = [leaf, "-----END CERTIFICATE-----\n", stranger.pem(), rest].concat();
    let seen = |client: &Client, path: &str| {
        let mark = marker("told");
        let request = Request::get(path)
            .field("x-marker", &mark)
            .field("Client-Cert", ":bm8=:")
            .field("client_cert", ":bm8=:")
            .field("Client-Cert-Chain", ":bm8=:")
            .field("CLIENT.CERT_CHAIN", ":bm8=:")
            .field("x-thumb", "no")
            .field("X_Thumb", "no");
        client.send(&request).expect(200);
        world.upstream.only(&mark)
    };
    for listener in ["optional", "required"] {
        let told = seen(&world.with(listener, &pair), "/told");
        assert_eq!(told.all("client-cert"), [sent[0].as_str()]);
        assert_eq!(told.all("client-cert-chain"), [sent[1..].join(", ").as_str()]);
        assert_eq!(told.all("x-thumb")[0].len(), 43);
        for name in ["client_cert", "client.cert_chain", "x_thumb"] {
            assert!(told.all(name).is_empty(), "{name}");
        }
    }
    for told in [
        seen(&world.client("optional"), "/told"),
        seen(&world.with("none", &pair), "/told"),
        seen(&world.client("none"), "/untold"),
    ] {
        for name in ["client-cert", "client-cert-chain", "client_cert", "client.cert_chain"] {
            assert!(told.all(name).is_empty(), "{name}");
        }
    }
    let untold = seen(&world.with("required", &pair), "/untold");
    assert!(untold.all("client-cert").is_empty() && untold.all("client-cert-chain").is_empty());
    let direct = world.clients.issue_to(&Bearer::new("direct"));
    let told = seen(&world.with("required", &direct), "/told");
    assert_eq!(told.all("client-cert"), der(&direct.certificate));
    assert!(told.all("client-cert-chain").is_empty());
}

#[track_caller]
fn explained((code, text): (i32, String), expected: i32, part: &str) {
    assert!(code == expected && text.contains(part), "{code}: {text}");
}

#[test]
fn explain_shakes_hands_as_the_listener_would() {
    let config = [LISTENERS, HOSTS, UPSTREAMS, ISSUERS, ACCESS].concat();
    let config =
        config.replace("@UPSTREAM@", "http://127.0.0.1:9").replace("@JWKS@", "http://127.0.0.1:9/");
    let clients = CertificateAuthority::named("clients of the tests");
    let billing = clients.issue_to(&Bearer::new("b").uri("spiffe://example.org/billing"));
    let launch = launch(&config, &CertificateAuthority::new())
        .file("clients.pem", clients.pem())
        .file("billing.pem", &billing.certificate)
        .file("other.pem", &clients.issue_to(&Bearer::new("o")).certificate)
        .file("late.pem", &clients.issue_to(&Bearer::new("l").expired()).certificate);
    let explain = |listener: &str, more: &[&str]| {
        let base = ["explain", "GET", "https://api.test/billing", "--listener", listener];
        let finished = launch.command(&[&base, more].concat());
        (finished.code, finished.stdout)
    };
    explained(
        explain("required", &["--certificate", "billing.pem"]),
        0,
        "spiffe://example.org/billing of issuer client_certificate",
    );
    explained(
        explain("optional", &["--certificate", "other.pem"]),
        1,
        "client-certificate-not-allowed",
    );
    explained(explain("optional", &[]), 1, "client-certificate-missing");
    explained(explain("none", &["--certificate", "billing.pem"]), 1, "client-certificate-missing");
    explained(explain("required", &[]), 1, "handshake: certificate_required");
    explained(explain("required", &["--certificate", "late.pem"]), 1, "expired");
    explained(explain("required", &["--certificate", "clients.crt"]), 2, "clients.crt");
}

/// Runs a program on the files of a client, of which the gateway's authority and the client's own
/// pair are `server.pem`, `me.pem` and `me.key`.
fn party(name: &str) -> Option<impl Fn(&[&str], &str) -> portcullis_testkit::process::Finished> {
    let program = portcullis_testkit::tools::program(name)?;
    let folder = ACCESSES.gateway.launch().folder();
    let me = ACCESSES.clients.below("below").issue_to(&Bearer::new("me"));
    let [server, own, key] = ["server", "me", "key"].map(|kind| format!("{name}-{kind}.pem"));
    for (file, content) in
        [(&server, ACCESSES.server.pem()), (&own, me.certificate.as_str()), (&key, me.key.as_str())]
    {
        std::fs::write(folder.join(file), content).expect("a file");
    }
    Some(move |arguments: &[&str], input: &str| {
        let arguments: Vec<&str> = arguments
            .iter()
            .map(|argument| match *argument {
                "SERVER" => &*server,
                "OWN" => &*own,
                "KEY" => &*key,
                other => other,
            })
            .collect();
        portcullis_testkit::process::run(&program, &arguments, folder, &[], input, LIMIT)
    })
}

#[test]
fn openssl_shows_a_certificate() {
    let Some(openssl) = party("openssl") else { return };
    let address = ACCESSES.gateway.address("required").to_string();
    let request = "GET /any HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n";
    for version in ["-tls1_2", "-tls1_3"] {
        let to = ["-connect", &address, "-servername", "api.test", "-CAfile", "SERVER", "-ign_eof"];
        let nothing = [&["s_client", version], &to[..]].concat();
        let own = ["-cert", "OWN", "-cert_chain", "OWN", "-key", "KEY"];
        let shown = openssl(&[&nothing[..], &own].concat(), request);
        assert!(shown.stdout.contains("HTTP/1.1 200"), "{version}: {}", shown.stderr);
        assert!(shown.stdout.contains("clients of the tests"), "the authority is named");
        let refused = openssl(&nothing, request);
        assert!(!refused.stdout.contains("HTTP/1.1"), "{}", refused.stdout);
        assert!(refused.stderr.contains("alert number 116"), "{version}: {}", refused.stderr);
    }
}

#[test]
fn curl_shows_a_certificate() {
    let Some(curl) = party("curl") else { return };
    let port = ACCESSES.gateway.address("required").port();
    let url = format!("https://api.test:{port}/any");
    let resolve = format!("api.test:{port}:127.0.0.1");
    for version in ["--http1.1", "--http2"] {
        let told = ["-o", "/dev/null", "-w", "%{http_code}", "--resolve", &resolve];
        let nothing = [&[version, "-sS", "--cacert", "SERVER", &url], &told[..]].concat();
        let shown = curl(&[&nothing[..], &["--cert", "OWN", "--key", "KEY"]].concat(), "");
        assert_eq!(shown.stdout, "200", "{}", shown.stderr);
        assert_eq!(curl(&nothing, "").stdout, "000");
    }
}
