//! Tokens that are revoked before they end: in every spelling, at once, in every process, for good.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis_testkit::keys::{Key, b64};
use portcullis_testkit::poll::until_true;
use portcullis_testkit::process::Finished;
use portcullis_testkit::{
    CertificateAuthority, Client, Gateway, Issuer, Launch, Request, Upstream, free_address,
};
use serde_json::{Value, json};

use crate::world::{ADMIN_TOKEN, BASE, HOSTS, launch};

const SOON: Duration = Duration::from_mins(1);
const KEY: &str = "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=";

const REST: &str = r#"
issuers:
  - {name: corporate, issuer: "https://idp.test/r1", audience: [api], keys: {url: "@JWKS@"}, maximum_lifetime: 1h, leeway: 2s}
  - {name: partner, issuer: "https://partner.test", audience: [api], keys: {url: "@JWKS@"}}
upstreams: [{name: u, endpoints: ["@UPSTREAM@"]}]
telemetry: {audit_log: {to: "@DIR@/audit.jsonl"}}
routes:
  - {name: api, path: "/api/{*rest}", access: {any_of: [{issuer: corporate}, {issuer: partner}]}, forward: {upstream: u}}
  - {name: open, path: /open, access: public, forward: {upstream: u}}
"#;

struct Scene {
    issuer: Issuer,
    gateway: Gateway,
    _upstream: Upstream,
}

/// A gateway with an admin listener that commands can find.
fn prepared(issuer: &Issuer, upstream: &Upstream, state: &str) -> Launch {
    let admin = format!("address: \"{}\"\n  probes", free_address());
    let base = BASE.replace("address: \"127.0.0.1:0\"\n  probes", &admin);
    assert!(base.contains(&admin));
    let text = [&base, HOSTS, REST, state].concat();
    let text = text.replace("@JWKS@", &issuer.jwks_url()).replace("@UPSTREAM@", &upstream.url());
    launch(&text, &CertificateAuthority::new())
}

fn scene() -> Scene {
    let (issuer, upstream) = (Issuer::start(), Upstream::start());
    let key = Key::p256("es");
    issuer.use_key(&key);
    issuer.publish(&[key.jwk()]);
    let gateway = prepared(&issuer, &upstream, "").start();
    Scene { issuer, gateway, _upstream: upstream }
}

#[track_caller]
fn good(client: &Client, token: &str) {
    client.send(&Request::get("/api/x").bearer(token)).expect(200);
}

#[track_caller]
fn revoked(client: &Client, token: &str) {
    let answer = client.send(&Request::get("/api/x").bearer(token));
    answer.expect_refusal(401, "credential-invalid");
    assert!(answer.field("www-authenticate").unwrap().contains("invalid_token"));
    assert!(!answer.text().contains("revoked"), "{}", answer.text());
}

fn admin(gateway: &Gateway, request: Request) -> portcullis_testkit::Answer {
    let host = gateway.address("admin").to_string();
    gateway.plain("admin").send(&request.host(&host).bearer(ADMIN_TOKEN))
}

fn post(gateway: &Gateway, body: &Value) -> portcullis_testkit::Answer {
    let request = Request::post("/revocations", body.to_string());
    admin(gateway, request.field("content-type", "application/json"))
}

#[track_caller]
fn tokens(launch: &Launch, arguments: &[&str], input: &str) -> Finished {
    let finished = launch.command_with_input(&[&["tokens"], arguments].concat(), input);
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    finished
}

/// The same signature of ECDSA in its other form: (r, n - s) is as good as (r, s).
fn other_signature(token: &str) -> String {
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    use base64::Engine as _;
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0;
    for index in (0..32).rev() {
        let difference = i32::from(N[index]) - i32::from(bytes[32 + index]) - borrow;
        borrow = i32::from(difference < 0);
        bytes[32 + index] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    format!("{signed}.{}", b64(&bytes))
}

#[test]
fn a_token_is_revoked_in_every_spelling_and_no_other_is() {
    let scene = scene();
    let client = scene.gateway.plain("plain");
    let of = |iss: &str, jti: &str| scene.issuer.token().claim("iss", iss).claim("jti", jti);
    let token = of("https://idp.test/r1", "seven").sign();
    let twin = other_signature(&token);
    assert_ne!(token, twin);
    let partner = of("https://partner.test", "seven").sign();
    let other = of("https://idp.test/r1", "eight").sign();
    let again = of("https://idp.test/r1", "seven").claim("more", "x").sign();
    for token in [&token, &twin, &partner, &other, &again] {
        good(&client, token);
    }
    let done = tokens(
        scene.gateway.launch(),
        &["revoke", "--token-file", "-", "--json"],
        &format!("{twin}\n"),
    );
    assert_eq!(done.code, 0, "{}", done.stderr);
    let made: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&made["jti"], &made["issuer"]), (&json!("seven"), &json!("https://idp.test/r1")));
    assert!(made["expires"].is_string(), "{made}");
    for token in [&token, &twin, &again] {
        revoked(&client, token);
    }
    for token in [format!("{token}="), token.clone() + "A", token.replace('.', "=.")] {
        revoked(&client, &token);
    }
    good(&client, &partner);
    good(&client, &other);
    client.send(&Request::get("/open")).expect(200);

    // It is told, counted and written down, and the token is nowhere.
    let ready = scene.gateway.probe("/readyz").json();
    assert_eq!(ready["revocations"], json!({"known": true, "count": 1}));
    assert_eq!(scene.gateway.metric(&["gateway_revocations"]), 1);
    let audit = std::fs::read_to_string(scene.gateway.launch().folder().join("audit.jsonl"));
    let audit = audit.unwrap();
    assert!(audit.contains("tokens-revoked") && audit.contains("seven"), "{audit}");
    assert!(!audit.contains(&twin) && !audit.contains(&token));

    // Taken back, it is as good as before.
    let id = made["id"].as_str().unwrap();
    let listed = tokens(scene.gateway.launch(), &["list"], "");
    assert!(listed.stdout.contains(id) && listed.stdout.contains("seven"), "{}", listed.stdout);
    assert_eq!(tokens(scene.gateway.launch(), &["restore", id], "").code, 0);
    assert_eq!(tokens(scene.gateway.launch(), &["restore", id], "").code, 1);
    good(&client, &token);
}

#[test]
fn subjects_and_whole_issuers_are_revoked() {
    let scene = scene();
    let client = scene.gateway.plain("plain");
    let of = |sub: &str, iat: i64| scene.issuer.token().claim("sub", sub).time("iat", iat);
    let old = of("ann", -60).sign();
    let bob = of("bob", -60).sign();
    let without = of("ann", 0).without("iat").claim("iss", "https://partner.test").sign();
    // By clocks that are ahead.
    let ahead = of("ann", 2).sign();
    let partner = of("eve", 25).claim("iss", "https://partner.test").sign();
    for token in [&old, &bob, &without, &ahead, &partner] {
        good(&client, token);
    }
    let arguments = ["revoke", "--issuer", "corporate", "--subject", "ann"];
    assert_eq!(tokens(scene.gateway.launch(), &arguments, "").code, 0);
    revoked(&client, &old);
    revoked(&client, &ahead);
    good(&client, &bob);
    good(&client, &without);
    good(&client, &partner);
    post(&scene.gateway, &json!({"issuer": "partner", "subject": "eve"})).expect(201);
    revoked(&client, &partner);
    // What is issued after it is good again, once the leeway is over.
    until_true(SOON, "a new token of the subject is good", || {
        let token = of("ann", 0).sign();
        client.send(&Request::get("/api/x").bearer(&token)).status == 200
    });
    revoked(&client, &old);
    revoked(&client, &ahead);
    let made =
        post(&scene.gateway, &json!({"issuer": "https://partner.test", "issued_before": "now"}));
    made.expect(201);
    assert_eq!(made.json()["expires"], Value::Null, "nobody knows how long its tokens live");
    revoked(&client, &without);
    good(&client, &bob);
}

#[test]
fn the_admin_listener_says_what_it_does_not_take() {
    let scene = scene();
    let gateway = &scene.gateway;
    let refused = |answer: portcullis_testkit::Answer, status: u16, code: &str| {
        answer.expect(status);
        assert_eq!(answer.json()["code"], code, "{}", answer.text());
    };
    let bare = scene.issuer.token().without("jti").sign();
    for body in [
        json!({"issuer": "corporate"}),
        json!({"jti": "1"}),
        json!({"issuer": "corporate", "jti": "1", "subject": "2"}),
        json!({"issuer": "nobody", "jti": "1"}),
        json!({"issuer": "corporate", "jti": ""}),
        json!({"issuer": "corporate", "jti": "1", "expires": "2001-01-01T00:00:00Z"}),
        json!({"issuer": "corporate", "issued_before": "yesterday"}),
        json!({"token": bare}),
        json!({"token": "opaque"}),
        json!({"issuer": "partner", "token": scene.issuer.token().claim("jti", "1").sign()}),
    ] {
        let answer = post(gateway, &body);
        assert!(!answer.text().contains(&bare), "{}", answer.text());
        refused(answer, 422, "request-invalid");
    }
    for body in [json!([]), json!({"issuer": 1}), json!({"issuer": "corporate", "kid": "x"})] {
        refused(post(gateway, &body), 400, "request-invalid");
    }
    let good = json!({"issuer": "corporate", "jti": "1"}).to_string();
    let request = || Request::post("/revocations", &good);
    refused(admin(gateway, request()), 415, "media-type-not-allowed");
    let form = request().field("content-type", "text/plain");
    refused(admin(gateway, form), 415, "media-type-not-allowed");
    let page =
        request().field("content-type", "application/json").field("origin", "https://x.test");
    refused(admin(gateway, page), 403, "origin-not-allowed");
    let long = json!({"issuer": "corporate", "jti": "1".repeat(70_000)});
    refused(post(gateway, &long), 413, "body-too-large");
    let none = admin(gateway, Request::new("DELETE", "/revocations/00"));
    refused(none, 404, "not-found");
    let put = admin(gateway, Request::new("PUT", "/revocations"));
    assert_eq!(put.field("allow"), Some("GET, POST"));
    refused(put, 405, "method-not-allowed");
    assert_eq!(admin(gateway, Request::get("/revocations")).json()["revocations"], json!([]));
}

#[test]
fn under_load_no_request_after_the_answer_is_served() {
    let scene = scene();
    let client = scene.gateway.plain("plain");
    let token = scene.issuer.token().claim("jti", "busy").sign();
    good(&client, &token);
    let answered = AtomicBool::new(false);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| busy(&client, &token, &answered, &stop))).collect();
        std::thread::sleep(Duration::from_millis(300));
        post(&scene.gateway, &json!({"issuer": "corporate", "jti": "busy"})).expect(201);
        answered.store(true, Ordering::Release);
        std::thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Release);
        for worker in workers {
            let late = worker.join().unwrap();
            assert!(!late.is_empty() && late.iter().all(|status| *status == 401), "{late:?}");
        }
    });
}

#[test]
fn a_kill_right_after_the_answer_and_a_time_without_a_gateway_lose_nothing() {
    let Scene { issuer, gateway, _upstream } = scene();
    let [first, second] = ["first", "second"].map(|jti| issuer.token().claim("jti", jti).sign());
    for token in [&first, &second] {
        good(&gateway.plain("plain"), token);
    }
    post(&gateway, &json!({"token": first})).expect(201);
    let launch = gateway.stop();
    let arguments = ["revoke", "--issuer", "corporate", "--jti", "second"];
    let done = tokens(&launch, &arguments, "");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let gateway = launch.start();
    let client = gateway.plain("plain");
    revoked(&client, &first);
    revoked(&client, &second);
    good(&client, &issuer.token().claim("jti", "third").sign());
}

#[test]
fn explain_knows_what_is_revoked() {
    let Scene { issuer, gateway, _upstream } = scene();
    let [bad, other] = ["bad", "other"].map(|jti| issuer.token().claim("jti", jti).sign());
    let explain = |token: &str| {
        let arguments =
            ["explain", "GET", "http://api.test/api/x", "--listener", "plain", "--token-file", "-"];
        let finished = gateway.launch().command_with_input(&arguments, token);
        (finished.code, finished.stdout)
    };
    assert_eq!(explain(&bad).0, 0);
    post(&gateway, &json!({"token": bad})).expect(201);
    revoked(&gateway.plain("plain"), &bad);
    let (code, text) = explain(&bad);
    let reason = "refused: 401 credential-invalid (the token was revoked by its jti)";
    assert!(code == 1 && text.contains(reason), "{text}");
    assert_eq!(explain(&other).0, 0);
}

#[test]
fn processes_on_one_store_see_it_and_none_decides_without_it() {
    let (issuer, upstream) = (Issuer::start(), Upstream::start());
    let first = prepared(&issuer, &upstream, &state("@DIR@/shared.db")).env("KEY", KEY);
    let file = first.folder().join("shared.db");
    let second = prepared(&issuer, &upstream, &state(&file.to_string_lossy())).env("KEY", KEY);
    let (first, second) = (first.start(), second.start());
    let token = issuer.token().claim("jti", "shared").sign();
    let clients = [first.plain("plain"), second.plain("plain")];
    for client in &clients {
        good(client, &token);
    }
    post(&first, &json!({"token": token})).expect(201);
    revoked(&clients[0], &token);
    until_true(SOON, "the other process sees it", || {
        clients[1].send(&Request::get("/api/x").bearer(&token)).status == 401
    });
}

#[test]
fn a_store_that_is_removed_is_missed_and_no_revocation_is_lost_in_it() {
    let scene = scene();
    let client = scene.gateway.plain("plain");
    let token = scene.issuer.token().claim("jti", "gone").sign();
    good(&client, &token);
    let folder = scene.gateway.launch().folder().join("state");
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        std::fs::remove_file(folder.join(name)).unwrap();
    }
    let body = json!({"issuer": "corporate", "jti": "gone"});
    let answer = post(&scene.gateway, &body);
    answer.expect(503);
    assert_eq!(answer.json()["code"], "state-unavailable", "{}", answer.text());
    let arguments = ["revoke", "--issuer", "corporate", "--jti", "gone"];
    let told = tokens(scene.gateway.launch(), &arguments, "");
    assert!(told.code == 2 && told.stderr.contains("removed or replaced"), "{}", told.stderr);
    until_true(SOON, "nobody decides without the store", || {
        client.send(&Request::get("/api/x").bearer(&token)).status == 503
    });
    client.send(&Request::get("/open")).expect(200);
}

#[test]
fn while_another_process_holds_the_lock_for_writing_tokens_are_judged() {
    let scene = scene();
    let client = scene.gateway.plain("plain");
    let token = scene.issuer.token().claim("jti", "steady").sign();
    good(&client, &token);
    let file = scene.gateway.launch().folder().join("state/state.db");
    let holder = rusqlite::Connection::open(file).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|scope| {
        for jti in ["one", "two"] {
            let gateway = &scene.gateway;
            let body = json!({"issuer": "corporate", "jti": jti});
            scope.spawn(move || {
                let status = post(gateway, &body).status;
                assert!(status == 201 || status == 503, "{status}");
            });
        }
        // For longer than what was read counts without another look.
        for _ in 0..70 {
            good(&client, &token);
            std::thread::sleep(Duration::from_millis(100));
        }
        holder.execute_batch("ROLLBACK").unwrap();
    });
    post(&scene.gateway, &json!({"token": token})).expect(201);
    revoked(&client, &token);
}

/// Asks until told to stop; the statuses of those requests that began after the answer.
fn busy(client: &Client, token: &str, answered: &AtomicBool, stop: &AtomicBool) -> Vec<u16> {
    let mut late = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let after = answered.load(Ordering::Acquire);
        let status = client.send(&Request::get("/api/x").bearer(token)).status;
        assert!(status == 200 || status == 401, "{status}");
        late.extend(after.then_some(status));
    }
    late
}

fn state(file: &str) -> String {
    format!("state: {{durable: \"sqlite:{file}\", encryption_key: {{env: KEY}}}}\n")
}
