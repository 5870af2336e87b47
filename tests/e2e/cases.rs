//! `portcullis test`: cases on the real pipeline; the examples ship theirs; and what it says is what a
//! running gateway says of the same requests.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_testkit::{Launch, tools};
use serde_json::Value;

use crate::world::{BASE, HOSTS, UPSTREAMS, World, bare};

/// Configurations below a folder.
fn configs(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        let name = path.to_string_lossy();
        if path.is_dir() {
            configs(&path, found);
        } else if name.ends_with(".yaml") && !name.ends_with(".tests.yaml") {
            found.push(path);
        }
    }
}

/// Runs a script with what the tests have of Python's packages; false where there is no Python.
fn python(script: &str, arguments: &[&Path]) -> bool {
    let Some(python) = tools::python() else { return false };
    let done = Command::new(python).arg("-c").arg(script).args(arguments).output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&said));
    true
}

#[test]
fn the_examples_pass_their_tests_which_leave_out_nothing() {
    let workspace = tools::workspace().canonicalize().unwrap();
    let mut found = vec![workspace.join("gateway.example.yaml")];
    configs(&workspace.join("examples"), &mut found);
    assert!(found.len() >= 20, "{found:?}");
    for config in found {
        let name = config.with_extension("tests.yaml").to_string_lossy().into_owned();
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
    python(READ_JUNIT, &[&launch.folder().join("junit.xml"), Path::new("5 0")]);
}

/// Reads a file as CI does: how many tests there were, how many failed, each with its name and why.
const READ_JUNIT: &str = r#"
import sys
from junitparser import Failure, JUnitXml
read = JUnitXml.fromfile(sys.argv[1])
cases = [case for suite in read for case in suite]
failed = [case for case in cases if any(isinstance(r, Failure) for r in case.result)]
assert f"{len(cases)} {len(failed)}" == sys.argv[2], (cases, failed)
assert (read.tests, read.failures, read.errors) == (len(cases), len(failed), 0), read
assert all(case.name and case.classname for case in cases), cases
assert all(r.message or r.text for case in failed for r in case.result), failed
"#;

#[test]
fn cases_prove_keys_answer_introspections_and_revoke() {
    let launch = bare(POSSESSION).file("gateway.tests.yaml", POSSESSED);
    let good = launch.command(&["test"]);
    assert_eq!(good.code, 0, "{}{}", good.stdout, good.stderr);
    for (part, place) in [
        ("{issuer: main, wrong_key: true}", None),
        ("{issuer: main, introspection: inactive}", Some("tokens of `main` are signed")),
        ("{issuer: opaque, wrong_key: true}", Some("tokens of `opaque` are opaque")),
        ("{issuer: main, dpop: rubbish}", Some("`other_key`")),
    ] {
        let case = format!(
            "cases:\n  - {{name: a, request: {{url: \"http://api.test/main\"}}, credential: {{token: {part}}}, \
             expect: {{code: credential-invalid}}}}\n"
        );
        let done = bare(POSSESSION).file("gateway.tests.yaml", &case).command(&["test"]);
        match place {
            None => assert_eq!(done.code, 0, "{}", done.stdout),
            Some(told) => {
                assert_eq!(done.code, 2, "{part}: {}", done.stdout);
                assert!(done.stdout.contains(told), "{part}: {}", done.stdout);
            }
        }
    }
}

const POSSESSION: &str = r#"
version: 1
listeners: [{name: plain, address: "127.0.0.1:0", cleartext: true}]
hosts: [api.test]
issuers:
  - {name: main, issuer: "https://idp.test", audience: [api]}
  - {name: bound, issuer: "https://bound.test", audience: [api], proof: {dpop: required}}
  - name: opaque
    issuer: https://opaque.test
    audience: [api]
    introspection: {url: "https://opaque.test/introspect", client_id: gateway, client_secret: {file: none}}
    proof: {dpop: optional}
upstreams: [{name: u, endpoints: ["http://127.0.0.1:9"]}]
routes:
  - {name: main, path: /main, access: {any_of: [{issuer: main}]}, forward: {upstream: u}}
  - {name: bound, path: /bound, access: {any_of: [{issuer: bound}]}, forward: {upstream: u}}
  - {name: opaque, path: /opaque, access: {any_of: [{issuer: opaque, scopes: [read]}]}, forward: {upstream: u}}
  - {name: keys, path: /keys, access: {any_of: [api_key]}, forward: {upstream: u}}
"#;

const POSSESSED: &str = r#"
cases:
  - {name: a, request: {url: "http://api.test/main"}, credential: {token: {issuer: main}}, expect: allow}
  - {name: b, request: {url: "http://api.test/main"}, credential: {token: {issuer: main, revoked: true}}, expect: {reason: the token was revoked by its jti}}
  - {name: c, request: {url: "http://api.test/main"}, credential: {token: {issuer: main, revoked: true, claims: {jti: null}}}, expect: {reason: the tokens of the subject were revoked}}
  - {name: d, request: {url: "http://api.test/main"}, credential: {token: {issuer: main, dpop: good}}, expect: {code: credential-invalid, reason: "the token is bound to a key, of which no proof is asked for"}}
  - {name: e, request: {url: "http://api.test/bound?x=1"}, credential: {token: {issuer: bound, dpop: good}}, repeat: 3, expect: allow}
  - {name: f, request: {url: "http://api.test/bound"}, credential: {token: {issuer: bound, dpop: replayed}}, expect: {reason: "DPoP proof: it was used before"}}
  - {name: g, request: {url: "http://api.test/bound"}, credential: {token: {issuer: bound, dpop: other_key}}, expect: {reason: the token is bound to another key}}
  - {name: h, request: {url: "http://api.test/opaque"}, credential: {token: {issuer: opaque, scopes: [read]}}, expect: allow}
  - {name: i, request: {url: "http://api.test/opaque"}, credential: {token: {issuer: opaque, scopes: [read], dpop: good}}, expect: allow}
  - {name: j, request: {url: "http://api.test/opaque"}, credential: {token: {issuer: opaque}}, expect: {code: scope-missing}}
  - {name: k, request: {url: "http://api.test/opaque"}, credential: {token: {issuer: opaque, scopes: [read], introspection: inactive}}, expect: {code: credential-invalid, reason: the issuer says that the token is not good}}
  - {name: l, request: {url: "http://api.test/opaque"}, credential: {token: {issuer: opaque, scopes: [read], introspection: unavailable}}, expect: {code: issuer-unavailable}}
  - {name: m, request: {url: "http://api.test/opaque"}, credential: {token: {issuer: opaque, scopes: [read], revoked: true}}, expect: {reason: the token was revoked by its jti}}
  - {name: n, request: {url: "http://api.test/keys"}, credential: {api_key: {}}, expect: allow}
  - {name: o, request: {url: "http://api.test/keys"}, credential: {api_key: {wrong: true}}, expect: {code: credential-invalid}}
  - {name: p, request: {url: "http://api.test/keys"}, credential: {api_key: {expired: true}}, expect: {reason: the key has expired}}
  - {name: q, request: {url: "http://api.test/keys"}, credential: {api_key: {revoked: true}}, expect: {reason: the key was revoked}}
"#;

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
    python(READ_JUNIT, &[&launch.folder().join("junit.xml"), Path::new("1 1")]);
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
        (
            "cases: [{name: a, request: {url: \"https://api.test/\"}, expect: allow}]",
            "speaks TLS: use http://",
        ),
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
