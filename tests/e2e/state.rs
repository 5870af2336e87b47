//! `state`: what must outlive the process is kept, sealed, and missed where it cannot be had. C38.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_testkit::keys::{Key, base64};
use portcullis_testkit::poll::until_true;
use portcullis_testkit::process::Finished;
use portcullis_testkit::{CertificateAuthority, Gateway, Launch, Request};
use serde_json::Value;

use crate::world::{BASE, HOSTS, launch};

const SOON: Duration = Duration::from_secs(30);

const KEY: &str = "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=";
const OTHER_KEY: &str = "LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=";

/// A gateway whose app is told who calls by a signed token, so that there is a key to keep.
fn prepared(state: &str) -> Launch {
    let rest = "upstreams: [{name: u, endpoints: [\"http://127.0.0.1:9\"]}]\n\
                routes: [{name: r, path: /x, access: public, forward: {upstream: u, identity: {token: signed}}}]\n";
    launch(&[BASE, HOSTS, rest, state, "\n"].concat(), &CertificateAuthority::new())
}

fn state(launch: &Launch) -> PathBuf {
    launch.folder().join("state")
}

fn keys(gateway: &Gateway) -> Value {
    gateway.probe("/.well-known/portcullis/jwks.json").json()["keys"].clone()
}

/// It must not start, and say all of `parts` of why.
#[track_caller]
fn refused(launch: &Launch, parts: &[&str]) -> Finished {
    let finished = launch.start_in_vain();
    assert_eq!(finished.code, 2, "{}", finished.stderr);
    for part in parts {
        assert!(finished.stderr.contains(part), "{part:?} in {}", finished.stderr);
    }
    finished
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_is_kept_is_the_owners_alone() {
    let gateway = prepared("").start();
    let folder = state(gateway.launch());
    for name in ["state.db", "state.db-wal", "state.db-shm", "state.key", "admin.token"] {
        let path = folder.join(name);
        assert!(name == "admin.token" || mode(&path) == 0o600, "{name}");
    }
    assert_eq!(keys(&gateway).as_array().unwrap().len(), 1);
}

#[test]
fn c38_without_the_shared_storage_it_does_not_start() {
    let at_start = ["portcullis could not start", "state.durable"];
    let broken = prepared("");
    let file = state(&broken).join("state.db");
    fs::write(&file, "no database".repeat(1000)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(state(&broken).join("state.key"), KEY).unwrap();
    fs::set_permissions(state(&broken).join("state.key"), fs::Permissions::from_mode(0o600))
        .unwrap();
    refused(&broken, &[at_start[0], at_start[1], "state.db is no state of portcullis"]);
    assert!(fs::read_to_string(&file).unwrap().starts_with("no database"), "it is left alone");
    let nowhere = prepared("state: {durable: \"sqlite:/proc/portcullis/state.db\"}");
    refused(&nowhere, &[at_start[0], at_start[1], "/proc/portcullis"]);
    let open = prepared("state: {durable: \"sqlite:@DIR@/open/state.db\"}");
    fs::create_dir(open.folder().join("open")).unwrap();
    fs::set_permissions(open.folder().join("open"), fs::Permissions::from_mode(0o777)).unwrap();
    refused(&open, &[at_start[0], at_start[1], "open to others"]);
}

#[test]
fn another_key_or_none_opens_nothing_and_replaces_nothing() {
    let with = |key: &str| format!("state: {{encryption_key: {{file: \"@DIR@/{key}\"}}}}");
    let gateway = prepared(&with("seal")).file("seal", KEY).start();
    let before = keys(&gateway);
    let launch = gateway.stop().file("seal", OTHER_KEY);
    refused(&launch, &["state.db was sealed with another encryption key"]);
    let weak = launch.file("seal", "changeme");
    let told = weak.start_in_vain();
    assert_eq!(told.code, 1, "{}", told.stderr);
    assert!(told.stderr.contains("too weak") && told.stderr.contains("openssl rand"));
    // The key that was named is named no more.
    let text = fs::read_to_string(weak.folder().join("gateway.yaml")).unwrap();
    let without = text.lines().filter(|line| !line.starts_with("state:"));
    let without: Vec<&str> = without.collect();
    let lost = weak.file("gateway.yaml", &without.join("\n"));
    refused(&lost, &["state.key", "state.encryption_key"]);
    assert!(!state(&lost).join("state.key").exists(), "no other is made in its place");
    let gateway = lost.file("gateway.yaml", &text).file("seal", KEY).start();
    assert_eq!(keys(&gateway), before);
}

#[test]
fn the_key_of_an_earlier_version_is_taken_over() {
    let key = Key::p256("mine");
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        base64(&key.pkcs8())
    );
    let launch = prepared("");
    let earlier = state(&launch).join("identity.pem");
    fs::write(&earlier, pem).unwrap();
    fs::set_permissions(&earlier, fs::Permissions::from_mode(0o640)).unwrap();
    refused(&launch, &["identity.pem is open to others"]);
    fs::set_permissions(&earlier, fs::Permissions::from_mode(0o600)).unwrap();
    let gateway = launch.start();
    assert_eq!(keys(&gateway)[0]["x"], key.jwk()["x"]);
    let launch = gateway.stop();
    fs::remove_file(&earlier).unwrap();
    let gateway = launch.start();
    assert_eq!(keys(&gateway)[0]["x"], key.jwk()["x"], "kept in the state from then on");
}

#[test]
fn a_reload_does_not_move_the_state() {
    let moved = "state: {durable: \"sqlite:@DIR@/state/other.db\"}";
    let gateway =
        prepared("state: {encryption_key: {file: \"@DIR@/seal\"}}").file("seal", KEY).start();
    let text = fs::read_to_string(gateway.launch().folder().join("gateway.yaml")).unwrap();
    let keyed: String =
        text.lines().filter(|line| line.starts_with("state:")).collect::<Vec<_>>().concat();
    let refusals = || gateway.metric(&["gateway_config_reloads_total", "refused"]);
    gateway.write("gateway.yaml", &text.replace(&keyed, moved));
    until_true(SOON, "the move is refused", || refusals() == 1);
    assert!(gateway.log_line("config-refused").contains("state.durable needs a restart"));
    gateway.write("gateway.yaml", &text);
    until_true(SOON, "the file is taken", || {
        gateway.metric(&["gateway_config_last_reload_success"]) == 1
    });
    gateway.write("seal", OTHER_KEY);
    until_true(SOON, "the key is refused", || refusals() == 2);
    let said = |line: &String| line.contains("state.encryption_key needs a restart");
    assert!(gateway.process().stderr().iter().any(said));
    gateway.plain("plain").send(&Request::get("/none")).expect(404);
}

#[test]
fn processes_on_one_folder_share_one_key() {
    let first = prepared("").start();
    let folder = state(first.launch()).to_string_lossy().into_owned();
    let beside = || prepared("").env("STATE_DIRECTORY", &folder).start();
    let (second, third) = (beside(), beside());
    assert_eq!(keys(&second), keys(&first));
    assert_eq!(keys(&third), keys(&first));
}
