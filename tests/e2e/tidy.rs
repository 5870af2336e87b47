//! Rules of the source that a machine can hold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use portcullis_testkit::tools;

/// Which crate of ours may depend on which. The binary wires them all; `testkit` is for tests.
const ARROWS: [(&str, &[&str]); 11] = [
    ("core", &[]),
    ("state", &["core"]),
    ("authn", &["core", "state"]),
    ("limit", &["core", "state"]),
    ("tls", &["core", "state"]),
    ("policy", &["core", "authn", "limit"]),
    ("config", &["core", "state", "authn", "limit", "tls", "policy"]),
    ("edge", &["core", "tls"]),
    ("proxy", &["core", "tls", "policy", "edge"]),
    (
        "portcullis",
        &["core", "state", "authn", "limit", "tls", "policy", "config", "edge", "proxy"],
    ),
    ("testkit", &["core"]),
];

/// Packages that only these crates may name. The binary names pingora to wire the proxy into the
/// edge: the one exception.
const OWNERS: [(&str, &[&str]); 2] =
    [("pingora", &["edge", "proxy", "portcullis"]), ("serde_yaml", &["config"])];

fn crates() -> BTreeMap<String, PathBuf> {
    let folder = tools::workspace().join("crates");
    let entries = std::fs::read_dir(folder).expect("the crates are there");
    entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.join("Cargo.toml").is_file())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path))
        .collect()
}

/// Names in the `[dependencies]` of a manifest.
fn dependencies(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
    let mut section = "";
    let mut names = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section == "[dependencies]" {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            names.extend((!name.is_empty() && !name.starts_with('#')).then(|| name.to_owned()));
        }
    }
    names
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// All Rust files below these folders of the workspace, with their text.
fn sources(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let workspace = tools::workspace().canonicalize().expect("the workspace is there");
    let mut files = Vec::new();
    for folder in folders {
        rust_files(&workspace.join(folder), &mut files);
    }
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a text");
            (path.strip_prefix(&workspace).expect("below").to_owned(), text)
        })
        .collect()
}

/// What stands before the tests of a file.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

#[test]
fn arrows_between_crates_point_downwards() {
    let crates = crates();
    assert_eq!(crates.len(), ARROWS.len(), "{:?}", crates.keys());
    for (name, folder) in &crates {
        let (_, allowed) = ARROWS.iter().find(|(known, _)| known == name).expect(name);
        for dependency in dependencies(folder) {
            if let Some(ours) = dependency.strip_prefix("portcullis-") {
                assert!(allowed.contains(&ours), "{name} must not depend on {ours}");
            }
        }
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let package =
            if name == "portcullis" { name.clone() } else { format!("portcullis-{name}") };
        assert!(manifest.contains(&format!("name = \"{package}\"")), "folder = crate: {name}");
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name} has the workspace's lints");
    }
}

#[test]
fn some_packages_have_an_owner() {
    for (name, folder) in crates() {
        let named = dependencies(&folder);
        for (package, owners) in OWNERS {
            if named.iter().any(|n| n == package) {
                assert!(owners.contains(&name.as_str()), "{name} must not name {package}");
            }
        }
    }
}

#[test]
fn every_file_opens_with_what_it_is() {
    for (path, text) in sources(&["crates", "tests", "benches", "fuzz"]) {
        assert!(text.starts_with("//!"), "{}", path.display());
    }
}

#[test]
fn no_file_is_long() {
    let mut long = Vec::new();
    for (path, text) in sources(&["crates"]) {
        let lines = text.lines().count();
        let is_test =
            path.ends_with("tests.rs") || path.components().any(|c| c.as_os_str() == "tests");
        if !is_test && lines > 400 {
            long.push(format!("{} has {lines} lines", path.display()));
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn there_is_one_source_of_time() {
    for (path, text) in sources(&["crates"]) {
        if path.ends_with("core/src/clock.rs") || path.starts_with("crates/testkit") {
            continue;
        }
        // A deadline of a timer is told in the timer's own time; that is no look at the clock.
        let is_timer = text.contains("use tokio::time::{Instant,");
        for word in ["SystemTime::now", "Instant::now"] {
            let asks = product(&text).contains(word);
            assert!(!asks || is_timer, "{} asks {word}", path.display());
        }
    }
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    for (path, text) in sources(&["crates", "tests", "benches"]) {
        if path.ends_with("tidy.rs") {
            continue;
        }
        for word in ["#[allow(", "#![allow(", "todo!(", "unimplemented!(", "dbg!("] {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}
