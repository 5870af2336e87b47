//! Only allowed hosts, under every spelling, and TLS by name. C26.

use std::sync::LazyLock;

use portcullis_testkit::{CertificateAuthority, Request, Upstream, marker};

use crate::world::{BASE, UPSTREAMS, World, bare, launch};

const CONFIG: &str = r#"
hosts:
  - api.test
  - app.test.
  - "*.app.test"
  - BÜCHER.test
  - xn--mnchen-3ya.test
  - "ported.test:8443"
  - {name: old.test, tls: {minimum_version: "1.2"}}
routes:
  - {name: public, path: "/{*rest}", access: public, forward: {upstream: u}}
  - {name: app, hosts: ["*.app.test"], path: /who, access: public, forward: {upstream: u, strip_prefix: /who}}
"#;

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let config = CONFIG.replace(", strip_prefix: /who", "");
    World::start(&[BASE, UPSTREAMS, &config])
});

/// Status of a request for `host` over cleartext, and the host that the upstream saw.
#[track_caller]
fn outcome(host: &str) -> (u16, Option<String>) {
    let mark = marker("host");
    let raw = format!("GET /x HTTP/1.1\r\nHost: {host}\r\nx-marker: {mark}\r\n\r\n");
    let answer = WORLD.plain().raw(raw);
    if answer.status == 200 {
        return (200, WORLD.upstream.only(&mark).field("host").map(str::to_owned));
    }
    WORLD.upstream.saw_nothing_of(&mark);
    (answer.status, None)
}

#[track_caller]
fn served(host: &str, canonical: &str) {
    assert_eq!(outcome(host), (200, Some(canonical.to_owned())), "{host}");
}

#[test]
fn c26_spellings_of_an_allowed_host_are_one() {
    served("api.test", "api.test");
    served("API.TEST", "api.test");
    served("api.test.", "api.test");
    served("api.test:80", "api.test");
    served("api.test:8080", "api.test:8080");
    served("app.test", "app.test");
    served("xn--bcher-kva.test", "xn--bcher-kva.test");
    served("xn--mnchen-3ya.test", "xn--mnchen-3ya.test");
    let mark = marker("host");
    let request = Request::get("/x").host("API.test:443").field("x-marker", &mark);
    WORLD.https().send(&request).expect(200);
    assert_eq!(WORLD.upstream.only(&mark).field("host"), Some("api.test"));
}

#[test]
fn c26_look_alikes_are_refused() {
    for host in [
        "api.test.evil.test",
        "evilapi.test",
        "evil.test",
        "[::1]",
        "127.0.0.1",
        "api.test.app.test.evil",
        "ported.test",
        "ported.test:8444",
        "bcher.test",
    ] {
        assert_eq!(outcome(host).0, 421, "{host}");
    }
    for host in ["api.test..", ".api.test"] {
        let (status, _) = outcome(host);
        assert!(matches!(status, 400 | 421), "{host}: {status}");
    }
    served("ported.test:8443", "ported.test:8443");
    let mark = marker("host");
    let answer = WORLD.plain().send(&Request::get("/x").host("evil.test").field("x-marker", &mark));
    answer.expect_refusal(421, "host-not-allowed");
    assert!(!answer.text().contains("evil"));
}

#[test]
fn c26_what_is_no_host_is_malformed() {
    for host in [
        "api.test/evil",
        "api.test b",
        "api.test, evil.test",
        "u@api.test",
        "api.test:70000",
        "api.test:",
        "api.test:0x50",
        "",
        "api.test\\evil",
        "api.test?x",
        "api.test#x",
        "api%2etest",
    ] {
        let (status, _) = outcome(host);
        assert_eq!(status, 400, "{host:?}");
    }
}

#[test]
fn c26_a_wildcard_is_one_label() {
    served("a.app.test", "a.app.test");
    assert_eq!(outcome("a.b.app.test").0, 421);
    assert_eq!(outcome(".app.test").0, 400);
    assert_eq!(outcome("xapp.test").0, 421);
}

#[test]
fn c26_the_same_among_500_hosts() {
    let many: Vec<String> = (0..500).map(|n| format!(", h{n}.test")).collect();
    let routes =
        "routes: [{name: all, path: \"/{*rest}\", access: public, forward: {upstream: u}}]\n";
    let hosts = format!("hosts: [api.test{}]\n{routes}", many.concat());
    let world = World::start(&[BASE, UPSTREAMS, &hosts]);
    for host in ["API.TEST", "H499.test.", "h0.test:80", "h250.TEST"] {
        world.forwarded(Request::get("/x").host(host));
    }
    for host in ["h500.test", "h0.test.evil.test", "evilh0.test"] {
        world.refused(Request::get("/x").host(host), 421, "host-not-allowed");
    }
}

#[test]
fn http2_knows_the_same_hosts() {
    let https = WORLD.https();
    https.http2(&Request::get("/x")).expect(200);
    https.http2(&Request::get("/x").host("API.TEST")).expect(200);
    https.http2(&Request::get("/x").host("evil.test")).expect_refusal(421, "host-not-allowed");
    // Two hosts in one request.
    let mark = marker("both");
    let both = Request::get("/x").field("host", "app.test").field("x-marker", &mark);
    https.http2(&both).expect_refusal(400, "malformed-request");
    WORLD.upstream.saw_nothing_of(&mark);
    // Another host that the same certificate and TLS policy covers may share the connection.
    https.http2(&Request::get("/x").host("a.app.test")).expect(200);
}

#[test]
fn tls_1_3_alone_unless_a_name_says_otherwise() {
    let https = WORLD.https();
    assert!(https.clone().only_tls12().try_connect().is_err());
    let mut connection = https.connect();
    let session = connection.tls().unwrap();
    assert_eq!(session.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    let group = session.negotiated_key_exchange_group().map(rustls::crypto::SupportedKxGroup::name);
    assert_eq!(group, Some(rustls::NamedGroup::X25519MLKEM768));
    connection.send(&Request::get("/x")).expect(200);

    let old = https.server_name("old.test").only_tls12();
    let mut connection = old.connect();
    connection.send(&Request::get("/x").host("old.test")).expect(200);
    // A connection made under the weaker policy serves no host of the stricter one.
    connection.send(&Request::get("/x")).expect_refusal(421, "host-not-allowed");
}

#[test]
fn names_that_are_not_served_get_no_certificate() {
    let https = WORLD.https();
    assert!(https.clone().server_name("evil.test").try_connect().is_err());
    assert!(https.clone().server_name("127.0.0.1").try_connect().is_err(), "no name at all");
    https.server_name("x.app.test").connect().send(&Request::get("/x")).expect(200);
}

#[test]
fn without_a_name_a_certificate_only_where_the_file_says_so() {
    let authority = CertificateAuthority::new();
    let config = [
        &BASE.replace("certificates:", "certificates:\n  without_sni: api.test"),
        "hosts: [api.test]\nupstreams: [{name: u, endpoints: [\"http://127.0.0.1:9\"]}]\n",
        "routes: [{name: x, path: /x, access: public, forward: {upstream: u}}]\n",
    ]
    .concat();
    let gateway = launch(&config, &authority).start();
    let anybody = portcullis_testkit::authority::Trust::Anybody;
    let mut connection = gateway.https(anybody).server_name("127.0.0.1").connect();
    connection.send(&Request::get("/none")).expect_refusal(404, "route-not-found");
    let shown = connection.tls().unwrap().peer_certificates().unwrap()[0].clone();
    let mut named = gateway.https(authority.trust()).connect();
    named.send(&Request::get("/none")).expect(404);
    assert_eq!(named.tls().unwrap().peer_certificates().unwrap()[0], shown);
}

#[test]
fn alpn_chooses_the_version() {
    let chosen = |offered: &[&'static str]| {
        let connection = WORLD.https().protocols(offered).connect();
        connection.tls().unwrap().alpn_protocol().map(<[u8]>::to_vec)
    };
    assert_eq!(chosen(&["http/1.1"]), Some(b"http/1.1".to_vec()));
    assert_eq!(chosen(&["http/1.1", "h2"]), Some(b"h2".to_vec()));
    assert_eq!(chosen(&[]), None);
    assert!(WORLD.https().protocols(&["imap"]).try_connect().is_err());
}

#[test]
fn a_certificate_made_at_start_serves_development() {
    let upstream = Upstream::start();
    let config = format!(
        r#"
version: 1
listeners: [{{name: https, address: "127.0.0.1:0", tls: {{minimum_version: "1.2"}}}}]
hosts: [localhost]
certificates: {{self_signed: [localhost]}}
admin: {{address: "127.0.0.1:0", probes: "127.0.0.1:0"}}
upstreams: [{{name: u, endpoints: ["{}"]}}]
routes: [{{name: all, path: "/{{*rest}}", access: public, forward: {{upstream: u}}}}]
"#,
        upstream.url()
    );
    let gateway = bare(&config).start();
    let anybody = portcullis_testkit::authority::Trust::Anybody;
    let client = gateway.https(anybody).server_name("localhost");
    client.send(&Request::get("/x").host("localhost")).expect(200);
    // This listener allows the older version for all of its names.
    client.only_tls12().send(&Request::get("/x").host("localhost")).expect(200);
}

#[test]
fn certificates_for_public_names_are_never_made_here() {
    let config = r#"
version: 1
hosts: [www.example.org]
certificates: {self_signed: [www.example.org]}
upstreams: [{name: u, endpoints: ["http://127.0.0.1:9"]}]
routes: [{name: all, path: "/{*rest}", access: public, forward: {upstream: u}}]
"#;
    let checked = bare(config).command(&["check", "gateway.yaml"]);
    assert_eq!(checked.code, 1, "{}", checked.stdout);
    assert!(format!("{}{}", checked.stdout, checked.stderr).contains("www.example.org"));
}
