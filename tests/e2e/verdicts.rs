//! Why a request was refused: `/decisions` names every stage and the line that decided.

use std::sync::LazyLock;
use std::time::Duration;

use portcullis_testkit::{Answer, Request, until};
use serde_json::{Value, json};

use crate::world::{ADMIN_TOKEN, BASE, HOSTS, ISSUERS, UPSTREAMS, World};

const CONFIG: &str = r#"
clients: {deny: [127.0.0.66/32]}
limits:
  - {name: one, key: address, rate: 1/h}
cors: [{name: web, origins: ["https://ui.test"]}]
telemetry: {audit_log: {to: "@DIR@/audit.jsonl"}}
routes:
  - {name: open, path: "/open/{*rest}", access: public, cors: web, forward: {upstream: u}}
  - name: api
    path: /api/{id}
    methods: [GET, POST]
    access:
      any_of:
        - {issuer: corporate, scopes: [orders:read]}
      roles: [clerk]
    request: {body: {maximum: 10B, types: [application/json]}}
    forward: {upstream: u}
  - {name: scarce, path: /scarce, access: public, limits: [one], forward: {upstream: u}}
  - {name: gone, path: /gone, access: public, forward: {upstream: nobody}}
"#;

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let upstreams =
        UPSTREAMS.replace("}]", "}, {name: nobody, endpoints: [\"http://127.0.0.1:9\"]}]");
    World::start(&[BASE, HOSTS, &upstreams, ISSUERS, CONFIG])
});

/// What `/decisions` gives for a query.
fn decisions(query: &str) -> Vec<Value> {
    let host = WORLD.gateway.address("admin").to_string();
    let request = Request::get(format!("/decisions?{query}")).host(&host).bearer(ADMIN_TOKEN);
    let answer = WORLD.gateway.plain("admin").send(&request);
    answer.expect(200).json()["decisions"].as_array().expect("a list").clone()
}

fn decision(answer: &Answer) -> Value {
    let id = answer.field("x-request-id").expect("every answer has an id");
    until(Duration::from_secs(5), "the decision is kept", || {
        decisions(&format!("request_id={id}")).first().cloned()
    })
}

/// The line of the file that has `text` in it, as a rule names it.
fn line(text: &str) -> String {
    let file = WORLD.gateway.launch().folder().join("gateway.yaml");
    let file = std::fs::read_to_string(file).unwrap();
    let number = file.lines().position(|line| line.contains(text)).expect(text) + 1;
    format!("gateway.yaml:{number}")
}

/// The refusal names the stage, and the line that has `text` in it; everything before has passed.
#[track_caller]
fn check(answer: &Answer, code: &str, stage: &str, text: &str) {
    let decision = decision(answer);
    assert_eq!(decision["code"], code, "{decision}");
    let stages = decision["stages"].as_array().expect("stages");
    let (last, before) = stages.split_last().expect("a stage refused");
    let rule = line(text);
    let said = json!({
        "stage": stage, "decided": "refused", "saw": decision["reason"], "rule": rule,
    });
    assert_eq!(*last, said, "{decision}");
    assert_eq!(decision["rule"], json!(rule), "{decision}");
    assert!(before.iter().all(|one| one["decided"] == "passed"), "{decision}");
    assert_eq!(stages.first().map(|one| &one["stage"]), Some(&json!("client")), "{decision}");
}

#[test]
fn each_refusal_names_its_stage_and_the_line_that_decided() {
    let client = WORLD.plain();
    let send = |request: Request| client.send(&request);
    let of = |scope: &str| WORLD.issuer.token().claim("scope", scope);
    let clerk = of("orders:read").claim("roles", json!(["clerk"])).sign();
    let from_denied = client.clone().from("127.0.0.66").send(&Request::get("/open/x"));
    check(&from_denied, "client-not-allowed", "client", "clients: {deny");
    let host = send(Request::get("/open/x").host("evil.test"));
    check(&host, "host-not-allowed", "host", "hosts: [");
    check(&send(Request::get("/none")), "route-not-found", "route", "routes:");
    let method = send(Request::new("DELETE", "/api/7"));
    check(&method, "method-not-allowed", "route", "- name: api");
    let large = send(Request::post("/api/7", "0123456789ab").bearer(&clerk));
    check(&large, "body-too-large", "shape", "    request:");
    let media = send(Request::post("/api/7", "x").field("content-type", "text/plain"));
    check(&media, "media-type-not-allowed", "shape", "    request:");
    check(&send(Request::get("/api/7")), "credential-missing", "identify", "    access:");
    let wrong = send(Request::get("/api/7").bearer("rubbish"));
    check(&wrong, "credential-invalid", "identify", "    access:");
    let scopeless = send(Request::get("/api/7").bearer(of("openid").sign()));
    check(&scopeless, "scope-missing", "permit", "- {issuer: corporate");
    let no_clerk = send(Request::get("/api/7").bearer(of("orders:read").sign()));
    check(&no_clerk, "role-missing", "permit", "    access:");
    let scarce = Request::get("/scarce");
    client.clone().from("127.0.0.67").send(&scarce).expect(200);
    let limited = client.clone().from("127.0.0.67").send(&scarce);
    check(&limited, "rate-limited", "limits-by-address", "name: one");
    check(&send(Request::get("/gone")), "upstream-unavailable", "forward", "name: gone");
}

#[test]
fn a_refusal_tells_what_each_stage_saw() {
    let token = WORLD.issuer.token().claim("scope", "openid").sign();
    let answer = WORLD.plain().send(&Request::get("/api/7?access_token=t0ps3cret").bearer(&token));
    let decision = decision(&answer);
    let saw = |stage: &str| {
        let stages = decision["stages"].as_array().expect("stages").iter();
        let one = stages.into_iter().find(|one| one["stage"] == stage);
        one.and_then(|one| one["saw"].as_str()).unwrap_or_default().to_owned()
    };
    assert_eq!(saw("client"), "client 127.0.0.1 (hops 127.0.0.1)");
    assert_eq!(saw("host"), "api.test");
    assert_eq!(saw("route"), "/api/7 is route api");
    assert_eq!(saw("shape"), "no body");
    assert_eq!(saw("identify"), "u1 of issuer corporate");
    let text = decision.to_string();
    assert!(!text.contains("t0ps3cret") && !text.contains(&token), "{text}");
}

#[test]
fn what_was_no_request_was_refused_by_the_head_gate() {
    for bytes in [
        "GET /open/%zz HTTP/1.1\r\nHost: api.test\r\n\r\n",
        "GET /open/x HTTP/1.1\r\nHost: api.test\r\nHost: api.test\r\n\r\n",
    ] {
        let answer = WORLD.plain().raw(bytes);
        assert_eq!(answer.status, 400);
        let decision = decision(&answer);
        assert_eq!(decision["rule"], "head gate", "{decision}");
        let last = decision["stages"].as_array().and_then(|all| all.last()).expect("a stage");
        assert_eq!(last["stage"], "head", "{decision}");
    }
}

#[test]
fn what_is_served_or_answered_has_its_stages_too() {
    let served = decision(&WORLD.plain().send(&Request::get("/open/x")));
    assert_eq!(served["code"], "", "{served}");
    assert!(served.get("rule").is_none(), "{served}");
    let stages = served["stages"].as_array().expect("stages");
    assert!(stages.iter().all(|one| one["decided"] == "passed"), "{served}");
    let identify = stages.iter().find(|one| one["stage"] == "identify").expect("identify");
    assert_eq!(identify["rule"], json!(line("name: open")));

    let preflight = Request::new("OPTIONS", "/open/x")
        .field("origin", "https://ui.test")
        .field("access-control-request-method", "GET");
    let answered = decision(&WORLD.plain().send(&preflight));
    let last = answered["stages"].as_array().and_then(|all| all.last()).expect("a stage");
    assert_eq!((&last["stage"], &last["decided"]), (&json!("cors"), &json!("answered")));
}

#[test]
fn refusals_are_found_by_what_is_known_of_them() {
    let answer = WORLD.plain().send(&Request::new("PATCH", "/api/7"));
    let id = json!(answer.field("x-request-id").unwrap());
    decision(&answer);
    decision(&WORLD.plain().send(&Request::get("/open/x")));
    let has = |query: &str| decisions(query).iter().any(|one| one["request_id"] == id);
    for query in [
        "refused=true",
        "code=method-not-allowed",
        "route=api",
        "status=405",
        "status=405&route=api&code=method-not-allowed&refused=true&limit=1000",
    ] {
        assert!(has(query), "{query}");
    }
    for query in ["refused=false", "code=scope-missing", "route=open", "status=403"] {
        assert!(!has(query), "{query}");
    }
    assert!(decisions("refused=false").iter().all(|one| one["code"] == ""));
    let host = WORLD.gateway.address("admin").to_string();
    for query in ["codes=x", "limit=many"] {
        let request = Request::get(format!("/decisions?{query}")).host(&host).bearer(ADMIN_TOKEN);
        assert_eq!(WORLD.gateway.plain("admin").send(&request).status, 400, "{query}");
    }
}

#[test]
fn log_lines_of_refusals_name_the_rule() {
    let answer = WORLD.plain().send(&Request::get("/none"));
    let id = answer.field("x-request-id").unwrap().to_owned();
    let access = WORLD.gateway.access_line(&id);
    assert_eq!(access["rule"], json!(line("routes:")), "{access}");
    assert!(access.get("stages").is_none(), "{access}");
    let file = WORLD.gateway.launch().folder().join("audit.jsonl");
    let audit = until(Duration::from_secs(5), "the audit line", || {
        let text = std::fs::read_to_string(&file).ok()?;
        text.lines().find(|line| line.contains(&id)).map(str::to_owned)
    });
    let audit: Value = serde_json::from_str(&audit).expect("JSON");
    assert_eq!(audit["rule"], access["rule"]);
    let served = WORLD.plain().send(&Request::get("/open/x"));
    let line = WORLD.gateway.access_line(served.field("x-request-id").unwrap());
    assert!(line.get("rule").is_none(), "{line}");
}
