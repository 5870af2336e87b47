//! Where the public collections of requests and frames are.

use std::path::{Path, PathBuf};

/// The collection `name`, below the first of `$PORTCULLIS_VECTORS` and the folder beside the workspace
/// that is there.
#[expect(clippy::disallowed_methods, reason = "where vectors are is no setting of the gateway")]
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    let named = std::env::var("PORTCULLIS_VECTORS").ok().map(PathBuf::from);
    let found = named.into_iter().chain([beside]).find(|path| path.is_dir());
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(found.is_some() || !in_ci, "the vectors are not there");
    found.map(|path| path.join(name))
}
