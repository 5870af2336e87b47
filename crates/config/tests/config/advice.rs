//! Advice: each rule is given where it should be, and nowhere else.

use portcullis_config::{Severity, check_text, report};

use crate::options;

const QUIET: &str = "version: 1
listeners: [{name: http, address: '127.0.0.1:8080', cleartext: true}]
hosts: [localhost]
clients: {limit: {rate: 5/s}}
issuers: [{name: login, issuer: 'https://login.test', audience: [orders]}]
upstreams: [{name: app, endpoints: ['http://127.0.0.1:8000']}]
cors: [{name: web, origins: ['https://ui.test']}]
routes:
- {name: app, path: '/{*rest}', access: {any_of: [{issuer: login}]}, cors: web, forward: {upstream: app}}
- {name: health, path: /healthz, methods: [GET], access: public, forward: {upstream: app}}
";

/// `from` in the quiet file becomes `to`: one advice, of `rule`, at `path`.
#[track_caller]
fn check(from: &str, to: &str, rule: &str, severity: Severity, path: &str) {
    assert!(QUIET.contains(from), "{from}");
    let text = QUIET.replace(from, to);
    let loaded = check_text("x", &text, &options()).unwrap_or_else(|report| panic!("{report}"));
    let found: Vec<_> =
        loaded.advice.iter().map(|a| (a.rule, a.severity, a.path.as_str())).collect();
    let expected = if rule.is_empty() { vec![] } else { vec![(rule, severity, path)] };
    assert_eq!(found, expected, "{to}");
    let rendered = loaded.render_advice(false);
    assert_eq!(
        rendered.contains(&format!("warning[{rule}/{}]", severity.as_str())),
        !rule.is_empty()
    );
    let sarif = report::render_sarif("x", &[], &loaded.advice);
    let sarif: serde_json::Value = serde_json::from_str(&sarif).expect("JSON");
    assert_eq!(sarif["runs"][0]["results"].as_array().map(Vec::len), Some(found.len()));
}

#[test]
fn each_rule_speaks_alone() {
    use Severity::{High, Low};
    check("version: 1", "version: 1", "", Low, "");
    check("'https://login.test'", "'http://[::1]:9000'", "A001", High, "issuers[0].issuer");
    let url = "audience: [orders], keys: {url: 'http://localhost:9000/jwks'}";
    check("audience: [orders]", url, "A001", High, "issuers[0].keys.url");
    check(
        "clients: {",
        "clients: {trusted_proxies: {any: true}, ",
        "A002",
        High,
        "clients.trusted_proxies",
    );
    check("methods: [GET]", "methods: [GET, POST]", "A003", Low, "routes[1].access");
    check(
        "[{name: http, address: '127.0.0.1:8080', cleartext: true}]",
        "[{name: https, address: '127.0.0.1:8443'}]\ncertificates: {self_signed: [localhost]}",
        "A004",
        Low,
        "certificates.self_signed[0]",
    );
    let query = "audience: [orders], read_token_from: [authorization, {query: token}]";
    check("audience: [orders]", query, "A006", Low, "issuers[0].read_token_from[1]");
    check(
        "version: 1",
        "version: 1\nadmin: {address: '0.0.0.0:9901'}",
        "A007",
        High,
        "admin.address",
    );
    check("['https://ui.test']", "['*']", "A008", Low, "cors[0].origins");
    check(
        "clients: {limit: {rate: 5/s}}",
        "clients: {ipv6_prefix: 48}",
        "A009",
        Low,
        "routes[1].access",
    );
    let unused = "endpoints: ['http://127.0.0.1:8000'], tls: {server_name: app.test}";
    check("endpoints: ['http://127.0.0.1:8000']", unused, "A010", High, "upstreams[0].tls");
}

#[test]
fn a_redirect_to_a_port_where_nothing_may_be() {
    let rules = |address: &str, more: &str| {
        let listeners = format!(
            "[{{name: https, address: '{address}'}}, \
             {{name: http, address: '127.0.0.1:8080', redirect_to: https{more}}}]\n\
             certificates: {{self_signed: [localhost]}}"
        );
        let plain = "[{name: http, address: '127.0.0.1:8080', cleartext: true}]";
        let text = QUIET.replace(plain, &listeners);
        let loaded = check_text("x", &text, &options()).unwrap_or_else(|report| panic!("{report}"));
        let rules = loaded.advice.iter().map(|advice| (advice.rule, advice.path.clone()));
        rules.filter(|(rule, _)| *rule != "A004").collect::<Vec<_>>()
    };
    let expected = [("A011", "listeners[1].redirect_to".to_owned())];
    assert_eq!(rules("127.0.0.1:8443", ""), expected);
    assert_eq!(rules("127.0.0.1:8443", ", external_port: 443"), []);
    assert_eq!(rules("127.0.0.1:443", ""), []);
    assert_eq!(rules("127.0.0.1:0", ""), []);
    assert_eq!(rules("unix:/run/gateway.sock", ""), []);
}
