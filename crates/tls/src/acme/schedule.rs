//! When to do what: pure functions of times, counts and a draw.

use std::time::Duration;

use portcullis_core::Timestamp;

use super::moment::Moment;
use super::record::{NameRecord, RenewalRecord};
use super::settings::Pace;

/// Validations that may fail for one name, within [`WINDOW`]. Authorities allow five.
const FAILED_VALIDATIONS: usize = 4;

/// The time they are counted in.
const WINDOW: Duration = Duration::from_hours(1);

/// The age that a certificate reaches before the authority's window counts.
const LEAST_AGE: Duration = Duration::from_hours(1);

/// Between two certificates of one name: an authority whose certificates are as good as over when
/// they come is not asked without end.
const LEAST_GAP: Duration = Duration::from_secs(10);

/// Bounds of the time after which an authority wants to be asked about renewal again (RFC 9773
/// §4.3.2).
const ASK_AGAIN: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(24));

/// A number that nobody can foresee, as a part of 65,536.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Draw(u16);

impl Draw {
    pub(super) const fn new(number: u16) -> Self {
        Self(number)
    }

    /// That part of `whole`.
    fn of(self, whole: Duration) -> Duration {
        whole / u32::from(u16::MAX) * u32::from(self.0)
    }
}

/// From when to when a certificate is in force, and whether the authority is still the one asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) is_of_this_directory: bool,
}

impl Term {
    /// The part of it that we can have had it: authorities date certificates back, and clocks differ.
    pub(super) fn from(self, issued_at: Timestamp) -> Self {
        Self { not_before: self.not_before.max(issued_at.min(self.not_after)), ..self }
    }
}

/// What to do for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Order a certificate, or go on with the order under way.
    Order,
    /// Ask the authority when to renew.
    AskRenewal,
    /// Nothing before this time.
    Wait(Timestamp),
}

/// When two thirds of its life are over, or up to a thirtieth of it later: a fleet does not ask all
/// at once.
pub(super) fn renew_at(term: Term, draw: Draw) -> Timestamp {
    let life = term.not_after.since(term.not_before);
    term.not_before.plus(life / 3 * 2).plus(draw.of(life / 30))
}

/// A time within the window that the authority suggests (RFC 9773 §4.2).
pub(super) fn within(start: Timestamp, end: Timestamp, draw: Draw) -> Timestamp {
    start.plus(draw.of(end.since(start)))
}

/// When to ask about renewal again.
pub(super) fn ask_again(now: Timestamp, after: Duration) -> Timestamp {
    now.plus(after.clamp(ASK_AGAIN.0, ASK_AGAIN.1))
}

/// How long to wait after `failures` in a row: twice as long each time, and a quarter more or less.
pub(super) fn backoff(failures: u32, pace: &Pace, draw: Draw) -> Duration {
    let doubled = pace.backoff.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    let wait = doubled.min(pace.longest_backoff);
    wait / 4 * 3 + draw.of(wait / 2)
}

/// Until when no further validation may be asked for; `None` where one may be.
pub(super) fn validations_full(asked: &[Moment], now: Timestamp) -> Option<Timestamp> {
    let mut recent: Vec<Timestamp> =
        asked.iter().map(|asked| asked.0).filter(|asked| now.since(*asked) < WINDOW).collect();
    recent.sort();
    let oldest = recent.len().checked_sub(FAILED_VALIDATIONS)?;
    recent.get(oldest).map(|asked| asked.plus(WINDOW))
}

/// Forgets validations that no longer count.
pub(super) fn forget_old(asked: &mut Vec<Moment>, now: Timestamp) {
    asked.retain(|asked| now.since(asked.0) < WINDOW);
}

/// When the certificate of this term is to be replaced.
pub(super) fn due_at(term: Term, record: &NameRecord) -> Timestamp {
    let term = record.issued_at.map_or(term, |issued| term.from(issued.0));
    let gap = record.issued_at.map_or(term.not_before, |issued| issued.0.plus(LEAST_GAP));
    wanted_at(term, record).max(gap)
}

fn wanted_at(term: Term, record: &NameRecord) -> Timestamp {
    let latest = renew_at(term, Draw::new(u16::MAX));
    // What the record says may be about the certificate before this one.
    match record.renew_at {
        Some(Moment(at)) if at <= term.not_after && has_window(record) => {
            at.max(earliest(term, record).min(latest))
        }
        Some(Moment(at)) if at <= latest && at > term.not_before => at,
        _ => latest,
    }
}

/// An authority that wants every certificate replaced at once is not obeyed without end.
fn earliest(term: Term, record: &NameRecord) -> Timestamp {
    let life = term.not_after.since(term.not_before);
    let issued = record.issued_at.map_or(term.not_before, |issued| issued.0);
    issued.plus((life / 10).min(LEAST_AGE))
}

fn has_window(record: &NameRecord) -> bool {
    record.renewal_info.as_ref().is_some_and(|info| info.start.is_some())
}

/// What to do now.
pub(super) fn next(now: Timestamp, term: Option<Term>, record: &NameRecord) -> Next {
    if let Some(Moment(at)) = record.next_attempt
        && now < at
    {
        return Next::Wait(at);
    }
    let Some(term) = term.filter(|term| term.is_of_this_directory) else { return Next::Order };
    let due = due_at(term, record);
    let ask_at = record.renewal_info.as_ref().map_or(now, |RenewalRecord { ask_at, .. }| ask_at.0);
    if now >= due {
        Next::Order
    } else if now >= ask_at {
        Next::AskRenewal
    } else {
        Next::Wait(due.min(ask_at))
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
