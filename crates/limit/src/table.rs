//! All buckets of one limiter, in shards with a lock each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use governor::nanos::Nanos;
use governor::state::StateStore;
use parking_lot::Mutex;

use crate::digest::{Digest, Digester};
use crate::probe::{Found, Judge, Probe};
use crate::shard::Shard;

/// Shards of a big table.
const SHARDS: usize = 64;
/// Keys that a shard is worth having for; fewer would fill unevenly.
const KEYS_PER_SHARD: usize = 256;

/// A bounded table of buckets.
#[derive(Debug)]
pub(crate) struct Table {
    digester: Digester,
    shards: Box<[Mutex<Shard>]>,
    maximum_keys: AtomicUsize,
    evictions: AtomicU64,
    overflows: AtomicU64,
}

impl Table {
    pub(crate) fn new(maximum_keys: usize) -> Self {
        let count = (maximum_keys / KEYS_PER_SHARD).clamp(1, SHARDS);
        Self {
            digester: Digester::default(),
            shards: (0..count).map(|_| Mutex::default()).collect(),
            maximum_keys: maximum_keys.into(),
            evictions: AtomicU64::default(),
            overflows: AtomicU64::default(),
        }
    }

    /// Changes the bound. A table above it shrinks with each new key; no shard goes below one.
    pub(crate) fn set_maximum_keys(&self, maximum_keys: usize) {
        self.maximum_keys.store(maximum_keys, Ordering::Relaxed);
    }

    pub(crate) fn digest(&self, key: &[u8]) -> Digest {
        self.digester.digest(key)
    }

    pub(crate) fn keys(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().capacity()).sum()
    }

    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    pub(crate) fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Relaxed)
    }

    fn count<T, E>(
        &self,
        digest: Digest,
        judge: &impl Judge<T, E>,
    ) -> (Result<T, E>, Option<Nanos>) {
        let count = self.shards.len();
        let index = digest.shard(count);
        let Some(shard) = self.shards.get(index) else {
            return (judge.judge(None).map(|(answer, _)| answer), None);
        };
        let mut shard = shard.lock();
        if let Some(arrival) = shard.known(digest) {
            return draw(arrival, judge);
        }
        let room = shard.make_room(self.capacity_of(index, count), judge);
        self.evictions.fetch_add(u64::from(room.evicted), Ordering::Relaxed);
        if !room.fits {
            self.overflows.fetch_add(1, Ordering::Relaxed);
            return draw(shard.shared().get_or_insert(Nanos::new(0)), judge);
        }
        match judge.judge(None) {
            Ok((answer, next)) => {
                shard.insert(digest, next);
                (Ok(answer), Some(next))
            }
            Err(refusal) => (Err(refusal), None),
        }
    }

    /// The bound divided among the shards, so that they never hold more than it together.
    fn capacity_of(&self, index: usize, count: usize) -> usize {
        let maximum = self.maximum_keys.load(Ordering::Relaxed);
        let share = maximum.checked_div(count).unwrap_or(0);
        let rest = maximum.checked_rem(count).unwrap_or(0);
        (share + usize::from(index < rest)).max(1)
    }

    fn sweep<T, E>(&self, judge: &impl Judge<T, E>) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let all = shard.len();
            shard.drop_full(all, judge);
        }
    }
}

/// Takes one request from a bucket, which a refusal leaves as it is.
fn draw<T, E>(arrival: &mut Nanos, judge: &impl Judge<T, E>) -> (Result<T, E>, Option<Nanos>) {
    match judge.judge(Some(*arrival)) {
        Ok((answer, next)) => {
            *arrival = next;
            (Ok(answer), Some(next))
        }
        Err(refusal) => (Err(refusal), Some(*arrival)),
    }
}

/// The table as governor's store.
#[derive(Clone, Debug)]
pub(crate) struct Store(pub(crate) Arc<Table>);

impl StateStore for Store {
    type Key = Probe;

    fn measure_and_replace<T, F, E>(&self, key: &Probe, judge: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        match key {
            Probe::Count { digest, found } => {
                let (answer, arrival) = self.0.count(*digest, &judge);
                let fresh = judge.fresh().map_or(0, Nanos::as_u64);
                found.set(Found { arrival: arrival.map_or(fresh, Nanos::as_u64), fresh });
                answer
            }
            Probe::Sweep => {
                self.0.sweep(&judge);
                judge(None).map(|(answer, _)| answer)
            }
        }
    }
}
