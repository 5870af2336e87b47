//! The whole language: what this version has passes, what it has not is said so, by name.

use std::path::Path;

use portcullis_config::{LoadOptions, check_text};

use crate::options;

/// Paths of what later versions bring, in the order of the file.
const LATER: [&str; 11] = [
    "state.when_unreachable",
    "secrets",
    "logins",
    "accounts",
    "routes[0].request.schema",
    "routes[1].access.any_of[0].login",
    "routes[2].access.any_of[0].login",
    "routes[3].access.any_of[0].login",
    "routes[3].request.uploads",
    "scanners",
    "telemetry.traces",
];

#[expect(clippy::disallowed_methods, reason = "whether the test may be skipped")]
fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

#[test]
fn the_language_passes_but_for_what_comes_later() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/design/language.yaml");
    let Ok(text) = std::fs::read_to_string(&path) else {
        assert!(!is_ci(), "{} is not there", path.display());
        // The language is kept beside the repository; without it there is nothing to compare.
        return;
    };
    let options = LoadOptions { read_files: false, ..options() };
    let report = check_text("language.yaml", &text, &options).expect_err("later parts");
    let entries = report.entries();
    let other: Vec<_> =
        entries.iter().filter(|entry| !entry.message.ends_with("is not in this version")).collect();
    assert!(other.is_empty(), "{other:#?}");
    let paths: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, LATER);
}
