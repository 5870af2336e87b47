//! What is allowed to each key of a limit.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// The longest time a bucket may take to fill, in nanoseconds (73 years). Keeps sums in 64 bits.
const LONGEST: u64 = 1 << 61;

/// A named limit: `count` requests each `period`, of which `burst` may come at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Name of the limit in the file, the log and the `RateLimit` field.
    pub name: Arc<str>,
    /// Requests that come back each `period`.
    pub count: NonZeroU32,
    /// One second, one minute or one hour.
    pub period: Duration,
    /// Requests that a full bucket allows at once.
    pub burst: NonZeroU32,
    /// Buckets kept in memory at most.
    pub maximum_keys: usize,
}

impl Quota {
    /// Time in which one request comes back: `period / count`, rounded up to whole nanoseconds so
    /// that the rate is never exceeded.
    pub fn interval(&self) -> Duration {
        let nanos = self.period.as_nanos().div_ceil(u128::from(self.count.get()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(LONGEST).clamp(1, LONGEST))
    }

    /// Time in which an empty bucket fills: the interval times the burst.
    pub fn window(&self) -> Duration {
        self.interval().saturating_mul(self.burst_in_force().get())
    }

    /// Whether `other` counts in the same way, so that buckets of one are good for the other.
    pub(crate) fn counts_like(&self, other: &Self) -> bool {
        self.count == other.count && self.period == other.period && self.burst == other.burst
    }

    /// In the words of governor.
    pub(crate) fn to_governor(&self) -> governor::Quota {
        governor::Quota::with_period(self.interval())
            .unwrap_or(governor::Quota::per_second(NonZeroU32::MIN))
            .allow_burst(self.burst_in_force())
    }

    /// The burst, cut to what fills within [`LONGEST`].
    pub(crate) fn burst_in_force(&self) -> NonZeroU32 {
        let interval = self.interval().as_nanos().max(1);
        let most = u32::try_from(u128::from(LONGEST) / interval).unwrap_or(u32::MAX);
        NonZeroU32::new(most).map_or(NonZeroU32::MIN, |most| most.min(self.burst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(count: u32, period: Duration, burst: u32, interval: Duration, window: Duration) {
        let number = |n| NonZeroU32::new(n).unwrap();
        let (count, burst) = (number(count), number(burst));
        let quota = Quota { name: "x".into(), count, period, burst, maximum_keys: 1 };
        assert_eq!(quota.interval(), interval, "{quota:?}");
        assert_eq!(quota.window(), window, "{quota:?}");
    }

    #[test]
    fn intervals_are_never_too_short() {
        let (nano, second) = (Duration::from_nanos(1), Duration::from_secs(1));
        let (minute, hour) = (second * 60, second * 3600);
        check(300, minute, 50, second / 5, second * 10);
        check(10, minute, 3, second * 6, second * 18);
        check(1, hour, 1, hour, hour);
        check(7, second, 1, Duration::from_nanos(142_857_143), Duration::from_nanos(142_857_143));
        check(u32::MAX, second, 1, nano, nano);
        check(1, Duration::ZERO, 5, nano, nano * 5);
    }

    #[test]
    fn extreme_quotas_stay_in_64_bits() {
        let longest = Duration::from_nanos(LONGEST);
        check(1, Duration::MAX, u32::MAX, longest, longest);
        let hour = Duration::from_hours(1);
        check(1, hour, u32::MAX, hour, hour * 640_511);
    }
}
