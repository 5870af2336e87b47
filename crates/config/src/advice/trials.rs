//! Rules about trials.

use crate::advice::facts::Facts;
use crate::advice::rule::{Found, Reference, Rule, Severity};
use crate::at::At;

/// The rules.
pub(super) const RULES: &[Rule] = &[Rule {
    number: "A072",
    name: "trial-over",
    severity: Severity::Low,
    title: "A trial is over",
    why: "its rules refuse since then; the entry says the opposite to whoever reads it",
    fix: "take the entry out, or give it an end that is to come",
    references: &[Reference::Api(8)],
    find: ended,
}];

fn ended(facts: &Facts<'_>, found: &mut Found) {
    let at = At::root().key("report_only");
    let entries = facts.file.report_only.at(&at);
    for ((at, _), trial) in entries.zip(&facts.snapshot.trials) {
        if trial.ended {
            let message = format!("`report_only` ended at {}", trial.until.rfc3339());
            found.note(at.key("until"), message);
        }
    }
}
