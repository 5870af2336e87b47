//! How often each key was used, and when last: counted in memory, added up in the store now and then,
//! over all processes, and forgotten after some months.
//!
//! The store has one record a day, so that adding costs one write however many keys there are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::{Secret, Timestamp, random};
use portcullis_state::{Durable, DurableError, Kind};
use serde::{Deserialize, Serialize};

use super::index::write_hex;
use super::record::{DayView, KeyView, text};

/// Days that counts are kept, today among them.
pub(super) const DAYS: u64 = 90;

const DAY: u64 = 24 * 60 * 60;

/// Who adds to the store has this lease, so that no process takes away what another added.
const LEASE: &str = "api-key-use";

/// Longer than any write takes.
const TERM: Duration = Duration::from_secs(30);

/// Uses of one key that the store does not know of yet.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Of even and of odd days: none waits as long as two days.
    counts: [AtomicU64; 2],
    /// The last use, seconds since the Unix epoch.
    last: AtomicU64,
}

/// Uses of one key on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Use {
    count: u64,
    /// Seconds since the Unix epoch.
    last: u64,
}

/// One day's uses, by the id of the key.
type Day = BTreeMap<String, Use>;

/// What this process counts.
#[derive(Debug)]
pub(super) struct Uses {
    tallies: Mutex<HashMap<Box<str>, Arc<Tally>>>,
    /// Uses that are no longer in a tally.
    taken: AtomicU64,
    /// Who asks for the lease.
    holder: String,
    /// The day on which old ones were last forgotten.
    swept: AtomicU64,
}

impl Default for Uses {
    fn default() -> Self {
        // Without randomness there is no key either.
        let drawn = random::bytes::<16>().unwrap_or_default();
        Self {
            tallies: Mutex::default(),
            taken: AtomicU64::new(0),
            holder: write_hex(&drawn),
            swept: AtomicU64::new(0),
        }
    }
}

impl Tally {
    /// Counts one use.
    pub(super) fn note(&self, now: Timestamp) {
        let seconds = now.unix_seconds();
        self.of(seconds / DAY).fetch_add(1, Ordering::Relaxed);
        self.last.fetch_max(seconds, Ordering::Relaxed);
    }

    const fn of(&self, day: u64) -> &AtomicU64 {
        let [even, odd] = &self.counts;
        if day.is_multiple_of(2) { even } else { odd }
    }

    /// Takes out what was counted on `day`, which is today or yesterday.
    fn take(&self, day: u64) -> Option<Use> {
        let count = self.of(day).swap(0, Ordering::Relaxed);
        let last = self.last.load(Ordering::Relaxed).min((day + 1) * DAY - 1);
        (count > 0).then_some(Use { count, last })
    }

    fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

impl Use {
    fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.last = self.last.max(other.last);
    }
}

impl Uses {
    /// Where uses of the key `id` are counted.
    pub(super) fn of(&self, id: &str) -> Arc<Tally> {
        let mut tallies = self.tallies.lock();
        if let Some(tally) = tallies.get(id) {
            return Arc::clone(tally);
        }
        let tally = Arc::<Tally>::default();
        tallies.insert(id.into(), Arc::clone(&tally));
        tally
    }

    /// All uses of the process.
    pub(super) fn total(&self) -> u64 {
        let tallies = self.tallies.lock();
        let waiting: u64 = tallies.values().map(|tally| tally.count()).sum();
        self.taken.load(Ordering::Relaxed).saturating_add(waiting)
    }

    /// Adds what was counted to what `durable` has.
    pub(super) async fn flush(
        &self,
        durable: &dyn Durable,
        now: Timestamp,
    ) -> Result<(), DurableError> {
        let today = now.unix_seconds() / DAY;
        let sweeps = self.swept.swap(today, Ordering::Relaxed) != today;
        if !sweeps && self.tallies.lock().values().all(|tally| tally.count() == 0) {
            return Ok(());
        }
        if !durable.lease(LEASE, &self.holder, TERM).await? {
            return Ok(());
        }
        let mut done = Ok(());
        for day in [today.saturating_sub(1), today] {
            done = done.and(self.add(durable, day).await);
        }
        if sweeps {
            done = done.and(forget(durable, today).await);
        }
        durable.release(LEASE, &self.holder).await.and(done)
    }

    /// Adds the uses of one day.
    async fn add(&self, durable: &dyn Durable, day: u64) -> Result<(), DurableError> {
        let taken = self.take(day);
        if taken.is_empty() {
            return Ok(());
        }
        let added = add(durable, day, &taken).await;
        match &added {
            Ok(()) => {
                let counts: u64 = taken.values().map(|used| used.count).sum();
                self.taken.fetch_add(counts, Ordering::Relaxed);
            }
            Err(_) => {
                for (id, used) in &taken {
                    self.of(id).of(day).fetch_add(used.count, Ordering::Relaxed);
                }
            }
        }
        added
    }

    fn take(&self, day: u64) -> Day {
        let mut tallies = self.tallies.lock();
        let each = tallies.iter();
        let taken = each.filter_map(|(id, tally)| Some((id.to_string(), tally.take(day)?)));
        let taken = taken.collect();
        // A key that nobody holds any more, and of which all is told.
        tallies.retain(|_, tally| Arc::strong_count(tally) > 1 || tally.count() > 0);
        taken
    }
}

async fn add(durable: &dyn Durable, day: u64, uses: &Day) -> Result<(), DurableError> {
    let name = name(day);
    let mut all = read(durable.get(Kind::ApiKeyUse, &name).await?.as_ref());
    for (id, used) in uses {
        all.entry(id.clone()).or_default().add(*used);
    }
    let value = serde_json::to_vec(&all).unwrap_or_default();
    durable.put(Kind::ApiKeyUse, &name, &Secret::new(value)).await
}

/// Removes the days that are no longer kept.
async fn forget(durable: &dyn Durable, today: u64) -> Result<(), DurableError> {
    let first = name((today + 1).saturating_sub(DAYS));
    for (day, _) in durable.list(Kind::ApiKeyUse).await? {
        if day < first {
            durable.remove(Kind::ApiKeyUse, &day).await?;
        }
    }
    Ok(())
}

/// Tells `keys` how often each was used.
pub(super) async fn tell(
    durable: &dyn Durable,
    keys: &mut [KeyView],
    now: Timestamp,
) -> Result<(), DurableError> {
    let first = name((now.unix_seconds() / DAY + 1).saturating_sub(DAYS));
    let mut last: HashMap<String, u64> = HashMap::new();
    let days = durable.list(Kind::ApiKeyUse).await?;
    for (day, kept) in days.iter().rev().filter(|(day, _)| *day >= first) {
        let all = read(Some(kept));
        for key in keys.iter_mut() {
            let Some(used) = all.get(&key.id) else { continue };
            key.uses = key.uses.saturating_add(used.count);
            key.uses_by_day.push(DayView { day: day.clone(), count: used.count });
            let latest = last.entry(key.id.clone()).or_default();
            *latest = used.last.max(*latest);
        }
    }
    for key in keys {
        key.last_used = last.get(&key.id).map(|seconds| text(*seconds));
    }
    Ok(())
}

/// What cannot be read counts for nothing: nobody is let in or kept out by it.
fn read(kept: Option<&Secret>) -> Day {
    kept.and_then(|kept| serde_json::from_slice(kept.expose()).ok()).unwrap_or_default()
}

/// The key of a day's record: `2026-11-25`, in UTC.
fn name(day: u64) -> String {
    text(day * DAY).split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use portcullis_core::Clock;
    use portcullis_state::MemoryDurable;

    use super::*;

    const NOON: u64 = 1_700_000_000 / DAY * DAY + DAY / 2;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    async fn told(durable: &MemoryDurable, now: u64) -> (u64, Vec<(String, u64)>, Option<String>) {
        let record = super::super::record::Record {
            owner: String::new(),
            scopes: Vec::new(),
            allow: Vec::new(),
            created: 0,
            expires: None,
            revoked: None,
            secrets: Vec::new(),
        };
        let mut keys = [record.view("a", at(now))];
        tell(durable, &mut keys, at(now)).await.unwrap();
        let [key] = keys;
        let days = key.uses_by_day.into_iter().map(|day| (day.day, day.count)).collect();
        (key.uses, days, key.last_used)
    }

    #[tokio::test]
    async fn processes_add_up_and_days_are_told_apart() {
        let durable = MemoryDurable::new(Clock::manual(at(NOON)));
        let (one, other) = (Uses::default(), Uses::default());
        for (uses, times) in [(&one, 3), (&other, 4)] {
            (0..times).for_each(|n| uses.of("a").note(at(NOON + n)));
            uses.flush(&durable, at(NOON + 10)).await.unwrap();
            uses.flush(&durable, at(NOON + 10)).await.unwrap();
        }
        one.of("b").note(at(NOON));
        one.of("a").note(at(NOON + DAY / 2 - 1));
        one.of("a").note(at(NOON + DAY / 2));
        one.flush(&durable, at(NOON + DAY / 2 + 1)).await.unwrap();
        let days = vec![("2023-11-15".to_owned(), 1), ("2023-11-14".to_owned(), 8)];
        let last = Some("2023-11-15T00:00:00Z".to_owned());
        assert_eq!(told(&durable, NOON + DAY).await, (9, days, last));
        assert_eq!((one.total(), other.total()), (6, 4));
    }

    #[tokio::test]
    async fn what_cannot_be_added_is_added_later() {
        let durable = MemoryDurable::new(Clock::manual(at(NOON)));
        let uses = Uses::default();
        uses.of("a").note(at(NOON));
        assert!(durable.lease(LEASE, "another", TERM).await.unwrap());
        uses.flush(&durable, at(NOON)).await.unwrap();
        assert_eq!(told(&durable, NOON).await.0, 0);
        durable.release(LEASE, "another").await.unwrap();
        uses.flush(&durable, at(NOON)).await.unwrap();
        assert_eq!(told(&durable, NOON).await.0, 1);
        assert_eq!(uses.total(), 1);
    }

    #[tokio::test]
    async fn old_days_and_keys_that_are_gone_take_no_room() {
        let durable = MemoryDurable::new(Clock::manual(at(NOON)));
        let uses = Uses::default();
        for day in 0..DAYS + 10 {
            uses.of("a").note(at(NOON + day * DAY));
            uses.flush(&durable, at(NOON + day * DAY)).await.unwrap();
        }
        let kept = durable.list(Kind::ApiKeyUse).await.unwrap();
        assert_eq!(u64::try_from(kept.len()).unwrap(), DAYS);
        assert_eq!(told(&durable, NOON + (DAYS + 9) * DAY).await.0, DAYS);
        assert!(uses.tallies.lock().is_empty());
        let held = uses.of("a");
        held.note(at(NOON));
        uses.flush(&durable, at(NOON)).await.unwrap();
        assert_eq!(uses.tallies.lock().len(), 1);
    }
}
