//! The keys of one issuer: fetched in the background, kept through failures and reloads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use aws_lc_rs::digest::{SHA256, digest};
use parking_lot::Mutex;
use portcullis_core::Clock;
use tokio::sync::watch;

use crate::key_set::KeySet;
use crate::schedule::Schedule;
use crate::source::{LoadError, Source};
use crate::{AuthnError, IssuerSettings, KeySource, Refresh, StandIn};

/// How often the background task looks at the clock, which tests move by hand.
const GLANCE: Duration = Duration::from_millis(500);

/// How an issuer's keys are, for metrics and `/config`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyStatus {
    /// Whether there are keys that may be used.
    pub ready: bool,
    /// Whether the keys are older than `every` because fetches fail. They are used all the same, up
    /// to `usable_without_issuer`.
    pub stale: bool,
    /// How many keys are usable.
    pub keys: usize,
    /// How many entries of the key set in use were skipped as unusable. Keys for encryption do not
    /// count.
    pub skipped: usize,
    /// Time since the last good fetch.
    pub age: Option<Duration>,
    /// Fetches that failed, ever.
    pub failures: u64,
    /// Fetches begun, ever.
    pub fetches: u64,
    /// Why the last fetch failed; `None` if it did not.
    pub last_error: Option<String>,
}

/// The keys of one issuer. They outlive a reload; clones share them.
#[derive(Clone, Debug)]
pub struct KeyCache(Arc<Shared>);

/// A key set with the number that changes when its content does.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) set: Arc<KeySet>,
    pub(crate) generation: u64,
}

#[derive(Debug)]
struct Shared {
    name: Arc<str>,
    identity: Identity,
    source: Source,
    clock: Clock,
    current: ArcSwapOption<Keys>,
    /// Until when the current keys may be used: nanoseconds of the monotonic clock.
    usable_until: AtomicU64,
    book: Mutex<Book>,
    /// Counts ended fetches; those who wait for one watch it.
    ended: watch::Sender<u64>,
    started: AtomicBool,
    /// Whether the keys are given, so that nobody is asked for others.
    given: AtomicBool,
}

/// What two settings must share to share keys.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    issuer: Arc<str>,
    keys: KeySource,
    trust_pem: Option<Vec<u8>>,
    refresh: Refresh,
}

#[derive(Clone, Debug, Default)]
struct Book {
    schedule: Schedule,
    running: bool,
    fetches: u64,
    failures: u64,
    last_error: Option<String>,
    /// Digest of the last good bytes of a file.
    last_file: Option<[u8; 32]>,
}

impl KeyCache {
    /// A cache without keys as yet. Fails where the place of the keys or the trust is unusable.
    pub fn new(settings: &IssuerSettings, clock: Clock) -> Result<Self, AuthnError> {
        Self::with(settings, clock, None, 0, Book::default())
    }

    /// A cache by new settings that starts with the keys of this one, where they come from the same
    /// place; else like [`KeyCache::new`].
    pub fn renewed(&self, settings: &IssuerSettings, clock: Clock) -> Result<Self, AuthnError> {
        let (new, old) = (Identity::of(settings), &self.0.identity);
        if (Identity { refresh: old.refresh, ..new }) != *old {
            return Self::new(settings, clock);
        }
        let mut book = Book { running: false, last_file: None, ..self.0.book.lock().clone() };
        book.schedule.expedite();
        let good = book.schedule.last_good().unwrap_or_default();
        let until = nanos(good.saturating_add(settings.refresh.usable_without_issuer));
        Self::with(settings, clock, self.0.current.load_full(), until, book)
    }

    fn with(
        settings: &IssuerSettings,
        clock: Clock,
        keys: Option<Arc<Keys>>,
        usable_until: u64,
        book: Book,
    ) -> Result<Self, AuthnError> {
        Ok(Self(Arc::new(Shared {
            name: Arc::clone(&settings.name),
            identity: Identity::of(settings),
            source: Source::new(settings)?,
            clock,
            current: ArcSwapOption::new(keys),
            usable_until: AtomicU64::new(usable_until),
            book: Mutex::new(book),
            ended: watch::Sender::new(0),
            started: AtomicBool::new(false),
            given: AtomicBool::new(false),
        })))
    }

    /// Starts to fetch in the background, once, on the tokio runtime of the caller; ends when the
    /// last handle is dropped.
    pub fn start(&self) {
        if !self.0.started.swap(true, Ordering::Relaxed) {
            tokio::spawn(refresh_while_alive(Arc::downgrade(&self.0)));
        }
    }

    /// Whether this cache serves an issuer with these settings as it is: same issuer, same place, same
    /// trust, same refresh.
    pub fn same_source(&self, settings: &IssuerSettings) -> bool {
        self.0.identity == Identity::of(settings)
    }

    /// How the keys are.
    pub fn status(&self) -> KeyStatus {
        let shared = &*self.0;
        let now = shared.clock.monotonic();
        let current = shared.current.load();
        let book = shared.book.lock();
        KeyStatus {
            ready: current.is_some() && shared.is_usable(),
            stale: current.is_some() && book.schedule.is_stale(&shared.identity.refresh, now),
            keys: current.as_ref().map_or(0, |keys| keys.set.len()),
            skipped: current.as_ref().map_or(0, |keys| keys.set.skipped().count()),
            age: book.schedule.last_good().map(|at| now.saturating_sub(at)),
            failures: book.failures,
            fetches: book.fetches,
            last_error: book.last_error.clone(),
        }
    }

    /// Fetches now, or joins the fetch that is under way, and waits for its end.
    pub async fn load_now(&self) {
        let mut ended = self.0.ended.subscribe();
        if self.0.begin_if(|_, _| true) {
            ended.changed().await.ok();
        }
    }

    /// Puts `key` in the place of the issuer's, for good: nobody is asked for keys any more. False where
    /// it is not taken. For tests of a configuration; nothing that serves calls this.
    pub fn stand_in(&self, key: &StandIn) -> bool {
        self.0.given.store(true, Ordering::Relaxed);
        self.0.usable_until.store(u64::MAX, Ordering::Relaxed);
        self.0.take(key.key_set().as_bytes()).is_ok()
    }

    /// Takes the keys that `other` has now, for good, and shares nothing with it: nobody is asked for
    /// keys any more. For tests of a configuration; nothing that serves calls this.
    pub fn take_from(&self, other: &Self) {
        self.0.given.store(true, Ordering::Relaxed);
        self.0.usable_until.store(u64::MAX, Ordering::Relaxed);
        self.0.current.store(other.0.current.load_full());
    }

    /// The keys, while they may be used.
    pub(crate) fn usable(&self) -> Option<Arc<Keys>> {
        self.0.is_usable().then(|| self.0.current.load_full()).flatten()
    }

    /// Generation of the keys, while they may be used.
    pub(crate) fn usable_generation(&self) -> Option<u64> {
        let generation = self.0.current.load().as_ref().map(|keys| keys.generation)?;
        self.0.is_usable().then_some(generation)
    }

    /// When the next attempt to get keys is due; at least a second.
    pub(crate) fn retry_after(&self) -> Duration {
        let due = self.0.book.lock().schedule.due();
        due.saturating_sub(self.0.clock.monotonic()).max(Duration::from_secs(1))
    }

    /// Keys newer than those of `generation`, because a token names a key that is not among them.
    ///
    /// Waits for the fetch under way, or for one that it begins if the cooldown allows; else answers
    /// at once. `None` where there are none newer.
    pub(crate) async fn newer_than(&self, generation: u64) -> Option<Arc<Keys>> {
        let refresh = self.0.identity.refresh;
        let newer = || self.usable().filter(|keys| keys.generation != generation);
        // The fetch under way may have begun before the key was published: then another is due.
        for _ in 0..2 {
            let mut ended = self.0.ended.subscribe();
            if !self.0.begin_if(|schedule, now| schedule.admit_for_unknown(&refresh, now)) {
                break;
            }
            ended.changed().await.ok()?;
            if let Some(keys) = newer() {
                return Some(keys);
            }
        }
        newer()
    }

    /// Fetches if that is due, and waits for it. Says whether there was a fetch to wait for.
    #[cfg(test)]
    pub(crate) async fn load_if_due(&self) -> bool {
        load_if_due(&self.0).await
    }
}

impl Identity {
    fn of(settings: &IssuerSettings) -> Self {
        Self {
            issuer: Arc::clone(&settings.issuer),
            keys: settings.keys.clone(),
            trust_pem: settings.trust_pem.clone(),
            refresh: settings.refresh,
        }
    }
}

impl Shared {
    fn is_usable(&self) -> bool {
        nanos(self.clock.monotonic()) < self.usable_until.load(Ordering::Relaxed)
    }

    /// Begins a fetch unless one is under way, where `wanted` says so; it is not asked otherwise. Says
    /// whether there is a fetch to wait for. The fetch runs by itself: who waits for it may go away.
    fn begin_if(self: &Arc<Self>, wanted: impl FnOnce(&mut Schedule, Duration) -> bool) -> bool {
        if self.given.load(Ordering::Relaxed) {
            return false;
        }
        let now = self.clock.monotonic();
        let mut book = self.book.lock();
        if book.running {
            return true;
        }
        if !wanted(&mut book.schedule, now) {
            return false;
        }
        book.running = true;
        book.fetches += 1;
        // Released first: a runtime that shuts down drops the flight at once, which notes its end.
        drop(book);
        let flight = Flight { shared: Arc::clone(self), outcome: None };
        tokio::spawn(flight.run());
        true
    }

    fn end(&self, outcome: Result<Vec<u8>, LoadError>) {
        match outcome.and_then(|bytes| self.take(&bytes)) {
            Ok(()) => self.note_success(),
            Err(error) => self.note_failure(&error),
        }
        self.ended.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn note_success(&self) {
        let (refresh, now) = (&self.identity.refresh, self.clock.monotonic());
        let until = nanos(now.saturating_add(refresh.usable_without_issuer));
        self.usable_until.store(until, Ordering::Relaxed);
        let mut book = self.book.lock();
        book.running = false;
        book.schedule.note_success(refresh, self.source.is_file(), now);
        if book.last_error.take().is_some() {
            tracing::info!(issuer = %self.name, "the issuer's keys are to be had again");
        }
    }

    fn note_failure(&self, error: &LoadError) {
        let (refresh, now) = (&self.identity.refresh, self.clock.monotonic());
        let has_keys = self.current.load().is_some();
        let mut book = self.book.lock();
        book.running = false;
        book.failures += 1;
        book.schedule.note_failure(refresh, self.source.is_file(), now);
        let last = book.last_error.replace(error.to_string());
        // A file is looked at so often that one warning must do until it changes.
        if !self.source.is_file() || last != book.last_error {
            let stale = has_keys && book.schedule.is_stale(refresh, now);
            tracing::warn!(issuer = %self.name, %error, has_keys, stale, "no keys were fetched");
        }
    }

    /// Puts the key set in `bytes` in place of the one before.
    fn take(&self, bytes: &[u8]) -> Result<(), LoadError> {
        let print = digest(&SHA256, bytes).as_ref().try_into().ok();
        if self.source.is_file() && self.book.lock().last_file == print {
            return Ok(());
        }
        let set = KeySet::parse(bytes).map_err(LoadError::KeySet)?;
        for skipped in set.skipped() {
            let kid: String = skipped.kid.iter().flat_map(|kid| kid.chars()).take(64).collect();
            tracing::warn!(issuer = %self.name, ?kid, reason = skipped.reason, "a key is skipped");
        }
        let generation = match &*self.current.load() {
            Some(keys) if keys.set.is_same_as(&set) => keys.generation,
            Some(keys) => keys.generation + 1,
            None => 1,
        };
        self.current.store(Some(Arc::new(Keys { set: Arc::new(set), generation })));
        self.book.lock().last_file = print;
        Ok(())
    }
}

/// A fetch under way. However it ends, its end is noted, or no other would ever begin.
struct Flight {
    shared: Arc<Shared>,
    outcome: Option<Result<Vec<u8>, LoadError>>,
}

impl Flight {
    async fn run(mut self) {
        self.outcome = Some(self.shared.source.load().await);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.shared.end(self.outcome.take().unwrap_or(Err(LoadError::CutOff)));
    }
}

async fn refresh_while_alive(cache: Weak<Shared>) {
    while let Some(shared) = cache.upgrade() {
        if !load_if_due(&shared).await {
            let left = shared.book.lock().schedule.due().saturating_sub(shared.clock.monotonic());
            drop(shared);
            tokio::time::sleep(left.min(GLANCE)).await;
        }
    }
}

async fn load_if_due(shared: &Arc<Shared>) -> bool {
    let mut ended = shared.ended.subscribe();
    let is_running = shared.begin_if(|schedule, now| schedule.due() <= now);
    if is_running {
        ended.changed().await.ok();
    }
    is_running
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
