//! The public collections of smuggling requests against the gate.

use std::path::{Path, PathBuf};

use super::property_tests::agrees_with_httparse;
use super::*;

const LIMITS: HeadLimits = HeadLimits { size: 32 * 1024, fields: 100, target: 8 * 1024 };

/// The first of `$PORTCULLIS_VECTORS` and the folder beside the workspace that is there.
#[expect(clippy::disallowed_methods, reason = "where vectors are is no setting of the gateway")]
fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    let named = std::env::var("PORTCULLIS_VECTORS").ok().map(PathBuf::from);
    let found = named.into_iter().chain([beside]).find(|path| path.is_dir());
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(found.is_some() || !in_ci, "the vectors are not there");
    found.map(|path| path.join("smuggling"))
}

struct Vector {
    id: String,
    raw: Vec<u8>,
    expect: String,
    why: String,
}

fn vectors(file: &str) -> Vec<Vector> {
    let Some(folder) = folder() else { return Vec::new() };
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line.get("id").is_some())
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap().to_owned();
            // The files write bytes as the code points of Latin-1.
            let raw = text("raw").chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
            Vector { id: text("id"), raw, expect: text("expect"), why: text("why") }
        })
        .collect()
}

/// The verdict; what is accepted must mean the same to `httparse`, and again byte by byte.
fn verdict(vector: &Vector) -> Result<Option<Accepted>, Rejected> {
    let verdict = HeadGate::new(LIMITS).judge(&vector.raw);
    if let Ok(Some(accepted)) = &verdict {
        agrees_with_httparse(&vector.raw, accepted);
    }
    verdict
}
