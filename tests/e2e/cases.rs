//! `portcullis test`: cases on the real pipeline; the examples ship theirs; and what it says is what a
//! running gateway says of the same requests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use portcullis_testkit::dpop::Proof;
use portcullis_testkit::jwt::Token;
use portcullis_testkit::keys::Key;
use portcullis_testkit::poll::until_true;
use portcullis_testkit::{Launch, Request, tools};
use serde_json::{Value, json};

use crate::world::{BASE, HOSTS, UPSTREAMS, World, bare};

const SOON: Duration = Duration::from_mins(1);

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

/// Runs a script with what the tests have of Python's packages; it must end well.
pub(crate) fn python(script: &str, arguments: &[&Path]) {
    let Some(python) = tools::python() else { return };
    let done = Command::new(python).arg("-c").arg(script).args(arguments).output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&said));
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
    expect: {code: policy-denied, route: own, rule: 7}
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

const COVERED: &str = r#"
version: 1
listeners: [{name: plain, address: "127.0.0.1:0", cleartext: true}]
hosts: [api.test]
issuers: [{name: main, issuer: "https://idp.test", audience: [api]}]
policies: {mine: 'principal.subject == path.id', tried: 'claims.level > 3', last: '"x" in claims'}
report_only: [{policies: [tried], until: 2097-01-01}]
upstreams: [{name: u, endpoints: ["http://127.0.0.1:9"]}]
routes:
  - {name: own, path: "/own/{id}", access: {any_of: [{issuer: main}], policies: [mine, tried, last]}, forward: {upstream: u}}
  - {name: app, path: /app, access: {any_of: [{issuer: main}]}, cors: app, forward: {upstream: u}}
"#;

/// What is missing, by route or policy, of a file with the one case.
fn missing(case: &str, of: &str) -> (i32, Vec<String>) {
    let cases = format!("cases:\n  - {{name: a, request: {{{case}\n");
    let done = bare(COVERED).file("gateway.tests.yaml", &cases).command(&["test", "--json"]);
    let told: Value = serde_json::from_str(&done.stdout).expect(&done.stdout);
    let coverage = &told["coverage"][0];
    let rows =
        ["routes", "policies"].map(|key| coverage[key].as_array().cloned().unwrap_or_default());
    let row = rows.concat().into_iter().find(|row| row["name"] == of).expect("the row");
    let missing = row["missing"].as_array().expect("a list");
    (done.code, missing.iter().map(|one| one.as_str().unwrap().to_owned()).collect())
}

#[test]
fn only_what_a_case_showed_is_covered() {
    let own = |subject: &str, claims: &str, expect: &str| {
        format!(
            "url: \"http://api.test/own/7\"}}, credential: {{token: {{issuer: main, subject: \"{subject}\", \
             claims: {{{claims}}}}}}}, expect: {expect}}}"
        )
    };
    // Policies of one line are told apart, and those that were not asked are not covered.
    let denied = own("8", "level: 5", "{code: policy-denied}");
    assert_eq!(missing(&denied, "mine"), (0, vec!["true".to_owned()]));
    for other in ["tried", "last"] {
        assert_eq!(missing(&denied, other).1, ["false", "true"]);
    }
    // On trial it was false, though the request passed.
    let passed = own("7", "level: 1, x: 1", "allow");
    assert_eq!(missing(&passed, "tried"), (0, vec!["true".to_owned()]));
    assert_eq!(missing(&passed, "last"), (0, vec!["false".to_owned()]));
    // What cannot be evaluated was neither.
    assert_eq!(missing(&own("7", "x: 1", "allow"), "tried").1, ["false", "true"]);
    // A case that failed showed nothing.
    let (code, failed) = missing(&own("7", "level: 5, x: 1", "deny"), "mine");
    assert!(code == 1 && failed == ["false", "true"], "{failed:?}");
    // A preflight that the app answers is not a request that the route let pass.
    let preflight = "method: OPTIONS, url: \"http://api.test/app\", headers: {origin: \"https://ui.test\", \
                     access-control-request-method: GET}}, expect: allow}";
    let (code, left) = missing(preflight, "app");
    assert!(code == 0 && left.contains(&"allow".to_owned()), "{left:?}");
}

#[test]
fn what_has_no_effect_is_a_mistake_of_the_case() {
    for (part, told) in [
        ("credential: {api_key: {}}", "no route of the configuration takes API keys"),
        ("credential: {client_certificate: {san: [a.test]}}", "`client_certificate` has no effect"),
        ("repeat: 1000000000", "a whole number from 1 to 10000"),
    ] {
        let case = format!(
            "cases:\n  - {{name: \"a\\e[2J\", request: {{url: \"http://api.test/own/7\"}}, {part}, expect: deny}}\n"
        );
        let wrong = rules(&case).command(&["test"]);
        assert_eq!(wrong.code, 2, "{part}: {}", wrong.stdout);
        assert!(wrong.stdout.contains(told), "{part}: {}", wrong.stdout);
        assert!(!wrong.stdout.contains('\u{1b}'), "{:?}", wrong.stdout);
    }
    let cases =
        "cases: [{name: \"a\\e[2J\", request: {url: \"http://api.test/own/7\"}, expect: allow}]\n";
    let failed = rules(cases).command(&["test"]);
    assert_eq!(failed.code, 1, "{}", failed.stdout);
    assert!(failed.stdout.contains("a\\u{1b}[2J"), "{:?}", failed.stdout);
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
  - {name: bound, issuer: "https://bound.test", audience: [api], algorithms: [RS256], keys: {url: "@JWKS@"}, proof: {dpop: optional}}
cors: [{name: web, origins: ["https://ui.test"]}]
policies:
  own: 'principal.subject == path.id'
routes:
  - {name: own, path: "/own/{id}", access: {any_of: [{issuer: corporate}, {issuer: bound}], policies: [own]}, forward: {upstream: u}}
  - {name: keys, path: "/keys", access: {any_of: [{api_key: {scopes: [read]}}]}, forward: {upstream: u}}
  - {name: either, path: "/either", access: {any_of: [{issuer: corporate}, {issuer: bound}, api_key]}, forward: {upstream: u}}
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
    https: bool,
    host: String,
    head: bool,
    bytes: String,
    from: String,
    /// It is sent a second time, and that is the one that counts.
    again: bool,
    case: String,
}

/// API keys of the store: a good one, one that is over, one that was revoked.
struct ApiKeys([String; 3]);

impl ApiKeys {
    fn make(world: &World) -> Self {
        let run = |arguments: &[&str]| -> Value {
            let arguments = [&["keys"], arguments, &["--json"]].concat();
            let done = world.gateway.launch().command(&arguments);
            serde_json::from_str(&done.stdout).expect(&done.stderr)
        };
        let new = |more: &[&str]| {
            run(&[&["new", "--owner", "billing", "--scope", "read"], more].concat())
        };
        let made = [new(&[]), new(&["--expires", "2s"]), new(&[])];
        let keys = Self(made.each_ref().map(|made| made["key"].as_str().unwrap().to_owned()));
        let answered = |place: usize, status: u16| {
            until_true(SOON, "the key is known", || {
                let request = Request::get("/keys").field("x-api-key", &keys.0[place]);
                world.plain().send(&request).status == status
            });
        };
        // The last that was made is known: so are all.
        answered(2, 200);
        run(&["revoke", made[2]["id"].as_str().unwrap()]);
        answered(1, 401);
        answered(2, 401);
        keys
    }
}

/// The client's credential: its fields, what a case says of it, and whether it is sent twice.
#[derive(Default)]
struct Shown {
    fields: Vec<(String, String)>,
    case: String,
    again: bool,
}

impl Shown {
    fn field(name: &str, value: impl Into<String>) -> Self {
        Self { fields: vec![(name.to_owned(), value.into())], ..Self::default() }
    }

    /// One that a case makes: its store is its own.
    fn made(name: &str, value: impl Into<String>, case: &str) -> Self {
        let case = format!("credential: {{{case}}}, ");
        Self { case, ..Self::field(name, value) }
    }
}

/// A key of nobody, under the name of the issuer's.
static FORGED: LazyLock<Key> = LazyLock::new(|| Key::rsa("k1"));

#[expect(clippy::too_many_lines, reason = "one kind of credential after the other")]
fn shown(draw: &mut Draw, world: &World, keys: &ApiKeys, asked: (&str, &str)) -> Shown {
    let good = || {
        let token = world.issuer.token().claim("scope", "orders:read").claim("sub", "7");
        token.claim("roles", json!(["clerk"]))
    };
    let bearer = |token: Token| Shown::field("authorization", format!("Bearer {}", token.sign()));
    let made = "owner: billing, scopes: [read]";
    let [key, over, revoked] = &keys.0;
    match draw.of(&[
        "none",
        "good",
        "good",
        "good",
        "expired",
        "audience",
        "issuer",
        "rubbish",
        "scopes",
        "roles",
        "basic",
        "key",
        "subject",
        "revoked",
        "proof",
        "proof",
        "replayed",
        "stolen",
        "api key",
        "api key",
        "api key over",
        "api key revoked",
        "api key wrong",
        "both",
    ]) {
        "good" => bearer(good()),
        "expired" => bearer(good().time("exp", -90)),
        "audience" => bearer(good().claim("aud", "other")),
        "issuer" => bearer(good().claim("iss", "https://evil.test")),
        "rubbish" => Shown::field("authorization", "Bearer rubbish"),
        "scopes" => bearer(good().claim("scope", "openid")),
        "roles" => bearer(good().claim("roles", json!(["guest"]))),
        "subject" => bearer(good().claim("sub", "8")),
        "key" => bearer(good().signed_by(&FORGED)),
        "basic" => Shown::field("authorization", "Basic YTpi"),
        "revoked" => {
            let token = good().claim("jti", "gone").sign();
            let case = "token: {issuer: corporate, subject: \"7\", scopes: [\"orders:read\"], \
                        roles: [clerk], revoked: true}";
            Shown::made("authorization", format!("Bearer {token}"), case)
        }
        kind @ ("proof" | "replayed" | "stolen") => {
            let (method, target) = asked;
            let holder = world.issuer.key();
            let token = good().claim("iss", "https://bound.test").bound_to(&holder).sign();
            let signer = if kind == "stolen" { &*FORGED } else { &holder };
            let proof = Proof::new(signer, method, target, &token).sign();
            let fields = [("authorization", format!("DPoP {token}")), ("dpop", proof)];
            let fields = fields.map(|(name, value)| (name.to_owned(), value)).into();
            Shown { fields, again: kind == "replayed", ..Shown::default() }
        }
        "api key" => Shown::made("x-api-key", key, &format!("api_key: {{{made}}}")),
        "api key over" => {
            Shown::made("x-api-key", over, &format!("api_key: {{{made}, expired: true}}"))
        }
        "api key revoked" => {
            Shown::made("x-api-key", revoked, &format!("api_key: {{{made}, revoked: true}}"))
        }
        "api key wrong" => {
            let wrong = format!("{}.{}", key.split_once('.').unwrap().0, "A".repeat(43));
            Shown::made("x-api-key", wrong, &format!("api_key: {{{made}, wrong: true}}"))
        }
        "both" => {
            let mut both = bearer(good());
            both.fields.push(("x-api-key".to_owned(), "any".to_owned()));
            both
        }
        _ => Shown::default(),
    }
}

const PATHS: [&str; 26] = [
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
    "/api/",
    "/api/7;x=1",
    "/maybe",
    "/maybe",
    "/inside",
    "/none",
    "/./api/7",
    "/",
    "/own/7",
    "/own/%37",
    "/own/8",
    "/keys",
    "/keys",
    "/either",
];

fn ask(index: usize, draw: &mut Draw, world: &World, keys: &ApiKeys) -> Asked {
    let https = draw.of(&["https", "http"]) == "https";
    // No handshake comes about for a name that the gateway does not have.
    let host = if https {
        draw.of(&["api.test", "app.test", "API.test:443"])
    } else {
        draw.of(&[
            "api.test",
            "api.test",
            "api.test",
            "app.test",
            "API.test:80",
            "evil.test",
            "api.test.",
        ])
    };
    let path = draw.of(&PATHS);
    let methods =
        ["GET", "GET", "GET", "HEAD", "POST", "POST", "DELETE", "OPTIONS", "TRACE", "get"];
    let method = draw.of(&methods);
    let from = draw.of(&["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.66", "127.0.0.77"]);
    let (scheme, listener) = if https { ("https", "https") } else { ("http", "plain") };
    let target = format!("{scheme}://{host}{}", path.split('?').next().unwrap());
    let Shown { fields: secret, case: credential, again } =
        shown(draw, world, keys, (method, &target));
    let mut fields = if credential.is_empty() { secret.clone() } else { Vec::new() };
    let made = if credential.is_empty() { Vec::new() } else { secret };
    let mut add = |name: &str, value: &str| fields.push((name.to_owned(), value.to_owned()));
    if method == "OPTIONS" {
        add("origin", draw.of(&["https://ui.test", "https://evil.test"]));
        add("access-control-request-method", draw.of(&["GET", "DELETE", "(x)"]));
    }
    let length = if method == "POST" { draw.of(&["0", "2", "20", "2, 2", "x"]) } else { "" };
    if !length.is_empty() {
        add("content-length", length);
        add("content-type", draw.of(&["application/json", "text/plain"]));
    }
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in fields.iter().chain(&made) {
        write!(bytes, "{name}: {value}\r\n").unwrap();
    }
    let headers: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}: \"{value}\"")).collect();
    let headers = headers.join(", ");
    let body = "x".repeat(length.parse().unwrap_or(0));
    write!(bytes, "connection: close\r\n\r\n{body}").unwrap();
    let repeat = if again { "repeat: 2, " } else { "" };
    let case = format!(
        "  - {{name: replay-{index}, request: {{method: {method}, url: \"{scheme}://{host}{path}\", \
         address: {from}, listener: {listener}, headers: {{{headers}}}}}, {credential}{repeat}\
         expect: allow}}\n"
    );
    let host = host.split(':').next().unwrap().to_owned();
    Asked { https, host, head: method == "HEAD", bytes, from: from.to_owned(), again, case }
}

impl Asked {
    /// Sends it; gives the id under which the gateway's log tells of it.
    fn send(&self, world: &World) -> String {
        let client = if self.https { world.https().server_name(&self.host) } else { world.plain() };
        let client = client.from(&self.from);
        let send =
            || if self.head { client.raw_head(&self.bytes) } else { client.raw(&self.bytes) };
        if self.again {
            send();
        }
        send().field("x-request-id").expect("an id").to_owned()
    }
}

/// Code, reason, rule and route.
fn told(said: &Value) -> [String; 4] {
    ["code", "reason", "rule", "route"]
        .map(|name| said[name].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_thousand_requests_are_judged_live_as_the_cases_say() {
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, REPLAYED]);
    let keys = ApiKeys::make(&world);
    let revoke = ["tokens", "revoke", "--issuer", "corporate", "--jti", "gone"];
    assert_eq!(world.gateway.launch().command(&revoke).code, 0);
    let gone = world.issuer.token().claim("jti", "gone").sign();
    until_true(SOON, "the token is revoked", || {
        world.plain().send(&Request::get("/either").bearer(&gone)).status == 401
    });
    let mut draw = Draw(5);
    let asked: Vec<Asked> = (0..1000).map(|index| ask(index, &mut draw, &world, &keys)).collect();
    let cases: String = asked.iter().map(|one| one.case.as_str()).collect();
    world.gateway.write("gateway.tests.yaml", &format!("cases:\n{cases}"));
    let finished =
        world.gateway.launch().command(&["test", "gateway.tests.yaml", "--json", "--fetch-keys"]);
    let said: Value = serde_json::from_str(&finished.stdout).expect(&finished.stdout);
    let said = said["cases"].as_array().expect("cases");
    assert_eq!(said.len(), asked.len());
    let ids: Vec<String> = asked.iter().map(|one| one.send(&world)).collect();
    world.gateway.access_line(&ids[ids.len() - 1]);
    let lines = world.gateway.access_log();
    let of_id =
        |line: &Value| (line["request_id"].as_str().unwrap_or_default().to_owned(), told(line));
    let logged: BTreeMap<String, [String; 4]> = lines.iter().map(of_id).collect();
    let mut kinds = BTreeSet::new();
    let mut different = Vec::new();
    for ((one, id), said) in asked.iter().zip(&ids).zip(said) {
        let (live, told) = (&logged[id], &told(said));
        kinds.insert(live[0].clone());
        kinds.insert(live[1].clone());
        if live != told {
            different.push(format!("{}\n  live {live:?}\n  told {told:?}", one.bytes));
        }
    }
    for kind in [
        "policy-denied",
        "scope-missing",
        "role-missing",
        "ambiguous-credentials",
        "the token was revoked by its jti",
        "DPoP proof: it was used before",
        "the token is bound to another key",
        "the key has expired",
        "the key was revoked",
        "Access-Control-Request-Method is no method",
    ] {
        assert!(kinds.contains(kind), "{kind}: {kinds:?}");
    }
    assert!(
        different.is_empty(),
        "{} differ:\n{}",
        different.len(),
        different[..different.len().min(5)].join("\n")
    );
}
