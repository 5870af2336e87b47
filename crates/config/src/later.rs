//! What the language has and this version has not: refused by name, never ignored.

use crate::at::At;

/// Keys by their path, `[]` for any item of a list.
const KEYS: &[&str] = &[
    "accounts",
    "admin.page",
    "logins",
    "routes[].access.any_of[].login",
    "routes[].request.schema",
    "routes[].request.uploads",
    "defaults.request.schema",
    "defaults.request.uploads",
    "scanners",
    "secrets",
    "state.durable.postgres",
    "state.shared.redis",
    "state.when_unreachable",
    "telemetry.traces",
];

/// Values by the path of their key.
const VALUES: &[(&str, &[&str])] =
    &[("state.shared", &["redis"]), ("routes[].access.any_of[]", &["login"])];

/// Whether the key at `at` belongs to a later version.
pub(crate) fn has_key(at: &At) -> bool {
    let pattern = at.pattern();
    let last = pattern.rsplit('.').next();
    KEYS.contains(&pattern.as_str()) || last == Some("vault")
}

/// Whether `value` at `at` belongs to a later version.
pub(crate) fn has_value(at: &At, value: &str) -> bool {
    let pattern = at.pattern();
    VALUES.iter().any(|(path, values)| *path == pattern && values.contains(&value))
}

/// All keys of later versions, for the docs and for tests.
pub fn keys() -> &'static [&'static str] {
    KEYS
}
