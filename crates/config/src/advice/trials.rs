//! Trials that are over: their rules refuse already.

use crate::advice::{Rule, Severity};
use crate::at::At;
use crate::raw::File;
use crate::snapshot::Snapshot;

const ENDED: Rule = Rule {
    number: "A080",
    severity: Severity::Low,
    why: "the rules refuse since then; the entry says the opposite to whoever reads it",
    fix: "take the entry out, or give it an end that is to come",
};

pub(super) fn find(file: &File, snapshot: &Snapshot, tell: &mut dyn FnMut(Rule, &At, String)) {
    let at = At::root().key("report_only");
    let entries = file.report_only.at(&at);
    for ((at, _), trial) in entries.zip(&snapshot.trials) {
        if trial.ended {
            let message = format!("`report_only` ended at {}", trial.until.rfc3339());
            tell(ENDED, &at.key("until"), message);
        }
    }
}
