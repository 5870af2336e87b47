//! Advice on a file that has no mistakes: numbered rules, each with why and the fix.

use crate::yaml::tree::Span;

/// How much an advice weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub(crate) span: Option<Span>,
}
