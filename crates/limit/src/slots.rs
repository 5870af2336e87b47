//! How many at once: slots that are held, each by one request.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::digest::{Digest, Digester};

/// A named bound on the requests of one key that are served at the same time. Clones share what is
/// held. A key takes memory only while it holds a slot.
#[derive(Clone)]
pub struct Slots {
    name: Arc<str>,
    maximum: NonZeroU32,
    maximum_keys: usize,
    held: Arc<Held>,
}

/// What outlives a reload.
#[derive(Default)]
struct Held {
    digester: Digester,
    counts: Mutex<HashMap<Digest, u32>>,
}

/// One slot; free again when it is dropped.
pub struct Slot {
    key: Digest,
    held: Arc<Held>,
}

impl Slots {
    /// `maximum` slots for each of at most `maximum_keys` keys that hold any.
    pub fn new(name: Arc<str>, maximum: NonZeroU32, maximum_keys: usize) -> Self {
        Self { name, maximum, maximum_keys, held: Arc::default() }
    }

    /// Its name in the file.
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The bound after a reload. Slots that are held stay held, and count.
    #[must_use]
    pub fn with_maximum(&self, maximum: NonZeroU32, maximum_keys: usize) -> Self {
        Self { maximum, maximum_keys, ..self.clone() }
    }

    /// Takes a slot of `key`. `None`: all of them are held, or too many keys hold some.
    pub fn take(&self, key: &[u8]) -> Option<Slot> {
        let key = self.held.digester.digest(key);
        let mut counts = self.held.counts.lock();
        if !counts.contains_key(&key) && counts.len() >= self.maximum_keys {
            return None;
        }
        let count = counts.entry(key).or_default();
        if *count >= self.maximum.get() {
            return None;
        }
        *count += 1;
        Some(Slot { key, held: Arc::clone(&self.held) })
    }

    /// Slots that are held, of all keys together.
    pub fn held(&self) -> u64 {
        self.held.counts.lock().values().map(|count| u64::from(*count)).sum()
    }

    /// Keys that hold a slot.
    pub fn keys(&self) -> usize {
        self.held.counts.lock().len()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.held.counts.lock();
        if let Some(count) = counts.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
        if counts.is_empty() && counts.capacity() > 1024 {
            counts.shrink_to_fit();
        }
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, maximum, .. } = self;
        f.debug_struct("Slots")
            .field("name", name)
            .field("maximum", maximum)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(maximum: u32, maximum_keys: usize) -> Slots {
        Slots::new("x".into(), NonZeroU32::new(maximum).unwrap(), maximum_keys)
    }

    #[test]
    fn each_key_has_its_own() {
        let slots = slots(2, 10);
        let held = [slots.take(b"a"), slots.take(b"a"), slots.take(b"b")];
        assert!(held.iter().all(Option::is_some));
        assert!(slots.take(b"a").is_none());
        assert_eq!((slots.held(), slots.keys()), (3, 2));
        drop(held);
        assert_eq!((slots.held(), slots.keys()), (0, 0));
        assert!(slots.take(b"a").is_some());
    }

    #[test]
    fn a_refusal_takes_nothing() {
        let slots = slots(1, 10);
        let held = slots.take(b"a");
        for _ in 0..5 {
            assert!(slots.take(b"a").is_none());
        }
        drop(held);
        assert_eq!(slots.held(), 0);
    }

    #[test]
    fn keys_are_bounded() {
        let slots = slots(5, 2);
        let held = (slots.take(b"a"), slots.take(b"b"));
        assert!(slots.take(b"c").is_none());
        assert!(slots.take(b"a").is_some(), "who is known goes on");
        drop(held.0);
        assert!(slots.take(b"c").is_some());
    }

    #[test]
    fn what_is_held_counts_after_a_reload() {
        let before = slots(3, 10);
        let held = [before.take(b"a"), before.take(b"a")];
        let after = before.with_maximum(NonZeroU32::MIN, 10);
        assert!(after.take(b"a").is_none());
        drop(held);
        let one = after.take(b"a");
        assert!(one.is_some() && before.take(b"a").is_some());
        assert!(after.take(b"a").is_none());
    }

    #[test]
    fn counts_are_exact_under_contention() {
        let slots = slots(7, 10);
        let press = || {
            for _ in 0..5000 {
                let slot = slots.take(b"a");
                assert!(slots.held() <= 7);
                drop(slot);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..9 {
                scope.spawn(press);
            }
        });
        assert_eq!(slots.held(), 0);
    }
}
