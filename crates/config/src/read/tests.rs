//! What is noted while the tree is read.

use super::*;
use crate::environment::Environment;
use crate::problem::Problem;
use crate::raw::File;
use crate::yaml::parse::parse;
use crate::yaml::substitute::substitute;

fn problems_of(text: &str) -> (File, Vec<Problem>) {
    let mut problems = Problems::default();
    let mut tree = parse(text, &mut problems).expect("YAML");
    let environment = Environment::fixed([("PW", "hunter2")]);
    substitute(&mut tree, &At::root(), &environment, &|_| false, &mut problems);
    let file = read(&tree, &mut problems);
    (file, problems.into_vec())
}

/// One mistake: its path, message, what was expected and what may help ("" for nothing).
#[track_caller]
fn check(text: &str, path: &str, message: &str, expected: &str, help: &str) {
    let (_, problems) = problems_of(text);
    let [problem] = problems.as_slice() else { panic!("{text}: {problems:#?}") };
    assert_eq!(problem.at.to_string(), path, "{text}");
    assert_eq!(problem.message, message, "{text}");
    assert_eq!(problem.expected.as_deref().unwrap_or_default(), expected, "{text}");
    assert_eq!(problem.help.as_deref().unwrap_or_default(), help, "{text}");
}

#[test]
fn c45_unknown_keys_are_named_with_their_neighbours() {
    check(
        "routes: [{acess: public}]",
        "routes[0].acess",
        "unknown key `acess`",
        "`name`, `hosts`, `path`, `methods`, `encoded_slash`, `access`, `clients`, `limits`, `cors`, \
         `upgrade`, `request`, `timeouts`, `response_headers` or `forward`",
        "did you mean `access`?",
    );
    check(
        "limits: [{requests_per_min: 60}]",
        "limits[0].requests_per_min",
        "unknown key `requests_per_min`",
        "`name`, `key`, `rate`, `burst`, `concurrent`, `penalty` or `maximum_keys`",
        "",
    );
    check(
        "connections: {drain: {grase: 1s}}",
        "connections.drain.grase",
        "unknown key `grase`",
        "`delay` or `grace`",
        "did you mean `grace`?",
    );
}

#[test]
fn c47_yes_and_no_are_no_booleans() {
    let help = "write true or false";
    for word in ["yes", "no", "on", "off", "True", "FALSE", "y", "\"true\""] {
        let found = if word.starts_with('"') {
            format!("found the string {word}")
        } else {
            format!("found `{word}`")
        };
        let text = format!("listeners: [{{cleartext: {word}}}]");
        check(&text, "listeners[0].cleartext", &found, "`true` or `false`", help);
    }
}

#[test]
fn c47_numbers_are_digits() {
    let help = "write digits alone: no sign, leading zero, `_`, point or exponent";
    for (written, found) in [
        ("08443", "`08443`"),
        ("0644", "`0644`"),
        ("1_000", "`1_000`"),
        ("1e3", "the number `1e3`"),
        ("12:30", "`12:30`"),
        ("0x10", "the number `0x10`"),
        ("-5", "the number `-5`"),
        ("1.0", "the number `1.0`"),
    ] {
        let text = format!("connections: {{maximum: {written}}}");
        let found = format!("found {found}");
        check(&text, "connections.maximum", &found, "a whole number, at least 1", help);
    }
    let zero = "connections: {maximum: 0}";
    check(zero, "connections.maximum", "0 is out of range", "a whole number, at least 1", "");
    let rate = "clients: {limit: {rate: 1e3}}";
    check(
        rate,
        "clients.limit.rate",
        "found the number `1e3`",
        "a rate, such as 5/s, 60/min or 1000/h",
        "",
    );
    let time = "connections: {idle: 12:30}";
    check(
        time,
        "connections.idle",
        "`12:30` is not a duration",
        "a duration, such as 250ms, 30s, 10m, 24h or 7d",
        "one whole number and one unit of ms, s, m, h, d",
    );
}

#[test]
fn values_of_the_wrong_kind() {
    check(
        "hosts: a.test",
        "hosts",
        "found `a.test`",
        "a list, such as `[one, two]`",
        "write [a.test]",
    );
    check(
        "hosts: [8]",
        "hosts[0]",
        "found the number `8`",
        "a host name, or {name: …, tls: …}",
        "put it into quotes: \"8\"",
    );
    check(
        "hosts:",
        "hosts",
        "found nothing",
        "a list, such as `[one, two]`",
        "leave the key out to have its default",
    );
    check(
        "routes: [x]",
        "routes[0]",
        "found `x`",
        "a mapping with `name`, `hosts`, `path`, `methods`, `encoded_slash`, `access`, `clients`, `limits`, `cors`, `upgrade`, `request`, `timeouts`, `response_headers` or `forward`",
        "",
    );
    check(
        "listeners: [{tls: {minimum_version: 1.2}}]",
        "listeners[0].tls.minimum_version",
        "found the number `1.2`",
        "`\"1.3\"` or `\"1.2\"`, in quotes",
        "put it into quotes: \"1.2\"",
    );
    check(
        "listeners: [{tls: {minimum_version: 1.1}}]",
        "listeners[0].tls.minimum_version",
        "found the number `1.1`",
        "`\"1.3\"` or `\"1.2\"`, in quotes",
        "",
    );
}

#[test]
fn words_that_are_none_of_the_choices() {
    check(
        "issuers: [{keys: {fil: x}}]",
        "issuers[0].keys.fil",
        "unknown key `fil`",
        "`discover`, {url: …} or {file: …}",
        "did you mean `file`?",
    );
    check(
        "issuers: [{keys: file}]",
        "issuers[0].keys",
        "`file` needs a value",
        "",
        "write {file: …}",
    );
    check(
        "issuers: [{keys: {discover: x}}]",
        "issuers[0].keys.discover",
        "`discover` takes no value",
        "",
        "write `discover` alone",
    );
    check(
        "routes: [{access: pubic}]",
        "routes[0].access",
        "`pubic` is not known here",
        "`public`, or {any_of: […]}",
        "did you mean `public`?",
    );
}

#[test]
fn a_secret_is_a_reference_and_never_shown() {
    let expected =
        "a secret by reference: {file: path}, {env: NAME} or a string that is one `${NAME}`";
    check(
        "admin: {token: hunter2}",
        "admin.token",
        "a secret may not stand in the file",
        expected,
        "",
    );
    check(
        "admin: {token: {vault: x}}",
        "admin.token.vault",
        "`vault` is not in this version",
        "",
        "",
    );
    let (file, problems) = problems_of("admin: {token: '${PW}'}");
    assert!(problems.is_empty(), "{problems:?}");
    assert!(!format!("{file:?}").contains("hunter2"));
    assert!(!serde_json::to_string(&file).unwrap().contains("hunter2"));
    let (_, problems) =
        problems_of("admin: {probes: {x: '${PW}'}}\nconnections: {maximum: '${PW}'}");
    assert!(!format!("{problems:?}").contains("hunter2"), "{problems:?}");
}

#[test]
fn what_is_wrong_is_left_out_and_the_rest_keeps_its_place() {
    let (file, problems) =
        problems_of("routes:\n- {name: a}\n- 5\n- {name: c, path: [x]}\n- {name: d}\n");
    assert_eq!(problems.len(), 2, "{problems:#?}");
    let at = At::root().key("routes");
    let routes = file.routes.unwrap();
    let names: Vec<_> =
        routes.at(&at).map(|(at, r)| (at.to_string(), r.name.clone().unwrap())).collect();
    let expected = [("routes[0]", "a"), ("routes[2]", "c"), ("routes[3]", "d")];
    let expected = expected.map(|(at, name)| (at.to_owned(), name.to_owned()));
    assert_eq!(names, expected);
}

#[test]
fn keys_of_later_versions_are_said_so() {
    check("logins: [{name: staff}]", "logins", "`logins` is not in this version", "", "");
    check("state: {shared: redis}", "state.shared", "`redis` is not in this version", "", "");
}

#[test]
fn every_mistake_is_found_at_once() {
    let text = "version: one\nconnections: {idle: 5, write: x, drain: {grace: 1}}\nroutes: [{methods: GET, acces: x}, {limits: [3, a]}]\n";
    let (_, problems) = problems_of(text);
    let mut paths: Vec<String> = problems.iter().map(|problem| problem.at.to_string()).collect();
    paths.sort();
    assert_eq!(
        paths,
        [
            "connections.drain.grace",
            "connections.idle",
            "connections.write",
            "routes[0].acces",
            "routes[0].methods",
            "routes[1].limits[0]",
            "version"
        ]
    );
}
