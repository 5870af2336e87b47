//! What scanners and other libraries say of the TLS of the defaults. testssl.sh is slower and run by
//! hand; docs/tls.md has its findings.

use std::sync::LazyLock;
use std::time::Duration;

use portcullis_testkit::process::{Finished, run};
use portcullis_testkit::{CertificateAuthority, Gateway, Upstream, tools};

use crate::world::{BASE, bare};

const REST: &str = r#"
hosts: [api.test]
routes: [{name: all, path: "/{*rest}", access: public, forward: {upstream: u}}]
"#;

const LIMIT: Duration = Duration::from_mins(1);

/// A gateway with a certificate as public authorities make them: at the defaults, and with TLS 1.2.
struct Scanned {
    gateway: Gateway,
    _upstream: Upstream,
}

static SCANNED: LazyLock<Scanned> = LazyLock::new(|| {
    let upstream = Upstream::start();
    let upstreams = format!("upstreams: [{{name: u, endpoints: [\"{}\"]}}]\n", upstream.url());
    let old =
        "{name: old, address: \"127.0.0.1:0\", tls: {minimum_version: \"1.2\"}}\n  - {name: plain";
    let base = BASE.replace("{name: plain", old);
    let authority = CertificateAuthority::new();
    let pair = authority.issue_as_public(&["api.test"]);
    let launch = bare(&[&base, &upstreams, REST].concat())
        .file("tls.crt", &pair.certificate)
        .file("tls.key", &pair.key)
        .file("ca.pem", authority.pem())
        .file("admin-token", "an-admin-token-of-the-tests");
    Scanned { gateway: launch.start(), _upstream: upstream }
});

impl Scanned {
    fn run(&self, program: &std::path::Path, arguments: &[&str]) -> Finished {
        run(program, arguments, self.gateway.launch().folder(), &[], "Q\n", LIMIT)
    }

    fn port(&self, listener: &str) -> u16 {
        self.gateway.address(listener).port()
    }
}

/// What sslyze holds against a listener, by Mozilla's profile `profile`.
#[track_caller]
fn findings(listener: &str, profile: &str) -> Option<Vec<String>> {
    let sslyze = tools::sslyze()?;
    let target = format!("api.test:{}{{127.0.0.1}}", SCANNED.port(listener));
    let done = SCANNED.run(&sslyze, &["--mozilla_config", profile, &target]);
    let text = done.stdout;
    let (_, verdict) = text.split_once("COMPLIANCE AGAINST").unwrap_or_else(|| panic!("{text}"));
    assert!(verdict.contains(&format!("\"{profile}\"")), "{text}");
    assert!(verdict.contains("FAILED - Not compliant."), "{text}");
    let findings = verdict.lines().filter_map(|line| line.trim().strip_prefix("* "));
    let kinds = findings.map(|line| line.split(':').next().unwrap_or(line).to_owned());
    Some(kinds.collect())
}

/// The one finding is that the authority is the tests' own.
#[test]
fn sslyze_finds_mozillas_profiles_kept() {
    for (listener, profile) in
        [("https", "modern"), ("https", "intermediate"), ("old", "intermediate")]
    {
        let Some(found) = findings(listener, profile) else { return };
        assert_eq!(found, ["certificate_path_validation"], "{listener}, {profile}");
    }
}

/// The scanner would find what there is to find: TLS 1.2 is not `modern`.
#[test]
fn sslyze_tells_tls12_from_the_modern_profile() {
    let Some(found) = findings("old", "modern") else { return };
    assert!(found.iter().any(|kind| kind == "tls_versions"), "{found:?}");
}

/// Lines of `sslscan` that begin with one of `words`, their blanks made one.
#[track_caller]
fn scanned(listener: &str, words: &[&str]) -> Option<Vec<String>> {
    let sslscan = tools::program("sslscan")?;
    let target = format!("127.0.0.1:{}", SCANNED.port(listener));
    let done = SCANNED.run(&sslscan, &["--no-colour", "--sni-name=api.test", &target]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let wanted = done.stdout.lines().filter(|line| words.iter().any(|word| line.starts_with(word)));
    let one_blank = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(wanted.map(one_blank).collect())
}

#[test]
fn sslscan_finds_what_is_offered_and_nothing_else() {
    let words = ["SSLv", "TLSv1.", "Session renegotiation", "Preferred", "Accepted"];
    let Some(lines) = scanned("https", &words) else { return };
    assert_eq!(
        lines,
        [
            "SSLv2 disabled",
            "SSLv3 disabled",
            "TLSv1.0 disabled",
            "TLSv1.1 disabled",
            "TLSv1.2 disabled",
            "TLSv1.3 enabled",
            "Session renegotiation not supported",
            "TLSv1.3 not vulnerable to heartbleed",
            "Preferred TLSv1.3 128 bits TLS_AES_128_GCM_SHA256 Curve 25519 DHE 253",
            "Accepted TLSv1.3 256 bits TLS_AES_256_GCM_SHA384 Curve 25519 DHE 253",
            "Accepted TLSv1.3 256 bits TLS_CHACHA20_POLY1305_SHA256 Curve 25519 DHE 253",
            "TLSv1.3 128 bits secp256r1 (NIST P-256)",
            "TLSv1.3 192 bits secp384r1 (NIST P-384)",
            "TLSv1.3 128 bits x25519",
        ]
    );
    let Some(lines) = scanned("old", &["Preferred TLSv1.2", "Accepted  TLSv1.2"]) else { return };
    let ciphers: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').nth(4)).collect();
    assert_eq!(
        ciphers,
        [
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ]
    );
}

/// `openssl s_client` with `arguments`: what it printed, and whether there was a handshake.
fn s_client(listener: &str, arguments: &[&str]) -> Option<(String, bool)> {
    let openssl = tools::program("openssl")?;
    let target = format!("127.0.0.1:{}", SCANNED.port(listener));
    let fixed = ["s_client", "-connect", &target, "-CAfile", "ca.pem", "-verify_return_error"];
    let done = SCANNED.run(&openssl, &[&fixed, arguments].concat());
    let text = done.stdout + &done.stderr;
    let agreed = text.contains("Verify return code: 0 (ok)") && !text.contains("Cipher is (NONE)");
    Some((text, agreed))
}

#[test]
fn openssl_speaks_with_it_by_the_policy() {
    let name = ["-servername", "api.test", "-verify_hostname", "api.test"];
    let with = |more: &[&'static str]| [name.as_slice(), more].concat();
    let Some((text, agreed)) = s_client("https", &with(&["-tls1_3", "-alpn", "h2"])) else {
        return;
    };
    assert!(agreed && text.contains("TLSv1.3") && text.contains("ALPN protocol: h2"), "{text}");
    let (text, agreed) = s_client("https", &with(&["-tls1_2"])).unwrap();
    assert!(!agreed && text.contains("alert protocol version"), "{text}");
    let (text, agreed) = s_client("old", &with(&["-tls1_2"])).unwrap();
    assert!(agreed && text.contains("TLSv1.2") && text.contains("ECDHE-ECDSA-AES256"), "{text}");
    assert!(text.contains("Extended master secret: yes"), "{text}");
    let static_rsa = with(&["-tls1_2", "-cipher", "AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA256"]);
    let (text, agreed) = s_client("old", &static_rsa).unwrap();
    assert!(!agreed && text.contains("handshake failure"), "{text}");
    let (text, agreed) = s_client("https", &["-noservername"]).unwrap();
    assert!(!agreed && text.contains("unrecognized name"), "{text}");
}
