//! Which proofs were seen: each is good once (RFC 9449 §11.1).
//!
//! A proof is remembered for as long as it could be good, by the digest of its key and its `jti`. Nothing is
//! given up before: where there is no room for another, the other is turned away. Keys are spread over
//! shards, so that the holder of one key can fill one shard, and not the whole.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{Context, SHA256};
use parking_lot::Mutex;
use portcullis_core::Timestamp;

use crate::dpop::ProofStatus;

const SHARDS: usize = 8;

/// Proofs that a shard holds at most: about 50 bytes each, 50 MiB in all.
const MAXIMUM: usize = 128 * 1024;

/// Places for proofs that are worth giving back.
const SPARE: usize = 1024;

type Digest = [u8; 16];

#[derive(Debug)]
pub(super) struct Replays {
    shards: [Mutex<Shard>; SHARDS],
    /// Chooses the shard of a key in a way that no client can foresee.
    hasher: RandomState,
    maximum: usize,
    again: AtomicU64,
    turned_away: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    seen: HashSet<Digest>,
    /// What is to be forgotten after which second.
    ends: BTreeMap<u64, Vec<Digest>>,
    /// What ended before this second is forgotten.
    forgotten: u64,
}

/// What came of noting a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// It was seen before.
    Before,
    /// It may have been seen, and be forgotten since: the time of day went back.
    Forgotten,
    /// There is no room for it.
    Full,
    /// It was not seen before.
    New,
}

impl Default for Replays {
    fn default() -> Self {
        Self::with_maximum(MAXIMUM)
    }
}

impl Replays {
    fn with_maximum(maximum: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            maximum,
            again: AtomicU64::default(),
            turned_away: AtomicU64::default(),
        }
    }

    /// Notes a proof by the key `jkt` that is good until `end`, and so remembered until then.
    pub(super) fn note(&self, jkt: &str, jti: &str, end: Timestamp, now: Timestamp) -> Noted {
        let shard = usize::try_from(self.hasher.hash_one(jkt) % SHARDS as u64).unwrap_or_default();
        let Some(shard) = self.shards.get(shard) else { return Noted::Full };
        let noted = shard.lock().note(digest(jkt, jti), end.unix_seconds(), now, self.maximum);
        match noted {
            Noted::Before => self.again.fetch_add(1, Ordering::Relaxed),
            Noted::Full => self.turned_away.fetch_add(1, Ordering::Relaxed),
            Noted::Forgotten | Noted::New => 0,
        };
        noted
    }

    pub(super) fn status(&self, now: Timestamp) -> ProofStatus {
        let held = self.shards.iter().map(|shard| {
            let mut shard = shard.lock();
            shard.forget(now);
            shard.seen.len()
        });
        ProofStatus {
            held: held.sum(),
            replays: self.again.load(Ordering::Relaxed),
            turned_away: self.turned_away.load(Ordering::Relaxed),
        }
    }
}

impl Shard {
    fn note(&mut self, digest: Digest, end: u64, now: Timestamp, maximum: usize) -> Noted {
        self.forget(now);
        if self.seen.contains(&digest) {
            return Noted::Before;
        }
        if end < self.forgotten {
            return Noted::Forgotten;
        }
        if self.seen.len() >= maximum {
            return Noted::Full;
        }
        self.seen.insert(digest);
        self.ends.entry(end).or_default().push(digest);
        Noted::New
    }

    /// Forgets what can be good no more.
    fn forget(&mut self, now: Timestamp) {
        self.forgotten = self.forgotten.max(now.unix_seconds());
        while let Some(first) = self.ends.first_entry()
            && *first.key() < self.forgotten
        {
            for digest in first.remove() {
                self.seen.remove(&digest);
            }
        }
        if self.seen.capacity() > self.seen.len().saturating_mul(4).saturating_add(SPARE) {
            self.seen.shrink_to(self.seen.len().saturating_mul(2));
        }
    }
}

fn digest(jkt: &str, jti: &str) -> Digest {
    let mut context = Context::new(&SHA256);
    // All thumbprints have one length, so that no two pairs run together.
    context.update(jkt.as_bytes());
    context.update(jti.as_bytes());
    let whole = context.finish();
    whole.as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn each_proof_is_new_once_while_it_could_be_good() {
        let replays = Replays::default();
        assert_eq!(replays.note("k1", "a", at(160), at(100)), Noted::New);
        for now in [100, 101, 159, 160] {
            assert_eq!(replays.note("k1", "a", at(160), at(now)), Noted::Before);
        }
        assert_eq!(replays.note("k1", "a", at(170), at(120)), Noted::Before, "whatever its time");
        assert_eq!(replays.note("k2", "a", at(160), at(120)), Noted::New, "of another key");
        assert_eq!(replays.note("k1", "b", at(160), at(120)), Noted::New);
        let status = ProofStatus { held: 3, replays: 5, turned_away: 0 };
        assert_eq!(replays.status(at(160)), status);
        assert_eq!(replays.status(at(161)).held, 0);
    }

    #[test]
    fn nothing_is_given_up_where_there_is_no_room() {
        let replays = Replays::with_maximum(3);
        for jti in ["a", "b", "c"] {
            assert_eq!(replays.note("k", jti, at(160), at(100)), Noted::New);
        }
        assert_eq!(replays.note("k", "d", at(160), at(100)), Noted::Full);
        assert_eq!(replays.note("k", "a", at(160), at(100)), Noted::Before);
        assert_eq!(replays.status(at(100)), ProofStatus { held: 3, replays: 1, turned_away: 1 });
        assert_eq!(replays.note("k", "d", at(221), at(161)), Noted::New);
    }

    #[test]
    fn one_key_fills_one_shard() {
        let replays = Replays::with_maximum(2);
        for jti in ["a", "b", "c"] {
            replays.note("greedy", jti, at(160), at(100));
        }
        let others =
            (0..64).filter(|n| replays.note(&format!("k{n}"), "a", at(160), at(100)) == Noted::New);
        assert!(others.count() >= SHARDS - 1, "each of the other shards takes some");
    }

    #[test]
    fn what_may_have_been_forgotten_is_refused() {
        let replays = Replays::default();
        assert_eq!(replays.note("k", "a", at(160), at(100)), Noted::New);
        assert_eq!(replays.status(at(5_000)).held, 0);
        assert_eq!(replays.note("k", "a", at(160), at(100)), Noted::Forgotten);
        assert_eq!(replays.note("k", "b", at(4_999), at(4_950)), Noted::Forgotten);
        assert_eq!(replays.note("k", "b", at(5_000), at(4_950)), Noted::New);
    }

    #[test]
    fn memory_is_given_back() {
        let mut shard = Shard::default();
        for n in 0..20_000_u128 {
            shard.note(n.to_be_bytes(), 160, at(100), MAXIMUM);
        }
        assert!(shard.seen.capacity() >= 20_000);
        shard.forget(at(161));
        assert!(shard.seen.capacity() <= SPARE && shard.ends.is_empty());
    }
}
