//! Names of one section: unique, and found by those who use them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::at::At;
use crate::problem::{Problem, Problems};
use crate::yaml::tree::{Kind, Node};

/// What one section declares: by name what could be compiled, and the names of what could not.
#[derive(Debug)]
pub(crate) struct Named<T> {
    what: &'static str,
    declared: Vec<String>,
    compiled: HashMap<Arc<str>, T>,
}

impl<T> Named<T> {
    /// For the section `section` of the file; `what` is one of its entries, in words.
    pub(crate) fn new(
        what: &'static str,
        section: &str,
        tree: &Node,
        problems: &mut Problems,
    ) -> Self {
        let mut declared: Vec<String> = Vec::new();
        let at = At::root().key(section);
        let items = tree.get(section).map(Node::items).unwrap_or_default();
        for (index, item) in items.iter().enumerate() {
            let Some(name) = item.get("name").and_then(Node::text) else { continue };
            if declared.iter().any(|other| other == name) {
                let message = format!("there are two entries with the name `{name}`");
                let problem = Problem::new(at.index(index).key("name"), message);
                problems.push(problem.help("give each its own name"));
            } else {
                declared.push(name.to_owned());
            }
        }
        Self { what, declared, compiled: HashMap::new() }
    }

    /// For a section whose keys are the names; that none stands there twice is seen to by the reading.
    pub(crate) fn of_keys(what: &'static str, section: &str, tree: &Node) -> Self {
        let Some(Kind::Mapping(entries)) = tree.get(section).map(|node| &node.kind) else {
            return Self { what, declared: Vec::new(), compiled: HashMap::new() };
        };
        let declared = entries.iter().map(|entry| entry.key.clone()).collect();
        Self { what, declared, compiled: HashMap::new() }
    }

    /// For names that were found in some other way.
    pub(crate) fn declaring(what: &'static str, declared: Vec<String>) -> Self {
        Self { what, declared, compiled: HashMap::new() }
    }

    /// Whether `name`, used at `at`, is declared at all; a name that is not is a mistake.
    pub(crate) fn declares(&self, name: &str, at: &At, problems: &mut Problems) -> bool {
        let declared = self.declared.iter().any(|declared| declared == name);
        if !declared {
            self.find(name, at, problems);
        }
        declared
    }

    /// Changes what was compiled, if it was.
    pub(crate) fn change(&mut self, name: &str, change: impl FnOnce(&mut T)) {
        if let Some(value) = self.compiled.get_mut(name) {
            change(value);
        }
    }

    /// Adds what was compiled, if it was.
    pub(crate) fn extend(&mut self, compiled: Option<(Arc<str>, T)>) {
        if let Some((name, value)) = compiled {
            self.compiled.entry(name).or_insert(value);
        }
    }

    /// The entry `name`, used at `at`. A name that is not declared is a mistake; one that is
    /// declared but could not be compiled was noted already.
    pub(crate) fn find(&self, name: &str, at: &At, problems: &mut Problems) -> Option<&T> {
        if let Some(value) = self.compiled.get(name) {
            return Some(value);
        }
        if !self.declared.iter().any(|declared| declared == name) {
            let message = format!("there is no {} `{name}`", self.what);
            let problem = Problem::new(at.clone(), message);
            problems.push(if self.declared.is_empty() {
                problem.help(format!("the file declares no {} at all", self.what))
            } else {
                problem.one_of(name, &self.declared)
            });
        }
        None
    }

    /// What could be compiled.
    pub(crate) fn into_compiled(self) -> HashMap<Arc<str>, T> {
        self.compiled
    }

    /// What could be compiled.
    pub(crate) const fn compiled(&self) -> &HashMap<Arc<str>, T> {
        &self.compiled
    }
}
