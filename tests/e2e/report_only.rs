//! Rules on trial: what they would refuse is recorded and forwarded, until they end by themselves.

use std::io::Write;
use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_core::Timestamp;
use portcullis_testkit::{CertificateAuthority, Request, until};
use serde_json::{Value, json};

use crate::world::{ADMIN_TOKEN, BASE, HOSTS, ISSUERS, UPSTREAMS, World, launch};

const CONFIG: &str = r#"
policies:
  owner: 'principal.subject == path.id'
  tenant: 'claims.tenant == "acme"'
limits:
  - {name: few, key: address, rate: 2/h}
  - {name: mine, key: principal, rate: 1/h}
  - {name: once, key: address, concurrent: 1}
  - {name: bites, key: address, rate: 3/h}
telemetry: {audit_log: {to: "@DIR@/audit.jsonl"}}
routes:
  - {name: limited, path: /limited, access: public, limits: [few], forward: {upstream: u}}
  - {name: both, path: /both, access: public, limits: [few, bites], forward: {upstream: u}}
  - {name: slots, path: /slots, access: public, limits: [once], forward: {upstream: u}}
  - name: owned
    path: /owned/{id}
    access: {any_of: [{issuer: corporate, scopes: [read]}], policies: [owner, tenant]}
    limits: [mine]
    forward: {upstream: u}
  - name: shaped
    path: /shaped
    access: public
    request: {body: {maximum: 10B, types: [application/json]}}
    forward: {upstream: u}
  - name: strict
    path: /strict
    access: public
    request: {body: {maximum: 10B, types: [application/json]}}
    forward: {upstream: u}
report_only:
  - {limits: [few, mine, once], policies: [owner, tenant], until: 2097-01-31}
  - {requests: [shaped], until: "2097-01-31T12:00:00+02:00"}
"#;

static WORLD: LazyLock<World> =
    LazyLock::new(|| World::start(&[BASE, HOSTS, UPSTREAMS, ISSUERS, CONFIG]));

/// The codes that would have refused, and the whole line of the access log.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "shorter where it is called")]
fn spared(request: Request) -> (Vec<String>, Value) {
    let answer = WORLD.plain().send(&request);
    answer.expect(200);
    for name in ["ratelimit", "ratelimit-policy", "retry-after"] {
        assert_eq!(answer.field(name), None, "{name} of a limit that only reports");
    }
    let line = WORLD.gateway.access_line(answer.field("x-request-id").expect("an id"));
    let would = line["would_deny"].as_array().cloned().unwrap_or_default();
    let code = |one: &Value| one["code"].as_str().expect("a code").to_owned();
    (would.iter().map(code).collect(), line)
}

fn token() -> String {
    WORLD.issuer.token().claim("aud", "api").claim("sub", "ann").claim("scope", "read").sign()
}

#[test]
fn limits_count_and_do_not_refuse() {
    let ask = || Request::get("/limited");
    for _ in 0..2 {
        assert!(spared(ask()).0.is_empty());
    }
    for _ in 0..3 {
        let (codes, line) = spared(ask());
        assert_eq!(codes, ["rate-limited"]);
        assert_eq!(line["would_deny"][0]["reason"], "limit few is used up", "{line}");
        assert_eq!(line["code"], "", "{line}");
    }
    // A rule that is not on trial refuses beside one that is, and both are told.
    let both = || WORLD.plain().send(&Request::get("/both"));
    for left in ["2", "1", "0"] {
        let answer = both();
        let told = answer.expect(200).field("ratelimit").expect("the limit that bites");
        assert!(told.contains("\"bites\"") && !told.contains("few"), "{told}");
        assert!(told.contains(&format!("r={left}")), "{told}");
    }
    let answer = both();
    answer.expect_refusal(429, "rate-limited");
    let line = WORLD.gateway.access_line(answer.field("x-request-id").expect("an id"));
    assert_eq!(line["reason"], "limit bites is used up", "{line}");
    assert_eq!(line["would_deny"][0]["reason"], "limit few is used up", "{line}");
}

#[test]
fn policies_and_limits_by_principal_are_recorded_in_their_order() {
    let (codes, _) = spared(Request::get("/owned/ann").bearer(token()));
    assert_eq!(codes, ["policy-denied"]);
    let (codes, line) = spared(Request::get("/owned/bob").bearer(token()));
    assert_eq!(codes, ["rate-limited", "policy-denied", "policy-denied"]);
    let reasons: Vec<&Value> =
        line["would_deny"].as_array().expect("a list").iter().map(|one| &one["reason"]).collect();
    let expected = [
        "limit mine is used up",
        "policy owner: it is false",
        "policy tenant: no such claim tenant",
    ];
    assert_eq!(reasons, expected.map(Value::from).iter().collect::<Vec<_>>());
    let rule = line["would_deny"][1]["rule"].as_str().expect("a line");
    let config = [BASE, HOSTS, UPSTREAMS, ISSUERS, CONFIG].concat();
    let at = config.lines().position(|text| text.contains("owner: '")).expect("a line") + 1;
    assert!(rule.ends_with(&format!(":{at}")), "{rule}");
    // Scopes are not on trial, and neither is the credential.
    let without = WORLD.issuer.token().claim("aud", "api").claim("sub", "ann").sign();
    WORLD.refused(Request::get("/owned/ann").bearer(without), 403, "scope-missing");
    WORLD.refused(Request::get("/owned/ann"), 401, "credential-missing");
}

#[test]
fn requests_at_once_are_let_through() {
    let mut held = TcpStream::connect(WORLD.gateway.address("plain")).expect("a connection");
    // Its body never ends, so that it is being served.
    let begun = "POST /slots HTTP/1.1\r\nhost: api.test\r\ncontent-length: 5\r\n\r\n12";
    held.write_all(begun.as_bytes()).expect("a request");
    // Not asked for by requests: one of them could hold the slot when it comes.
    until(Duration::from_mins(1), "the slot is held", || {
        let held = WORLD.gateway.metric(&["gateway_limiter_slots", "once"]);
        (held == 1).then_some(())
    });
    let (codes, _) = spared(Request::get("/slots"));
    assert_eq!(codes, ["concurrency-limited"]);
    drop(held);
}

#[test]
fn shapes_are_recorded_whether_the_length_is_said_or_not() {
    let post = |path: &str, body: &str| {
        Request::post(path, body).field("content-type", "application/json")
    };
    assert!(spared(post("/shaped", "12345")).0.is_empty());
    assert_eq!(spared(post("/shaped", "12345678901")).0, ["body-too-large"]);
    let other = Request::post("/shaped", "1").field("content-type", "text/plain");
    assert_eq!(spared(other).0, ["media-type-not-allowed"]);
    assert_eq!(spared(Request::post("/shaped", "12345678901")).0.len(), 2);
    let chunked = |path: &str| {
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: api.test\r\ncontent-type: application/json\r\n");
        let end = "transfer-encoding: chunked\r\nconnection: close\r\n\r\n8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n";
        WORLD.plain().raw(format!("{head}{end}"))
    };
    let answer = chunked("/shaped");
    let line = WORLD.gateway.access_line(answer.expect(200).field("x-request-id").expect("an id"));
    assert_eq!(line["would_deny"][0]["code"], "body-too-large", "{line}");
    assert_eq!(line["would_deny"].as_array().map(Vec::len), Some(1), "{line}");
    assert_eq!(line["bytes_in"], 16, "{line}");
    chunked("/strict").expect_refusal(413, "body-too-large");
    WORLD.refused(post("/strict", "12345678901"), 413, "body-too-large");
}

#[test]
fn operators_tell_trials_and_refusals_apart() {
    let before = WORLD.gateway.metric(&["gateway_denials_total", "media-type-not-allowed"]);
    let request = Request::post("/shaped", "x").field("content-type", "text/html");
    let (_, line) = spared(request);
    let id = line["request_id"].as_str().expect("an id");
    let series = ["gateway_would_deny_total", "media-type-not-allowed", "shaped"];
    assert!(WORLD.gateway.metric(&series) >= 1);
    assert_eq!(WORLD.gateway.metric(&["gateway_denials_total", "media-type-not-allowed"]), before);
    let admin = WORLD.gateway.plain("admin");
    let ask = |query: &str| {
        let host = WORLD.gateway.address("admin").to_string();
        let request = Request::get(format!("/decisions?request_id={id}&{query}"));
        admin.send(&request.host(&host).bearer(ADMIN_TOKEN)).expect(200).json()
    };
    let found = ask("would_deny=true");
    assert_eq!(found["decisions"][0]["would_deny"][0]["code"], "media-type-not-allowed", "{found}");
    assert_eq!(ask("would_deny=false")["decisions"], json!([]));
    assert_eq!(ask("refused=true")["decisions"], json!([]));
    let ready = WORLD.gateway.probe("/readyz").expect(200).json();
    let trials = json!([
        {"limits": ["few", "mine", "once"], "policies": ["owner", "tenant"], "requests": [],
         "until": "2097-02-01T00:00:00Z"},
        {"limits": [], "policies": [], "requests": ["shaped"], "until": "2097-01-31T10:00:00Z"},
    ]);
    assert_eq!(ready["report_only"], trials, "{ready}");
}

#[test]
fn explain_says_that_it_would_refuse() {
    let config = [BASE, HOSTS, UPSTREAMS, ISSUERS, CONFIG].concat();
    let config = config
        .replace("@UPSTREAM@", "http://127.0.0.1:9")
        .replace("@JWKS@", &WORLD.issuer.jwks_url());
    let launch = launch(&config, &CertificateAuthority::new());
    let field = format!("authorization: Bearer {}", token());
    let url = "https://api.test/owned/bob";
    let explain = |at: &str| launch.command(&["explain", "GET", url, "-H", &field, "--at", at]);
    let now = Timestamp::from_unix_seconds(now()).rfc3339();
    let finished = explain(&now);
    assert_eq!(finished.code, 0, "{}", finished.stdout);
    assert!(
        finished.stdout.contains("would refuse (report only until 2097-02-01T00:00:00Z)"),
        "{}",
        finished.stdout
    );
    assert!(finished.stdout.contains("policy owner: it is false"), "{}", finished.stdout);
    let json =
        launch.command(&["explain", "GET", url, "-H", &field, "--at", &now, "--format", "json"]);
    let told: Value = serde_json::from_str(&json.stdout).expect(&json.stdout);
    let one = &told["would_deny"][0];
    assert_eq!(
        (&one["code"], &one["reason"]),
        (&json!("policy-denied"), &json!("policy owner: it is false"))
    );
    assert!(one["rule"].as_str().is_some_and(|rule| rule.starts_with("gateway.yaml:")), "{told}");
}

fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the program's clock is the system's")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

#[test]
fn a_trial_ends_by_itself() {
    let end = Timestamp::from_unix_seconds(now() + 15).rfc3339();
    let config = CONFIG.replace("2097-01-31}", &format!("\"{end}\"}}"));
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, ISSUERS, &config]);
    let token = world.issuer.token().claim("aud", "api").claim("sub", "ann");
    let token = token.claim("scope", "read").claim("tenant", "acme").sign();
    let ask = || world.plain().send(&Request::get("/owned/bob").bearer(&token));
    let limited = || world.plain().send(&Request::get("/limited"));
    for _ in 0..3 {
        limited().expect(200);
    }
    ask().expect(200);
    // The bucket of one request an hour is empty: from its end on, the limit says so.
    until(Duration::from_mins(1), "the trial is over", || (limited().status == 429).then_some(()));
    assert_eq!(ask().status, 429);
    let other = world.issuer.token().claim("aud", "api").claim("sub", "bea");
    let other = other.claim("scope", "read").claim("tenant", "acme").sign();
    let request = Request::get("/owned/bob").bearer(&other);
    world.plain().send(&request).expect_refusal(403, "policy-denied");
    let ready = world.gateway.probe("/readyz").expect(200).json();
    assert_eq!(ready["report_only"].as_array().map(Vec::len), Some(1), "{ready}");
    // The other one goes on.
    world.plain().send(&Request::post("/shaped", "12345678901")).expect(200);
}
