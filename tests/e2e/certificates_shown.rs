//! What an operator sees of certificates: `check`, `certificates`, `/readyz` and the metrics.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_core::{Clock, Secret, Timestamp};
use portcullis_state::{Durable as _, Kind, SqliteDurable, StateFolder, made_key};
use portcullis_testkit::poll::until_true;
use portcullis_testkit::{
    CertificateAuthority, Gateway, Launch, Pebble, PebbleOptions, free_address,
};
use serde_json::{Value, json};

use crate::world::{BASE, HOSTS, bare, launch};

const SOON: Duration = Duration::from_secs(30);

/// Nobody is there: what is kept is all there is.
const DIRECTORY: &str = "https://127.0.0.1:9/directory";

const REST: &str = "upstreams: [{name: u, endpoints: [\"http://127.0.0.1:9\"]}]\n\
                    routes: [{name: r, path: /x, access: public, forward: {upstream: u}}]\n";

/// Names of every source; one of them is proved by DNS.
fn config() -> String {
    let certificates = format!(
        "certificates:\n  \
         files: [{{certificate: \"@DIR@/tls.crt\", key: {{file: \"@DIR@/tls.key\"}}}}]\n  \
         self_signed: [dev.localhost]\n  \
         acme:\n    directory: {DIRECTORY}\n    names: [a.acme.test, b.acme.test, \"*.c.acme.test\"]\n    \
         dns: {{exec: /bin/true}}\n"
    );
    let hosts = "hosts: [api.test, dev.localhost, a.acme.test, b.acme.test, \"*.c.acme.test\"]\n";
    let base = BASE.split("certificates:").next().unwrap();
    let admin = BASE.split_once("admin:").unwrap().1;
    [base, &certificates, "admin:", admin, hosts, REST].concat()
}

fn prepared() -> Launch {
    launch(&config(), &CertificateAuthority::new())
}

fn state(launch: &Launch) -> PathBuf {
    launch.folder().join("state")
}

/// The store in a state folder, as a gateway opens it.
fn store(folder: &Path) -> SqliteDurable {
    let file = folder.join("state.db");
    let key = made_key(&StateFolder::open(folder).expect("a folder"), &file).expect("a key");
    SqliteDurable::open(&file, key, Clock::system()).expect("the store opens")
}

fn put(store: &SqliteDurable, kind: Kind, name: &str, value: &Value) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let value = Secret::new(value.to_string());
    runtime.block_on(store.put(kind, name, &value)).expect("it is kept");
}

/// Keeps a certificate for `a.acme.test`, and failures for `b.acme.test`, as an engine would.
fn keep(folder: &Path, next_attempt: &str) {
    let store = store(folder);
    let pair = CertificateAuthority::new().issue(&["a.acme.test"]);
    let kept = json!({"directory": DIRECTORY, "chain": pair.certificate, "key": pair.key});
    put(&store, Kind::Certificate, "a.acme.test", &kept);
    let done = json!({"directory": DIRECTORY, "renew_at": "2100-01-01T00:00:00.000Z"});
    put(&store, Kind::AcmeOrder, "a.acme.test", &done);
    let failed = json!({
        "directory": DIRECTORY, "failures": 3, "next_attempt": next_attempt,
        "last_error": "the authority is not there",
    });
    put(&store, Kind::AcmeOrder, "b.acme.test", &failed);
    let elsewhere = json!({"directory": "https://other.test/dir", "last_error": "of another one"});
    put(&store, Kind::AcmeOrder, "*.c.acme.test", &elsewhere);
}

fn of<'v>(list: &'v Value, name: &str) -> &'v Value {
    let is_it = |one: &&Value| one["names"].as_array().unwrap().contains(&json!(name));
    list.as_array().unwrap().iter().find(is_it).unwrap_or_else(|| panic!("{name} in {list:#}"))
}

#[track_caller]
fn listed(launch: &Launch) -> Value {
    let listed = launch.command(&["certificates", "--json"]);
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    serde_json::from_str(&listed.stdout).expect("JSON")
}

#[test]
fn check_says_how_each_name_gets_its_certificate() {
    let launch = prepared();
    let checked = launch.command(&["check"]);
    assert_eq!(checked.code, 0, "{}", checked.stdout);
    let file = launch.folder().join("tls.crt");
    for line in [
        format!("  a.acme.test: acme (tls-alpn-01, {DIRECTORY})"),
        format!("  *.c.acme.test: acme (dns-01, {DIRECTORY})"),
        format!("  api.test: files ({})", file.display()),
        "  dev.localhost: self_signed".to_owned(),
    ] {
        assert!(checked.stdout.lines().any(|told| told == line), "{line} in {}", checked.stdout);
    }
    assert!(checked.stdout.trim_end().lines().last().unwrap().contains("no mistakes, advice: "));
    let json = |arguments: &[&str]| -> Value {
        let checked = launch.command(arguments);
        assert_eq!(checked.code, 0, "{}", checked.stdout);
        serde_json::from_str(&checked.stdout).expect("JSON")
    };
    let advice = json(&["check", "--format", "json"]);
    assert!(advice.as_array().unwrap().iter().all(|one| one["rule"].is_string()), "{advice}");
    let names = json(&["check", "--certificates", "--format", "json"]);
    let wildcard = names.as_array().unwrap().iter().find(|one| one["name"] == "*.c.acme.test");
    let expected = json!({
        "name": "*.c.acme.test", "source": "acme", "file": null, "challenge": "dns-01",
        "directory": DIRECTORY,
    });
    assert_eq!(wildcard, Some(&expected));
    let elsewhere = json(&["check", "--no-files", "--certificates", "--format", "json"]);
    let unread = elsewhere.as_array().unwrap().iter().find(|one| one["source"] == "files");
    assert_eq!(unread.unwrap()["name"], Value::Null);
    assert_eq!(launch.command(&["check", "--certificates", "--format", "sarif"]).code, 2);
}

#[test]
fn certificates_are_listed_where_nothing_runs_and_nothing_is_made() {
    let launch = prepared();
    let listed = listed(&launch);
    let awaited = of(&listed, "a.acme.test");
    assert_eq!(awaited["source"], "acme");
    assert_eq!(awaited["challenge"], "tls-alpn-01");
    assert_eq!((&awaited["not_after"], &awaited["days_left"]), (&Value::Null, &Value::Null));
    assert_eq!(of(&listed, "*.c.acme.test")["challenge"], "dns-01");
    assert_eq!(of(&listed, "dev.localhost")["source"], "self_signed");
    let file = of(&listed, "api.test");
    assert_eq!(file["source"], "files");
    assert!(file["days_left"].as_u64().is_some(), "{file}");
    assert!(file["file"].as_str().unwrap().ends_with("tls.crt"));
    assert_eq!(fs::read_dir(state(&launch)).unwrap().count(), 0, "a look makes nothing");
    let table = launch.command(&["certificates"]).stdout;
    let awaited = table.lines().find(|line| line.starts_with("a.acme.test ")).expect("a line");
    assert!(awaited.contains(" acme ") && awaited.ends_with("none yet"), "{table}");
    assert!(table.contains("made anew at each start"), "{table}");
}

#[test]
fn certificates_shows_what_is_kept_beside_a_running_gateway() {
    let prepared = prepared();
    keep(&state(&prepared), "2100-01-01T00:00:00.000Z");
    let gateway = prepared.start();
    let listed = listed(gateway.launch());
    let kept = of(&listed, "a.acme.test");
    assert!(kept["days_left"].as_u64().is_some() && kept["last_error"].is_null(), "{kept}");
    assert_eq!(kept["renew_at"], "2100-01-01T00:00:00Z");
    let failing = of(&listed, "b.acme.test");
    assert_eq!(failing["last_error"], "the authority is not there");
    assert_eq!(
        (&failing["failures"], &failing["next_attempt"]),
        (&json!(3), &json!("2100-01-01T00:00:00Z"))
    );
    let other = of(&listed, "*.c.acme.test");
    assert!(!other["last_error"].to_string().contains("of another one"), "{other}");
    let table = gateway.launch().command(&["certificates"]).stdout;
    let told = "last error: the authority is not there; next attempt 2100-01-01T00:00:00Z";
    assert!(table.contains(told), "{table}");
    // The gateway itself tells the same.
    let ready = gateway.probe("/readyz").expect(200).json();
    assert_eq!(ready["state"]["last_error"], Value::Null);
    let failing = of(&ready["certificates"], "b.acme.test");
    assert_eq!(failing["last_error"], "the authority is not there");
    assert_eq!(failing["next_attempt"], "2100-01-01T00:00:00Z");
    assert_eq!(failing["directory"], DIRECTORY);
    assert!(!ready.to_string().contains("tls.crt"), "no path is told without a token");
    assert_eq!(gateway.metric(&["gateway_certificate_failing", "b.acme.test"]), 1);
    assert_eq!(gateway.metric(&["gateway_certificate_failing", "api.test"]), 0);
    let awaited = "gateway_certificate_not_after_timestamp_seconds{name=\"b.acme.test\"} 0";
    assert!(gateway.metrics().lines().any(|line| line == awaited));
}

#[test]
fn a_state_that_cannot_be_read_is_no_empty_one() {
    let launch = prepared();
    let folder = state(&launch);
    keep(&folder, "2100-01-01T00:00:00.000Z");
    assert!(of(&listed(&launch), "a.acme.test")["days_left"].as_u64().is_some());
    // A record that somebody changed is no record that is not there.
    put(&store(&folder), Kind::AcmeOrder, "b.acme.test", &json!("not a record"));
    let names = listed(&launch);
    let error = of(&names, "b.acme.test")["last_error"].clone();
    assert!(error.as_str().is_some_and(|error| error.contains("cannot be read")), "{error}");
    assert!(of(&names, "a.acme.test")["days_left"].as_u64().is_some(), "it hides no other");
    fs::remove_file(folder.join("state.key")).unwrap();
    let lost = launch.command(&["certificates", "--json"]);
    assert_eq!(lost.code, 2);
    assert!(lost.stderr.contains("state.key") && lost.stdout.is_empty(), "{}", lost.stderr);
    let wrong = launch.file("gateway.yaml", "version: 2\n").command(&["certificates"]);
    assert_eq!(wrong.code, 1, "{}", wrong.stderr);
}

#[test]
fn what_keeps_a_name_from_being_worked_on_is_shown() {
    let prepared = prepared();
    let folder = state(&prepared);
    keep(&folder, "2100-01-01T00:00:00.000Z");
    put(&store(&folder), Kind::AcmeOrder, "a.acme.test", &json!("not a record"));
    let gateway = prepared.start();
    let shown = || {
        let ready = gateway.probe("/readyz").expect(200).json();
        let error = of(&ready["certificates"], "a.acme.test")["last_error"].clone();
        error.as_str().is_some_and(|error| error.contains("cannot be read"))
    };
    until_true(SOON, "the reason", shown);
    assert_eq!(gateway.metric(&["gateway_certificate_failing", "a.acme.test"]), 1);
    let ready = gateway.probe("/readyz").expect(200).json();
    let other = of(&ready["certificates"], "b.acme.test");
    assert_eq!(other["last_error"], "the authority is not there", "it hides no other");
    let done = json!({"directory": DIRECTORY, "renew_at": "2100-01-01T00:00:00.000Z"});
    put(&store(&folder), Kind::AcmeOrder, "a.acme.test", &done);
    until_true(SOON, "it goes on", || {
        gateway.metric(&["gateway_certificate_failing", "a.acme.test"]) == 0
    });
}

#[test]
fn a_name_that_a_reload_removes_takes_its_series_along() {
    let gateway = prepared().start();
    let series = |gateway: &Gateway, name: &str| {
        let page = gateway.metrics();
        page.lines().filter(|line| line.contains(&format!("\"{name}\""))).count()
    };
    assert!(series(&gateway, "b.acme.test") >= 7, "orders by outcome among them");
    assert_eq!(gateway.metric(&["gateway_certificate_orders_total", "b.acme.test", "issued"]), 0);
    let fewer = config().replace(" b.acme.test,", "");
    gateway.write("gateway.yaml", &fewer);
    until_true(SOON, "the name is forgotten", || series(&gateway, "b.acme.test") == 0);
    assert!(series(&gateway, "a.acme.test") >= 7);
}

#[test]
fn a_file_that_needs_no_state_is_listed_without_one() {
    let text = format!("{BASE}{HOSTS}{REST}");
    let authority = CertificateAuthority::new();
    let launch = launch(&text, &authority).env("STATE_DIRECTORY", "/proc/portcullis");
    let names = listed(&launch);
    let file = of(&names, "api.test");
    let ends = file["not_after"].as_str().and_then(Timestamp::parse_rfc3339).expect("a time");
    assert!(ends > Clock::system().now());
}

#[test]
fn a_bad_pair_and_a_missing_secret_hide_nothing() {
    let key = "state: {encryption_key: {env: STATE_KEY}}\n";
    let text = config().replace("\nhosts:", &format!("\n{key}hosts:"));
    let launch = launch(&text, &CertificateAuthority::new());
    let key = "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=";
    let gateway = launch.env("STATE_KEY", key).start();
    gateway.write("tls.crt", "half a certif");
    fs::remove_file(gateway.launch().folder().join("admin-token")).unwrap();
    let listed = listed(gateway.launch());
    let of_file = |one: &&Value| one["source"] == "files";
    let bad = listed.as_array().unwrap().iter().find(of_file).expect("it is listed");
    assert_eq!(bad["names"], json!([]));
    assert!(bad["last_error"].is_string() && bad["not_after"].is_null(), "{bad}");
    assert_eq!(of(&listed, "a.acme.test")["source"], "acme");
    let table = gateway.launch().command(&["certificates"]).stdout;
    assert!(table.lines().any(|line| line.contains("tls.crt  ") && line.ends_with("none yet")));
    assert!(table.contains("    last error: "), "{table}");
    // Two things that only the file itself can say.
    gateway.write("gateway.yaml", &text.replace("hosts: [", "hosts: [\"a b\", "));
    let refused = gateway.launch().command(&["certificates"]);
    assert_eq!(refused.code, 1, "{}", refused.stdout);
    let told = &refused.stderr;
    assert!(told.contains("a b") && told.contains("admin-token"), "{told}");
}

/// From the authority to the page: one name that can be proved, and one that leads elsewhere.
#[test]
fn orders_are_counted_and_shown() {
    let (https, root) = (free_address(), env!("CARGO_TARGET_TMPDIR"));
    let options = PebbleOptions::at(https, free_address());
    let Some(pebble) = Pebble::start(root, &options) else { return };
    // Nobody listens there.
    pebble.resolve("lost.test", "127.0.0.213");
    let config = format!(
        "version: 1\n\
         listeners: [{{name: https, address: \"{https}\"}}]\n\
         admin: {{address: \"127.0.0.1:0\", probes: \"127.0.0.1:0\"}}\n\
         telemetry: {{audit_log: {{to: \"@DIR@/audit.jsonl\"}}}}\n\
         hosts: [found.test, lost.test]\n\
         certificates:\n  acme:\n    directory: {}\n    trust: {{file: {}}}\n{REST}",
        pebble.directory(),
        pebble.trust_file().display(),
    );
    let gateway = bare(&config).start();
    let orders = |name: &str, outcome: &str| {
        gateway.metric(&["gateway_certificate_orders_total", name, outcome])
    };
    until_true(SOON, "one is issued", || orders("found.test", "issued") == 1);
    until_true(SOON, "one has failed", || orders("lost.test", "failed") >= 1);
    assert_eq!((orders("found.test", "placed"), orders("found.test", "failed")), (1, 0));
    assert!(orders("lost.test", "placed") >= 1 && orders("lost.test", "issued") == 0);
    let failing = |name: &str| gateway.metric(&["gateway_certificate_failing", name]);
    assert_eq!((failing("found.test"), failing("lost.test")), (0, 1));
    let ready = gateway.probe("/readyz").expect(200).json();
    for list in [&ready["certificates"], &listed(gateway.launch())] {
        let found = of(list, "found.test");
        assert_eq!(found["directory"], pebble.directory());
        assert!(found["days_left"].as_u64().is_some() && found["renew_at"].is_string(), "{found}");
        assert!(found["last_error"].is_null(), "{found}");
        let lost = of(list, "lost.test");
        assert!(lost["not_after"].is_null() && lost["last_error"].is_string(), "{lost}");
        let next = lost["next_attempt"].as_str().and_then(Timestamp::parse_rfc3339);
        assert!(next.is_some(), "{lost}");
    }
    let audit = fs::read_to_string(gateway.launch().folder().join("audit.jsonl")).unwrap();
    for (event, name) in [("certificate-issued", "found.test"), ("certificate-failed", "lost.test")]
    {
        assert!(audit.lines().any(|line| line.contains(event) && line.contains(name)), "{audit}");
    }
}
