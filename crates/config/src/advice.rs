//! Advice on a file that has no mistakes: numbered rules, each with why and the fix.

mod rules;
mod trials;

use serde::Serialize;

use crate::at::At;
use crate::raw::File;
use crate::report::Source;
use crate::snapshot::Snapshot;
use crate::yaml::tree::{Node, Span};

/// How much an advice weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look.
    Low,
    /// Open to misuse.
    High,
}

impl Severity {
    /// The word of the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Low => "low",
        }
    }
}

/// One advice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// Number of the rule, such as `A001`.
    pub rule: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// The path it is about.
    pub path: String,
    /// Its line, from 1.
    pub line: u32,
    /// What was found.
    pub message: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
    #[serde(skip)]
    pub(crate) span: Option<Span>,
}

/// What is better done in another way in a file without mistakes.
pub(crate) fn advise(
    file: &File,
    snapshot: &Snapshot,
    source: &Source,
    tree: &Node,
) -> Vec<Advice> {
    let mut all = Vec::new();
    let mut tell = |rule: Rule, at: &At, message: String| {
        let span = tree.find(at).exact.then(|| source.span_at(tree, at, false));
        all.push(Advice {
            rule: rule.number,
            severity: rule.severity,
            path: at.to_string(),
            line: source.line(tree, at),
            message,
            why: rule.why,
            fix: rule.fix,
            span,
        });
    };
    rules::find(file, snapshot, &mut tell);
    trials::find(file, snapshot, &mut tell);
    all.sort_by_key(|advice| (advice.rule, advice.line));
    all
}

/// A numbered rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    number: &'static str,
    severity: Severity,
    why: &'static str,
    fix: &'static str,
}
