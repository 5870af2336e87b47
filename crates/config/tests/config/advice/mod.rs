//! Advice: each rule is given where it should be, and nowhere else.

mod cases;
mod edge;
mod forms;
mod routes;
mod sections;

use std::collections::BTreeSet;

use portcullis_config::advice::rules;
use portcullis_config::{LoadOptions, Loaded, check_text};

use crate::options;
use cases::Case;

/// A file about which there is nothing to say.
const QUIET: &str = "version: 1
listeners: [{name: http, address: '127.0.0.1:8080', cleartext: true}]
hosts: [localhost]
clients: {limit: {rate: 5/s}}
issuers: [{name: login, issuer: 'https://login.test', audience: [orders], maximum_lifetime: 1h}]
upstreams: [{name: app, endpoints: ['http://127.0.0.1:8000']}]
cors: [{name: web, origins: ['https://ui.test']}]
routes:
- {name: app, path: '/{*rest}', access: {any_of: [{issuer: login}]}, cors: web, forward: {upstream: app}}
- {name: health, path: /healthz, methods: [GET], access: public, forward: {upstream: app}}
";

fn cases() -> Vec<Case> {
    [edge::cases(), routes::cases(), sections::cases()].concat()
}

/// The quiet file with these texts in the place of others.
#[track_caller]
fn load(edits: &[(&str, &str)]) -> Loaded {
    let mut text = QUIET.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from} is not in\n{text}");
        text = text.replace(from, to);
    }
    let options = LoadOptions { read_files: false, ..options() };
    check_text("x", &text, &options).unwrap_or_else(|report| panic!("{report}"))
}

/// Which rules are given, and where.
#[track_caller]
fn given(edits: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    let loaded = load(edits);
    loaded.advice.into_iter().map(|advice| (advice.rule.number, advice.path)).collect()
}

#[test]
fn there_is_nothing_to_say_of_a_quiet_file() {
    assert_eq!(given(&[]), []);
}

#[test]
fn each_rule_speaks_where_it_should() {
    let mut wrong = Vec::new();
    for Case { rule, path, trip, .. } in cases() {
        let found = given(trip);
        if found != [(rule, path.to_owned())] {
            wrong.push(format!("{rule} at {path}, but {found:?}: {trip:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_rule_is_silent_where_it_should_be() {
    let mut wrong = Vec::new();
    for Case { rule, quiet, .. } in cases() {
        if given(quiet).into_iter().any(|(number, _)| number == rule) {
            wrong.push(format!("{rule} speaks of {quiet:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_rule_has_a_case() {
    let tested: BTreeSet<&str> = cases().iter().map(|case| case.rule).collect();
    let known: BTreeSet<&str> = rules().iter().map(|rule| rule.number).collect();
    assert_eq!(tested, known);
}

#[test]
fn rules_are_whole() {
    let all = rules();
    assert!(all.len() >= 60, "{}", all.len());
    let names: BTreeSet<&str> = all.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), all.len(), "two rules have one name");
    for (index, rule) in all.into_iter().enumerate() {
        assert_eq!(
            rule.number,
            format!("A{:03}", index + 1),
            "no number is left out or given twice"
        );
        let kebab = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(rule.name.bytes().all(kebab), "{}", rule.name);
        for text in [rule.title, rule.why, rule.fix] {
            assert!(!text.is_empty() && !text.ends_with('.') && !text.contains("  "), "{text}");
        }
        assert!(!rule.references.is_empty(), "{}", rule.number);
        for reference in rule.references {
            let url = reference.url();
            assert!(url.starts_with("https://") && !url.ends_with("en/"), "{reference}: {url}");
        }
    }
}
