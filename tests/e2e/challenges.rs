//! Answers to challenges: who gets one, who does not, and real authorities that are satisfied.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use portcullis_testkit::authority::Trust;
use portcullis_testkit::fake_ca::{FakeCa, Validation};
use portcullis_testkit::named::KEY_NAME;
use portcullis_testkit::pebble::{Pebble, PebbleOptions};
use portcullis_testkit::poll::{until, until_true};
use portcullis_testkit::ports::free_address;
use portcullis_testkit::process::{Finished, run};
use portcullis_testkit::{
    Answer, CertificateAuthority, Gateway, Issuer, Named, Request, Upstream, marker, tools,
};

use crate::world::{ISSUERS, bare, launch};

/// Reached only when something hangs.
const HANGS: Duration = Duration::from_mins(1);

/// Certificates are ordered for `new.test`, and `app.test` has one.
const BASE: &str = r#"
version: 1
listeners:
  - {name: https, address: "127.0.0.1:0"@PROXY@}
  - {name: plain, address: "127.0.0.1:0", cleartext: true@PROXY@}
  - {name: http, address: "127.0.0.1:0", redirect_to: https@PROXY@}
certificates:
  acme: {directory: "@CA@", trust: {file: "@DIR@/ca.pem"}, names: [new.test], challenge: @WAY@}
  files: [{certificate: "@DIR@/tls.crt", key: {file: "@DIR@/tls.key"}}]
admin: {address: "127.0.0.1:0", probes: "127.0.0.1:0", token: {file: "@DIR@/admin-token"}}
hosts: [app.test, new.test]
upstreams: [{name: u, endpoints: ["@UPSTREAM@"]}]
"#;

const PUBLIC: &str = r#"
routes: [{name: all, path: "/{*rest}", access: public, forward: {upstream: u}}]
"#;

/// A gateway whose one order waits for a validation that never ends.
struct Pending {
    ca: FakeCa,
    gateway: Gateway,
    upstream: Upstream,
    _issuer: Issuer,
    token: String,
    proof: String,
}

impl Pending {
    #[track_caller]
    fn start(way: &str, proxy: &str, rest: &str) -> Self {
        Self::on(BASE, Validation::Never, way, proxy, rest)
    }

    #[track_caller]
    fn on(base: &str, validation: Validation, way: &str, proxy: &str, rest: &str) -> Self {
        let (ca, upstream, issuer) = (FakeCa::start(), Upstream::start(), Issuer::start());
        ca.validation("new.test", validation);
        let text = [base, rest].concat();
        let text = text
            .replace("@CA@", &ca.directory())
            .replace("@WAY@", way)
            .replace("@PROXY@", proxy)
            .replace("@UPSTREAM@", &upstream.url())
            .replace("@JWKS@", &issuer.jwks_url());
        let launch = launch(&text, &CertificateAuthority::new());
        let gateway = launch.file("ca.pem", ca.trust_pem()).start();
        let (token, proof) = until(HANGS, "the challenge is pending", || ca.pending("new.test"));
        Self { ca, gateway, upstream, _issuer: issuer, token, proof }
    }

    fn path(&self) -> String {
        format!("/.well-known/acme-challenge/{}", self.token)
    }

    /// The answer to bytes on a listener, of which no app sees anything.
    #[track_caller]
    fn raw(&self, listener: &str, from: &str, line: &str, host: &str) -> Answer {
        let mark = marker("m");
        let head = format!("{line} HTTP/1.1\r\nHost: {host}\r\nx-marker: {mark}\r\n\r\n");
        let answer = self.gateway.plain(listener).from(from).raw(head);
        self.upstream.saw_nothing_of(&mark);
        answer
    }

    #[track_caller]
    fn proves(&self, answer: &Answer, what: &str) {
        assert_eq!((answer.status, answer.text()), (200, self.proof.clone()), "{what}");
        assert_eq!(answer.field("content-type"), Some("application/octet-stream"), "{what}");
        assert_eq!(answer.field("location"), None, "{what}");
        assert_eq!(answer.field("server"), None, "{what}");
    }
}

/// Everything is in the way: who may come, limits of every kind, credentials, redirects.
const GUARDED: &str = r#"
clients: {deny: [127.0.0.9], limit: {rate: 2/h, burst: 2}}
limits: [{name: few, key: address, rate: 1/h}]
routes:
  - name: all
    path: "/{*rest}"
    access: {any_of: [{issuer: corporate}]}
    limits: [few]
    forward: {upstream: u}
"#;

#[test]
fn c35_http_01_is_answered_before_anything_is_judged() {
    let held = Pending::start("http-01", "", &[GUARDED, ISSUERS].concat());
    let path = held.path();
    for _ in 0..3 {
        held.raw("plain", "127.0.0.1", "GET /x", "app.test");
    }
    held.raw("plain", "127.0.0.1", "GET /x", "app.test").expect_refusal(429, "rate-limited");
    for listener in ["plain", "http"] {
        for from in ["127.0.0.1", "127.0.0.9"] {
            for host in ["new.test", "NEW.Test", "new.test.", "new.test:5002"] {
                let answer = held.raw(listener, from, &format!("GET {path}"), host);
                held.proves(&answer, &format!("{listener} {from} {host}"));
            }
        }
        let absolute = format!("GET http://new.test{path}");
        held.proves(&held.raw(listener, "127.0.0.1", &absolute, "new.test"), "absolute form");
        let bare = Request::new("HEAD", path.as_str()).host("new.test");
        let bare = held.gateway.plain(listener).send(&bare);
        bare.expect(200);
        assert_eq!(bare.field("content-length"), Some(&*held.proof.len().to_string()));
        assert!(bare.body.is_empty());
        let get = Request::get(path.as_str()).host("new.test").bearer("x.y.z");
        held.proves(&held.gateway.plain(listener).http2(&get), "HTTP/2, with a credential");
    }
    let line = held.gateway.access_line(&held.token);
    assert_eq!((line["route"].as_str(), line["status"].as_u64()), (Some("acme"), Some(200)));
    let log = [held.gateway.process().stdout(), held.gateway.process().stderr()].concat();
    assert!(!log.iter().any(|line| line.contains(&held.proof)), "the key authorization is logged");
    let counted = ["gateway_challenges_answered_total", "\"http-01\""];
    assert_eq!(held.gateway.metric(&counted), 22);
    assert_eq!(held.gateway.metric(&["gateway_requests_total", "\"acme\"", "\"2xx\""]), 22);
}

#[test]
fn c35_on_a_redirect_listener_nothing_else_is_there() {
    let held = Pending::start("http-01", "", &[GUARDED, ISSUERS].concat());
    let path = held.path();
    for _ in 0..3 {
        held.raw("http", "127.0.0.1", "GET /x", "app.test");
    }
    held.raw("http", "127.0.0.1", "GET /x", "app.test").expect_refusal(429, "rate-limited");
    let below = "/.well-known/acme-challenge";
    for (line, host) in [
        (format!("GET {below}/unknown"), "new.test"),
        (format!("GET {path}/"), "new.test"),
        (format!("GET {path}x"), "new.test"),
        (format!("GET {path}?x=1"), "new.test"),
        (format!("GET {below}/"), "new.test"),
        (format!("POST {path}"), "new.test"),
        (format!("GET {path}"), "app.test"),
        (format!("GET {path}"), "other.test"),
        (format!("GET {path}"), "x.new.test"),
        (format!("GET {path}"), "127.0.0.1"),
    ] {
        let answer = held.raw("http", "127.0.0.5", &line, host);
        answer.expect_refusal(404, "route-not-found");
        assert_eq!(answer.field("location"), None, "{line} {host}");
    }
    for dots in ["../../etc", "..%2f..%2fetc", "%2e%2e/%2E%2E/etc", "..%5c..%5cetc", "%00"] {
        let answer = held.raw("http", "127.0.0.6", &format!("GET {below}/{dots}"), "new.test");
        assert!(matches!(answer.status, 400 | 404 | 429), "{dots}: {}", answer.status);
        assert!(!answer.text().contains(&held.proof));
    }
}

#[test]
fn c35_in_cleartext_an_app_may_prove_names_of_its_own() {
    let held = Pending::start("http-01", "", PUBLIC);
    let path = held.path();
    for (target, host) in [
        ("/.well-known/acme-challenge/unknown".to_owned(), "new.test"),
        (format!("{path}/"), "new.test"),
        (path.clone(), "app.test"),
    ] {
        let mark = marker("m");
        let request = Request::get(target.as_str()).host(host).field("x-marker", &mark);
        held.gateway.plain("plain").send(&request).expect(200);
        assert_eq!(held.upstream.only(&mark).target, target, "{host}");
    }
    let other = held.raw("plain", "127.0.0.1", &format!("GET {path}"), "other.test");
    other.expect_refusal(421, "host-not-allowed");
    // Over TLS no authority asks for it.
    let https = held.gateway.https(Trust::Anybody).server_name("app.test");
    for host in ["new.test", "app.test"] {
        let answer = https.send(&Request::get(path.as_str()).host(host));
        assert!(!answer.expect(200).text().contains(&held.proof), "{host}");
    }
}

#[test]
fn a_challenge_is_answered_behind_balancers_and_trusted_proxies() {
    let from = ", proxy_protocol: {from: [127.0.0.0/29]}";
    let trusted = "clients: {trusted_proxies: [127.0.0.10, 192.0.2.9], deny: [192.0.2.0/24]}\n";
    let held = Pending::start("http-01", from, &[trusted, PUBLIC].concat());
    let request = format!("GET {} HTTP/1.1\r\nHost: new.test\r\n\r\n", held.path());
    for listener in ["plain", "http"] {
        let client = held.gateway.plain(listener);
        let announced = format!("PROXY TCP4 192.0.2.7 198.51.100.1 1234 80\r\n{request}");
        held.proves(&client.raw(announced), "announced");
        for scheme in ["http", "https"] {
            let proxied = Request::get(held.path())
                .host("new.test")
                .field("x-forwarded-for", "192.0.2.7")
                .field("x-forwarded-proto", scheme);
            let client = held.gateway.plain(listener).from("127.0.0.10");
            held.proves(&client.send(&proxied), scheme);
        }
    }
    assert_eq!(held.gateway.access_line(&held.token)["client"], "192.0.2.7");
}

#[test]
fn an_answer_is_gone_with_its_order() {
    for (way, listener) in [("http-01", "http"), ("tls-alpn-01", "https")] {
        let (place, here) = (free_address(), format!("{{name: {listener}, address: \""));
        let base = BASE.replace(&format!("{here}127.0.0.1:0"), &format!("{here}{place}"));
        let look = Validation::Connect(vec![place]);
        let held = Pending::on(&base, look, way, "", PUBLIC);
        until_true(HANGS, "the certificate is served", || {
            let client = held.gateway.https(held.ca.trust()).server_name("new.test");
            client.try_connect().is_ok()
        });
        let counted = ["gateway_challenges_answered_total", way];
        assert!(held.gateway.metric(&counted) >= 1, "{way}");
        let request = Request::get(held.path()).host("new.test");
        until_true(HANGS, "the answer is gone", || {
            held.gateway.plain("http").send(&request).status == 404
        });
        let proof = held.gateway.https(Trust::Anybody).server_name("new.test");
        until_true(HANGS, "the proof is gone", || {
            proof.clone().protocols(&["acme-tls/1"]).try_connect().is_err()
        });
    }
}

fn openssl(arguments: &[&str], input: &str) -> Option<Finished> {
    let openssl = tools::program("openssl")?;
    Some(run(&openssl, arguments, Path::new("/"), &[], input, HANGS))
}

/// What `openssl s_client` says of a handshake.
fn shake(address: SocketAddr, name: &str, more: &[&str]) -> Option<Finished> {
    let address = address.to_string();
    let shared = ["s_client", "-connect", &address, "-servername", name];
    openssl(&[&shared[..], more].concat(), "GET / HTTP/1.1\r\nHost: new.test\r\n\r\n")
}

#[test]
fn tls_alpn_01_is_a_handshake_of_its_own() {
    // Whoever else comes for this name must show a certificate.
    let base = BASE.replace(
        "hosts: [app.test, new.test]",
        "hosts: [app.test, {name: new.test, tls: {client_certificates: \
         {mode: required, trust: {file: \"@DIR@/ca.pem\"}}}}]",
    );
    let held = Pending::on(&base, Validation::Never, "tls-alpn-01", "", PUBLIC);
    let address = held.gateway.address("https");
    let acme = ["-alpn", "acme-tls/1"];
    for version in ["-tls1_2", "-tls1_3"] {
        let Some(shown) = shake(address, "new.test", &[&acme[..], &[version]].concat()) else {
            return;
        };
        assert!(shown.stdout.contains("ALPN protocol: acme-tls/1"), "{shown:?}");
        assert!(shown.stdout.contains("No client certificate CA names sent"), "{shown:?}");
        assert!(!shown.stdout.contains("HTTP/1.1 "), "{shown:?}");
        let text = openssl(&["x509", "-noout", "-text"], &shown.stdout).unwrap().stdout;
        assert!(text.contains("1.3.6.1.5.5.7.1.31: critical"), "{text}");
        assert!(text.contains("DNS:new.test\n"), "{text}");
    }
    // An ordinary client is not shown it, nor one that offers anything else besides.
    for offer in ["h2", "http/1.1", "acme-tls/1,h2"] {
        let shown = shake(address, "new.test", &["-alpn", offer]).unwrap();
        assert!(shown.stderr.contains("unrecognized name"), "{offer}: {shown:?}");
    }
    for other in ["app.test", "x.new.test", "other.test"] {
        let shown = shake(address, other, &acme).unwrap();
        assert!(shown.stderr.contains("no application protocol"), "{other}: {shown:?}");
    }
    // Requests go on beside it.
    let app = held.gateway.https(Trust::Anybody).server_name("app.test");
    app.send(&Request::get("/x").host("app.test")).expect(200);
    let counted = ["gateway_challenges_answered_total", "\"tls-alpn-01\""];
    assert_eq!(held.gateway.metric(&counted), 2);
    let failed = ["gateway_handshake_failures_total", "\"no_application_protocol\""];
    assert_eq!(held.gateway.metric(&failed), 3);
    assert_eq!(held.gateway.metric(&["gateway_connections{", "\"https\""]), 0);
}

#[test]
fn a_store_that_cannot_be_read_is_a_fault_and_no_answer() {
    let Some(python) = tools::python() else { return };
    let held = Pending::start("http-01", "", PUBLIC);
    let state = held.gateway.launch().folder().join("state/state.db");
    let program = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1], timeout=30) as db: \
                   db.execute('ALTER TABLE records RENAME TO gone')";
    let arguments = ["-c", program, &*state.to_string_lossy()];
    let ended = run(&python, &arguments, Path::new("/"), &[], "", HANGS);
    assert_eq!(ended.code, 0, "{ended:?}");
    for listener in ["plain", "http"] {
        let answer = held.raw(listener, "127.0.0.1", &format!("GET {}", held.path()), "new.test");
        answer.expect_refusal(503, "state-unavailable");
        assert_eq!(answer.field("retry-after"), Some("1"));
    }
    let address = held.gateway.address("https");
    let Some(shown) = shake(address, "new.test", &["-alpn", "acme-tls/1"]) else { return };
    assert!(shown.stderr.contains("internal error"), "{shown:?}");
    // What needs no store goes on.
    let app = held.gateway.https(Trust::Anybody).server_name("app.test");
    app.send(&Request::get("/x").host("app.test")).expect(200);
}

/// A gateway that orders from Pebble, with listeners where Pebble looks.
fn ordering(pebble: &Pebble, options: &PebbleOptions, names: &str, acme: &str) -> Gateway {
    let text = format!(
        "version: 1\n\
         listeners:\n\
         \x20 - {{name: https, address: \"{}\"}}\n\
         \x20 - {{name: http, address: \"{}\", redirect_to: https}}\n\
         certificates: {{acme: {{directory: \"{}\", trust: {{file: \"@DIR@/ca.pem\"}}, \
         names: {names}, {acme}}}}}\n\
         admin: {{address: \"127.0.0.1:0\", probes: \"127.0.0.1:0\"}}\n\
         hosts: {names}\n\
         upstreams: [{{name: u, endpoints: [\"http://127.0.0.1:1\"]}}]\n\
         {PUBLIC}",
        options.tls,
        options.http,
        pebble.directory()
    );
    bare(&text).file("ca.pem", pebble.trust_pem()).start()
}

#[track_caller]
fn served(gateway: &Gateway, pebble: &Pebble, names: &[&str]) {
    let trust = pebble.trust();
    for name in names {
        until(HANGS, &format!("{name} has its certificate: {:?}", pebble.log().last()), || {
            let client = gateway.https(trust.clone()).server_name(name);
            client.try_connect().ok()
        });
    }
}

#[test]
fn pebble_is_satisfied_by_http_01_and_tls_alpn_01_at_once() {
    let options = PebbleOptions::at(free_address(), free_address());
    let root = env!("CARGO_TARGET_TMPDIR");
    let Some(pebble) = Pebble::start(root, &options) else { return };
    for way in ["http-01", "tls-alpn-01"] {
        let gateway =
            ordering(&pebble, &options, "[one.test, two.test]", &format!("challenge: {way}"));
        served(&gateway, &pebble, &["one.test", "two.test"]);
        assert!(gateway.metric(&["gateway_challenges_answered_total", way]) >= 2);
    }
}

fn named_and_pebble() -> Option<(Named, Pebble, PebbleOptions)> {
    let root = env!("CARGO_TARGET_TMPDIR");
    let named = Named::start(root, &["x.test"], "hmac-sha256")?;
    let options = PebbleOptions {
        name_server: Some(named.address()),
        ..PebbleOptions::at(free_address(), free_address())
    };
    let pebble = Pebble::start(root, &options)?;
    Some((named, pebble, options))
}

#[track_caller]
fn no_record_is_left(named: &Named) {
    until_true(HANGS, "the records are taken away", || {
        named.txt("_acme-challenge.x.test").is_empty()
    });
}

#[test]
fn a_wildcard_and_its_parent_are_proved_at_once_by_signed_updates() {
    let Some((named, pebble, options)) = named_and_pebble() else { return };
    let key = portcullis_testkit::Scratch::new(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let file = key.write("key", format!("{}\n", named.secret()));
    let dns = format!(
        "challenge: dns-01, dns: {{rfc2136: {{server: \"{}\", key_name: {KEY_NAME}, \
         secret: {{file: \"{}\"}}}}}}",
        named.address(),
        file.display()
    );
    let gateway = ordering(&pebble, &options, "[x.test, \"*.x.test\"]", &dns);
    served(&gateway, &pebble, &["x.test", "a.x.test", "b.x.test"]);
    no_record_is_left(&named);
}

#[test]
fn a_wildcard_and_its_parent_are_proved_at_once_by_the_example_of_a_hook() {
    if tools::program("nsupdate").is_none() {
        return;
    }
    let Some((named, pebble, options)) = named_and_pebble() else { return };
    let folder = portcullis_testkit::Scratch::new(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let key = format!(
        "key \"{KEY_NAME}\" {{ algorithm hmac-sha256; secret \"{}\"; }};\n",
        named.secret()
    );
    let key = folder.write("key", key);
    let example = tools::workspace().join("examples/dns-hook.sh").canonicalize().unwrap();
    let text = format!(
        "#!/bin/sh\nexport KEY='{}' SERVER=127.0.0.1 PORT={}\nexec '{}' \"$@\"\n",
        key.display(),
        named.address().port(),
        example.display()
    );
    let hook = executable(&folder, &text);
    // Wildcards are proved by it whatever else the challenge is.
    let dns = format!("challenge: http-01, dns: {{exec: \"{hook}\"}}");
    let gateway = ordering(&pebble, &options, "[x.test, \"*.x.test\"]", &dns);
    served(&gateway, &pebble, &["x.test", "a.x.test"]);
    no_record_is_left(&named);
}

/// An executable file that no thread of ours ever had open for writing: it could not be run while
/// another thread starts a process.
fn executable(folder: &portcullis_testkit::Scratch, text: &str) -> String {
    let source = folder.write("source", text);
    let program = folder.path().join("hook");
    let (from, to) = (source.to_string_lossy(), program.to_string_lossy().into_owned());
    let install = tools::program("install").expect("coreutils");
    let arguments = ["-m", "755", &*from, &*to];
    assert_eq!(run(&install, &arguments, folder.path(), &[], "", HANGS).code, 0);
    to
}

#[test]
fn a_hook_that_fails_says_why_in_the_log() {
    let folder = portcullis_testkit::Scratch::new(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let hook = executable(&folder, "#!/bin/sh\necho \"no such zone: $2\" >&2\nexit 3\n");
    let ca = FakeCa::start();
    let text = format!(
        "version: 1\n\
         listeners: [{{name: https, address: \"127.0.0.1:0\"}}]\n\
         certificates: {{acme: {{directory: \"{}\", trust: {{file: \"@DIR@/ca.pem\"}}, \
         names: [\"*.x.test\"], dns: {{exec: \"{hook}\"}}}}}}\n\
         admin: {{address: \"127.0.0.1:0\", probes: \"127.0.0.1:0\"}}\n\
         hosts: [\"*.x.test\"]\n\
         upstreams: [{{name: u, endpoints: [\"http://127.0.0.1:1\"]}}]\n\
         {PUBLIC}",
        ca.directory()
    );
    let gateway = bare(&text).file("ca.pem", ca.trust_pem()).start();
    let line = gateway.log_line("no such zone: _acme-challenge.x.test");
    assert!(line.contains("exit status: 3"), "{line}");
    assert_eq!(ca.failed_validations("*.x.test"), 0, "the authority was not bothered");
}
