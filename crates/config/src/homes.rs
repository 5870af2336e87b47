//! Where in the language a key has its place, for one that was written elsewhere.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::problem::Problems;
use crate::schema::schema;

/// The deepest path that is looked at.
const DEEPEST: usize = 8;

/// Says of each unknown key that is like none of its neighbours where such a key belongs.
pub(crate) fn hint(problems: &mut Problems) {
    let mut homes: Option<Homes> = None;
    for (key, problem) in problems.strangers() {
        let homes = homes.get_or_insert_with(Homes::of_the_language);
        let Some(paths) = homes.0.get(&*key) else { continue };
        let shown = paths.get(..3).unwrap_or(paths).join(", ");
        problem.help = Some(format!("`{key}` has its place at {shown}"));
    }
}

/// Keys and the paths of the mappings that have them.
struct Homes(BTreeMap<String, Vec<String>>);

impl Homes {
    fn of_the_language() -> Self {
        let schema = schema();
        let mut homes = Self(BTreeMap::new());
        homes.walk(&schema, &schema, "", DEEPEST);
        homes
    }

    fn walk(&mut self, root: &Value, node: &Value, path: &str, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        let target =
            node.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix('#'));
        if let Some(target) = target.and_then(|pointer| root.pointer(pointer)) {
            self.walk(root, target, path, depth);
        }
        if let Some(items) = node.get("items") {
            self.walk(root, items, &format!("{path}[]"), depth);
        }
        for choices in ["anyOf", "oneOf"] {
            for choice in node.get(choices).and_then(Value::as_array).into_iter().flatten() {
                self.walk(root, choice, path, depth);
            }
        }
        for (key, property) in
            node.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            let home = if path.is_empty() {
                "the top of the file".to_owned()
            } else {
                format!("`{path}`")
            };
            let homes = self.0.entry(key.clone()).or_default();
            if !homes.contains(&home) {
                homes.push(home);
            }
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            self.walk(root, property, &below, depth);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::at::At;
    use crate::problem::Problem;

    #[track_caller]
    fn check(key: &str, help: Option<&str>) {
        let mut problems = Problems::default();
        problems.push(Problem::unknown_key(At::root().key("telemetry").key(key), key, &["redact"]));
        hint(&mut problems);
        assert_eq!(problems.as_slice()[0].help.as_deref(), help, "{key}");
    }

    #[test]
    fn c45_a_key_in_the_wrong_section_is_told_its_place() {
        check(
            "strip_prefix",
            Some("`strip_prefix` has its place at `defaults.forward`, `routes[].forward`"),
        );
        check("trusted_proxies", Some("`trusted_proxies` has its place at `clients`"));
        check("any_of", Some("`any_of` has its place at `routes[].access`"));
        check("routes", Some("`routes` has its place at the top of the file"));
        check("requests_per_min", None);
        check("redakt", Some("did you mean `redact`?"));
    }
}
