//! Keys of any length as 16 bytes that a client can neither foresee nor make collide.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

/// A keyed hash of a client's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    high: u64,
    low: u64,
}

impl Digest {
    fn of(mut hasher: impl Hasher) -> Self {
        let low = hasher.finish();
        hasher.write_u8(1);
        Self { high: hasher.finish(), low }
    }

    /// Which of `count` shards the key belongs to. Takes other bits than [`LowBits`].
    pub(crate) fn shard(self, count: usize) -> usize {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.high.checked_rem(count).and_then(|shard| usize::try_from(shard).ok()).unwrap_or(0)
    }
}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.low);
    }
}

/// Hashes with a key drawn when the table was made.
#[derive(Debug, Default)]
pub(crate) struct Digester(RandomState);

impl Digester {
    /// `SipHash` twice over, under one secret key: of the key, and of the key and one byte more.
    pub(crate) fn digest(&self, key: &[u8]) -> Digest {
        let mut hasher = self.0.build_hasher();
        hasher.write(key);
        Digest::of(hasher)
    }

    /// The same of a key in parts: `a` and `bc` are not `ab` and `c`.
    pub(crate) fn digest_of(&self, parts: &[&[u8]]) -> Digest {
        let mut hasher = self.0.build_hasher();
        for part in parts {
            hasher.write(part);
            hasher.write_usize(part.len());
        }
        Digest::of(hasher)
    }
}

/// Digests are random already: the map takes 64 bits of them as they are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LowBits(u64);

impl Hasher for LowBits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
            self.0 = self.0.rotate_left(1) ^ word;
        }
    }

    fn write_u64(&mut self, low: u64) {
        self.0 = low;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn digests_depend_on_key_and_table() {
        let (one, other) = (Digester::default(), Digester::default());
        assert_eq!(one.digest(b"a"), one.digest(b"a"));
        assert_ne!(one.digest(b"a"), other.digest(b"a"));
        let keys = ["", "a", "b", "ab", "a\0", "a\u{1}", "ba"];
        let digests: HashSet<_> = keys.iter().map(|key| one.digest(key.as_bytes())).collect();
        assert_eq!(digests.len(), keys.len());
    }

    #[test]
    fn shards_are_filled_evenly() {
        let digester = Digester::default();
        let mut filled = [0_u32; 8];
        for key in 0..8_000_u32 {
            filled[digester.digest(&key.to_be_bytes()).shard(8)] += 1;
        }
        assert!(filled.iter().all(|&keys| (800..1_200).contains(&keys)), "{filled:?}");
        assert_eq!(digester.digest(b"a").shard(0), 0);
    }
}
