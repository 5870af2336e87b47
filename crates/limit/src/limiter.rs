//! One named limit: a quota, and the buckets of all who are counted by it.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use governor::RateLimiter;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use portcullis_core::Clock;

use crate::Quota;
use crate::clock::Ticks;
use crate::probe::{Found, Probe};
use crate::table::{Store, Table};

type Governor = RateLimiter<Probe, Store, Ticks, NoOpMiddleware<Nanos>>;

/// Counts requests by key and refuses those above the quota. Clones share their buckets.
#[derive(Clone)]
pub struct Limiter(Arc<Inner>);

struct Inner {
    quota: Quota,
    buckets: Arc<Buckets>,
}

/// What outlives a reload that does not change the way of counting.
struct Buckets {
    governor: Governor,
    table: Arc<Table>,
    clock: Clock,
    /// In nanoseconds, as those of the quota.
    interval: u64,
    window: u64,
}

/// How a key's bucket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Requests that may come at once.
    pub remaining: u32,
    /// Time until one more than `remaining` may come.
    pub reset: Duration,
}

/// The judgement of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Within the quota.
    Admitted(Standing),
    /// Above the quota. The refused request was not counted.
    Refused {
        /// Time after which a request is admitted, if none comes between.
        retry_after: Duration,
    },
}

impl Outcome {
    /// How the bucket stands, also after a refusal.
    pub const fn standing(self) -> Standing {
        match self {
            Self::Admitted(standing) => standing,
            Self::Refused { retry_after } => Standing { remaining: 0, reset: retry_after },
        }
    }
}

impl Limiter {
    /// A limiter without any buckets yet.
    pub fn new(quota: Quota, clock: Clock) -> Self {
        let table = Arc::new(Table::new(quota.maximum_keys));
        let store = Store(Arc::clone(&table));
        let governor = RateLimiter::new(quota.to_governor(), store, Ticks(clock.clone()));
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let (interval, window) = (nanos(quota.interval()), nanos(quota.window()));
        let buckets = Arc::new(Buckets { governor, table, clock, interval, window });
        Self(Arc::new(Inner { quota, buckets }))
    }

    /// What it allows.
    pub fn quota(&self) -> &Quota {
        &self.0.quota
    }

    /// Counts one request of `key` and judges it. A refused request is not counted, so pressing on
    /// does not lengthen the wait.
    pub fn admit(&self, key: &[u8]) -> Outcome {
        let buckets = &self.0.buckets;
        let found = Cell::new(Found::default());
        let probe = Probe::Count { digest: buckets.table.digest(key), found };
        let admitted = buckets.governor.check_key(&probe).is_ok();
        let found = match probe {
            Probe::Count { found, .. } => found.get(),
            Probe::Sweep => Found::default(),
        };
        let standing = buckets.standing(found);
        if admitted {
            Outcome::Admitted(standing)
        } else {
            Outcome::Refused { retry_after: standing.reset }
        }
    }

    /// The limiter after a reload: with the same buckets where the quota counts in the same way,
    /// else with new ones.
    #[must_use]
    pub fn with_quota(&self, quota: Quota) -> Self {
        let buckets = &self.0.buckets;
        if !self.0.quota.counts_like(&quota) {
            return Self::new(quota, buckets.clock.clone());
        }
        buckets.table.set_maximum_keys(quota.maximum_keys);
        Self(Arc::new(Inner { quota, buckets: Arc::clone(buckets) }))
    }

    /// Drops the buckets that are full again and gives their memory back. Each new key does a
    /// little of this; an idle limiter needs it done for it now and then.
    pub fn sweep(&self) {
        // The answer is that of a bucket that no one has.
        self.0.buckets.governor.check_key(&Probe::Sweep).ok();
    }

    /// Buckets in memory.
    pub fn keys(&self) -> usize {
        self.0.buckets.table.keys()
    }

    /// Buckets dropped for newcomers before they were full again.
    pub fn evictions(&self) -> u64 {
        self.0.buckets.table.evictions()
    }

    /// Requests that were counted in a shared bucket, because there was no room and every bucket
    /// that was looked at was refusing.
    pub fn overflows(&self) -> u64 {
        self.0.buckets.table.overflows()
    }
}

impl Buckets {
    fn standing(&self, found: Found) -> Standing {
        // What the bucket holds, as time: its window less what is missing until it is full.
        let now = found.fresh.saturating_sub(self.interval);
        let held = (now + self.window).saturating_sub(found.arrival);
        let remaining = held.checked_div(self.interval).unwrap_or(0);
        let reset = (remaining + 1).saturating_mul(self.interval).saturating_sub(held);
        Standing {
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset: Duration::from_nanos(reset),
        }
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("quota", &self.0.quota).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
