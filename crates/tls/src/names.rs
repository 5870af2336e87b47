//! Names of certificates and of TLS policies: exact ones, and wildcards of exactly one label.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Values by host name. `*.example.com` stands for names with one label more than `example.com`;
/// an exact entry wins over it.
#[derive(Clone, Debug)]
pub struct NameTable<T> {
    exact: HashMap<Box<str>, T>,
    below: HashMap<Box<str>, T>,
}

impl<T> Default for NameTable<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), below: HashMap::new() }
    }
}

impl<T> NameTable<T> {
    /// Adds `value` for `name`, unless the name is there already: the first entry stays.
    pub fn insert(&mut self, name: &str, value: T) {
        self.entry(name).or_insert(value);
    }

    /// The place of `name`, taken or not.
    pub(crate) fn entry(&mut self, name: &str) -> Entry<'_, Box<str>, T> {
        let name = canonical(name);
        match name.strip_prefix("*.") {
            Some(parent) => self.below.entry(parent.into()),
            None => self.exact.entry(name.into()),
        }
    }

    /// Whether all of `name`, which may be a wildcard, has a value.
    pub(crate) fn covers(&self, name: &str) -> bool {
        match canonical(name).strip_prefix("*.") {
            Some(parent) => self.below.contains_key(parent),
            None => self.find(name).is_some(),
        }
    }

    /// The value for `name`, in any case, with or without a trailing dot.
    pub fn find(&self, name: &str) -> Option<&T> {
        let name = canonical(name);
        if let Some(value) = self.exact.get(name.as_str()) {
            return Some(value);
        }
        let (label, parent) = name.split_once('.')?;
        if label.is_empty() || label == "*" { None } else { self.below.get(parent) }
    }
}

/// In lower case, without a trailing dot.
pub(crate) fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(entries: &[&str], name: &str, expected: Option<&str>) {
        let mut table = NameTable::default();
        for entry in entries {
            table.insert(entry, (*entry).to_owned());
        }
        assert_eq!(table.find(name).map(String::as_str), expected, "{name} in {entries:?}");
    }

    #[test]
    fn exact_names_match_in_any_case() {
        check(&["API.test"], "api.TEST", Some("API.test"));
        check(&["api.test"], "api.test.", Some("api.test"));
        for other in ["xapi.test", "a.api.test", "api.test.evil", "", ".", "test"] {
            check(&["api.test"], other, None);
        }
    }

    #[test]
    fn a_wildcard_is_one_label() {
        let entries = ["*.app.test", "known.app.test"];
        check(&entries, "a.app.test", Some("*.app.test"));
        check(&entries, "known.app.test", Some("known.app.test"));
        for other in ["app.test", "a.b.app.test", ".app.test", "*.app.test", "aapp.test"] {
            check(&entries, other, None);
        }
    }

    #[test]
    fn the_first_entry_stays() {
        let mut table = NameTable::default();
        table.insert("a.test", 1);
        table.insert("a.test", 2);
        assert_eq!(table.find("a.test"), Some(&1));
    }
}
