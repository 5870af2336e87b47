//! Rules on trial: what they would refuse is noted and forwarded all the same, until their end.

use portcullis_core::{Clock, Refusal, Timestamp};

use crate::Origin;

/// A rule that only reports, until a time. From then on it refuses, without a reload.
#[derive(Clone, Debug)]
pub struct ReportOnly {
    /// When it ends.
    pub until: Timestamp,
    /// The clock of the process.
    pub clock: Clock,
}

/// A refusal that was not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WouldDeny {
    /// What it would have been.
    pub refusal: Refusal,
    /// The line of the rule.
    pub origin: Origin,
}

impl ReportOnly {
    /// Whether it still only reports.
    pub fn is_active(&self) -> bool {
        self.clock.now() < self.until
    }

    /// What a trace says of a refusal that is not given.
    pub(crate) fn words(&self) -> String {
        format!("would refuse (report only until {})", self.until.rfc3339())
    }
}

/// The one that still only reports.
pub(crate) fn active(report: Option<&ReportOnly>) -> Option<&ReportOnly> {
    report.filter(|report| report.is_active())
}

/// What a trace says of `seen`, where the rule refuses it: that it would, where it only reports.
pub(crate) fn told(seen: String, report: Option<&ReportOnly>) -> String {
    match report {
        Some(report) => format!("{seen}: {}", report.words()),
        None => seen,
    }
}

/// Refuses, unless the rule only reports: then it is noted.
pub(crate) fn refuse(
    refusal: impl Into<Refusal>,
    origin: Origin,
    report: Option<&ReportOnly>,
    would_deny: &mut Vec<WouldDeny>,
) -> Result<(), Refusal> {
    let refusal = refusal.into();
    if report.is_none() {
        return Err(refusal);
    }
    would_deny.push(WouldDeny { refusal, origin });
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portcullis_core::Denial;

    use super::*;

    #[test]
    fn a_rule_reports_until_its_end_and_refuses_from_then_on() {
        let clock = Clock::manual(Timestamp::from_unix_seconds(100));
        let until = Timestamp::from_unix_seconds(160);
        let report = ReportOnly { until, clock: clock.clone() };
        let mut noted = Vec::new();
        let mut judge = |report: &ReportOnly| {
            let report = active(Some(report));
            refuse(Denial::RouteNotFound, Origin(3), report, &mut noted)
        };
        assert_eq!(judge(&report), Ok(()));
        clock.advance(Duration::from_secs(59));
        assert_eq!(judge(&report), Ok(()));
        clock.advance(Duration::from_secs(1));
        assert_eq!(judge(&report), Err(Denial::RouteNotFound.into()));
        let would = WouldDeny { refusal: Denial::RouteNotFound.into(), origin: Origin(3) };
        assert_eq!(noted, [would.clone(), would]);
        let refused = refuse(Denial::RouteNotFound, Origin(3), None, &mut Vec::new());
        assert_eq!(refused, Err(Denial::RouteNotFound.into()));
    }
}
