//! Whether an endpoint that fails requests is left out for a while. A pure state machine.

use std::time::Duration;

use portcullis_policy::Ejection;

/// What is known of one endpoint from the requests it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Takes requests; so many failed in a row.
    In {
        /// Failures in a row.
        failures: u32,
    },
    /// Takes none until then.
    Out {
        /// On the monotonic clock.
        until: Duration,
    },
    /// One request is under way to find out; no other until then.
    Trial {
        /// On the monotonic clock.
        until: Duration,
    },
}

impl Default for Standing {
    fn default() -> Self {
        Self::In { failures: 0 }
    }
}

impl Standing {
    /// Whether it may have a request now.
    pub(crate) fn is_open(self, now: Duration) -> bool {
        match self {
            Self::In { .. } => true,
            Self::Out { until } | Self::Trial { until } => now >= until,
        }
    }

    /// A request goes to it: after a pause this is the trial, and nothing else is sent meanwhile.
    /// A trial that tells nothing gives way to another after the pause.
    #[must_use]
    pub(crate) fn chosen(self, now: Duration, terms: &Ejection) -> Self {
        match self {
            Self::Out { until } | Self::Trial { until } if now >= until => {
                Self::Trial { until: now.saturating_add(terms.pause) }
            }
            Self::In { .. } | Self::Out { .. } | Self::Trial { .. } => self,
        }
    }

    /// A request failed; `true` where this leaves the endpoint out.
    #[must_use]
    pub(crate) fn failed(self, now: Duration, terms: &Ejection) -> (Self, bool) {
        let out = Self::Out { until: now.saturating_add(terms.pause) };
        match self {
            Self::In { failures } if failures.saturating_add(1) < terms.after_failures => {
                (Self::In { failures: failures.saturating_add(1) }, false)
            }
            Self::In { .. } | Self::Trial { .. } => (out, true),
            Self::Out { .. } => (self, false),
        }
    }

    /// A request was answered.
    #[must_use]
    pub(crate) fn succeeded(self) -> Self {
        match self {
            Self::In { .. } | Self::Trial { .. } => Self::In { failures: 0 },
            // An answer to a request of before says nothing about now.
            Self::Out { .. } => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Ejection = Ejection { after_failures: 2, pause: Duration::from_secs(10) };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn failures_in_a_row_leave_it_out_and_one_trial_decides() {
        let (standing, ejected) = Standing::default().failed(at(0), &TERMS);
        assert!(!ejected && standing.is_open(at(0)));
        // A success between starts the row anew.
        let (standing, ejected) = standing.succeeded().failed(at(0), &TERMS);
        assert!(!ejected);
        let (standing, ejected) = standing.failed(at(1), &TERMS);
        assert!(ejected && !standing.is_open(at(10)) && standing.is_open(at(11)));

        let trial = standing.chosen(at(11), &TERMS);
        assert!(!trial.is_open(at(12)), "one trial at a time");
        assert!(trial.is_open(at(21)), "a trial that tells nothing gives way");
        let (out, ejected) = trial.failed(at(12), &TERMS);
        assert!(ejected && !out.is_open(at(21)) && out.is_open(at(22)));
        assert_eq!(trial.succeeded(), Standing::default());
    }

    #[test]
    fn late_news_of_earlier_requests_change_nothing() {
        let out = Standing::Out { until: at(10) };
        assert_eq!(out.failed(at(5), &TERMS), (out, false));
        assert_eq!(out.succeeded(), out);
        assert_eq!(out.chosen(at(5), &TERMS), out);
    }
}
