//! How advice reads: for people, for programs, for code scanning.

use portcullis_config::advice::rules;
use portcullis_config::{LoadOptions, Severity, check_text, report};
use serde_json::Value;

use super::{QUIET, cases, load};
use crate::options;

const QUERY: (&str, &str) =
    ("maximum_lifetime: 1h", "maximum_lifetime: 1h, read_token_from: [{query: token}]");

#[test]
fn advice_for_people_says_why_and_what_to_do_and_where_more_is_said() {
    let text = load(&[QUERY]).render_advice(false);
    for part in [
        "warning[A006/low]: tokens are taken from the query, as `token`",
        "--> x:5:116",
        "path: issuers[0].read_token_from[0]",
        "why: URLs with tokens end in histories and in logs of others",
        "help: send tokens in the `Authorization` field",
        "see: RFC 9700 §4.3.2, ASVS v5.0.0-14.2.1",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn advice_for_programs_has_all_of_the_rule() {
    let loaded = load(&[QUERY]);
    let json = loaded.advice[0].to_json("gateway.yaml");
    let texts = ["file", "path", "rule", "name", "severity", "title", "message", "why", "fix"];
    for key in texts {
        assert!(json[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {json}");
    }
    assert_eq!((&json["rule"], &json["name"]), (&"A006".into(), &"token-in-query".into()));
    assert_eq!((&json["line"], &json["severity"]), (&5.into(), &"low".into()));
    let reference = &json["references"][0];
    assert_eq!(reference["name"], "RFC 9700 §4.3.2");
    assert_eq!(reference["url"], "https://www.rfc-editor.org/rfc/rfc9700#section-4.3.2");
}

fn strings(value: &Value, keys: &[&str]) {
    for key in keys {
        let text = value.pointer(key).and_then(Value::as_str);
        assert!(text.is_some_and(|text| !text.is_empty()), "{key} of {value}");
    }
}

/// What SARIF 2.1.0 requires, and what code scanning reads (§3.49, §3.27).
#[test]
#[expect(clippy::cognitive_complexity, reason = "one document, looked at whole")]
fn sarif_has_the_metadata_of_every_rule() {
    let loaded = load(&[QUERY, ("127.0.0.1:8080", "0.0.0.0:8080")]);
    let mistakes = check_text("x", "version: 2\n", &options()).expect_err("mistakes").entries();
    let sarif = report::render_sarif("deploy/x.yaml", &mistakes, &loaded.advice);
    let sarif: Value = serde_json::from_str(&sarif).expect("JSON");
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    strings(&run["tool"]["driver"], &["/name", "/version"]);
    let descriptors = run["tool"]["driver"]["rules"].as_array().expect("rules");
    assert_eq!(descriptors.len(), rules().len() + 1);
    for (rule, descriptor) in rules().into_iter().zip(&descriptors[1..]) {
        assert_eq!(descriptor["id"], rule.number);
        assert_eq!(descriptor["name"], rule.name);
        let texts =
            ["/shortDescription/text", "/fullDescription/text", "/help/text", "/help/markdown"];
        strings(descriptor, &texts);
        strings(descriptor, &["/helpUri", "/properties/security-severity"]);
        let level = if rule.severity == Severity::High { "warning" } else { "note" };
        assert_eq!(descriptor["defaultConfiguration"]["level"], level);
        let tags = descriptor["properties"]["tags"].as_array().expect("tags");
        assert_eq!(tags[0], "security");
        assert_eq!(tags.len(), rule.references.len() + 1);
    }
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), mistakes.len() + 2);
    for result in results {
        strings(
            result,
            &["/ruleId", "/level", "/message/text", "/partialFingerprints/ruleAndPath~1v1"],
        );
        let index = result["ruleIndex"].as_u64().and_then(|index| usize::try_from(index).ok());
        assert_eq!(descriptors[index.expect("an index")]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        strings(place, &["/artifactLocation/uri"]);
        if let Some(region) = place.get("region") {
            assert!(region["startLine"].as_u64() >= Some(1), "{region}");
            assert!(region["startColumn"].as_u64() >= Some(1), "{region}");
        }
    }
}

#[test]
fn what_no_line_says_has_no_region() {
    let text = QUIET
        .replace("listeners: [{name: http, address: '127.0.0.1:8080', cleartext: true}]\n", "");
    let text = text.replace("hosts: [localhost]", "hosts: [api.example.com]");
    let text = text.replace("version: 1\n", "version: 1\nconnections: {maximum: 5}\n");
    let loaded = check_text("x", &text, &options()).unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.advice.iter().all(|advice| advice.line > 0), "{:?}", loaded.advice);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever stands together in a file: advice is found, told once a place, and rendered.
    #[test]
    fn any_mix_of_what_trips_rules_is_told(picks in proptest::collection::vec(0_usize..1000, 1..8)) {
        let all = cases();
        let mut text = QUIET.to_owned();
        for pick in picks {
            let case = &all[pick % all.len()];
            for (from, to) in if pick % 2 == 0 { case.trip } else { case.quiet } {
                text = text.replacen(from, to, 1);
            }
        }
        let options = LoadOptions { read_files: false, ..options() };
        if let Ok(loaded) = check_text("x", &text, &options) {
            let places: std::collections::BTreeSet<_> =
                loaded.advice.iter().map(|one| (one.rule.number, &one.path)).collect();
            proptest::prop_assert_eq!(places.len(), loaded.advice.len());
            proptest::prop_assert!(loaded.render_advice(true).len() >= loaded.advice.len());
            let sarif = report::render_sarif("x", &[], &loaded.advice);
            proptest::prop_assert!(serde_json::from_str::<Value>(&sarif).is_ok());
        }
    }
}
