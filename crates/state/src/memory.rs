//! A durable store that is none: for tests, and for what runs without a disk.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use portcullis_core::{Clock, Secret, Timestamp};

use crate::{Durable, DurableError, Kind};

/// Records in memory. They end with the process and are shared with nobody.
#[derive(Debug)]
pub struct MemoryDurable {
    clock: Clock,
    shelves: Mutex<Shelves>,
}

#[derive(Debug, Default)]
struct Shelves {
    records: BTreeMap<(Kind, String), Secret>,
    versions: BTreeMap<Kind, u64>,
    leases: BTreeMap<String, (String, Timestamp)>,
}

impl MemoryDurable {
    /// An empty store; leases end by `clock`.
    pub fn new(clock: Clock) -> Self {
        Self { clock, shelves: Mutex::default() }
    }
}

impl Shelves {
    fn note_change(&mut self, kind: Kind) {
        *self.versions.entry(kind).or_default() += 1;
    }
}

#[async_trait]
impl Durable for MemoryDurable {
    async fn get(&self, kind: Kind, key: &str) -> Result<Option<Secret>, DurableError> {
        Ok(self.shelves.lock().records.get(&(kind, key.to_owned())).cloned())
    }

    async fn put(&self, kind: Kind, key: &str, value: &Secret) -> Result<(), DurableError> {
        let mut shelves = self.shelves.lock();
        shelves.records.insert((kind, key.to_owned()), value.clone());
        shelves.note_change(kind);
        Ok(())
    }

    async fn put_first(
        &self,
        kind: Kind,
        key: &str,
        value: &Secret,
    ) -> Result<Secret, DurableError> {
        let mut shelves = self.shelves.lock();
        let place = (kind, key.to_owned());
        if let Some(kept) = shelves.records.get(&place) {
            return Ok(kept.clone());
        }
        shelves.records.insert(place, value.clone());
        shelves.note_change(kind);
        Ok(value.clone())
    }

    async fn remove(&self, kind: Kind, key: &str) -> Result<(), DurableError> {
        let mut shelves = self.shelves.lock();
        if shelves.records.remove(&(kind, key.to_owned())).is_some() {
            shelves.note_change(kind);
        }
        Ok(())
    }

    async fn list(&self, kind: Kind) -> Result<Vec<(String, Secret)>, DurableError> {
        let shelves = self.shelves.lock();
        let of_kind = shelves.records.iter().filter(|((other, _), _)| *other == kind);
        Ok(of_kind.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }

    async fn version(&self, kind: Kind) -> Result<u64, DurableError> {
        Ok(self.shelves.lock().versions.get(&kind).copied().unwrap_or_default())
    }

    async fn lease(&self, name: &str, holder: &str, term: Duration) -> Result<bool, DurableError> {
        let now = self.clock.now();
        let mut shelves = self.shelves.lock();
        let is_free = match shelves.leases.get(name) {
            Some((other, end)) => other == holder || *end <= now,
            None => true,
        };
        if is_free {
            shelves.leases.insert(name.to_owned(), (holder.to_owned(), now.plus(term)));
        }
        Ok(is_free)
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), DurableError> {
        let mut shelves = self.shelves.lock();
        if shelves.leases.get(name).is_some_and(|(other, _)| other == holder) {
            shelves.leases.remove(name);
        }
        Ok(())
    }
}
