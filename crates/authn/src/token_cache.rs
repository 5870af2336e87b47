//! A bounded cache in two halves: what is used stays, what is not falls out, nothing is scanned.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use foldhash::fast::RandomState;
use parking_lot::Mutex;

/// Values by key, at most as many as its capacity (and a few more while threads race).
///
/// New entries go into the young half. When that is full it becomes the old half, and the old half
/// is dropped whole. An old entry that is used becomes young again.
#[derive(Debug)]
pub(crate) struct TokenCache<K: Eq + Hash, V> {
    halves: ArcSwap<Halves<K, V>>,
    /// Held while the halves change places.
    turning: Mutex<()>,
    half: usize,
}

#[derive(Debug)]
struct Halves<K: Eq + Hash, V> {
    young: Arc<DashMap<K, V, RandomState>>,
    /// Entries ever put into `young`; not fewer than are in it.
    put: AtomicUsize,
    old: Arc<DashMap<K, V, RandomState>>,
}

impl<K: Eq + Hash + Clone, V: Clone> TokenCache<K, V> {
    /// A cache of at most `capacity` entries, at least two.
    pub(crate) fn new(capacity: usize) -> Self {
        let halves =
            Halves { young: Arc::default(), put: AtomicUsize::new(0), old: Arc::default() };
        let half = (capacity / 2).max(1);
        Self { halves: ArcSwap::from_pointee(halves), turning: Mutex::new(()), half }
    }

    /// The value of `key`.
    pub(crate) fn find(&self, key: &K) -> Option<V> {
        let halves = self.halves.load();
        if let Some(found) = halves.young.get(key) {
            return Some(found.clone());
        }
        let found = halves.old.get(key)?.clone();
        drop(halves);
        self.put(key.clone(), found.clone());
        Some(found)
    }

    /// Sets the value of `key`.
    pub(crate) fn put(&self, key: K, value: V) {
        let mut halves = self.halves.load();
        if halves.put.fetch_add(1, Ordering::Relaxed) >= self.half {
            self.turn(&halves.young);
            halves = self.halves.load();
            halves.put.fetch_add(1, Ordering::Relaxed);
        }
        halves.young.insert(key, value);
    }

    /// Forgets `key`.
    pub(crate) fn forget(&self, key: &K) {
        let halves = self.halves.load();
        halves.young.remove(key);
        halves.old.remove(key);
    }

    /// How many entries there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let halves = self.halves.load();
        halves.young.len() + halves.old.len()
    }

    /// Makes `full` the old half, unless another thread has done so.
    fn turn(&self, full: &Arc<DashMap<K, V, RandomState>>) {
        let _turning = self.turning.lock();
        if Arc::ptr_eq(&self.halves.load().young, full) {
            let put = AtomicUsize::new(0);
            self.halves.store(Arc::new(Halves {
                young: Arc::default(),
                put,
                old: Arc::clone(full),
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_grows_past_its_capacity() {
        let cache = TokenCache::new(100);
        for n in 0..10_000_u32 {
            cache.put(n, n);
            assert!(cache.len() <= 100, "{n}");
        }
        assert_eq!(cache.find(&9_999), Some(9_999));
        assert_eq!(cache.find(&0), None);
    }

    #[test]
    fn what_is_used_stays_while_others_come_and_go() {
        let cache = TokenCache::new(100);
        cache.put(0_u32, 7_u32);
        for n in 1..10_000 {
            cache.put(n, n);
            assert_eq!(cache.find(&0), Some(7), "{n}");
        }
        assert!(cache.len() <= 100);
    }

    #[test]
    fn an_entry_can_be_replaced_and_forgotten_in_both_halves() {
        let cache = TokenCache::new(4);
        for key in 0..4_u32 {
            cache.put(key, 1);
        }
        cache.put(0, 2);
        assert_eq!(cache.find(&0), Some(2));
        for key in 0..4 {
            cache.forget(&key);
        }
        assert_eq!(cache.len(), 0);
        assert_eq!(cache.find(&3), None);
    }

    #[test]
    fn threads_at_once_keep_the_bound_and_lose_nothing_in_use() {
        let cache = TokenCache::new(64);
        let work = &|thread: u32| {
            for n in 0..5_000 {
                let key = thread * 10_000 + n;
                cache.put(key, key);
                assert!(cache.find(&key).is_none_or(|value| value == key));
            }
        };
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || work(thread));
            }
        });
        assert!(cache.len() <= 64 + 8, "{}", cache.len());
    }
}
