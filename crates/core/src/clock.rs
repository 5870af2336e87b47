//! The only source of time: the system's, or one that a test moves by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time: nanoseconds since the Unix epoch, good until the year 2554.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From whole seconds since the Unix epoch; later than 2554 saturates.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// From nanoseconds since the Unix epoch.
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn unix_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`, zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// `self` later by `by`, saturating.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// RFC 3339 in UTC with milliseconds, as the logs print it.
    pub fn rfc3339(self) -> String {
        let millis = i128::from(self.0 / 1_000_000) * 1_000_000;
        OffsetDateTime::from_unix_timestamp_nanos(millis)
            .ok()
            .and_then(|at| at.format(&Rfc3339).ok())
            .unwrap_or_default()
    }

    /// Reads an RFC 3339 time. `None` if it is not one, or before 1970.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        u64::try_from(at.unix_timestamp_nanos()).ok().map(Self)
    }
}

#[derive(Debug)]
enum Source {
    System { started: Instant },
    Manual { now: AtomicU64, monotonic: AtomicU64 },
}

/// A handle on the time; clones share it.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

impl Clock {
    /// The system's clock.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system for time")]
    pub fn system() -> Self {
        Self(Arc::new(Source::System { started: Instant::now() }))
    }

    /// A clock that stands at `at` until [`Clock::advance`] moves it.
    pub fn manual(at: Timestamp) -> Self {
        let now = AtomicU64::new(at.unix_nanos());
        Self(Arc::new(Source::Manual { now, monotonic: AtomicU64::new(0) }))
    }

    /// The time of day.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system for time")]
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Source::System { .. } => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
            }
            Source::Manual { now, .. } => Timestamp(now.load(Ordering::Relaxed)),
        }
    }

    /// Time since this clock was made; never goes back, whatever is done to the time of day.
    pub fn monotonic(&self) -> Duration {
        match &*self.0 {
            Source::System { started } => started.elapsed(),
            Source::Manual { monotonic, .. } => {
                Duration::from_nanos(monotonic.load(Ordering::Relaxed))
            }
        }
    }

    /// Moves a manual clock forward; does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { now, monotonic } = &*self.0 {
            let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
            now.fetch_add(nanos, Ordering::Relaxed);
            monotonic.fetch_add(nanos, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let clock = Clock::manual(Timestamp::from_unix_seconds(1_700_000_000));
        assert_eq!(clock.now().unix_seconds(), 1_700_000_000);
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(clock.now().unix_nanos(), 1_700_000_001_500_000_000);
        assert_eq!(clock.monotonic(), Duration::from_millis(1_500));
    }

    #[test]
    fn times_print_and_read_as_rfc3339() {
        let at = Timestamp::from_unix_nanos(1_700_000_000_123_456_789);
        assert_eq!(at.rfc3339(), "2023-11-14T22:13:20.123Z");
        assert_eq!(
            Timestamp::parse_rfc3339("2023-11-14T22:13:20Z"),
            Some(Timestamp::from_unix_seconds(1_700_000_000))
        );
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
    }
}
