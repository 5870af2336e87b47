//! `portcullis test`: cases on the real pipeline; the examples ship theirs; and what it says is what a
//! running gateway says of the same requests.

use std::fmt::Write;
use std::path::PathBuf;

use portcullis_testkit::{Launch, tools};
use serde_json::Value;

use crate::world::{BASE, HOSTS, UPSTREAMS, World, bare};

/// Files of cases below a folder.
fn files(folder: &std::path::Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.to_string_lossy().ends_with(".tests.yaml") {
            found.push(path);
        }
    }
}

#[test]
fn the_examples_pass_their_tests_which_leave_out_nothing() {
    let workspace = tools::workspace().canonicalize().unwrap();
    let mut found = vec![workspace.join("gateway.example.tests.yaml")];
    files(&workspace.join("examples"), &mut found);
    assert!(found.len() >= 15, "{found:?}");
    for file in found {
        let name = file.to_string_lossy().into_owned();
        let finished = bare("").command(&["test", &name, "--fail-under", "100"]);
        assert_eq!(finished.code, 0, "{name}: {}{}", finished.stdout, finished.stderr);
    }
}

const RULES: &str = r#"
version: 1
listeners: [{name: plain, address: "127.0.0.1:0", cleartext: true}]
hosts: [api.test]
issuers: [{name: main, issuer: "https://idp.test", audience: [api], claims: {roles: [roles]}}]
policies:
  own: 'principal.subject == path.id'
limits: [{name: few, key: principal, rate: 3/min}]
upstreams: [{name: u, endpoints: ["http://127.0.0.1:9"]}]
routes:
  - name: own
    path: /own/{id}
    methods: [GET]
    access: {any_of: [{issuer: main, scopes: [read]}], policies: [own]}
    limits: [few]
    forward: {upstream: u}
"#;

fn rules(cases: &str) -> Launch {
    bare(RULES).file("gateway.tests.yaml", cases)
}

#[test]
fn cases_judge_verdict_code_route_reason_and_rule() {
    let launch = rules(
        r#"
cases:
  - name: own
    request: {url: "http://api.test/own/7"}
    credential: {token: {issuer: main, subject: "7", scopes: [read]}}
    expect: {verdict: allow, route: own}
  - name: not own
    request: {url: "http://api.test/own/8"}
    credential: {token: {issuer: main, subject: "7", scopes: [read]}}
    expect: {code: policy-denied, route: own, rule: "7"}
  - name: expired
    request: {url: "http://api.test/own/7", time: 2020-01-01T00:00:00Z}
    credential: {token: {issuer: main, subject: "7", scopes: [read], expired: true}}
    expect: {code: credential-invalid, reason: the token has expired}
  - name: another key
    request: {url: "http://api.test/own/7"}
    credential: {token: {issuer: main, subject: "7", scopes: [read], wrong_key: true}}
    expect: {code: credential-invalid, reason: the signature is not good}
  - name: the fourth
    request: {url: "http://api.test/own/7"}
    credential: {token: {issuer: main, subject: "7", scopes: [read]}}
    repeat: 4
    expect: {code: rate-limited}
"#,
    );
    let good = launch.command(&["test", "--junit", "junit.xml"]);
    assert_eq!(good.code, 0, "{}{}", good.stdout, good.stderr);
    assert!(good.stdout.contains("5 passed, 0 failed"), "{}", good.stdout);
    assert!(good.stdout.contains("own") && good.stdout.contains("2 of 2"), "{}", good.stdout);
    for missing in ["credential-missing", "scope-missing", "method-not-allowed", "body-too-large"] {
        assert!(good.stdout.contains(missing), "{missing}: {}", good.stdout);
    }
    assert_eq!(launch.command(&["test", "--fail-under", "90"]).code, 1);
    let junit = std::fs::read_to_string(launch.folder().join("junit.xml")).unwrap();
    assert!(junit.contains("tests=\"5\"") && junit.contains("failures=\"0\""), "{junit}");
}

#[test]
fn a_case_that_is_not_as_expected_says_what_was() {
    let launch = rules(
        "cases:\n  - {name: open, request: {url: \"http://api.test/own/7\"}, expect: allow}\n",
    );
    let failed = launch.command(&["test", "gateway.tests.yaml", "--junit", "junit.xml"]);
    assert_eq!(failed.code, 1, "{}", failed.stdout);
    for part in ["FAILED gateway.tests.yaml:2: open", "credential-missing", "gateway.yaml:14"] {
        assert!(failed.stdout.contains(part), "{part}: {}", failed.stdout);
    }
    let junit = std::fs::read_to_string(launch.folder().join("junit.xml")).unwrap();
    assert!(junit.contains("failures=\"1\"") && junit.contains("<failure"), "{junit}");
}

#[test]
fn mistakes_in_a_file_of_cases_have_their_place() {
    for (cases, part) in [
        ("cases: [{name: a, request: {url: x, methd: GET}, expect: allow}]", "1:37"),
        (
            "cases:\n- {name: a, request: {url: \"http://api.test/\"}, expect: {verdict: allow, route: owm}}",
            "did you mean `own`?",
        ),
        ("cases: [{name: a, request: {url: nowhere}, expect: allow}]", "the URL needs https://"),
    ] {
        let wrong = rules(cases).command(&["test"]);
        assert_eq!(wrong.code, 2, "{}", wrong.stdout);
        assert!(wrong.stdout.contains(part), "{part}: {}", wrong.stdout);
    }
    assert_eq!(bare(RULES).command(&["test"]).code, 2, "there are no cases");
}

/// Draws from a list by a number that goes on (Knuth's generator), the same in each run.
struct Draw(u64);

impl Draw {
    fn of<'l>(&mut self, list: &[&'l str]) -> &'l str {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let count = u64::try_from(list.len()).unwrap();
        list[usize::try_from((self.0 >> 33) % count).unwrap()]
    }
}

const REPLAYED: &str = r#"
clients: {deny: [127.0.0.66/32]}
issuers:
  - name: corporate
    issuer: https://idp.test/r1
    audience: [api]
    algorithms: [RS256]
    keys: {url: "@JWKS@"}
    claims: {roles: [roles]}
cors: [{name: web, origins: ["https://ui.test"]}]
routes:
  - {name: open, path: "/open/{*rest}", methods: [GET, POST], access: public, cors: web, forward: {upstream: u}}
  - {name: slash, path: "/files/{*rest}", encoded_slash: true, access: public, forward: {upstream: u}}
  - name: api
    path: /api/{id}
    methods: [GET, POST]
    access:
      any_of:
        - {issuer: corporate, scopes: [orders:read]}
      roles: [clerk]
    request: {body: {maximum: 10B, types: [application/json]}}
    forward: {upstream: u}
  - {name: maybe, path: /maybe, access: {any_of: [{issuer: corporate}, anonymous]}, forward: {upstream: u}}
  - {name: inside, path: /inside, access: public, clients: {deny: [127.0.0.77/32]}, forward: {upstream: u}}
"#;

/// One request: for the wire, and as a case.
struct Asked {
    bytes: String,
    from: String,
    case: String,
}

#[expect(clippy::too_many_lines, reason = "one kind of request after the other")]
fn ask(index: usize, draw: &mut Draw, world: &World) -> Asked {
    let host = draw.of(&[
        "api.test",
        "api.test",
        "api.test",
        "app.test",
        "API.test:80",
        "evil.test",
        "api.test.",
    ]);
    let path = draw.of(&[
        "/open/x",
        "/open/%2e%2e/api/7",
        "/open/a%2Fb",
        "/open//x",
        "/open/a;b",
        "/open/%41?x=1",
        "/open/%zz",
        "/files/a%2Fb",
        "/files/%252e",
        "/api/7",
        "/api/7",
        "/api/7",
        "/api/7",
        "/api/",
        "/api/7;x=1",
        "/maybe",
        "/maybe",
        "/inside",
        "/none",
        "/./api/7",
        "/",
    ]);
    let method =
        draw.of(&["GET", "GET", "GET", "POST", "POST", "DELETE", "OPTIONS", "TRACE", "get"]);
    let from = draw.of(&["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.66", "127.0.0.77"]);
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: &str| fields.push((name.to_owned(), value.to_owned()));
    let good = || {
        let token = world.issuer.token().claim("scope", "orders:read");
        token.claim("roles", serde_json::json!(["clerk"]))
    };
    let bearer = match draw.of(&[
        "none", "good", "good", "good", "expired", "audience", "issuer", "rubbish", "scopes",
        "roles", "basic", "twice", "key",
    ]) {
        "good" | "twice" => Some(good().sign()),
        "expired" => Some(good().time("exp", -90).sign()),
        "audience" => Some(good().claim("aud", "other").sign()),
        "issuer" => Some(good().claim("iss", "https://evil.test").sign()),
        "rubbish" => Some("rubbish".to_owned()),
        "scopes" => Some(good().claim("scope", "openid").sign()),
        "roles" => Some(good().claim("roles", serde_json::json!(["guest"])).sign()),
        "key" => Some(good().signed_by(&portcullis_testkit::keys::Key::rsa("k1")).sign()),
        "basic" => {
            add("authorization", "Basic YTpi");
            None
        }
        _ => None,
    };
    if let Some(token) = &bearer {
        add("authorization", &format!("Bearer {token}"));
    }
    if method == "OPTIONS" {
        add("origin", draw.of(&["https://ui.test", "https://evil.test"]));
        add("access-control-request-method", draw.of(&["GET", "DELETE", "(x)"]));
    }
    let length = if method == "POST" { draw.of(&["0", "2", "20", "2, 2", "x"]) } else { "" };
    if !length.is_empty() {
        add("content-length", length);
        add("content-type", draw.of(&["application/json", "text/plain"]));
    }
    let id = format!("replay-{index}");
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    let mut headers = String::new();
    for (name, value) in &fields {
        write!(bytes, "{name}: {value}\r\n").unwrap();
        write!(headers, "{}{name}: \"{value}\"", if headers.is_empty() { "" } else { ", " })
            .unwrap();
    }
    let body = "x".repeat(length.parse().unwrap_or(0));
    write!(bytes, "connection: close\r\n\r\n{body}").unwrap();
    let case = format!(
        "  - {{name: {id}, request: {{method: {method}, url: \"http://{host}{path}\", address: {from}, \
         listener: plain, headers: {{{headers}}}}}, expect: allow}}\n"
    );
    Asked { bytes, from: from.to_owned(), case }
}

#[test]
fn a_thousand_requests_are_judged_live_as_the_cases_say() {
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, REPLAYED]);
    let mut draw = Draw(5);
    let asked: Vec<Asked> = (0..1000).map(|index| ask(index, &mut draw, &world)).collect();
    let cases: String = asked.iter().map(|one| one.case.as_str()).collect();
    world.gateway.write("gateway.tests.yaml", &format!("cases:\n{cases}"));
    let finished =
        world.gateway.launch().command(&["test", "gateway.tests.yaml", "--json", "--fetch-keys"]);
    let said: Value = serde_json::from_str(&finished.stdout).expect(&finished.stdout);
    let said = said["cases"].as_array().expect("cases");
    assert_eq!(said.len(), asked.len());
    let mut kinds = std::collections::BTreeSet::new();
    let mut different = Vec::new();
    for (one, said) in asked.iter().zip(said) {
        let answer = world.plain().from(&one.from).raw(&one.bytes);
        let id = answer.field("x-request-id").expect("an id").to_owned();
        let record = world.gateway.access_line(&id);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let live = (
            text(&record["code"]),
            text(&record["reason"]),
            text(&record["rule"]),
            text(&record["route"]),
        );
        let told =
            (text(&said["code"]), text(&said["reason"]), text(&said["rule"]), text(&said["route"]));
        kinds.insert(live.0.clone());
        if live != told {
            different.push(format!("{}\n  live {live:?}\n  told {told:?}", one.bytes));
        }
    }
    assert!(kinds.len() >= 10, "{kinds:?}");
    assert!(
        different.is_empty(),
        "{} differ:\n{}",
        different.len(),
        different[..different.len().min(5)].join("\n")
    );
}
