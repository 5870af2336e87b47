//! A shelf of the durable store as every request needs it: read whole, kept in memory, looked at again
//! a few times a second.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use portcullis_core::{Clock, Secret};
use tokio::sync::Mutex;

use crate::{Durable, DurableError, Kind};

/// Time between two looks at the store.
const EVERY: Duration = Duration::from_millis(300);

/// How long what was read counts without a good look at the store. Longer, and a change could be
/// missed for as long: whoever asks cannot decide then.
const GOOD_FOR: Duration = Duration::from_secs(5);

/// What is made of a shelf's records.
pub trait Index: fmt::Debug + Send + Sync + Sized + 'static {
    /// The shelf.
    const KIND: Kind;

    /// Makes the index of all records of the shelf, with their keys.
    fn build(records: Vec<(String, Secret)>) -> Self;
}

/// A shelf in memory. There is none until the store is known, and it counts for a few seconds only
/// where the store cannot be asked.
pub struct Mirror<T> {
    durable: OnceLock<Arc<dyn Durable>>,
    held: ArcSwapOption<T>,
    /// The version of the shelf that `held` was made of. Held while it is made.
    version: Mutex<Option<u64>>,
    /// When the store was last asked with success, nanoseconds on the monotonic clock, plus one; zero
    /// is never.
    confirmed: AtomicU64,
    clock: Clock,
}

impl<T: Index> Mirror<T> {
    /// A mirror of a store that is yet to be named.
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            durable: OnceLock::new(),
            held: ArcSwapOption::empty(),
            version: Mutex::new(None),
            confirmed: AtomicU64::new(0),
            clock,
        })
    }

    /// Names the store, the first time it is called.
    pub fn bind(&self, durable: Arc<dyn Durable>) {
        self.durable.set(durable).ok();
    }

    /// The store, once it is named.
    pub fn durable(&self) -> Option<&Arc<dyn Durable>> {
        self.durable.get()
    }

    /// What the shelf holds; `None` where that is not known, and nobody can decide by it.
    pub fn current(&self) -> Option<arc_swap::Guard<Option<Arc<T>>>> {
        let confirmed = self.confirmed.load(Ordering::Acquire).checked_sub(1)?;
        let age = self.clock.monotonic().saturating_sub(Duration::from_nanos(confirmed));
        (age <= GOOD_FOR).then(|| self.held.load())
    }

    /// Asks the store now. Whoever has changed the shelf calls it, so that the change counts at once.
    pub async fn refresh(&self) -> Result<(), DurableError> {
        let Some(durable) = self.durable.get() else {
            return Err(DurableError::Unavailable { reason: "no store is open".to_owned() });
        };
        let mut version = self.version.lock().await;
        let asked = self.clock.monotonic();
        let found = durable.version(T::KIND).await?;
        if *version != Some(found) {
            // A change between the two questions is found by the next look: the version is the older.
            let records = durable.list(T::KIND).await?;
            self.held.store(Some(Arc::new(T::build(records))));
            *version = Some(found);
        }
        let nanos = u64::try_from(asked.as_nanos()).unwrap_or(u64::MAX);
        self.confirmed.store(nanos.saturating_add(1), Ordering::Release);
        Ok(())
    }

    /// Looks at the store for as long as anybody holds the mirror.
    pub async fn keep_fresh(mirror: Weak<Self>) {
        let mut failing = false;
        while let Some(mirror) = mirror.upgrade() {
            match mirror.refresh().await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::error!(shelf = %T::KIND, %error, "the state cannot be read");
                }
                Err(_) => {}
            }
            drop(mirror);
            tokio::time::sleep(EVERY).await;
        }
    }
}

impl<T> fmt::Debug for Mirror<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror").field("durable", &self.durable.get()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::MemoryDurable;

    static BUILT: AtomicUsize = AtomicUsize::new(0);

    #[derive(Debug)]
    struct Names(Vec<String>);

    impl Index for Names {
        const KIND: Kind = Kind::Revocation;

        fn build(records: Vec<(String, Secret)>) -> Self {
            BUILT.fetch_add(1, Ordering::Relaxed);
            Self(records.into_iter().map(|(key, _)| key).collect())
        }
    }

    fn names(mirror: &Mirror<Names>) -> Option<Vec<String>> {
        Some(mirror.current()?.as_ref()?.0.clone())
    }

    #[tokio::test]
    async fn what_was_read_counts_until_the_store_was_silent_for_too_long() {
        let clock = Clock::manual(portcullis_core::Timestamp::from_unix_seconds(1_700_000_000));
        let mirror = Mirror::<Names>::new(clock.clone());
        assert_eq!(names(&mirror), None);
        assert!(mirror.refresh().await.is_err());
        let durable = Arc::new(MemoryDurable::new(clock.clone()));
        mirror.bind(Arc::clone(&durable) as _);
        assert_eq!(names(&mirror), None);
        mirror.refresh().await.unwrap();
        assert_eq!(names(&mirror), Some(vec![]));
        let built = BUILT.load(Ordering::Relaxed);
        durable.put(Kind::ApiKey, "other", &Secret::new("x")).await.unwrap();
        mirror.refresh().await.unwrap();
        assert_eq!(BUILT.load(Ordering::Relaxed), built, "another shelf changed");
        durable.put(Kind::Revocation, "a", &Secret::new("x")).await.unwrap();
        assert_eq!(names(&mirror), Some(vec![]));
        mirror.refresh().await.unwrap();
        assert_eq!(names(&mirror), Some(vec!["a".to_owned()]));
        clock.advance(GOOD_FOR);
        assert!(names(&mirror).is_some());
        clock.advance(Duration::from_nanos(1));
        assert_eq!(names(&mirror), None);
        mirror.refresh().await.unwrap();
        assert!(names(&mirror).is_some());
    }
}
