//! Names of certificates and of TLS policies: exact ones, and wildcards of exactly one label.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

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
        let is_one = !label.is_empty() && label != "*" && name.parse::<IpAddr>().is_err();
        if is_one { self.below.get(parent) } else { None }
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
    fn names_of_other_scripts_are_their_a_labels() {
        check(&["xn--bcher-kva.test"], "XN--BCHER-KVA.TEST", Some("xn--bcher-kva.test"));
        check(
            &["*.xn--bcher-kva.test"],
            "xn--fsq.xn--bcher-kva.test",
            Some("*.xn--bcher-kva.test"),
        );
        check(&["b\u{fc}cher.test"], "xn--bcher-kva.test", None);
        check(&["b\u{fc}cher.test"], "B\u{dc}CHER.test", None);
    }

    #[test]
    fn what_is_no_wildcard_stands_for_itself() {
        for entry in ["*", "w*.app.test", "a.*.test", "**.app.test", "*a.app.test", "*.*.test"] {
            for name in ["w.app.test", "www.app.test", "a.app.test", "a.b.test", "test", "*.test"] {
                check(&[entry], name, None);
            }
        }
        check(&["*.test"], "a.test", Some("*.test"));
    }

    #[test]
    fn addresses_are_matched_as_they_stand() {
        check(&["127.0.0.1", "::1"], "127.0.0.1", Some("127.0.0.1"));
        check(&["127.0.0.1", "::1"], "::1", Some("::1"));
        check(&["127.0.0.1"], "127.0.0.2", None);
        check(&["*.0.0.1"], "127.0.0.1", None);
    }

    #[test]
    fn a_wildcard_is_covered_by_itself_alone() {
        let mut table = NameTable::default();
        table.insert("*.app.test", ());
        table.insert("a.other.test", ());
        assert!(table.covers("*.APP.test") && table.covers("a.app.test"));
        assert!(table.covers("a.other.test") && !table.covers("*.other.test"));
        assert!(!table.covers("app.test") && !table.covers("*.a.app.test"));
    }

    #[test]
    fn the_first_entry_stays() {
        let mut table = NameTable::default();
        table.insert("a.test", 1);
        table.insert("a.test", 2);
        assert_eq!(table.find("a.test"), Some(&1));
    }
}
