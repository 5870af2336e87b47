//! API keys: whose they are, what they may do, how long, from where; and which of several credentials
//! counts. C10.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis_testkit::client_certificates::Bearer;
use portcullis_testkit::poll::until_true;
use portcullis_testkit::{
    Answer, CertificateAuthority, Gateway, Issuer, Launch, Request, Upstream, marker, until,
};
use serde_json::{Value, json};

use crate::world::{ADMIN_TOKEN, BASE, HOSTS, UPSTREAMS, World, launch};

const SOON: Duration = Duration::from_secs(30);

const CONFIG: &str = r#"
issuers:
  - name: corporate
    issuer: https://idp.test/r1
    audience: [api]
    algorithms: [RS256]
    keys: {url: "@JWKS@"}
    read_token_from: [authorization, {query: access_token}, {cookie: session}]
telemetry: {audit_log: {to: "@DIR@/audit.jsonl"}}
routes:
  - name: keys
    path: /keys/{*rest}
    access: {any_of: [api_key]}
    forward: {upstream: u, identity: {headers: {x-user: subject, x-scopes: scopes, x-issuer: issuer}}}
  - name: scoped
    path: /scoped/{*rest}
    access: {any_of: [{issuer: corporate}, {api_key: {scopes: ["orders:read", "orders:list"]}}]}
    forward: {upstream: u}
  - name: either
    path: /either/{*rest}
    access: {any_of: [{issuer: corporate}, api_key]}
    forward: {upstream: u}
  - name: maybe
    path: /maybe/{*rest}
    access: {any_of: [api_key, anonymous]}
    forward: {upstream: u}
  - name: original
    path: /original/{*rest}
    access: {any_of: [api_key]}
    forward: {upstream: u, identity: {token: original}}
  - {name: tokens, path: "/tokens/{*rest}", access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}
  - {name: public, path: "/public/{*rest}", access: public, forward: {upstream: u}}
"#;

static WORLD: LazyLock<World> = LazyLock::new(|| World::start(&[BASE, HOSTS, UPSTREAMS, CONFIG]));

/// Runs `keys` with `--json`, and reads what it says.
#[track_caller]
fn keys(launch: &Launch, arguments: &[&str]) -> Value {
    let done = launch.command(&[&["keys"], arguments, &["--json"]].concat());
    assert_eq!(done.code, 0, "{arguments:?}: {}", done.stderr);
    serde_json::from_str(&done.stdout).unwrap()
}

/// Makes a key: its id, and the key.
#[track_caller]
fn new(launch: &Launch, arguments: &[&str]) -> (String, String) {
    let made = keys(launch, &[&["new", "--owner", "billing"], arguments].concat());
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

/// One that the gateway knows already.
#[track_caller]
fn known(arguments: &[&str]) -> (String, String) {
    let (id, key) = new(WORLD.gateway.launch(), arguments);
    until_true(SOON, "the key is known", || {
        WORLD.plain().send(&with("/original/known", &key)).code() != "credential-invalid"
    });
    (id, key)
}

fn with(path: &str, key: &str) -> Request {
    Request::get(path).host("api.test").field("x-api-key", key)
}

static KEY: LazyLock<String> = LazyLock::new(|| known(&["--scope", "orders:read"]).1);

fn token() -> String {
    WORLD.issuer.token().sign()
}

fn challenge(answer: &Answer) -> &str {
    answer.field("www-authenticate").unwrap()
}

#[test]
fn a_key_stands_for_its_owner_and_goes_no_further() {
    let seen = WORLD.forwarded(with("/keys/1", &KEY));
    assert_eq!(seen.field("x-user"), Some("billing"));
    assert_eq!(seen.field("x-scopes"), Some("orders:read"));
    assert_eq!(seen.field("x-issuer"), Some("api_key"));
    assert_eq!(seen.field("x-api-key"), None);
    // Neither where no key is taken, nor in another spelling.
    for path in ["/public/1", "/maybe/1"] {
        let request = with(path, &KEY).field("x_api_key", KEY.as_str());
        let seen = WORLD.forwarded(request);
        let head = String::from_utf8_lossy(&seen.head).into_owned();
        assert!(!head.contains(KEY.as_str()), "{head}");
    }
    let seen = WORLD.forwarded(with("/original/1", &KEY));
    assert_eq!(seen.field("x-api-key"), Some(KEY.as_str()));
    let answer = WORLD.plain().send(&with("/keys/1", &KEY));
    assert!(answer.all("vary").iter().any(|value| value.contains("x-api-key")), "{answer:?}");
}

#[test]
fn wrong_keys_are_refused_and_all_ways_are_named() {
    let id = KEY.split_once('.').unwrap().0;
    let secret = KEY.split_once('.').unwrap().1;
    let wrong = [
        String::new(),
        "secret".to_owned(),
        token(),
        KEY.to_uppercase(),
        format!("{id}.{}", "A".repeat(43)),
        format!("pck_aaaaaaaaaaaa.{secret}"),
        format!("{}=", *KEY),
        format!("Bearer {}", *KEY),
    ];
    for key in &wrong {
        for path in ["/keys/1", "/either/1", "/maybe/1"] {
            let answer = WORLD.refused(with(path, key), 401, "credential-invalid");
            let told = challenge(&answer);
            assert!(
                told.contains("ApiKey error=\"invalid_token\", header=\"x-api-key\""),
                "{told}"
            );
            assert_eq!(told.contains("Bearer"), path == "/either/1", "{told}");
        }
    }
    let answer = WORLD.refused(Request::get("/keys/1").host("api.test"), 401, "credential-missing");
    assert_eq!(challenge(&answer), "ApiKey header=\"x-api-key\"");
    let answer =
        WORLD.refused(Request::get("/either/1").host("api.test"), 401, "credential-missing");
    let metadata =
        "resource_metadata=\"http://api.test/.well-known/oauth-protected-resource/either\"";
    let expected = format!("Bearer {metadata}, ApiKey header=\"x-api-key\"");
    assert_eq!(challenge(&answer), expected);
}

#[test]
fn c10_a_key_is_no_token_and_a_token_no_key() {
    let bearer = |path: &str| Request::get(path).host("api.test").bearer(KEY.as_str());
    let answer = WORLD.refused(bearer("/either/1"), 401, "credential-invalid");
    assert!(challenge(&answer).starts_with("Bearer error=\"invalid_token\""));
    WORLD.refused(bearer("/tokens/1"), 401, "credential-invalid");
    // Where no token is taken, the field is none of a credential.
    WORLD.refused(bearer("/keys/1"), 401, "credential-missing");
    WORLD.refused(with("/either/1", &token()), 401, "credential-invalid");
    let in_query = Request::get(format!("/keys/1?api_key={}", *KEY)).host("api.test");
    WORLD.refused(in_query, 401, "credential-missing");
    // Nor is the field of keys, where no key is taken.
    WORLD.refused(with("/tokens/1", &KEY), 401, "credential-missing");
    WORLD.forwarded(with("/tokens/1", "anything").bearer(token()));
    WORLD.forwarded(with("/public/1", "anything"));
}

#[test]
fn of_two_explicit_credentials_none_counts() {
    let twice = "ambiguous-credentials";
    let good = || with("/either/1", &KEY);
    WORLD.refused(good().field("x-api-key", KEY.as_str()), 400, twice);
    WORLD.refused(good().bearer(token()), 400, twice);
    WORLD.refused(good().bearer("nonsense"), 400, twice);
    WORLD.refused(good().field("authorization", "Basic dTpw"), 400, twice);
    WORLD.refused(with("/either/1", "").bearer(token()), 400, twice);
    WORLD.refused(with(&format!("/either/1?access_token={}", token()), &KEY), 400, twice);
    WORLD.refused(with("/keys/1", &KEY).field("x-api-key", ""), 400, twice);
    WORLD.refused(with("/maybe/1", &KEY).field("x-api-key", KEY.as_str()), 400, twice);
}

#[test]
fn what_browsers_send_by_themselves_neither_helps_nor_harms_a_key() {
    let cookie = |value: &str| format!("session={value}");
    WORLD.forwarded(with("/either/1", &KEY).field("cookie", cookie("nonsense")));
    let good = cookie(&token());
    WORLD.forwarded(Request::get("/either/1").host("api.test").field("cookie", &good));
    WORLD.refused(with("/either/1", "wrong").field("cookie", &good), 401, "credential-invalid");
}

#[test]
fn scopes_are_asked_of_keys_as_of_tokens() {
    let answer = WORLD.refused(with("/scoped/1", &KEY), 403, "scope-missing");
    let told = challenge(&answer);
    assert!(told.contains("ApiKey error=\"insufficient_scope\""), "{told}");
    let (_, able) = known(&["--scope", "orders:list", "--scope", "orders:read"]);
    WORLD.forwarded(with("/scoped/1", &able));
    let bearer = Request::get("/scoped/1").host("api.test").bearer(token());
    WORLD.forwarded(bearer);
}

#[test]
fn a_key_ends_and_has_its_place() {
    let launch = WORLD.gateway.launch();
    let (id, elsewhere) = new(launch, &["--allow", "192.0.2.0/24", "--allow", "2001:db8::1"]);
    until_true(SOON, "the reason is in the log", || {
        WORLD.refused(with("/keys/1", &elsewhere), 401, "credential-invalid");
        let mut lines = WORLD.gateway.access_log().into_iter().rev();
        lines.any(|line| line["reason"] == "the key may not be used from this address")
    });
    let (_, here) = known(&["--allow", "127.0.0.0/8", "--expires", "2s"]);
    until_true(SOON, "the key ends", || WORLD.plain().send(&with("/keys/1", &here)).status == 401);
    let launch = WORLD.gateway.launch();
    let all = keys(launch, &["list"]);
    let find = |id: &str| {
        let mut all = all["keys"].as_array().unwrap().iter();
        all.find(|key| key["id"] == id).unwrap().clone()
    };
    assert_eq!(find(&id)["allow"], json!(["192.0.2.0/24", "2001:db8::1/128"]));
    let states: Vec<&str> =
        all["keys"].as_array().unwrap().iter().filter_map(|key| key["state"].as_str()).collect();
    assert!(states.contains(&"expired"), "{states:?}");
}

#[test]
fn two_secrets_are_good_while_one_replaces_the_other() {
    let launch = WORLD.gateway.launch();
    let (id, first) = known(&[]);
    let rotated = keys(launch, &["rotate", &id, "--overlap", "1h"]);
    let second = rotated["key"].as_str().unwrap();
    let status = |key: &str| WORLD.plain().send(&with("/keys/1", key)).status;
    until_true(SOON, "the second is good", || status(second) == 200);
    assert_eq!(status(&first), 200);
    let rotated = keys(launch, &["rotate", &id, "--overlap", "0s"]);
    let third = rotated["key"].as_str().unwrap();
    until_true(SOON, "the third is good", || status(third) == 200);
    assert_eq!((status(&first), status(second)), (401, 401));
    assert_eq!(launch.command(&["keys", "rotate", "aaaaaaaaaaaa"]).code, 1);
    assert_eq!(launch.command(&["keys", "rotate", "../x"]).code, 1);
}

#[test]
fn a_revoked_key_lets_nobody_in_under_load_either() {
    let (id, key) = known(&[]);
    let over = AtomicBool::new(false);
    let last = std::thread::scope(|scope| {
        let work = || {
            let mut connection = WORLD.plain().connect();
            while !over.load(Ordering::Relaxed) {
                let answer = connection.send(&with("/keys/1", &key));
                assert!(matches!(answer.status, 200 | 401), "{answer:?}");
            }
            connection.send(&with("/keys/1", &key)).status
        };
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        keys(WORLD.gateway.launch(), &["revoke", &id]);
        until_true(SOON, "the key is over", || {
            WORLD.plain().send(&with("/keys/1", &key)).status == 401
        });
        over.store(true, Ordering::Relaxed);
        workers.into_iter().map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(last, [401; 4]);
    let launch = WORLD.gateway.launch();
    let audit = std::fs::read_to_string(launch.folder().join("audit.jsonl")).unwrap();
    let events: Vec<Value> =
        audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let event = events.iter().find(|event| event["event"] == "key-revoked" && event["id"] == *id);
    assert_eq!(event.unwrap()["owner"], "billing");
    assert!(!audit.contains(key.split_once('.').unwrap().1));
}

/// A gateway whose admin listener commands can find.
fn world_with_admin() -> (Upstream, Issuer, Gateway) {
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let drain = "connections: {drain: {delay: 100ms, grace: 1s}}\n";
    let text = [BASE, drain, HOSTS, UPSTREAMS, CONFIG].concat();
    let text = text.replace("@UPSTREAM@", &upstream.url()).replace("@JWKS@", &issuer.jwks_url());
    let text = text.replacen(
        "address: \"127.0.0.1:0\"\n  probes",
        "address: \"unix:@DIR@/admin.sock\"\n  probes",
        1,
    );
    let gateway = launch(&text, &CertificateAuthority::new()).start();
    (upstream, issuer, gateway)
}

#[test]
fn what_the_running_gateway_is_asked_counts_at_once_and_survives_it() {
    let (_upstream, _issuer, gateway) = world_with_admin();
    let (id, key) = new(gateway.launch(), &["--scope", "a"]);
    let status = |gateway: &Gateway| gateway.plain("plain").send(&with("/keys/1", &key)).status;
    assert_eq!(status(&gateway), 200);
    let listed = keys(gateway.launch(), &["list"]);
    assert_eq!(listed["keys"][0]["uses"], 1);
    assert_eq!(listed["keys"][0]["uses_by_day"].as_array().unwrap().len(), 1);
    assert!(listed["keys"][0]["last_used"].is_string());
    assert_eq!(gateway.metric(&["gateway_api_keys", "live"]), 1);
    assert_eq!(gateway.metric(&["gateway_api_key_uses_total"]), 1);
    assert_eq!(gateway.probe("/readyz").json()["api_keys"]["live"], 1);
    status(&gateway);
    // What was counted last is written down at the end. The key is the same after a restart.
    gateway.process().signal("TERM");
    assert_eq!(gateway.process().wait(SOON), 0);
    let launch = gateway.stop();
    assert_eq!(keys(&launch, &["list"])["keys"][0]["uses"], 2);
    let gateway = launch.start();
    assert_eq!(status(&gateway), 200);
    keys(gateway.launch(), &["revoke", &id]);
    assert_eq!(status(&gateway), 401);
    let launch = gateway.stop();
    let audit = std::fs::read_to_string(launch.folder().join("audit.jsonl")).unwrap();
    for event in ["key-created", "key-revoked"] {
        assert!(audit.contains(&format!("\"event\":\"{event}\"")), "{audit}");
    }
    let gateway = launch.start();
    assert_eq!(status(&gateway), 401);
}

#[test]
fn the_secret_alone_is_on_standard_output_and_nowhere_else() {
    let (_upstream, _issuer, gateway) = world_with_admin();
    let done = gateway.launch().command(&["keys", "new", "--owner", "billing"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let key = done.stdout.strip_suffix('\n').unwrap();
    assert!(key.starts_with("pck_") && !key.contains(char::is_whitespace), "{key}");
    let secret = key.split_once('.').unwrap().1;
    assert!(!done.stderr.contains(secret));
    assert_eq!(gateway.plain("plain").send(&with("/keys/1", key)).status, 200);
    let wrong = format!("{}{}", &key[..key.len() - 1], if key.ends_with('A') { "E" } else { "A" });
    let mark = marker("m");
    gateway.plain("plain").send(&with(&format!("/keys/{mark}"), &wrong)).expect(401);
    gateway.access_line(&mark);
    let explained = gateway.launch().command_with_input(
        &["explain", "GET", "http://api.test/keys/1", "--listener", "plain", "--api-key-file", "-"],
        key,
    );
    assert_eq!(explained.code, 0, "{}{}", explained.stdout, explained.stderr);
    assert!(explained.stdout.contains("billing"), "{}", explained.stdout);
    let refused = gateway.launch().command_with_input(
        &["explain", "GET", "http://api.test/keys/1", "--listener", "plain", "--api-key-file", "-"],
        &wrong,
    );
    assert_eq!(refused.code, 1, "{}", refused.stdout);
    let request = Request::get("/decisions?limit=100").host("127.0.0.1").bearer(ADMIN_TOKEN);
    let socket = gateway.launch().folder().join("admin.sock");
    let decisions = ask_unix(&socket, &request);
    assert!(decisions.contains(&mark), "{decisions}");
    let listed = gateway.launch().command(&["keys", "list"]).stdout;
    let mut told = vec![explained.stdout, refused.stdout, decisions, listed, gateway.metrics()];
    let launch = gateway.launch().folder().to_owned();
    told.extend(gateway.access_log().iter().map(Value::to_string));
    told.push(std::fs::read_to_string(launch.join("audit.jsonl")).unwrap());
    told.push(gateway.log_line("the durable store is open"));
    let wrong_secret = wrong.split_once('.').unwrap().1;
    for text in told {
        assert!(!text.contains(secret) && !text.contains(wrong_secret), "{text}");
    }
    // Nor is it in the store, sealed or not.
    for name in ["state.db", "state.db-wal"] {
        let bytes = std::fs::read(launch.join("state").join(name)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains(secret), "{name}");
    }
}

/// What the admin listener at a unix socket says.
fn ask_unix(socket: &PathBuf, request: &Request) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    stream.write_all(&request.to_owned().field("connection", "close").to_bytes()).unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn the_admin_listener_tells_what_is_wrong() {
    let admin = WORLD.gateway.plain("admin");
    let ask = |request: Request| admin.send(&request.host("127.0.0.1").bearer(ADMIN_TOKEN));
    let post = |path: &str, body: &Value| {
        ask(Request::post(path, body.to_string()).field("content-type", "application/json"))
    };
    admin.send(&Request::get("/keys").host("127.0.0.1")).expect(401);
    post("/keys", &json!({"owner": "a", "color": "red"})).expect(400);
    post("/keys", &json!({"owner": ""})).expect(400);
    post("/keys", &json!(["a", ["x"], null, []])).expect(400);
    let typed = |kind: &str, body: &str| {
        ask(Request::post("/keys", body).field("content-type", kind)).status
    };
    let good = "{\"owner\": \"a\"}";
    assert_eq!(typed("application/json", "{\"owner\": \"a\", \"owner\": \"b\"}"), 400);
    assert_eq!(typed("application/json; charset=utf-16", good), 415);
    assert_eq!(typed("application/json; charset=UTF-8", good), 201);
    post("/keys", &json!({"owner": "a", "scopes": ["a b"]})).expect(400);
    post("/keys", &json!({"owner": "a", "allow": ["everywhere"]})).expect(400);
    post("/keys", &json!({"owner": "a", "expires": "2001-01-01T00:00:00Z"})).expect(400);
    post("/keys/aaaaaaaaaaaa", &json!({})).expect(404);
    ask(Request::new("DELETE", "/keys/aaaaaaaaaaaa")).expect(404);
    let made = post("/keys", &json!({"owner": "a", "expires": "90d", "scopes": ["x"]}));
    made.expect(201);
    assert_eq!(made.field("cache-control"), Some("no-store"));
    let key = made.json()["key"].as_str().unwrap().to_owned();
    // It counts with the answer.
    WORLD.forwarded(with("/keys/1", &key));
    assert!(!ask(Request::get("/keys")).text().contains(&key));
}

#[test]
fn a_store_that_is_gone_is_no_wrong_key() {
    let (_upstream, _issuer, gateway) = world_with_admin();
    let (_, key) = new(gateway.launch(), &[]);
    let status = || gateway.plain("plain").send(&with("/keys/1", &key)).status;
    assert_eq!(status(), 200);
    let file = gateway.launch().folder().join("state/state.db");
    let script = format!(
        "import sqlite3, sys\n\
         db = sqlite3.connect({file:?}, isolation_level=None)\n\
         db.execute('DROP TABLE shelf_changes')\n"
    );
    let done = std::process::Command::new("python3").args(["-c", &script]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let answer = until(SOON, "nobody can decide", || {
        let answer = gateway.plain("plain").send(&with("/keys/1", &key));
        (answer.status != 200).then_some(answer)
    });
    answer.expect_refusal(503, "state-unavailable");
    gateway.plain("plain").send(&Request::get("/public/1").host("api.test")).expect(200);
}

#[test]
fn a_wrong_key_is_not_rescued_by_a_certificate() {
    let ca = CertificateAuthority::named("clients");
    let listeners = BASE.replace(
        "{name: https, address: \"127.0.0.1:0\"}",
        "{name: https, address: \"127.0.0.1:0\", tls: {client_certificates: {mode: optional, trust: {file: \"@DIR@/clients.pem\"}}}}",
    );
    let routes = "routes: [{name: r, path: \"/x/{*rest}\", access: {any_of: [client_certificate, api_key]}, forward: {upstream: u}}]\n";
    let upstream = Upstream::start();
    let text =
        [&listeners, HOSTS, UPSTREAMS, routes].concat().replace("@UPSTREAM@", &upstream.url());
    let authority = CertificateAuthority::new();
    let gateway = launch(&text, &authority).file("clients.pem", ca.pem()).start();
    let (_, key) = new(gateway.launch(), &[]);
    let pair = ca.issue_to(&Bearer::new("caller").dns("caller.test"));
    let bare = gateway.https(authority.trust()).server_name("api.test");
    until_true(SOON, "the key is known", || bare.send(&with("/x/1", &key)).status == 200);
    let client = gateway.https(authority.trust()).server_name("api.test").certificate(&pair);
    client.send(&Request::get("/x/1").host("api.test")).expect(200);
    client.send(&with("/x/1", "wrong")).expect_refusal(401, "credential-invalid");
    client.send(&with("/x/1", &key)).expect(200);
    bare.send(&Request::get("/x/1").host("api.test")).expect_refusal(401, "credential-missing");
}

#[test]
fn the_field_has_the_name_that_the_file_gives() {
    let config = CONFIG.replacen("telemetry:", "api_keys: {header: X-Partner-Key}\ntelemetry:", 1);
    let listeners = BASE.replacen(
        "listeners:\n",
        "listeners:\n  - {name: http, address: \"127.0.0.1:0\", redirect_to: https}\n",
        1,
    );
    let world = World::start(&[&listeners, HOSTS, UPSTREAMS, &config]);
    let (_, key) = new(world.gateway.launch(), &[]);
    let request = |path: &str| Request::get(path).host("api.test").field("x-partner-key", &key);
    until_true(SOON, "the key is known", || world.plain().send(&request("/keys/1")).status == 200);
    assert_eq!(world.forwarded(request("/keys/1")).field("x-partner-key"), None);
    // The usual name means nothing here, and is the app's own.
    world.refused(with("/keys/1", &key), 401, "credential-missing");
    assert_eq!(world.forwarded(with("/public/1", "own")).field("x-api-key"), Some("own"));
    let cleartext = world.gateway.plain("http");
    cleartext.send(&Request::get("/keys/1").host("api.test")).expect(308);
    cleartext.send(&request("/keys/1")).expect_refusal(403, "tls-required");
}
