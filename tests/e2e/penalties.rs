//! What wrong credentials cost: their own pair of address and account waits, and nobody else.

use std::sync::LazyLock;
use std::time::Duration;

use portcullis_testkit::dpop::Proof;
use portcullis_testkit::poll::until_true;
use portcullis_testkit::{Answer, Client, Key, Request, until};
use serde_json::Value;

use crate::world::{ADMIN_TOKEN, BASE, HOSTS, UPSTREAMS, World};

const SOON: Duration = Duration::from_mins(1);

/// 127.0.1.1 is a trusted proxy, every other loopback address a client.
const CONFIG: &str = r#"
clients: {trusted_proxies: [127.0.1.1]}
issuers:
  - {name: corporate, issuer: https://idp.test/r1, audience: [api], algorithms: [RS256], keys: {url: "@JWKS@"}}
  - {name: bound, issuer: https://bound.test, audience: [api], keys: {url: "@JWKS@"}, proof: {dpop: required}}
limits:
  - {name: long, key: address_and_account, penalty: {after: 3, first: 1h, maximum: 24h}}
  - {name: short, key: address_and_account, penalty: {after: 2, first: 300ms, factor: 10, maximum: 30s}}
telemetry: {audit_log: {to: "@DIR@/audit.jsonl"}}
routes:
  - {name: long, path: "/long/{*rest}", access: {any_of: [{issuer: corporate, scopes: [read]}, api_key]}, limits: [long], forward: {upstream: u}}
  - {name: short, path: /short, access: {any_of: [{issuer: corporate}]}, limits: [short], forward: {upstream: u}}
  - {name: bound, path: /bound, access: {any_of: [{issuer: bound}]}, limits: [long], forward: {upstream: u}}
  - {name: free, path: /free, access: {any_of: [{issuer: corporate}, api_key]}, forward: {upstream: u}}
"#;

static WORLD: LazyLock<World> = LazyLock::new(|| World::start(&[BASE, HOSTS, UPSTREAMS, CONFIG]));

fn from(address: &str) -> Client {
    WORLD.plain().from(address)
}

fn good(subject: &str) -> String {
    WORLD.issuer.token().claim("sub", subject).claim("scope", "read").sign()
}

/// One of this account, signed by a key that the issuer does not have.
fn forged(subject: &str) -> String {
    let key = WORLD.issuer.key();
    let token = WORLD.issuer.token().claim("sub", subject).claim("scope", "read");
    token.signed_by(&Key::rsa(key.kid())).sign()
}

fn ask(client: &Client, path: &str, token: &str) -> Answer {
    client.send(&Request::get(path).bearer(token))
}

#[track_caller]
fn is_wrong(answer: &Answer) {
    answer.expect_refusal(401, "credential-invalid");
}

/// The seconds that are to be waited.
#[track_caller]
fn wait_of(answer: &Answer) -> u64 {
    answer.expect_refusal(429, "too-many-failures");
    answer.field("retry-after").and_then(|wait| wait.parse().ok()).expect("seconds")
}

#[test]
fn the_third_wrong_signature_begins_a_delay_for_its_pair_alone() {
    let here = from("127.0.2.1");
    for _ in 0..3 {
        is_wrong(&ask(&here, "/long/a", &forged("alice")));
    }
    let answer = ask(&here, "/long/a", &forged("alice"));
    let wait = wait_of(&answer);
    assert!((3500..=3600).contains(&wait), "{wait}");
    assert_eq!(answer.field("ratelimit"), None);
    assert_eq!(answer.field("ratelimit-policy"), None);
    // What is good waits as well, and comes no nearer to the app.
    let mark = portcullis_testkit::marker("m");
    let request = Request::get("/long/a").bearer(good("alice")).field("x-marker", &mark);
    wait_of(&here.send(&request));
    WORLD.upstream.saw_nothing_of(&mark);
    // Another spelling of the same account is the same account.
    let spelt = WORLD.issuer.token();
    let payload =
        spelt.claims().to_string().replacen("\"sub\":\"", "\"sub\":\"\\u0061lice\",\"x\":\"", 1);
    wait_of(&ask(&here, "/long/a", &spelt.payload(payload).sign()));
    // Others behind the address, the account elsewhere, other routes.
    ask(&here, "/long/a", &good("bob")).expect(200);
    ask(&from("127.0.2.2"), "/long/a", &good("alice")).expect(200);
    ask(&here, "/free", &good("alice")).expect(200);
    let through = |client: &str| {
        let request = Request::get("/long/a").bearer(good("alice"));
        from("127.0.1.1").send(&request.field("x-forwarded-for", client))
    };
    wait_of(&through("127.0.2.1"));
    through("192.0.2.7").expect(200);
    // Nobody without a credential waits.
    here.send(&Request::get("/long/a")).expect_refusal(401, "credential-missing");
}

#[test]
fn addresses_of_one_ipv6_network_are_one_client() {
    let through = |client: &str, token: &str| {
        let request = Request::get("/long/a").bearer(token);
        from("127.0.1.1").send(&request.field("x-forwarded-for", client))
    };
    for host in 1..=3 {
        is_wrong(&through(&format!("2001:db8:1:1::{host}"), &forged("six")));
    }
    wait_of(&through("2001:db8:1:1::99", &good("six")));
    through("2001:db8:1:2::1", &good("six")).expect(200);
}

#[test]
fn the_delay_grows_and_a_good_one_after_it_forgives() {
    let here = from("127.0.2.3");
    let token = good("carol");
    let passes = || (ask(&here, "/short", &token).status == 200).then_some(());
    is_wrong(&ask(&here, "/short", &forged("carol")));
    ask(&here, "/short", &token).expect(200);
    is_wrong(&ask(&here, "/short", &forged("carol")));
    ask(&here, "/short", &token).expect(200);
    // The good one between forgave the first.
    is_wrong(&ask(&here, "/short", &forged("carol")));
    is_wrong(&ask(&here, "/short", &forged("carol")));
    assert_eq!(wait_of(&ask(&here, "/short", &token)), 1);
    // Waiting as long as was said suffices; another failure then costs ten times as much.
    std::thread::sleep(Duration::from_secs(1));
    is_wrong(&ask(&here, "/short", &forged("carol")));
    let wait = wait_of(&ask(&here, "/short", &forged("carol")));
    assert!((2..=3).contains(&wait), "{wait}");
    until(SOON, "the delay is over", passes);
    is_wrong(&ask(&here, "/short", &forged("carol")));
    ask(&here, "/short", &token).expect(200);
}

#[test]
fn what_was_good_once_or_is_elsewhere_never_counts() {
    let here = from("127.0.2.4");
    let token = || WORLD.issuer.token().claim("sub", "dora").claim("scope", "read");
    let ended = token().time("exp", -600).sign();
    let elsewhere = token().claim("aud", "other").sign();
    let foreign = token().claim("iss", "https://other.test").sign();
    for _ in 0..5 {
        for credential in [&ended, &elsewhere, &foreign, "rubbish", "a.b.c"] {
            is_wrong(&ask(&here, "/long/a", credential));
        }
        let scopeless = token().claim("scope", "none").sign();
        ask(&here, "/long/a", &scopeless).expect_refusal(403, "scope-missing");
    }
    ask(&here, "/long/a", &good("dora")).expect(200);
}

#[test]
fn keys_that_are_guessed_cost_the_guesser_that_key() {
    let made = WORLD.gateway.launch().command(&["keys", "new", "--owner", "o", "--json"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let made: Value = serde_json::from_str(&made.stdout).unwrap();
    let key = made["key"].as_str().unwrap();
    let with = |client: &Client, path: &str, key: &str| {
        client.send(&Request::get(path).field("x-api-key", key))
    };
    let (here, there) = (from("127.0.2.5"), from("127.0.2.6"));
    until_true(SOON, "the key is known", || with(&there, "/free", key).status == 200);
    let id = key.split_once('.').unwrap().0;
    let guess = |letter: &str| format!("{id}.{}", letter.repeat(43));
    for letter in ["A", "B", "C"] {
        is_wrong(&with(&here, "/long/a", &guess(letter)));
    }
    wait_of(&with(&here, "/long/a", &guess("D")));
    wait_of(&with(&here, "/long/a", key));
    with(&there, "/long/a", key).expect(200);
    with(&here, "/free", key).expect(200);
    // Keys that do not exist, and what is no key.
    for unknown in [format!("pck_aaaaaaaaaaaa.{}", "A".repeat(43)), "secret".to_owned()] {
        for _ in 0..3 {
            is_wrong(&with(&here, "/long/a", &unknown));
        }
        wait_of(&with(&here, "/long/a", &unknown));
    }
    // Tokens of the address are not the poorer for it.
    ask(&here, "/long/a", &good("erin")).expect(200);
}

#[test]
fn proofs_that_come_again_are_wrong_and_those_that_need_a_nonce_are_not() {
    let here = WORLD.https().from("127.0.2.7");
    let key = Key::p256("holder");
    let token = portcullis_testkit::jwt::Token::new("https://bound.test", &WORLD.issuer.key());
    let token = token.claim("sub", "finn").bound_to(&key).sign();
    let proof = || Proof::new(&key, "GET", "https://api.test/bound", &token).sign();
    let send = |proof: &str| here.send(&Request::get("/bound").dpop(&token, proof));
    let used = proof();
    send(&used).expect(200);
    for _ in 0..5 {
        let other = Proof::new(&key, "PUT", "https://api.test/bound", &token).sign();
        is_wrong(&send(&other));
        is_wrong(&here.send(&Request::get("/bound").bearer(&token)));
    }
    for _ in 0..3 {
        is_wrong(&send(&used));
    }
    wait_of(&send(&proof()));
}

#[test]
fn a_refusal_is_told_by_decisions_explain_and_metrics() {
    let here = from("127.0.2.8");
    let gateway = &WORLD.gateway;
    for _ in 0..3 {
        is_wrong(&ask(&here, "/long/told", &forged("gina")));
    }
    let answer = ask(&here, "/long/told", &good("gina"));
    wait_of(&answer);
    let id = answer.field("x-request-id").unwrap();
    let host = gateway.address("admin").to_string();
    let asked = Request::get(format!("/decisions?request_id={id}")).host(&host);
    let decision = until(SOON, "the decision is kept", || {
        let answer = gateway.plain("admin").send(&asked.clone().bearer(ADMIN_TOKEN));
        answer.expect(200).json()["decisions"].as_array()?.first().cloned()
    });
    let stages = decision["stages"].as_array().unwrap();
    let last = stages.last().unwrap();
    assert_eq!(last["stage"], "penalty", "{decision}");
    assert_eq!(last["decided"], "refused");
    assert_eq!(last["saw"], "limit long: too many wrong credentials");
    assert!(last["rule"].as_str().unwrap().starts_with("gateway.yaml:"), "{decision}");
    assert_eq!(last["rule"], decision["rule"]);
    assert!(!decision.to_string().contains("gina"), "{decision}");
    for (name, least) in [("gateway_limiter_penalties_total", 1), ("gateway_limiter_keys", 1)] {
        until_true(SOON, name, || gateway.metric(&[name, "\"long\""]) >= least);
    }
    assert!(gateway.metric(&["gateway_denials_total", "\"too-many-failures\""]) >= 1);

    // A rehearsal knows nothing of it, and counts nothing.
    let token = good("gina");
    let authorization = format!("authorization: Bearer {token}");
    let told = gateway.launch().command(&[
        "explain",
        "--header",
        &authorization,
        "GET",
        "http://api.test/long/told",
    ]);
    let penalty = told.stdout.lines().find(|line| line.trim_start().starts_with("penalty "));
    let penalty = penalty.unwrap_or_else(|| panic!("{}{}", told.stdout, told.stderr));
    assert!(penalty.contains("passed") && penalty.contains("long: no wait"), "{penalty}");
}

#[test]
fn what_is_held_is_kept_over_a_reload() {
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, CONFIG]);
    let client = world.plain();
    let ask = |token: &str| client.send(&Request::get("/long/a").bearer(token));
    let token = world.issuer.token().claim("scope", "read");
    let forged = token.clone().signed_by(&Key::rsa(world.issuer.key().kid())).sign();
    for _ in 0..3 {
        is_wrong(&ask(&forged));
    }
    wait_of(&ask(&token.sign()));
    let file = world.gateway.launch().folder().join("gateway.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let reloads = || world.gateway.metric(&["gateway_config_reloads_total", "taken"]);
    let before = reloads();
    world
        .gateway
        .write("gateway.yaml", &text.replace("after: 3, first: 1h", "after: 9, first: 30m"));
    until_true(SOON, "the file is taken", || reloads() > before);
    wait_of(&ask(&token.sign()));
}
