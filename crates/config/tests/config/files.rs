//! The ways in: files on disk, what they name, and how a refusal reads.

use std::path::Path;
use std::time::Duration;

use portcullis_config::{LoadOptions, Loaded, Report, check_text, load};

use crate::options;

const MINIMAL: &str = "version: 1
listeners: [{name: http, address: '127.0.0.1:8080', cleartext: true}]
hosts: [localhost]
upstreams: [{name: app, endpoints: ['http://127.0.0.1:8000']}]
routes: [{name: app, path: '/{*rest}', access: public, forward: {upstream: app}}]
";

const TLS: &str = "version: 1
hosts: [api.test, '*.ui.test']
certificates: {files: [{certificate: tls.crt, key: {file: tls.key}}]}
upstreams: [{name: app, endpoints: ['http://127.0.0.1:8000']}]
routes: [{name: app, path: '/{*rest}', access: public, forward: {upstream: app}}]
";

/// A certificate for `names` and its key, in PEM.
fn pair(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn messages(report: &Report) -> Vec<String> {
    report.entries().iter().map(|entry| format!("{}: {}", entry.path, entry.message)).collect()
}

#[track_caller]
fn refused(result: Result<Loaded, Report>) -> Vec<String> {
    messages(&result.expect_err("a mistake"))
}

fn write(folder: &Path, name: &str, content: &[u8]) {
    std::fs::write(folder.join(name), content).expect("a file");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let report = load(Path::new("/nowhere/gateway.yaml"), &options()).expect_err("no file");
    let text = report.render_text(false);
    assert!(text.contains("the file cannot be read: No such file or directory"), "{text}");
    assert!(text.contains("/nowhere/gateway.yaml: 1 mistake"), "{text}");
    assert_eq!((report.entries()[0].line, report.entries()[0].column), (0, 0));
}

#[test]
fn c47_large_files_and_other_encodings_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gateway.yaml");
    std::fs::write(&path, format!("{MINIMAL}{}", "# x\n".repeat(1_250_000))).expect("5 MB");
    assert_eq!(refused(load(&path, &options())), [": the file is larger than 1MiB"]);
    std::fs::write(&path, b"version: 1\nname: \xff\n").expect("a file");
    let expected = [": the file is not UTF-8: the first wrong byte is at 17"];
    assert_eq!(refused(load(&path, &options())), expected);
    assert_eq!(refused(load(folder.path(), &options())).len(), 1, "a folder");
}

#[test]
fn c47_a_byte_order_mark_says_nothing() {
    let loaded = check_text("x", &format!("\u{feff}{MINIMAL}"), &options());
    assert!(loaded.is_ok(), "{loaded:?}");
    let report = check_text("x", "\u{feff}versoin: 1\n", &options()).expect_err("a typo");
    let typo = &report.entries()[0];
    assert_eq!((typo.line, typo.column, typo.path.as_str()), (1, 1, "versoin"));
}

#[test]
fn the_hash_is_that_of_the_file() {
    let loaded = check_text("x", MINIMAL, &options()).expect("no mistake");
    let other = check_text("x", &format!("{MINIMAL}#\n"), &options()).expect("no mistake");
    assert_eq!(loaded.snapshot.hash.len(), 64);
    assert_ne!(loaded.snapshot.hash, other.snapshot.hash);
}

#[test]
fn a_report_reads_as_json() {
    let text = "version: 1\nhosts: [a.test]\nroutse: []\n";
    let report = check_text("gateway.yaml", text, &options()).expect_err("a typo");
    let json: serde_json::Value = serde_json::from_str(&report.render_json()).expect("JSON");
    let typo = &json.as_array().expect("a list").iter().find(|e| e["path"] == "routse");
    let typo = typo.expect("the typo");
    assert_eq!(typo["file"], "gateway.yaml");
    assert_eq!((&typo["line"], &typo["column"]), (&3.into(), &1.into()));
    assert_eq!(typo["message"], "unknown key `routse`");
    assert_eq!(typo["help"], "did you mean `routes`?");
    assert!(typo["expected"].as_str().is_some_and(|keys| keys.contains("`routes`")));
}

#[test]
fn paths_start_at_the_folder_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!("{MINIMAL}admin: {{token: {{file: secrets/token}}}}\n");
    write(folder.path(), "gateway.yaml", text.as_bytes());
    let path = folder.path().join("gateway.yaml");
    let missing = refused(load(&path, &options()));
    assert_eq!(missing.len(), 1);
    assert!(missing[0].starts_with("admin.token.file: ") && missing[0].contains("secrets/token"));
    std::fs::create_dir(folder.path().join("secrets")).expect("a folder");
    write(folder.path(), "secrets/token", b"0123456789abcdef\n");
    let loaded = load(&path, &options()).expect("no mistake");
    let token = loaded.snapshot.admin.token.expect("a token");
    assert_eq!(token.expose(), b"0123456789abcdef");
    assert_eq!(loaded.snapshot.files, [folder.path().join("secrets/token")]);
    write(folder.path(), "secrets/token", b"short\n");
    assert_eq!(
        refused(load(&path, &options())),
        ["admin.token: the token is too short to be safe"]
    );
    write(folder.path(), "secrets/token", b"\n");
    assert_eq!(refused(load(&path, &options())), ["admin.token.file: the secret is empty"]);
    let unread = LoadOptions { read_files: false, ..options() };
    assert!(load(&path, &unread).is_ok(), "--no-files");
}

#[test]
fn secrets_come_from_the_environment_too() {
    for token in ["{env: TOKEN}", "'${TOKEN}'"] {
        let text = format!("{MINIMAL}admin: {{token: {token}}}\n");
        let loaded = check_text("x", &text, &options()).expect(token);
        let view = loaded.snapshot.redacted.to_string();
        assert!(!view.contains("a-token-of-some-length"), "{view}");
        let debug = format!("{:?}", loaded.snapshot);
        assert!(!debug.contains("a-token-of-some-length"), "{debug}");
        let secret = loaded.snapshot.admin.token.expect(token);
        assert_eq!(secret.expose(), b"a-token-of-some-length");
    }
    let unset = format!("{MINIMAL}admin: {{token: {{env: NO_TOKEN}}}}\n");
    let expected = ["admin.token.env: the environment variable `NO_TOKEN` is not set"];
    assert_eq!(refused(check_text("x", &unset, &options())), expected);
    let unread = LoadOptions { read_files: false, ..options() };
    for token in ["{env: NO_TOKEN}", "'${NO_TOKEN}'"] {
        let text = format!("{MINIMAL}admin: {{token: {token}}}\n");
        assert!(check_text("x", &text, &unread).is_ok(), "{token} with --no-files");
    }
}

#[test]
fn the_view_has_defaults_and_references_as_written() {
    let text = MINIMAL.replace("http://127.0.0.1:8000", "http://${APP:-127.0.0.1}:8000");
    let loaded = check_text("x", &text, &options()).expect("no mistake");
    let view = &loaded.snapshot.redacted;
    assert_eq!(view["upstreams"][0]["endpoints"][0], "http://${APP:-127.0.0.1}:8000");
    assert_eq!(view["connections"]["request_head"]["size"], "32KiB");
    assert_eq!(view["hosts"][0], "localhost");
    assert_eq!(view["routes"][0]["access"], "public");
    assert_eq!(view["clients"]["trusted_proxies"], serde_json::json!([]));
    let upstream = &loaded.snapshot.upstreams["app"];
    assert_eq!(upstream.endpoints[0].to_string(), "127.0.0.1:8000");
    assert_eq!(upstream.timeouts.idle, Duration::from_secs(4));
}

#[test]
fn certificates_are_read_and_must_fit() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "gateway.yaml", TLS.as_bytes());
    let path = folder.path().join("gateway.yaml");
    let missing = refused(load(&path, &options()));
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(missing[0].starts_with("certificates.files[0]: "), "{missing:?}");
    write(folder.path(), "tls.crt", b"no certificate");
    write(folder.path(), "tls.key", b"no key");
    let garbage = refused(load(&path, &options()));
    assert_eq!(garbage.len(), 1, "{garbage:?}");
    let unread = LoadOptions { read_files: false, ..options() };
    assert!(load(&path, &unread).is_ok(), "--no-files");
}

#[test]
fn a_pair_that_fits_serves_its_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = TLS.replace("'*.ui.test'", "old.test");
    write(folder.path(), "gateway.yaml", text.as_bytes());
    let path = folder.path().join("gateway.yaml");
    let one = pair(&["api.test", "old.test"]);
    let other = pair(&["api.test"]);
    write(folder.path(), "tls.crt", one.0.as_bytes());
    write(folder.path(), "tls.key", one.1.as_bytes());
    let loaded = load(&path, &options()).expect("a pair");
    let files = ["tls.crt", "tls.key"].map(|name| folder.path().join(name));
    assert_eq!(loaded.snapshot.files, files);
    assert_eq!(loaded.snapshot.tls.sources.files[0].certificate, files[0]);
    write(folder.path(), "tls.key", other.1.as_bytes());
    let mismatch = refused(load(&path, &options()));
    assert_eq!(mismatch.len(), 1, "{mismatch:?}");
    assert!(mismatch[0].starts_with("certificates.files[0]: "), "{mismatch:?}");
    write(folder.path(), "tls.crt", other.0.as_bytes());
    let expected = ["hosts[1]: no certificate is given for `old.test`"];
    assert_eq!(refused(load(&path, &options())), expected);
}

#[test]
fn trust_files_hold_certificates() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = "endpoints: ['https://app.test'], tls: {trust: {file: ca.pem}}";
    let text = MINIMAL.replace("endpoints: ['http://127.0.0.1:8000']", upstream);
    write(folder.path(), "gateway.yaml", text.as_bytes());
    let path = folder.path().join("gateway.yaml");
    write(folder.path(), "ca.pem", b"nothing");
    let expected = ["upstreams[0].tls.trust.file: there is no certificate in this file"];
    assert_eq!(refused(load(&path, &options())), expected);
    write(folder.path(), "ca.pem", pair(&["ca.test"]).0.as_bytes());
    let loaded = load(&path, &options()).expect("a certificate");
    let tls = loaded.snapshot.upstreams["app"].tls.clone().expect("TLS");
    assert_eq!(tls.trust.map(|ders| ders.len()), Some(1));
}

#[test]
fn a_signing_key_must_sign() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!("{MINIMAL}identity: {{signing_key: {{file: key.pem}}}}\n");
    write(folder.path(), "gateway.yaml", text.as_bytes());
    let path = folder.path().join("gateway.yaml");
    write(folder.path(), "key.pem", b"no key");
    let bad = refused(load(&path, &options()));
    assert_eq!(bad.len(), 1, "{bad:?}");
    assert!(bad[0].starts_with("identity.signing_key: the key cannot sign"), "{bad:?}");
    write(folder.path(), "key.pem", portcullis_authn::identity::generate_key_pem().as_bytes());
    let loaded = load(&path, &options()).expect("a key");
    assert!(loaded.snapshot.identity.signing_key.is_some());
}

#[test]
fn a_host_without_certificate_is_named() {
    let text = MINIMAL
        .replace(", cleartext: true", "")
        .replace("[localhost]", "[a.test, '*.b.test', 127.0.0.1]");
    let expected = [
        "hosts[0]: no certificate is given for `a.test`",
        "hosts[1]: no certificate is given for `*.b.test`",
    ];
    assert_eq!(refused(check_text("x", &text, &options())), expected);
    let covered = format!("{text}certificates: {{self_signed: [a.test, '*.b.test']}}\n");
    let loaded = check_text("x", &covered, &options()).expect("all have one");
    let rules: Vec<_> = loaded.advice.iter().map(|advice| advice.rule.number).collect();
    assert!(rules.contains(&"A004"), "{rules:?}");
}
