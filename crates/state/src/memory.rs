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
    leases: BTreeMap<String, (String, Timestamp)>,
}

impl MemoryDurable {
    /// An empty store; leases end by `clock`.
    pub fn new(clock: Clock) -> Self {
        Self { clock, shelves: Mutex::default() }
    }
}

#[async_trait]
impl Durable for MemoryDurable {
    async fn get(&self, kind: Kind, key: &str) -> Result<Option<Secret>, DurableError> {
        Ok(self.shelves.lock().records.get(&(kind, key.to_owned())).cloned())
    }

    async fn put(&self, kind: Kind, key: &str, value: &Secret) -> Result<(), DurableError> {
        self.shelves.lock().records.insert((kind, key.to_owned()), value.clone());
        Ok(())
    }

    async fn put_first(
        &self,
        kind: Kind,
        key: &str,
        value: &Secret,
    ) -> Result<Secret, DurableError> {
        let mut shelves = self.shelves.lock();
        let kept = shelves.records.entry((kind, key.to_owned())).or_insert_with(|| value.clone());
        Ok(kept.clone())
    }

    async fn remove(&self, kind: Kind, key: &str) -> Result<(), DurableError> {
        self.shelves.lock().records.remove(&(kind, key.to_owned()));
        Ok(())
    }

    async fn list(&self, kind: Kind) -> Result<Vec<(String, Secret)>, DurableError> {
        let shelves = self.shelves.lock();
        let of_kind = shelves.records.iter().filter(|((other, _), _)| *other == kind);
        Ok(of_kind.map(|((_, key), value)| (key.clone(), value.clone())).collect())
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
