//! Real third parties that `scripts/setup.sh test` installs. Where one is missing a test is
//! skipped with a message, but never in continuous integration.

use std::path::{Path, PathBuf};

use crate::process::Finished;

/// Whether this is continuous integration (`CI=true`).
#[expect(clippy::disallowed_methods, reason = "the tests' own switch, no setting of the gateway")]
fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A program of `.tools/bin` or of the `PATH`.
#[expect(clippy::disallowed_methods, reason = "the way to find a program")]
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let ours = workspace().join(".tools/bin");
    let mut folders = std::iter::once(ours).chain(std::env::split_paths(&path));
    folders.find_map(|folder| Some(folder.join(name)).filter(|file| file.is_file()))
}

/// `found`, or a message; the end of the test run in continuous integration.
fn needed(name: &str, found: Option<PathBuf>) -> Option<PathBuf> {
    if found.is_none() {
        assert!(!in_ci(), "{name} is missing: run scripts/setup.sh test");
        eprintln!("skipped: {name} is missing: run scripts/setup.sh test");
    }
    found
}

/// A program, or a skip.
pub fn program(name: &str) -> Option<PathBuf> {
    needed(name, find(name))
}

/// The python of the tests' virtual environment, or a skip.
pub fn python() -> Option<PathBuf> {
    let file = workspace().join(".tools/venv/bin/python");
    needed("the python environment", file.is_file().then_some(file))
}

/// sslyze, which knows Mozilla's profiles of TLS, or a skip.
pub fn sslyze() -> Option<PathBuf> {
    let file = workspace().join(".tools/scanners/bin/sslyze");
    needed("sslyze", file.is_file().then_some(file))
}

/// Node and the folder of the tests' packages, or a skip.
pub fn node() -> Option<(PathBuf, PathBuf)> {
    let packages = workspace().join(".tools/node");
    let installed = packages.join("node_modules").is_dir().then_some(packages);
    let packages = needed("the node environment", installed)?;
    Some((program("node")?, packages))
}

/// Chromium, or a skip.
pub fn chromium() -> Option<PathBuf> {
    needed("chromium", find("chromium").or_else(|| find("chromium-browser")))
}

/// A folder or file of shared test vectors, or a skip.
#[expect(clippy::disallowed_methods, reason = "the tests' own setting, none of the gateway")]
pub fn vectors(name: &str) -> Option<PathBuf> {
    let set = std::env::var_os("PORTCULLIS_VECTORS").map(PathBuf::from);
    let beside = workspace().join("../shared/vectors");
    let found = set.into_iter().chain([beside]).map(|folder| folder.join(name));
    needed(name, found.into_iter().find(|path| path.exists()))
}

/// What promtool says about a page of metrics, or a skip.
pub fn check_metrics(page: &str) -> Option<Finished> {
    let promtool = program("promtool")?;
    let limit = std::time::Duration::from_secs(30);
    let folder = Path::new("/");
    Some(crate::process::run(&promtool, &["check", "metrics"], folder, &[], page, limit))
}

/// Says that a test is skipped because `what` is not to be had; the end of the test run in
/// continuous integration.
pub fn skip(what: &str) {
    needed(what, None);
}
