//! `api_keys`, and `api_key` in `any_of`.

use portcullis_config::check_text;

use crate::options;

const SOUND: &str = "version: 1
listeners: [{name: app, address: '127.0.0.1:8443', cleartext: true}]
hosts: [api.test]
issuers: [{name: login, issuer: 'https://login.test', audience: [orders], claims: {roles: [roles]}}]
api_keys: {header: X-Partner-Key}
upstreams: [{name: app, endpoints: ['http://127.0.0.1:8000']}]
routes:
- name: orders
  path: /v1/orders
  access: {any_of: [{issuer: login}, {api_key: {scopes: [read]}}]}
  forward: {upstream: app}
";

#[track_caller]
fn check(from: &str, to: &str, path: &str, message: &str) {
    assert_eq!(SOUND.matches(from).count(), 1, "{from} must be there once");
    let report = check_text("x", &SOUND.replace(from, to), &options()).expect_err(to);
    let found: Vec<(String, String)> =
        report.entries().into_iter().map(|entry| (entry.path, entry.message)).collect();
    assert_eq!(found, [(path.to_owned(), message.to_owned())], "{to}");
}

#[test]
fn a_route_takes_keys_of_the_field_that_the_file_names() {
    let snapshot = check_text("x", SOUND, &options()).unwrap().snapshot;
    assert_eq!(snapshot.api_keys.field.as_ref().unwrap(), "x-partner-key");
    assert!(snapshot.telemetry.redact_headers.contains(&"x-partner-key".to_owned()));
    let usual = SOUND.replace("api_keys: {header: X-Partner-Key}\n", "");
    let snapshot = check_text("x", &usual, &options()).unwrap().snapshot;
    assert_eq!(snapshot.api_keys.field.as_ref().unwrap(), "x-api-key");
    for any in ["[api_key]", "[{issuer: login}, api_key]", "[api_key, anonymous]"] {
        let text = usual.replace("[{issuer: login}, {api_key: {scopes: [read]}}]", any);
        let text = if any.contains("login") {
            text
        } else {
            let lines = text.lines().filter(|line| !line.starts_with("issuers"));
            lines.collect::<Vec<_>>().join("\n")
        };
        let loaded = check_text("x", &text, &options());
        assert!(loaded.is_ok(), "{any}: {loaded:?}");
    }
    let none = usual.replace(", {api_key: {scopes: [read]}}", "");
    let snapshot = check_text("x", &none, &options()).unwrap().snapshot;
    assert_eq!(snapshot.api_keys.field, None);
}

#[test]
fn fields_that_mean_something_else_carry_no_key() {
    let header = "api_keys.header";
    for name in
        ["authorization", "Cookie", "host", "connection", "x-forwarded-for", "x-real-ip", "sec-x"]
    {
        let message = format!("`{}` has a meaning of its own", name.to_lowercase());
        check("X-Partner-Key", name, header, &message);
    }
    check("X-Partner-Key", "'x y'", header, "`x y` is not the name of a field");
    let message = "`x_api_key` is `x-api-key` to some and nothing to others";
    check("X-Partner-Key", "x_api_key", header, message);
    let told = "identity: {headers: {x-partner-key: subject}}";
    let message = "`x-partner-key` tells apps who calls, and cannot carry a key as well";
    check("{upstream: app}", &format!("{{upstream: app, {told}}}"), header, message);
}

#[test]
fn what_cannot_be_asked_of_keys_is_refused() {
    let entry = "{api_key: {scopes: [read]}}";
    let at = "routes[0].access.any_of[1]";
    check(entry, "{api_key: {}}", &format!("{at}.api_key"), "`scopes` is missing");
    check(entry, "{api_key: {scopes: []}}", &format!("{at}.api_key.scopes"), "the list is empty");
    let odd = "{api_key: {scopes: ['a b']}}";
    check(entry, odd, &format!("{at}.api_key.scopes[0]"), "`a b` is not a scope");
    let beside = "{api_key: {scopes: [read]}, scopes: [read]}";
    check(entry, beside, &format!("{at}.scopes"), "scopes of a key stand with it");
    let both = "{issuer: login, api_key: {scopes: [read]}}";
    check(entry, both, &format!("{at}.issuer"), "this and an API key are two credentials");
    let twice = "api_key, {api_key: {scopes: [read]}}";
    let message = "another entry takes API keys already";
    check(entry, twice, "routes[0].access.any_of[2].api_key", message);
    let message = "roles cannot be asked of an API key: it has scopes alone";
    check("[read]}}]}", "[read]}}], roles: [clerk]}", "routes[0].access.roles", message);
    check(", {api_key: {scopes: [read]}}", "", "api_keys", "no route takes API keys");
}
