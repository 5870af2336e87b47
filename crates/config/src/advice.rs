//! Advice on a file that has no mistakes: numbered rules, each with why, the fix and references.

mod access;
mod clients;
mod connections;
mod cors;
mod facts;
mod headers;
mod identity;
mod issuers;
mod limits;
mod listeners;
mod operators;
mod paths;
mod places;
mod requests;
mod routes;
mod rule;
mod state;
mod tls;
mod tokens;
mod trials;
mod upstreams;

use serde_json::{Value, json};

use crate::raw::File;
use crate::report::Source;
use crate::snapshot::Snapshot;
use crate::yaml::tree::{Node, Span};

pub use rule::{Reference, Rule, Severity};

use facts::Facts;
use rule::Found;

/// The rules, by subject.
const RULES: [&[Rule]; 17] = [
    access::RULES,
    clients::RULES,
    connections::RULES,
    cors::RULES,
    headers::RULES,
    identity::RULES,
    issuers::RULES,
    limits::RULES,
    listeners::RULES,
    operators::RULES,
    paths::RULES,
    requests::RULES,
    state::RULES,
    tls::RULES,
    tokens::RULES,
    trials::RULES,
    upstreams::RULES,
];

/// Every rule, in the order of their numbers.
pub fn rules() -> Vec<&'static Rule> {
    let mut all: Vec<&'static Rule> = RULES.into_iter().flatten().collect();
    all.sort_by_key(|rule| rule.number);
    all
}

/// One advice.
#[derive(Clone, Debug)]
pub struct Advice {
    /// The rule that gives it.
    pub rule: &'static Rule,
    /// The path it is about.
    pub path: String,
    /// Its line, from 1; 0 where the file does not say it.
    pub line: usize,
    /// Its column in characters, from 1; 0 where the file does not say it.
    pub column: usize,
    /// What was found.
    pub message: String,
    pub(crate) span: Option<Span>,
}

impl Advice {
    /// For programs: what was found in `file`, and all of the rule.
    pub fn to_json(&self, file: &str) -> Value {
        let Rule { number, name, severity, title, why, fix, .. } = self.rule;
        json!({
            "file": file,
            "line": self.line,
            "column": self.column,
            "path": self.path,
            "rule": number,
            "name": name,
            "severity": severity.as_str(),
            "title": title,
            "message": self.message,
            "why": why,
            "fix": fix,
            "references": self.rule.references_json(),
        })
    }
}

/// What is better done in another way in a file without mistakes, in the order of the rules.
pub(crate) fn advise(
    file: &File,
    snapshot: &Snapshot,
    source: &Source,
    tree: &Node,
) -> Vec<Advice> {
    let facts = Facts { file, snapshot, tree };
    let mut all = Vec::new();
    for rule in rules() {
        let mut found = Found::default();
        (rule.find)(&facts, &mut found);
        let mut of_rule: Vec<Advice> = found
            .into_iter()
            .map(|(at, message)| {
                let span = tree.find(&at).exact.then(|| source.span_at(tree, &at, false));
                let (line, column) = span.map_or((0, 0), |span| source.position(span));
                Advice { rule, path: at.to_string(), line, column, message, span }
            })
            .collect();
        of_rule.sort_by_key(|advice| advice.line);
        all.append(&mut of_rule);
    }
    all
}
