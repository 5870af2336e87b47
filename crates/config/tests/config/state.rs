//! `state`: where what must be remembered lives.

use std::path::PathBuf;

use portcullis_config::{Environment, LoadOptions, check_text, load};

use crate::options;

const REST: &str = "version: 1
listeners: [{name: http, address: '127.0.0.1:8080', cleartext: true}]
hosts: [localhost]
upstreams: [{name: app, endpoints: ['http://127.0.0.1:8000']}]
routes: [{name: app, path: '/{*rest}', access: public, forward: {upstream: app}}]
";

const KEY: &str = "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=";

fn with_key(key: &str) -> LoadOptions {
    LoadOptions { environment: Environment::fixed([("KEY", key)]), ..options() }
}

/// What is said of `state`, and where.
#[track_caller]
fn refused(state: &str, options: &LoadOptions) -> Vec<String> {
    let report = check_text("x", &format!("{REST}{state}\n"), options).expect_err(state);
    report.entries().iter().map(|entry| format!("{}: {}", entry.path, entry.message)).collect()
}

#[test]
fn without_a_word_all_is_made() {
    let snapshot = check_text("x", REST, &options()).expect("no mistake").snapshot;
    assert_eq!((snapshot.state.durable, snapshot.state.encryption_key), (None, None));
    let said = format!("{REST}state: {{shared: memory}}\n");
    let snapshot = check_text("x", &said, &options()).expect("no mistake").snapshot;
    assert_eq!(snapshot.state.durable, None);
}

#[test]
fn a_file_and_a_key_are_taken() {
    let text =
        format!("{REST}state: {{durable: 'sqlite:/s/state.db', encryption_key: {{env: KEY}}}}\n");
    let snapshot = check_text("x", &text, &with_key(KEY)).expect("no mistake").snapshot;
    assert_eq!(snapshot.state.durable, Some(PathBuf::from("/s/state.db")));
    let key = snapshot.state.encryption_key.expect("a key");
    assert_eq!(key.expose_str(), Some(KEY));
    assert!(!snapshot.redacted.to_string().contains(KEY));
    assert_eq!(snapshot.redacted["state"]["durable"], "sqlite:/s/state.db");
}

#[test]
fn a_path_starts_at_the_folder_of_the_file_and_a_key_file_is_watched() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gateway.yaml");
    let state = "state: {durable: 'sqlite:kept/x.db', encryption_key: {file: seal}}\n";
    std::fs::write(&path, format!("{REST}{state}")).expect("a file");
    std::fs::write(folder.path().join("seal"), format!("{KEY}\n")).expect("a file");
    let snapshot = load(&path, &options()).expect("no mistake").snapshot;
    assert_eq!(snapshot.state.durable, Some(folder.path().join("kept/x.db")));
    assert_eq!(snapshot.state.encryption_key.expect("a key").expose_str(), Some(KEY));
    assert_eq!(snapshot.files, [folder.path().join("seal")], "the store is no part of the file");
}

#[test]
fn other_places_are_refused() {
    let no_place =
        |text: &str| vec![format!("state.durable: `{text}` is no place to keep anything")];
    for text in
        ["/s/state.db", "sqlite:", "sqlite::memory:", "sqlite:/s/", "file:/s/x", "mysql://x"]
    {
        assert_eq!(refused(&format!("state: {{durable: '{text}'}}"), &options()), no_place(text));
    }
    let later = ["state.durable: `postgres` is not in this version"];
    for text in ["postgres", "postgres://db/portcullis", "postgresql://db/portcullis"] {
        assert_eq!(refused(&format!("state: {{durable: '{text}'}}"), &options()), later);
    }
}

#[test]
fn what_comes_later_is_said_so() {
    let later = |path: &str, word: &str| vec![format!("{path}: `{word}` is not in this version")];
    for (state, path, word) in [
        ("{durable: {postgres: {url: x}}}", "state.durable.postgres", "postgres"),
        ("{shared: {redis: {url: 'rediss://r'}}}", "state.shared.redis", "redis"),
        ("{shared: redis}", "state.shared", "redis"),
        ("{when_unreachable: local}", "state.when_unreachable", "when_unreachable"),
        ("{when_unreachable: refuse}", "state.when_unreachable", "when_unreachable"),
        ("{encryption_key: {vault: 'secret/x#y'}}", "state.encryption_key.vault", "vault"),
    ] {
        assert_eq!(refused(&format!("state: {state}"), &options()), later(path, word), "{state}");
    }
    assert_eq!(
        refused("state: {shared: disk}", &options()),
        ["state.shared: `disk` is not known here"]
    );
}

#[test]
fn a_weak_key_and_one_in_the_file_are_refused() {
    let env = "state: {encryption_key: {env: KEY}}";
    let weak = ["state.encryption_key: the key is too weak to seal anything"];
    for key in
        ["changeme", &KEY[4..], "0000000000000000000000000000000000000000000000000000000000000000"]
    {
        assert_eq!(refused(env, &with_key(key)), weak, "{key}");
    }
    let open = format!("state: {{encryption_key: {KEY}}}");
    let told = refused(&open, &options());
    assert_eq!(told, ["state.encryption_key: a secret may not stand in the file"]);
    let missing = ["state.encryption_key.env: the environment variable `KEY` is not set"];
    assert_eq!(refused(env, &options()), missing);
    let elsewhere = LoadOptions { read_files: false, ..options() };
    let text = format!("{REST}state: {{encryption_key: {{file: /run/secrets/state}}}}\n");
    assert!(check_text("x", &text, &elsewhere).is_ok(), "on another machine the key is not needed");
}
