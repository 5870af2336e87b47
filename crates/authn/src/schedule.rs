//! When the keys of an issuer are fetched next, and how long those at hand are good.

use std::time::Duration;

use portcullis_core::random;

use crate::Refresh;

/// Time before the first retry after a failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);

const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// No two fetches in the background follow each other faster, whatever the settings say.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// How often a key set file is looked at.
const FILE_TICK: Duration = Duration::from_secs(2);

/// The times of one issuer's fetches. All points are those of `Clock::monotonic`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schedule {
    due: Duration,
    last_good: Option<Duration>,
    last_for_unknown: Option<Duration>,
    /// Failures since the last good fetch.
    failures_in_row: u32,
}

impl Schedule {
    /// When the next fetch in the background is due.
    pub(crate) const fn due(&self) -> Duration {
        self.due
    }

    /// When the last good fetch ended.
    pub(crate) const fn last_good(&self) -> Option<Duration> {
        self.last_good
    }

    /// Whether the keys are older than they should be, because fetches fail.
    pub(crate) fn is_stale(&self, refresh: &Refresh, now: Duration) -> bool {
        let age = self.last_good.map(|at| now.saturating_sub(at));
        self.failures_in_row > 0 && age.is_some_and(|age| age >= refresh.every)
    }

    /// Whether an unknown key id may bring about a fetch now. If so, the cooldown begins.
    pub(crate) fn admit_for_unknown(&mut self, refresh: &Refresh, now: Duration) -> bool {
        let is_cool = |at: Duration| now.saturating_sub(at) >= refresh.unknown_kid;
        let admitted = self.last_for_unknown.is_none_or(is_cool);
        if admitted {
            self.last_for_unknown = Some(now);
        }
        admitted
    }

    /// Makes the next fetch due now.
    pub(crate) const fn expedite(&mut self) {
        self.due = Duration::ZERO;
    }

    pub(crate) fn note_success(&mut self, refresh: &Refresh, is_file: bool, now: Duration) {
        self.failures_in_row = 0;
        self.last_good = Some(now);
        // Up to a tenth earlier, so that many gateways do not ask all at once.
        let wait = if is_file { refresh.every.min(FILE_TICK) } else { jittered(refresh.every) };
        self.due = now + wait.max(SHORTEST_WAIT);
    }

    pub(crate) fn note_failure(&mut self, refresh: &Refresh, is_file: bool, now: Duration) {
        let doubled = FIRST_RETRY.saturating_mul(1 << self.failures_in_row.min(5));
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        let retry = if is_file { FILE_TICK } else { doubled.min(LONGEST_RETRY) };
        self.due = now + retry.min(refresh.every).max(SHORTEST_WAIT);
    }
}

fn jittered(period: Duration) -> Duration {
    let draw = random::bytes::<1>().map_or(0, |[byte]| u32::from(byte));
    period.saturating_sub(period / 10 * draw / 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFRESH: Refresh = Refresh {
        every: Duration::from_mins(10),
        unknown_kid: Duration::from_secs(30),
        usable_without_issuer: Duration::from_hours(24),
    };

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn c08_retries_begin_at_a_second_and_end_at_thirty() {
        let mut schedule = Schedule::default();
        let mut now = Duration::ZERO;
        let mut waits = Vec::new();
        for _ in 0..40 {
            schedule.note_failure(&REFRESH, false, now);
            waits.push((schedule.due().saturating_sub(now)).as_secs());
            now = schedule.due();
        }
        assert_eq!(waits[..7], [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(waits[39], 30);
        schedule.note_success(&REFRESH, false, now);
        schedule.note_failure(&REFRESH, false, now);
        assert_eq!(
            schedule.due().saturating_sub(now),
            seconds(1),
            "a good fetch starts the row anew"
        );
    }

    #[test]
    fn the_next_fetch_is_jittered_but_never_late() {
        let mut schedule = Schedule::default();
        let waits: std::collections::BTreeSet<Duration> = (0..64)
            .map(|_| {
                schedule.note_success(&REFRESH, false, seconds(5));
                schedule.due().saturating_sub(seconds(5))
            })
            .collect();
        assert!(waits.len() > 1);
        assert!(waits.iter().all(|wait| (seconds(540)..=seconds(600)).contains(wait)), "{waits:?}");
    }

    #[test]
    fn a_file_is_looked_at_every_other_second() {
        let mut schedule = Schedule::default();
        schedule.note_success(&REFRESH, true, seconds(5));
        assert_eq!(schedule.due(), seconds(7));
        schedule.note_failure(&REFRESH, true, seconds(7));
        assert_eq!(schedule.due(), seconds(9));
        let often = Refresh { every: Duration::from_millis(500), ..REFRESH };
        schedule.note_success(&often, true, seconds(9));
        assert_eq!(schedule.due(), Duration::from_millis(9_500));
        schedule.note_success(&Refresh { every: Duration::ZERO, ..REFRESH }, false, seconds(9));
        assert_eq!(schedule.due(), Duration::from_millis(9_100), "never in a tight loop");
    }

    #[test]
    fn c01_an_unknown_key_id_is_admitted_once_per_cooldown() {
        let mut schedule = Schedule::default();
        let mut admit = |at| schedule.admit_for_unknown(&REFRESH, seconds(at));
        let answers: Vec<bool> =
            [0, 1, 29, 30, 31, 59, 60, 200].into_iter().map(&mut admit).collect();
        assert_eq!(answers, [true, false, false, true, false, false, true, true]);
    }

    #[test]
    fn c08_keys_are_stale_when_fetches_fail_past_the_refresh() {
        let mut schedule = Schedule::default();
        schedule.note_failure(&REFRESH, false, seconds(0));
        assert!(!schedule.is_stale(&REFRESH, seconds(9_000)), "no keys, nothing to be stale");
        schedule.note_success(&REFRESH, false, seconds(0));
        assert!(!schedule.is_stale(&REFRESH, seconds(601)));
        schedule.note_failure(&REFRESH, false, seconds(590));
        assert!(!schedule.is_stale(&REFRESH, seconds(599)));
        assert!(schedule.is_stale(&REFRESH, seconds(600)));
        schedule.note_success(&REFRESH, false, seconds(601));
        assert!(!schedule.is_stale(&REFRESH, seconds(602)));
    }
}
