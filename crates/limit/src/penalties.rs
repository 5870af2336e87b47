//! The pairs that a penalty is held against, in bounded memory.

use std::fmt;
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use indexmap::IndexMap;
use parking_lot::Mutex;
use portcullis_core::Clock;

use crate::Penalty;
use crate::digest::{Digest, Digester, LowBits};

/// Shards of a big table.
const SHARDS: usize = 64;
/// Pairs that a shard is worth having for.
const PAIRS_PER_SHARD: usize = 256;
/// Pairs looked at on each new one, to drop those that are to be forgotten.
const SWEPT: usize = 4;
/// Pairs looked at for one to evict.
const SAMPLED: usize = 16;
/// Free places worth giving back.
const SPARE: usize = 64;

/// Counts the failures of pairs, and says how long nothing of one passes. Clones share what is held.
#[derive(Clone)]
pub struct Penalties {
    penalty: Arc<Penalty>,
    held: Arc<Held>,
}

/// Whose failures they are: a client's address and the account that it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair(Digest);

/// What outlives a reload.
struct Held {
    digester: Digester,
    shards: Box<[Mutex<Shard>]>,
    /// Pairs in all shards, so that nobody looks at them while there are none.
    pairs: AtomicUsize,
    begun: AtomicU64,
    evictions: AtomicU64,
    overflows: AtomicU64,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Shard {
    records: IndexMap<Digest, Record, BuildHasherDefault<LowBits>>,
    /// Where the next walk begins.
    hand: usize,
}

/// Failures of one pair.
#[derive(Clone, Copy, Debug)]
struct Record {
    failures: u32,
    /// When something of it passes again; at first the time of the failure. By the monotonic clock.
    until: Duration,
}

/// The time, and how long after `until` a record is forgotten.
#[derive(Clone, Copy)]
struct Age {
    now: Duration,
    memory: Duration,
}

impl Penalties {
    /// Nothing is held against anybody yet.
    pub fn new(penalty: Penalty, clock: Clock) -> Self {
        let count = (penalty.maximum_keys / PAIRS_PER_SHARD).clamp(1, SHARDS);
        let held = Held {
            digester: Digester::default(),
            shards: (0..count).map(|_| Mutex::default()).collect(),
            pairs: AtomicUsize::default(),
            begun: AtomicU64::default(),
            evictions: AtomicU64::default(),
            overflows: AtomicU64::default(),
            clock,
        };
        Self { penalty: Arc::new(penalty), held: Arc::new(held) }
    }

    /// What it costs.
    pub fn penalty(&self) -> &Penalty {
        &self.penalty
    }

    /// The same after a reload: whatever changed, failures that were counted stay counted, and what
    /// is refused stays refused until its time is over.
    #[must_use]
    pub fn with_penalty(&self, penalty: Penalty) -> Self {
        Self { penalty: Arc::new(penalty), held: Arc::clone(&self.held) }
    }

    /// Whether nothing is held against anybody, so that no pair need be asked for.
    pub fn is_empty(&self) -> bool {
        self.held.pairs.load(Ordering::Relaxed) == 0
    }

    /// The pair of an address and the parts of a claimed account. Nothing is allocated.
    pub fn pair(&self, address: &[u8], [kind, one, two]: [&[u8]; 3]) -> Pair {
        Pair(self.held.digester.digest_of(&[address, kind, one, two]))
    }

    /// How long nothing of the pair passes; `None` where it does now. Counts nothing.
    pub fn wait(&self, Pair(digest): Pair) -> Option<Duration> {
        let record = self.shard(digest)?.lock().records.get(&digest).copied()?;
        record.wait(self.held.clock.monotonic())
    }

    /// Counts one failure. Gives the delay that it begins, where it does.
    ///
    /// Where every place is taken by pairs that are being refused, it is not counted: see
    /// [`Self::overflows`].
    pub fn fail(&self, Pair(digest): Pair) -> Option<Duration> {
        let age = self.age();
        let mut shard = self.shard(digest)?.lock();
        let before = shard.records.len();
        let known = shard.records.get(&digest).copied();
        if known.is_none() && !self.make_room(&mut shard, digest, age) {
            self.held.overflows.fetch_add(1, Ordering::Relaxed);
            self.count_pairs(before, shard.records.len());
            return None;
        }
        let known = known.filter(|record| !record.is_forgotten(age));
        let failures = known.map_or(0, |record| record.failures).saturating_add(1);
        let delay = self.penalty.delay(failures);
        // A delay that a reload made shorter does not cut short the one that runs.
        let running = known.map_or(Duration::ZERO, |record| record.until);
        let until = age.now.saturating_add(delay).max(running);
        shard.records.insert(digest, Record { failures, until });
        self.count_pairs(before, shard.records.len());
        drop(shard);
        if delay.is_zero() {
            return None;
        }
        self.held.begun.fetch_add(1, Ordering::Relaxed);
        Some(delay)
    }

    /// Forgets the failures of a pair, for its credential is good. What is being refused stays so: a
    /// request that came before its delay began does not end it.
    pub fn forgive(&self, Pair(digest): Pair) {
        let Some(shard) = self.shard(digest) else { return };
        let mut shard = shard.lock();
        let now = self.held.clock.monotonic();
        let is_over = |record: &Record| record.wait(now).is_none();
        if shard.records.get(&digest).is_some_and(is_over) {
            shard.records.swap_remove(&digest);
            self.count_pairs(1, 0);
        }
    }

    /// Drops the pairs that are to be forgotten and gives their memory back.
    pub fn sweep(&self) {
        let age = self.age();
        for shard in &self.held.shards {
            let mut shard = shard.lock();
            let before = shard.records.len();
            shard.drop_forgotten(before, age);
            self.count_pairs(before, shard.records.len());
        }
    }

    /// Pairs in memory.
    pub fn keys(&self) -> usize {
        self.held.pairs.load(Ordering::Relaxed)
    }

    /// Delays that were begun.
    pub fn begun(&self) -> u64 {
        self.held.begun.load(Ordering::Relaxed)
    }

    /// Pairs forgotten early for newcomers; never one that was being refused.
    pub fn evictions(&self) -> u64 {
        self.held.evictions.load(Ordering::Relaxed)
    }

    /// Failures that were not counted, because every pair that was looked at was being refused.
    pub fn overflows(&self) -> u64 {
        self.held.overflows.load(Ordering::Relaxed)
    }

    fn age(&self) -> Age {
        Age { now: self.held.clock.monotonic(), memory: self.penalty.maximum }
    }

    fn shard(&self, digest: Digest) -> Option<&Mutex<Shard>> {
        let shards = &self.held.shards;
        shards.get(digest.shard(shards.len()))
    }

    /// Makes a place for one more pair.
    fn make_room(&self, shard: &mut Shard, digest: Digest, age: Age) -> bool {
        let count = self.held.shards.len();
        let (maximum, index) = (self.penalty.maximum_keys, digest.shard(count));
        let each = maximum.checked_div(count).unwrap_or(0);
        let rest = maximum.checked_rem(count).unwrap_or(0);
        let capacity = (each + usize::from(index < rest)).max(1);
        shard.drop_forgotten(SWEPT, age);
        if shard.records.len() >= capacity && shard.evict(age.now) {
            self.held.evictions.fetch_add(1, Ordering::Relaxed);
        }
        // A table that was given less room is still above it then.
        shard.records.len() < capacity
    }

    /// Notes that a shard, which is still locked, has `after` pairs where it had `before`.
    fn count_pairs(&self, before: usize, after: usize) {
        if after >= before {
            self.held.pairs.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.held.pairs.fetch_sub(before - after, Ordering::Relaxed);
        }
    }
}

impl Record {
    fn wait(self, now: Duration) -> Option<Duration> {
        self.until.checked_sub(now).filter(|wait| !wait.is_zero())
    }

    fn is_forgotten(self, age: Age) -> bool {
        self.until.saturating_add(age.memory) <= age.now
    }
}

impl Shard {
    /// Drops what is to be forgotten among the next `count` pairs.
    fn drop_forgotten(&mut self, count: usize, age: Age) {
        for _ in 0..count.min(self.records.len()) {
            self.hand = if self.hand < self.records.len() { self.hand } else { 0 };
            match self.records.get_index(self.hand) {
                Some((_, record)) if record.is_forgotten(age) => {
                    self.records.swap_remove_index(self.hand);
                }
                Some(_) => self.hand += 1,
                None => break,
            }
        }
        let spare = self.records.len().saturating_mul(4).saturating_add(SPARE);
        if self.records.capacity() > spare {
            self.records.shrink_to(self.records.len().saturating_mul(2));
        }
    }

    /// Drops the pair with the fewest failures of the next few that are not being refused.
    fn evict(&mut self, now: Duration) -> bool {
        let places = self.records.len();
        let Some(start) = self.hand.checked_rem(places) else { return false };
        let sample = (0..SAMPLED.min(places)).filter_map(|step| {
            let place = (start + step) % places;
            let (_, record) = self.records.get_index(place)?;
            record.wait(now).is_none().then_some((record.failures, record.until, place))
        });
        let fewest = sample.min();
        self.hand = (start + SAMPLED) % places;
        fewest.is_some_and(|(.., place)| self.records.swap_remove_index(place).is_some())
    }
}

impl fmt::Debug for Penalties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Penalties").field("penalty", &self.penalty).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
