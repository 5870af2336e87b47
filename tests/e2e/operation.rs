//! Running it: commands, probes, the admin listener, logs, metrics, signals.

use std::sync::LazyLock;
use std::time::Duration;

use portcullis_core::clock::Clock;
use portcullis_testkit::poll::until_true;
use portcullis_testkit::{CertificateAuthority, Issuer, Reply, Request, marker, tools, until};
use serde_json::{Value, json};

use crate::cases::python;
use crate::world::{ADMIN_TOKEN, BASE, HOSTS, ISSUERS, UPSTREAMS, World, bare, launch};

const CONFIG: &str = r#"
limits: [{name: two, key: address, rate: 2/h}, {name: at_once, key: address, concurrent: 100}]
cors: [{name: web, origins: ["https://ui.test"]}]
telemetry:
  audit_log: {to: "@DIR@/audit.jsonl"}
  redact: {query: [invite], headers: [x-session]}
routes:
  - {name: open, path: "/open/{*rest}", access: public, forward: {upstream: u}}
  - {name: api, path: "/api/{*rest}", access: {any_of: [{issuer: corporate, scopes: [orders:read]}]}, forward: {upstream: u}}
  - {name: limited, path: /limited, access: public, limits: [two, at_once], cors: web, forward: {upstream: u}}
  - {name: gone, path: /gone, access: public, forward: {upstream: nobody}}
"#;

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let upstreams =
        UPSTREAMS.replace("}]", "}, {name: nobody, endpoints: [\"http://127.0.0.1:9\"]}]");
    World::start(&[BASE, HOSTS, &upstreams, ISSUERS, CONFIG])
});

fn admin(path: &str) -> Request {
    let host = WORLD.gateway.address("admin").to_string();
    Request::get(path).host(&host)
}

#[test]
fn version_and_schema_print_what_scripts_read() {
    let any = bare("");
    let version = any.command(&["version"]);
    assert_eq!(version.code, 0);
    assert!(version.stdout.contains(env!("CARGO_PKG_VERSION")), "{}", version.stdout);
    assert!(version.stdout.contains("aws-lc-rs"), "{}", version.stdout);
    let schema = any.command(&["schema"]);
    assert_eq!(schema.code, 0);
    let schema: Value = serde_json::from_str(&schema.stdout).expect("JSON");
    for section in ["version", "listeners", "hosts", "issuers", "limits", "upstreams", "routes"] {
        assert!(schema["properties"][section].is_object(), "{section}");
    }
    assert_eq!(any.command(&["no-such-command"]).code, 2);
    assert_eq!(any.command(&["--help"]).code, 0);
}

#[test]
fn check_has_formats_and_advice() {
    // An issuer on loopback is fine on a desk and not in production.
    let config = format!(
        "{BASE}{HOSTS}issuers: [{{name: i, issuer: \"http://127.0.0.1:9\", audience: [a]}}]\n\
         upstreams: [{{name: u, endpoints: [\"http://127.0.0.1:9\"]}}]\n\
         routes: [{{name: r, path: /x, access: {{any_of: [{{issuer: i}}]}}, forward: {{upstream: u}}}}]\n"
    );
    let prepared = bare(&config);
    let check = |more: &[&str]| {
        prepared.command(&[&["check", "gateway.yaml", "--no-files"], more].concat())
    };
    let plain = check(&[]);
    assert_eq!(plain.code, 0, "{}{}", plain.stdout, plain.stderr);
    assert!(
        format!("{}{}", plain.stdout, plain.stderr).contains("this machine"),
        "{}",
        plain.stdout
    );
    assert_eq!(check(&["--fail-on", "low"]).code, 3);
    assert_eq!(check(&["--fail-on", "none"]).code, 0);
    for format in ["json", "sarif"] {
        let finished = check(&["--format", format]);
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        let report: Value = serde_json::from_str(&finished.stdout).expect("JSON");
        assert!(report.to_string().contains("this machine"), "{report}");
        if format == "sarif" {
            assert_eq!(report["version"], "2.1.0");
        }
    }
    let rules = prepared.command(&["check", "--rules", "--format", "json"]);
    let rules: Value = serde_json::from_str(&rules.stdout).expect("JSON");
    let rules = rules.as_array().expect("a list");
    assert!(rules.len() > 60 && rules.iter().all(|rule| rule["references"][0]["url"].is_string()));
}

/// Validates SARIF by the schema of OASIS, which comes with a package of npm.
const VALIDATE: &str = r#"
import json, sys
from jsonschema.validators import validator_for
schema, report = (json.load(open(file)) for file in sys.argv[1:])
kind = validator_for(schema)
wrong = list(kind(schema, format_checker=kind.FORMAT_CHECKER).iter_errors(report))
assert not wrong, [(error.json_path, error.message) for error in wrong]
assert report["runs"][0]["results"], report
"#;

#[test]
fn sarif_is_valid_by_its_schema() {
    let Some((_, packages)) = tools::node() else { return };
    let schema = "node_modules/@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json";
    let example = std::fs::read_to_string(tools::workspace().join("gateway.example.yaml")).unwrap();
    for (config, code) in [(&*example, 0), ("version: 1\nhostz: [é, \"\\ud83d\"]\nroutes: 1\n", 1)]
    {
        let launch = bare(config);
        let arguments = ["check", "gateway.yaml", "--no-files", "--format", "sarif"];
        let finished = launch.command(&arguments);
        assert_eq!(finished.code, code, "{}{}", finished.stdout, finished.stderr);
        let file = launch.folder().join("report.sarif");
        std::fs::write(&file, &finished.stdout).unwrap();
        python(VALIDATE, &[&packages.join(schema), &file]);
    }
}

#[test]
#[expect(clippy::cognitive_complexity, reason = "one command, looked at whole")]
fn explain_runs_the_real_pipeline() {
    let issuer = Issuer::start();
    let keys = json!({ "keys": [issuer.key().jwk()] }).to_string();
    let config = [
        BASE,
        HOSTS,
        "issuers:\n  - name: corporate\n    issuer: https://idp.test/r1\n    audience: [api]\n",
        "    keys: {file: \"@DIR@/jwks.json\"}\n",
        "upstreams: [{name: u, endpoints: [\"http://127.0.0.1:9\"]}]\n",
        "routes:\n",
        "  - name: api\n    path: /api/{*rest}\n",
        "    access: {any_of: [{issuer: corporate, scopes: [orders:read]}]}\n",
        "    forward: {upstream: u}\n",
    ]
    .concat();
    let prepared = launch(&config, &CertificateAuthority::new()).file("jwks.json", &keys);
    let explain = |url: &str, more: &[&str], input: &str| {
        let start = ["explain", "--config", "gateway.yaml", "GET", url];
        prepared.command_with_input(&[&start, more].concat(), input)
    };
    let url = "https://api.test/api/x";
    let token = issuer.token().claim("scope", "orders:read").sign();
    let good = explain(url, &["--token-file", "-"], &token);
    assert_eq!(good.code, 0, "{}{}", good.stdout, good.stderr);
    for stage in ["client", "host", "route", "identify", "permit"] {
        assert!(good.stdout.contains(stage), "{stage}: {}", good.stdout);
    }
    assert!(good.stdout.contains("gateway.yaml:"), "{}", good.stdout);
    assert!(!good.stdout.contains(&token));
    let scopeless = explain(url, &["--token-file", "-"], &issuer.token().sign());
    assert_eq!(scopeless.code, 1);
    assert!(scopeless.stdout.contains("scope-missing"), "{}", scopeless.stdout);
    let none = explain(url, &[], "");
    assert_eq!(none.code, 1);
    assert!(none.stdout.contains("credential-missing"), "{}", none.stdout);
    for line in
        ["cors                 not asked   no preflight", "permit               not reached"]
    {
        assert!(none.stdout.contains(line), "{line}: {}", none.stdout);
    }
    let told = explain(url, &["--format", "json", "-H", "x-api-key: t0ps3cret"], "");
    assert_eq!(told.code, 1);
    assert!(!told.stdout.contains("t0ps3cret"), "{}", told.stdout);
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    for (key, value) in [
        ("verdict", json!("deny")),
        ("status", json!(401)),
        ("code", json!("credential-missing")),
        ("reason", json!("A credential is needed")),
    ] {
        assert_eq!(told[key], value, "{key} in {told}");
    }
    let stages = told["stages"].as_array().expect("stages");
    let last = stages.iter().find(|stage| stage["decided"] == "refused").expect("one refused");
    assert_eq!((&last["stage"], &last["rule"]), (&json!("identify"), &told["rule"]), "{told}");
    let ended = explain(url, &["--token-file", "-", "--at", "2031-01-01T00:00:00Z"], &token);
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("credential-invalid"), "{}", ended.stdout);
    let host = explain("https://evil.test/api/x", &[], "");
    assert_eq!(host.code, 1);
    assert!(host.stdout.contains("host-not-allowed"), "{}", host.stdout);
}

#[test]
fn probes_need_no_token_and_show_nothing_else() {
    let gateway = &WORLD.gateway;
    gateway.probe("/healthz").expect(200);
    let ready = gateway.probe("/readyz");
    assert!(ready.expect(200).json().is_object(), "{}", ready.text());
    gateway.probe("/config").expect(404);
    gateway.probe("/decisions").expect(404);
    gateway.probe("/").expect(404);
    let metrics = gateway.probe("/metrics");
    assert!(metrics.field("content-type").unwrap().starts_with("text/plain"));
    // Not on the listeners that everybody reaches.
    for path in ["/healthz", "/metrics", "/config", "/.well-known/portcullis/jwks.json"] {
        WORLD.plain().send(&Request::get(path)).expect_refusal(404, "route-not-found");
    }
}

#[test]
fn the_admin_listener_asks_for_its_token_and_its_host() {
    let client = WORLD.gateway.plain("admin");
    for path in ["/config", "/decisions", "/"] {
        assert_eq!(client.send(&admin(path)).status, 401, "{path}");
        assert_eq!(client.send(&admin(path).bearer("wrong")).status, 401, "{path}");
    }
    let rebound = admin("/config").host("evil.test").bearer(ADMIN_TOKEN);
    let status = client.send(&rebound).status;
    assert!(matches!(status, 400 | 403 | 421), "{status}");
    let config = client.send(&admin("/config").bearer(ADMIN_TOKEN));
    config.expect(200);
    let text = config.text();
    assert!(text.contains("per_address") || text.contains("corporate"), "{text}");
    assert!(!text.contains(ADMIN_TOKEN) && !text.contains("PRIVATE KEY"));
    assert!(config.json()["hash"].is_string(), "{text}");
    assert_eq!(client.send(&admin("/none").bearer(ADMIN_TOKEN)).status, 404);
    let host = WORLD.gateway.address("admin").to_string();
    let post = Request::new("POST", "/config").host(&host).bearer(ADMIN_TOKEN);
    let refused = client.send(&post);
    refused.expect(405);
    assert_eq!(refused.field("allow"), Some("GET"));
    assert_eq!(refused.json()["code"], "method-not-allowed");
    assert_eq!(refused.field("content-type"), Some("application/problem+json"));
}

#[test]
fn decisions_say_why_without_saying_secrets() {
    let target = format!("/api/x?access_token=t0ps3cret&invite=t0ps3cret&{}", marker("q"));
    let expired = WORLD.issuer.token().time("exp", -90).sign();
    let answer = WORLD.plain().send(&Request::get(target).bearer(&expired));
    answer.expect_refusal(401, "credential-invalid");
    let id = answer.field("x-request-id").unwrap();
    let client = WORLD.gateway.plain("admin");
    let found = until(Duration::from_secs(5), "the decision is kept", || {
        let request = admin(&format!("/decisions?request_id={id}")).bearer(ADMIN_TOKEN);
        let answer = client.send(&request);
        answer.expect(200);
        answer.text().contains("credential-invalid").then(|| answer.text())
    });
    assert!(found.contains("exp") && found.contains("api"), "{found}");
    assert!(!found.contains("t0ps3cret") && !found.contains(&expired));
    let limited = client.send(&admin("/decisions?limit=1").bearer(ADMIN_TOKEN));
    let list = limited.json();
    let list = list.as_array().or_else(|| list["decisions"].as_array()).expect("a list").len();
    assert_eq!(list, 1);
}

#[test]
fn one_access_line_tells_a_request() {
    let token = WORLD.issuer.token().claim("scope", "orders:read").sign();
    let request = Request::post("/api/orders?invite=t0ps3cret&page=2", "body").bearer(&token);
    let answer = WORLD.plain().from("127.0.0.33").send(&request);
    answer.expect(200);
    let id = answer.field("x-request-id").unwrap();
    let line = WORLD.gateway.access_line(id);
    for (key, value) in [
        ("request_id", json!(id)),
        ("method", json!("POST")),
        ("host", json!("api.test")),
        ("path", json!("/api/orders?invite=REDACTED&page=2")),
        ("route", json!("api")),
        ("status", json!(200)),
        ("upstream", json!(WORLD.upstream.address().to_string())),
    ] {
        assert_eq!(line[key], value, "{key} in {line}");
    }
    let text = line.to_string();
    assert!(text.contains("127.0.0.33") && text.contains("\"u1\""), "{text}");
    assert!(text.contains("https://idp.test/r1"), "{text}");
    assert!(text.contains("invite=REDACTED") && text.contains("page=2"), "{text}");
    assert!(!text.contains("t0ps3cret") && !text.contains(&token));
    assert!(line["time"].as_str().is_some_and(|t| t.ends_with('Z')), "{line}");

    let answer = WORLD.plain().send(&Request::get("/none"));
    let line = WORLD.gateway.access_line(answer.field("x-request-id").unwrap());
    assert_eq!((&line["status"], &line["code"]), (&json!(404), &json!("route-not-found")));
}

#[test]
fn a_denial_has_an_audit_line() {
    let answer = WORLD.plain().send(&Request::get("/api/x").bearer("rubbish"));
    let id = answer.field("x-request-id").unwrap().to_owned();
    let file = WORLD.gateway.launch().folder().join("audit.jsonl");
    let line = until(Duration::from_secs(5), "the audit line", || {
        let text = std::fs::read_to_string(&file).ok()?;
        text.lines().find(|line| line.contains(&id)).map(str::to_owned)
    });
    let line: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(line["code"], "credential-invalid", "{line}");
    let served = WORLD.plain().send(&Request::get("/open/x"));
    let id = served.field("x-request-id").unwrap();
    WORLD.gateway.access_line(id);
    assert!(!std::fs::read_to_string(&file).unwrap().contains(id), "no audit line for what passed");
}

#[test]
fn no_log_line_can_be_forged() {
    let mark = marker("line");
    let raw = format!(
        "GET /open/{mark}%0a%7B%22forged%22:1%7D HTTP/1.1\r\nHost: api.test\r\n\
         User-Agent: x\"}}{{\"forged\":1\r\n\r\n"
    );
    let answer = WORLD.plain().raw(raw);
    assert!(matches!(answer.status, 200 | 400));
    let id = answer.field("x-request-id").unwrap().to_owned();
    WORLD.gateway.access_line(&id);
    for line in WORLD.gateway.process().stdout() {
        let line: Value = serde_json::from_str(&line).expect("each line is one JSON object");
        assert_eq!(line.get("forged"), None);
    }
}

#[test]
fn the_metrics_page_is_well_formed_and_moves() {
    let gateway = &WORLD.gateway;
    let moved = |parts: &[&str], act: &dyn Fn()| {
        let before = gateway.metric(parts);
        act();
        until_true(Duration::from_secs(5), &format!("{parts:?} moves"), || {
            gateway.metric(parts) > before
        });
    };
    let get = |path: &'static str| move || drop(WORLD.plain().send(&Request::get(path)));
    moved(&["gateway_requests_total", "\"open\"", "\"2xx\""], &get("/open/x"));
    moved(&["gateway_requests_total", "\"none\"", "\"4xx\""], &get("/none"));
    moved(&["gateway_request_duration_seconds_count", "\"open\""], &get("/open/x"));
    moved(&["gateway_denials_total", "\"route-not-found\""], &get("/none"));
    moved(&["gateway_denials_total", "\"malformed-request\""], &|| {
        WORLD.plain().raw("NONSENSE\r\n\r\n");
    });
    moved(&["gateway_upstream_failures_total", "\"nobody\""], &get("/gone"));
    moved(&["gateway_handshake_failures_total", "\"https\""], &|| {
        WORLD.https().server_name("evil.test").try_connect().expect_err("refused");
    });
    moved(&["gateway_limiter_keys", "\"two\""], &|| {
        let client = WORLD.plain().from(&format!("127.3.{}.7", std::process::id() % 250));
        client.send(&Request::get("/limited"));
    });
    let held: Vec<_> = (0..3).map(|_| WORLD.plain().connect()).collect();
    until_true(Duration::from_secs(5), "open connections are counted", || {
        gateway.metric(&["gateway_connections{", "\"plain\""]) >= 3
    });
    drop(held);
    WORLD.plain().send(&Request::get("/api/x").bearer(WORLD.issuer.token().sign())).expect(403);
    assert_eq!(gateway.metric(&["gateway_jwks_keys{", "\"corporate\""]), 1);
    assert!(gateway.metric(&["gateway_jwks_fetches_total", "\"corporate\""]) >= 1);
    assert!(gateway.metric(&["gateway_jwks_age_seconds", "\"corporate\""]) >= 0);
    assert!(gateway.metric(&["gateway_certificate_days_left", "api.test"]) > 1);
    let day = 86_400;
    let now = i64::try_from(Clock::system().now().unix_seconds()).unwrap();
    let ends = gateway.metric(&["gateway_certificate_not_after_timestamp_seconds", "api.test"]);
    assert!(ends > now + day, "{ends}");
    let begins = gateway.metric(&["gateway_certificate_not_before_timestamp_seconds", "api.test"]);
    assert!(begins > 0 && begins <= now, "{begins}");
    assert_eq!(gateway.metric(&["gateway_certificate_failing", "api.test"]), 0);
    assert!(gateway.metric(&["gateway_config_last_reload_timestamp_seconds"]) > 1);
    assert_eq!(gateway.metric(&["gateway_build_info"]), 1);
    assert!(gateway.metric(&["process_resident_memory_bytes"]) > 1);

    let page = gateway.metrics();
    if let Some(report) = tools::check_metrics(&page) {
        // The one exception: days, because whoever renews certificates counts in days.
        let lints = report.stderr.lines().chain(report.stdout.lines());
        let others: Vec<&str> =
            lints.filter(|line| !line.contains("gateway_certificate_days_left")).collect();
        assert!(others.is_empty() && matches!(report.code, 0 | 3), "{others:?}");
    }
}

#[test]
fn every_metric_is_documented_and_every_documented_metric_is_there() {
    // Of requests there is nothing before the first.
    WORLD.plain().send(&Request::get("/nowhere"));
    let page = WORLD.gateway.metrics();
    let docs = std::fs::read_to_string(tools::workspace().join("docs/metrics.md")).unwrap();
    let there = |name: &str| page.contains(&format!("# TYPE {name} "));
    let rows = docs.lines().filter_map(|line| line.strip_prefix("| `gateway_"));
    let documented: Vec<String> =
        rows.map(|row| format!("gateway_{}", row.split('`').next().unwrap())).collect();
    assert!(documented.len() > 15);
    for name in &documented {
        // A family without a series yet is not on the page.
        let later = [
            "cache_hits_total",
            "calls_total",
            "dropped_total",
            "ended_total",
            "failures_total",
            "orders_total",
            "penalties_total",
            "refused_total",
            "retries_total",
            "would_deny_total",
        ];
        assert!(there(name) || later.iter().any(|l| name.ends_with(l)), "{name} is not there");
    }
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE gateway_")) {
        let name = format!("gateway_{}", line.split(' ').next().unwrap());
        assert!(documented.contains(&name), "{name} is not in docs/metrics.md");
    }
}

#[test]
fn connections_have_caps() {
    let config = "
connections: {per_client: 3}
routes: [{name: all, path: \"/{*rest}\", access: public, forward: {upstream: u}}]
";
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, config]);
    let client = world.plain().from("127.0.0.95");
    let mut held: Vec<_> = (0..3).map(|_| client.connect()).collect();
    for connection in &mut held {
        connection.send(&Request::get("/x")).expect(200);
    }
    let mut fourth = client.connect();
    fourth.write(Request::get("/x").to_bytes());
    let refused = fourth.read();
    assert!(refused.as_ref().map_or(true, |answer| answer.status == 503), "{refused:?}");
    until_true(Duration::from_secs(5), "the refusal is counted", || {
        world.gateway.metric(&["gateway_connections_refused_total"]) >= 1
    });
    world.plain().from("127.0.0.96").send(&Request::get("/x")).expect(200);
    held.clear();
    until_true(Duration::from_secs(5), "there is room again", || {
        client.try_connect().is_ok_and(|mut connection| {
            connection.write(Request::get("/x").to_bytes());
            connection.read().is_ok_and(|answer| answer.status == 200)
        })
    });
}

const DRAINING: &str = "
connections: {drain: {delay: 1s, grace: 10s}}
routes: [{name: all, path: \"/{*rest}\", access: public, forward: {upstream: u}}]
";

#[test]
fn sigterm_drains_and_ends_well() {
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, DRAINING]);
    world.upstream.answer("/slow", Reply::new(200, "slow").after(Duration::from_secs(3)));
    let mut slow = world.plain().connect();
    slow.write(Request::get("/slow").to_bytes());
    until_true(Duration::from_secs(5), "the slow request is at the app", || {
        !world.upstream.seen("/slow").is_empty()
    });
    let mut kept = world.https().connect();
    kept.send(&Request::get("/x")).expect(200);
    world.gateway.process().signal("TERM");
    until_true(Duration::from_secs(5), "not ready any more", || {
        world.gateway.probe("/readyz").status == 503
    });
    world.gateway.probe("/healthz").expect(200);
    // Balancers that have not noticed yet are still served, and told to go.
    let answer = world.plain().send(&Request::get("/late"));
    answer.expect(200);
    assert_eq!(answer.field("connection").map(str::to_ascii_lowercase).as_deref(), Some("close"));
    let answer = kept.send(&Request::get("/x"));
    answer.expect(200);
    assert_eq!(answer.field("connection").map(str::to_ascii_lowercase).as_deref(), Some("close"));
    assert_eq!(slow.read().expect("what was under way ends").text(), "slow");
    assert_eq!(world.gateway.process().wait(Duration::from_secs(10)), 0);
    assert!(world.plain().try_connect().is_err());
}

#[test]
fn a_second_sigterm_ends_at_once_and_the_grace_has_an_end() {
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, DRAINING]);
    world.upstream.answer("/slow", Reply::hang());
    let mut slow = world.plain().connect();
    slow.write(Request::get("/slow").to_bytes());
    until_true(Duration::from_secs(5), "the request is at the app", || {
        !world.upstream.seen("/slow").is_empty()
    });
    let clock = Clock::system();
    world.gateway.process().signal("TERM");
    until_true(Duration::from_secs(5), "not ready any more", || {
        world.gateway.probe("/readyz").status == 503
    });
    world.gateway.process().signal("TERM");
    world.gateway.process().wait(Duration::from_secs(5));
    assert!(clock.monotonic() < Duration::from_secs(6));

    let short = DRAINING.replace("grace: 10s", "grace: 1s").replace("delay: 1s", "delay: 0s");
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, &short]);
    world.upstream.answer("/slow", Reply::hang());
    let mut slow = world.plain().connect();
    slow.write(Request::get("/slow").to_bytes());
    until_true(Duration::from_secs(5), "the request is at the app", || {
        !world.upstream.seen("/slow").is_empty()
    });
    world.gateway.process().signal("TERM");
    assert_eq!(world.gateway.process().wait(Duration::from_secs(8)), 0);
}

#[test]
fn the_admin_token_is_made_once_and_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let config = [
        &BASE.replace("  token: {file: \"@DIR@/admin-token\"}\n", ""),
        HOSTS,
        "upstreams: [{name: u, endpoints: [\"http://127.0.0.1:9\"]}]\n",
        "routes: [{name: x, path: /x, access: public, forward: {upstream: u}}]\n",
    ]
    .concat();
    let prepared = launch(&config, &CertificateAuthority::new());
    let file = prepared.folder().join("state/admin.token");
    let gateway = prepared.start();
    let token = std::fs::read_to_string(&file).expect("the token is in the state folder");
    let token = token.trim();
    assert!(token.len() >= 20, "{token}");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let host = gateway.address("admin").to_string();
    let request = Request::get("/config").host(&host).bearer(token);
    gateway.plain("admin").send(&request).expect(200);
    assert!(!gateway.process().stderr().join("\n").contains(token));
}
