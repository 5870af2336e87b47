//! What is spoken in a handshake, and what is not: versions, groups, suites, names, protocols,
//! sessions. The other side is OpenSSL. C37 (④ ⑤).

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use portcullis_testkit::authority::Trust;
use portcullis_testkit::process::run;
use portcullis_testkit::{CertificateAuthority, Gateway, Upstream, tools, until_true};

use crate::world::{BASE, launch};

const LIMIT: Duration = Duration::from_secs(30);

const SOON: Duration = Duration::from_secs(10);

/// Listeners with a policy each, and two tenants with a certificate each.
const LISTENERS: &str = r#"
  - {name: https, address: "127.0.0.1:0"}
  - {name: older, address: "127.0.0.1:0", tls: {minimum_version: "1.2"}}
  - {name: h1, address: "127.0.0.1:0", protocols: [http/1.1]}
"#;

const HOSTS: &str = r#"
hosts:
  - api.test
  - {name: old.test, tls: {minimum_version: "1.2"}}
  - {name: strict.test, tls: {minimum_version: "1.3"}}
  - tenant.test
  - "*.wild.test"
"#;

struct World {
    gateway: Gateway,
    trust: String,
    text: String,
    _upstream: Upstream,
}

static WORLD: LazyLock<World> = LazyLock::new(|| World::start(""));

impl World {
    fn start(more: &str) -> Self {
        let upstream = Upstream::start();
        let pair = |name: &str| {
            format!("{{certificate: \"@DIR@/{name}.crt\", key: {{file: \"@DIR@/{name}.key\"}}}}")
        };
        let files = ["rsa", "tls", "tenant", "wild"].map(pair).join(", ");
        let text = BASE
            .replace("\n  - {name: https, address: \"127.0.0.1:0\"}", LISTENERS.trim_end())
            .replace(&pair("tls"), &files)
            + HOSTS
            + "upstreams: [{name: u, endpoints: [\""
            + &upstream.url()
            + "\"]}]\nroutes: [{name: x, path: /x, access: public, forward: {upstream: u}}]\n";
        let text = text.replace("certificates:", &format!("certificates:{more}"));
        let authority = CertificateAuthority::new();
        let names = ["api.test", "old.test", "strict.test"];
        let mut prepared = launch(&text, &authority).file("ca.pem", authority.pem());
        for (name, pair) in [
            ("rsa", authority.issue_rsa(&names)),
            ("tls", authority.issue(&names)),
            ("tenant", authority.issue(&["tenant.test"])),
            ("wild", authority.issue(&["*.wild.test"])),
        ] {
            prepared = prepared.file(&format!("{name}.crt"), &pair.certificate);
            prepared = prepared.file(&format!("{name}.key"), &pair.key);
        }
        let trust = prepared.folder().join("ca.pem").to_string_lossy().into_owned();
        Self { gateway: prepared.start(), trust, text, _upstream: upstream }
    }

    /// What `openssl s_client` says of a handshake with a listener; `None` where it is missing.
    fn client(&self, listener: &str, arguments: &[&str], input: &str) -> Option<String> {
        let address = self.gateway.address(listener).to_string();
        let fixed = ["s_client", "-connect", &address, "-CAfile", &self.trust];
        openssl(self.gateway.launch().folder(), &[&fixed[..], arguments].concat(), input)
    }
}

fn openssl(folder: &Path, arguments: &[&str], input: &str) -> Option<String> {
    let program = tools::program("openssl")?;
    let finished = run(&program, arguments, folder, &[], input, LIMIT);
    Some(finished.stdout + &finished.stderr)
}

/// A handshake comes about, and what it settles has all of `parts` in it.
#[track_caller]
fn check(listener: &str, arguments: &[&str], parts: &[&str]) {
    let Some(said) = WORLD.client(listener, arguments, "") else { return };
    assert!(said.contains("Verify return code: 0 (ok)"), "{arguments:?}: {said}");
    for part in parts {
        assert!(said.contains(part), "{arguments:?}, {part}: {said}");
    }
}

/// A handshake is refused with `alert`, and nobody's certificate is shown.
#[track_caller]
fn refused(listener: &str, arguments: &[&str], alert: u8) {
    let Some(said) = WORLD.client(listener, arguments, "") else { return };
    assert!(said.contains(&format!("SSL alert number {alert}\n")), "{arguments:?}: {said}");
    assert!(said.contains("no peer certificate available"), "{arguments:?}: {said}");
    assert!(!said.contains("BEGIN CERTIFICATE"), "{arguments:?}: {said}");
}

const API: &[&str] = &["-servername", "api.test"];

fn with<'a>(name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["-servername", name], more].concat()
}

#[test]
fn the_newest_openssl_agrees_on_a_post_quantum_group() {
    let Some(python) = tools::python() else { return };
    let script = tools::workspace().join("tests/e2e/parties/tls_client.py");
    let (script, port) =
        (script.to_string_lossy(), WORLD.gateway.address("https").port().to_string());
    let arguments = [&*script, &port, "api.test", &WORLD.trust];
    let said = run(&python, &arguments, Path::new("/"), &[], "", LIMIT);
    assert_eq!(
        said.stdout.trim(),
        "TLSv1.3 TLS_AES_256_GCM_SHA384 X25519MLKEM768 h2",
        "{}",
        said.stderr
    );
}

#[test]
fn older_clients_agree_on_a_classic_group() {
    let group = |group| with("api.test", &["-groups", group]);
    check("https", API, &["New, TLSv1.3", "Server Temp Key: X25519"]);
    check("https", &group("P-256"), &["Server Temp Key: ECDH, prime256v1"]);
    check("https", &group("P-384"), &["Server Temp Key: ECDH, secp384r1"]);
    // The order is the client's.
    check("https", &group("P-384:P-256:X25519"), &["Server Temp Key: ECDH, secp384r1"]);
    refused("https", &group("P-521"), 40);
    refused("https", &group("X448"), 40);
    refused("older", &[&group("ffdhe2048")[..], &["-tls1_2"]].concat(), 40);
}

#[test]
fn tls_1_2_is_spoken_where_it_is_said_and_nothing_older_anywhere() {
    refused("https", &with("api.test", &["-tls1_2"]), 70);
    refused("https", &with("strict.test", &["-tls1_2"]), 70);
    check("https", &with("old.test", &["-tls1_2"]), &["New, TLSv1.2"]);
    check("https", &with("old.test", &[]), &["New, TLSv1.3"]);
    check(
        "older",
        &with("api.test", &["-tls1_2"]),
        &["New, TLSv1.2", "Extended master secret: yes"],
    );
    check("older", &with("api.test", &[]), &["New, TLSv1.3"]);
    refused("older", &with("strict.test", &["-tls1_2"]), 70);
    for version in ["-tls1", "-tls1_1"] {
        let old = [version, "-cipher", "DEFAULT:@SECLEVEL=0"];
        for listener in ["https", "older"] {
            // rustls misses signature algorithms, which those versions have not, before it looks at
            // the version.
            refused(listener, &with("old.test", &old), 40);
        }
    }
}

/// All that is accepted of what OpenSSL knows: what was chosen is taken from the list until nothing
/// is left.
fn suites(version: &str, wanted: &str) -> Option<Vec<String>> {
    let every = "ALL:COMPLEMENTOFALL";
    let (mut left, mut found) = (format!("{every}:@SECLEVEL=0"), Vec::new());
    loop {
        let said = WORLD.client("older", &with("api.test", &[version, wanted, &left]), "")?;
        let Some((_, rest)) = said.split_once("Cipher is ") else { return Some(found) };
        let suite = rest.lines().next().unwrap_or_default().to_owned();
        if suite == "(NONE)" {
            return Some(found);
        }
        left = left.replacen(every, &format!("{every}:!{suite}"), 1);
        assert!(!found.contains(&suite), "{found:?}");
        found.push(suite);
    }
}

#[test]
fn suites_of_tls_1_2_have_forward_secrecy_and_are_aead() {
    let Some(found) = suites("-tls1_2", "-cipher") else { return };
    let wanted = [
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-CHACHA20-POLY1305",
    ];
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    assert_eq!(sorted(found), sorted(wanted.map(str::to_owned).to_vec()));
    for suite in ["AES128-GCM-SHA256", "ECDHE-RSA-AES256-SHA384", "DHE-RSA-AES256-GCM-SHA384"] {
        refused("older", &with("api.test", &["-tls1_2", "-cipher", suite]), 40);
    }
}

#[test]
fn a_client_is_shown_the_certificate_that_it_can_verify() {
    let ecdsa = "Peer signature type: ECDSA";
    let schemes = |list| with("api.test", &["-sigalgs", list]);
    check("https", API, &[ecdsa]);
    check("https", &schemes("rsa_pss_rsae_sha256"), &["Peer signature type: RSA-PSS"]);
    check("https", &schemes("rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256"), &[ecdsa]);
    refused("https", &schemes("ecdsa_secp384r1_sha384"), 40);
    refused("https", &with("tenant.test", &["-sigalgs", "rsa_pss_rsae_sha256"]), 40);
    let old = |cipher| with("old.test", &["-tls1_2", "-cipher", cipher]);
    check("https", &old("ECDHE-RSA-AES128-GCM-SHA256"), &["Peer signature type: RSA"]);
    check("https", &old("ECDHE-ECDSA-AES128-GCM-SHA256"), &[ecdsa]);
    let both = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256";
    check("https", &old(both), &[ecdsa]);
}

#[test]
fn c37_unknown_names_are_told_so_and_shown_nothing() {
    for listener in ["https", "older", "h1"] {
        // ④
        refused(listener, &["-noservername"], 112);
        refused(listener, &["-noservername", "-tls1_2"], 112);
        // ⑤
        for name in
            ["evil.test", "api.test.evil", "xapi.test", "test", "a.b.wild.test", "wild.test"]
        {
            refused(listener, &with(name, &[]), 112);
        }
    }
    for name in ["API.TEST", "x.wild.test", "X.Wild.Test"] {
        check("https", &with(name, &["-verify_hostname", name]), &["Verified peername:"]);
    }
    // Each tenant has its own.
    check("https", &with("tenant.test", &["-verify_hostname", "tenant.test"]), &[]);
}

#[test]
fn c37_a_shared_certificate_is_shown_to_its_hosts_alone() {
    let authority = CertificateAuthority::new();
    let pair = authority.issue(&["*.test"]);
    let config = [
        BASE,
        "hosts: [app.test, \"api.test:8443\"]\n",
        "upstreams: [{name: u, endpoints: [\"http://127.0.0.1:9\"]}]\n",
        "routes: [{name: x, path: /x, access: public, forward: {upstream: u}}]\n",
    ];
    let prepared = launch(&config.concat(), &authority);
    let prepared = prepared.file("tls.crt", &pair.certificate).file("tls.key", &pair.key);
    let gateway = prepared.start();
    let shown =
        |name: &str| gateway.https(Trust::Anybody).server_name(name).try_connect().map(drop);
    shown("app.test").unwrap();
    shown("api.test").unwrap();
    for name in ["evil.test", "test.test", "x.app.test"] {
        let error = shown(name).unwrap_err().to_string();
        assert!(error.contains("UnrecognisedName"), "{name}: {error}");
    }
    // What becomes a host is shown it, and what is none any more is not.
    let text = config.concat().replace("[app.test", "[evil.test");
    gateway.write("gateway.yaml", &text);
    until_true(SOON, "it is taken", || shown("evil.test").is_ok());
    assert!(shown("app.test").is_err());
}

#[test]
fn c37_names_that_are_none_are_refused() {
    // An address is no server name (RFC 6066 §3): as if none were sent.
    refused("https", &with("127.0.0.1", &[]), 112);
    check("https", &with("api.test.", &["-verify_hostname", "api.test"]), &[]);
    for name in
        ["b\u{fc}cher.test", "api..test", "-api.test", "api test", "*.wild.test", ".api.test"]
    {
        let Some(said) = WORLD.client("https", &with(name, &[]), "") else { return };
        assert!(said.contains("SSL alert number"), "{name}: {said}");
        assert!(said.contains("no peer certificate available"), "{name}: {said}");
    }
}

#[test]
fn c37_a_client_without_a_name_gets_what_is_said() {
    let world = World::start("\n  without_sni: tenant.test");
    for version in ["-tls1_3", "-tls1_2"] {
        let arguments = ["-noservername", "-verify_hostname", "tenant.test", version];
        let Some(said) = world.client("older", &arguments, "") else { return };
        assert!(said.contains("Verified peername: tenant.test"), "{said}");
    }
    // Whoever sends a name that is not known still gets nothing.
    let said = world.client("https", &with("evil.test", &[]), "").unwrap_or_default();
    assert!(said.contains("SSL alert number 112"), "{said}");
}

#[test]
fn protocols_are_those_of_the_listener() {
    let alpn = |list| with("api.test", &["-alpn", list]);
    check("https", &alpn("http/1.1,h2"), &["ALPN protocol: h2"]);
    check("https", &alpn("http/1.1"), &["ALPN protocol: http/1.1"]);
    check("https", API, &["No ALPN negotiated"]);
    check("h1", &alpn("h2,http/1.1"), &["ALPN protocol: http/1.1"]);
    check("https", &alpn("spdy/3,h2"), &["ALPN protocol: h2"]);
    for (listener, list) in [("https", "spdy/3"), ("https", "h3"), ("https", "h2c"), ("h1", "h2")] {
        refused(listener, &alpn(list), 120);
    }
    // Without ALPN it is HTTP/1.1.
    let said = WORLD.client("https", &[API, &["-ign_eof"]].concat(), REQUEST);
    let said = said.unwrap_or_default();
    assert!(said.is_empty() || said.contains("HTTP/1.1 200"), "{said}");
}

const REQUEST: &str = "GET /x HTTP/1.1\r\nhost: api.test\r\nconnection: close\r\n\r\n";

/// Makes a session with a request, and keeps it in `file`.
fn keep_session(world: &World, listener: &str, file: &str, more: &[&str]) -> Option<String> {
    let arguments = [API, &["-ign_eof", "-sess_out", file], more].concat();
    let said = world.client(listener, &arguments, REQUEST)?;
    assert!(said.contains("HTTP/1.1 200"), "{said}");
    Some(said)
}

/// Whether the session in `file` goes on.
fn resumes(world: &World, listener: &str, file: &str, more: &[&str]) -> bool {
    let arguments = [API, &["-sess_in", file], more].concat();
    world.client(listener, &arguments, "").is_some_and(|said| {
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        said.contains("Reused, TLSv1.")
    })
}

#[test]
fn sessions_are_resumed_without_early_data() {
    let Some(said) = keep_session(&WORLD, "https", "session", &[]) else { return };
    assert!(said.contains("Max Early Data: 0"), "{said}");
    assert!(said.contains("TLS session ticket lifetime hint: 43200 (seconds)"), "{said}");
    assert!(resumes(&WORLD, "https", "session", &[]));
    // Of another name it is not resumed, whatever a client shows.
    let other = ["-servername", "strict.test", "-sess_in", "session"];
    let said = WORLD.client("https", &other, "").unwrap();
    assert!(said.contains("New, TLSv1.3"), "{said}");
    // A client that sends early data all the same has it ignored.
    let file = WORLD.gateway.launch().folder().join("early");
    fs::write(file, REQUEST).unwrap();
    let early = [API, &["-sess_in", "session", "-early_data", "early"]].concat();
    let said = WORLD.client("https", &early, "").unwrap();
    assert!(!said.contains("Early data was accepted"), "{said}");
    keep_session(&WORLD, "older", "older-session", &["-tls1_2"]);
    assert!(resumes(&WORLD, "older", "older-session", &["-tls1_2"]));
    let strict = [API, &["-sess_in", "older-session", "-tls1_2"]].concat();
    let said = WORLD.client("https", &strict, "").unwrap();
    assert!(said.contains("SSL alert number 70\n"), "{said}");
}

#[test]
fn sessions_outlive_certificates_and_configurations_and_not_the_process() {
    let mut world = World::start("");
    if keep_session(&world, "https", "session", &[]).is_none() {
        return;
    }
    let replaced = |world: &World| world.gateway.process().stderr().join("\n");
    let authority = CertificateAuthority::new();
    let pair = authority.issue(&["api.test", "old.test", "strict.test"]);
    world.gateway.write("tls.key", &pair.key);
    world.gateway.write("tls.crt", &pair.certificate);
    until_true(SOON, "it is taken", || replaced(&world).contains("certificates-replaced"));
    // The authority is another, which who resumes does not see.
    assert!(resumes(&world, "https", "session", &[]));
    world.gateway.write("gateway.yaml", &format!("{}# again\n", world.text));
    until_true(SOON, "it is taken", || replaced(&world).contains("config-reloaded"));
    assert!(resumes(&world, "https", "session", &[]));
    let old = world.gateway.upgrade();
    old.wait(SOON * 3);
    let arguments = [API, &["-sess_in", "session"]].concat();
    let said = world.client("https", &arguments, "").unwrap();
    assert!(said.contains("New, TLSv1.3"), "{said}");
}

#[test]
fn nothing_is_negotiated_anew_stapled_or_compressed() {
    check("https", &with("api.test", &["-status"]), &["OCSP response: no response sent"]);
    check("older", &with("api.test", &["-tls1_2"]), &["Compression: NONE"]);
    let client = ["-tls1_2", "-servername", "api.test"];
    let Some(said) = WORLD.client("older", &client, &format!("R\n{REQUEST}")) else { return };
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
    assert!(!said.contains("HTTP/1.1 200"), "{said}");
}

/// A `ClientHello` of OpenSSL, that offers compression.
fn compressing_hello() -> Option<Vec<u8>> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let program = tools::program("openssl")?;
    let reader = std::thread::spawn(move || {
        let mut bytes = vec![0; 4096];
        let length = listener.accept().unwrap().0.read(&mut bytes).unwrap();
        bytes.truncate(length);
        bytes
    });
    let arguments = ["s_client", "-connect", &address, "-servername", "api.test", "-tls1_2"];
    run(&program, &arguments, Path::new("/"), &[], "", LIMIT);
    let mut hello = reader.join().unwrap();
    // Record and handshake header, version, random; then three lists.
    let session = 5 + 4 + 2 + 32;
    let suites = session + 1 + usize::from(hello[session]);
    let length = usize::from(u16::from_be_bytes([hello[suites], hello[suites + 1]]));
    let compression = suites + 2 + length;
    assert_eq!(hello[compression..compression + 2], [1, 0], "null alone");
    hello.splice(compression..compression + 2, [2, 1, 0]);
    hello[4] = hello[4].checked_add(1).unwrap();
    hello[8] = hello[8].checked_add(1).unwrap();
    Some(hello)
}

#[test]
fn compression_that_is_offered_is_not_taken() {
    let Some(hello) = compressing_hello() else { return };
    let address: SocketAddr = WORLD.gateway.address("older");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(&hello).unwrap();
    let mut head = [0; 5 + 4 + 2 + 32 + 1];
    stream.read_exact(&mut head).unwrap();
    assert_eq!((head[0], head[5]), (22, 2), "a ServerHello");
    let mut rest = vec![0; usize::from(head[head.len() - 1]) + 3];
    stream.read_exact(&mut rest).unwrap();
    assert_eq!(rest.last(), Some(&0), "null");
}
