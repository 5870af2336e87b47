//! `certificates.acme.dns`: what is a way to set TXT records, and what is none.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use portcullis_config::{LoadOptions, Loaded, Report, check_text, load};
use portcullis_core::Secret;
use portcullis_tls::acme::{DnsMeans, Rfc2136Settings, TsigAlgorithm};

use crate::options;

const UPDATES: &str = "server: ns1.example.com, key_name: acme-update, secret: {file: key}";

fn text(dns: &str) -> String {
    format!(
        "version: 1
hosts: ['*.example.com']
certificates: {{acme: {{names: ['*.example.com'], dns: {dns}}}}}
upstreams: [{{name: app, endpoints: ['http://127.0.0.1:8000']}}]
routes: [{{name: app, path: '/{{*rest}}', access: public, forward: {{upstream: app}}}}]
"
    )
}

/// Loads a file with this `dns` from a folder with a key and a hook.
fn loaded(dns: &str) -> Result<Loaded, Report> {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, content: &str| std::fs::write(folder.path().join(name), content);
    write("key", "a2V5\n").expect("a file");
    write("hook", "#!/bin/sh\n").expect("a file");
    write("text", "no program").expect("a file");
    let hook = folder.path().join("hook");
    std::fs::set_permissions(hook, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let dns = dns.replace("@DIR@", &folder.path().to_string_lossy());
    write("gateway.yaml", &text(&dns)).expect("a file");
    load(&folder.path().join("gateway.yaml"), &options())
}

fn means(dns: &str) -> DnsMeans {
    let loaded = loaded(dns).unwrap_or_else(|report| panic!("{}", report.render_text(false)));
    loaded.snapshot.tls.acme.expect("orders").dns.expect("a way")
}

fn updates(dns: &str) -> Rfc2136Settings {
    match means(&format!("{{rfc2136: {{{dns}}}}}")) {
        DnsMeans::Rfc2136(settings) => settings,
        DnsMeans::Exec(program) => panic!("{}", program.display()),
    }
}

/// One mistake, below `certificates.acme.dns`.
#[track_caller]
fn check(dns: &str, path: &str, message: &str) {
    let report = loaded(dns).expect_err(dns);
    let entries = report.entries();
    let found: Vec<(&str, &str)> = entries
        .iter()
        .map(|entry| {
            let path = entry.path.strip_prefix("certificates.acme.dns").unwrap_or(&entry.path);
            (path, entry.message.as_str())
        })
        .collect();
    assert_eq!(found.len(), 1, "{dns}: {found:?}");
    assert_eq!(found[0].0, path, "{dns}: {found:?}");
    assert!(found[0].1.contains(message), "{dns}: {found:?}");
}

#[test]
fn a_program_is_named_by_its_absolute_path_and_can_be_run() {
    assert_eq!(means("{exec: /bin/sh}"), DnsMeans::Exec("/bin/sh".into()));
    assert!(matches!(means("{exec: '@DIR@/hook'}"), DnsMeans::Exec(_)));
    check("{exec: hook}", ".exec", "`hook` is not an absolute path");
    check("{exec: ./hook}", ".exec", "is not an absolute path");
    check("{exec: '@DIR@/none'}", ".exec", "cannot be read: No such file");
    check("{exec: '@DIR@/text'}", ".exec", "is not an executable file");
    check("{exec: '@DIR@'}", ".exec", "is not an executable file");
    check("{exec: ''}", ".exec", "this is no path");
    check("{exec: '/bin/sh -c x'}", ".exec", "cannot be read");
}

#[test]
fn updates_have_defaults() {
    let expected = Rfc2136Settings {
        server: "ns1.example.com:53".to_owned(),
        key_name: "acme-update".to_owned(),
        algorithm: TsigAlgorithm::HmacSha256,
        secret: Secret::new("key"),
        zone: None,
        ttl: 60,
        propagation: Duration::ZERO,
    };
    assert_eq!(updates(UPDATES), expected);
    let more = "algorithm: hmac-sha512, zone: example.com, ttl: 5m, propagation: 30s";
    let expected = Rfc2136Settings {
        algorithm: TsigAlgorithm::HmacSha512,
        zone: Some("example.com".to_owned()),
        ttl: 300,
        propagation: Duration::from_secs(30),
        ..expected
    };
    assert_eq!(updates(&format!("{UPDATES}, {more}")), expected);
    for (said, meant) in [
        ("192.0.2.1", "192.0.2.1:53"),
        ("192.0.2.1:5353", "192.0.2.1:5353"),
        ("'[2001:db8::1]'", "[2001:db8::1]:53"),
        ("localhost:53", "localhost:53"),
    ] {
        let dns = UPDATES.replace("ns1.example.com", said);
        assert_eq!(updates(&dns).server, meant);
    }
}

#[test]
fn what_is_no_way_is_refused() {
    let rfc2136 = |from: &str, to: &str| format!("{{rfc2136: {{{}}}}}", UPDATES.replace(from, to));
    let more = |more: &str| format!("{{rfc2136: {{{UPDATES}, {more}}}}}");
    check("{}", "", "found an empty mapping");
    check("exec", "", "`exec` needs a value");
    check(&format!("{{exec: /bin/sh, rfc2136: {{{UPDATES}}}}}"), "", "found a mapping");
    check("{rfc2136: {server: ns1, key_name: k}}", ".rfc2136", "`secret`");
    check(&rfc2136("ns1.example.com", "'ns1:0'"), ".rfc2136.server", "the port is not");
    check(&rfc2136("ns1.example.com", "ns_1/x"), ".rfc2136.server", "the host is not");
    check(&rfc2136("acme-update", "'a b'"), ".rfc2136.key_name", "is not a name in the DNS");
    check(&more("zone: a..b"), ".rfc2136.zone", "is not a name in the DNS");
    check(&more("algorithm: hmac-md5"), ".rfc2136.algorithm", "`hmac-md5`");
    check(&more("ttl: 0s"), ".rfc2136.ttl", "for so long or so short");
    check(&more("ttl: 2h"), ".rfc2136.ttl", "for so long or so short");
    check(&more("propagation: 1h"), ".rfc2136.propagation", "too long");
    check(&more("port: 53"), ".rfc2136.port", "port");
    check(&rfc2136("file: key", "file: gateway.yaml"), ".rfc2136.secret", "not in base64");
    check(&rfc2136("file: key", "file: none"), ".rfc2136.secret.file", "cannot be read");
}

#[test]
fn without_files_nothing_is_read_and_the_way_counts() {
    let options = LoadOptions { read_files: false, ..options() };
    for dns in ["{exec: /nowhere/hook}".to_owned(), format!("{{rfc2136: {{{UPDATES}}}}}")] {
        let loaded = check_text("x", &text(&dns), &options);
        assert!(loaded.is_ok(), "{dns}: {:?}", loaded.map(|_| ()));
    }
    assert!(!Path::new("/nowhere/hook").exists());
}
