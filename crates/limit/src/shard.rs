//! One part of the table: buckets of some keys, never more than it was given room for.

use std::hash::BuildHasherDefault;

use governor::nanos::Nanos;
use indexmap::IndexMap;

use crate::digest::{Digest, LowBits};
use crate::probe::Judge;

/// Entries looked at on each insertion, to drop those that are full again.
const SWEPT: usize = 4;
/// Entries looked at for one to evict.
const SAMPLED: usize = 16;
/// Free places worth giving back.
const SPARE: usize = 64;

/// Buckets by key, in an order that allows to walk them in pieces.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    arrivals: IndexMap<Digest, Nanos, BuildHasherDefault<LowBits>>,
    /// Where the next walk begins.
    hand: usize,
    /// The bucket that newcomers share while there is no room.
    overflow: Option<Nanos>,
}

/// What was found for a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Whether a bucket that was not refusing was dropped for it.
    pub(crate) evicted: bool,
    /// Whether there is a place now. If not, the key shares a bucket with others like it.
    pub(crate) fits: bool,
}

impl Shard {
    /// The number of buckets.
    pub(crate) fn len(&self) -> usize {
        self.arrivals.len()
    }

    /// Places that memory is held for.
    pub(crate) fn capacity(&self) -> usize {
        self.arrivals.capacity()
    }

    /// The bucket of `digest`; `None` for a key that is not known.
    pub(crate) fn known(&mut self, digest: Digest) -> Option<&mut Nanos> {
        self.arrivals.get_mut(&digest)
    }

    /// Makes a place for one more key among at most `capacity`.
    pub(crate) fn make_room<T, E>(&mut self, capacity: usize, judge: &impl Judge<T, E>) -> Room {
        self.drop_full(SWEPT, judge);
        // A table that was given less room is still above it then, and shrinks as newcomers come.
        let evicted = self.len() >= capacity && self.evict(judge);
        Room { evicted, fits: self.len() < capacity }
    }

    /// Puts a new key's bucket in.
    pub(crate) fn insert(&mut self, digest: Digest, arrival: Nanos) {
        self.arrivals.insert(digest, arrival);
    }

    /// The bucket that newcomers share while there is no room.
    pub(crate) const fn shared(&mut self) -> &mut Option<Nanos> {
        &mut self.overflow
    }

    /// Drops buckets that are full again among the next `count`.
    pub(crate) fn drop_full<T, E>(&mut self, count: usize, judge: &impl Judge<T, E>) {
        for _ in 0..count.min(self.len()) {
            self.hand = if self.hand < self.len() { self.hand } else { 0 };
            match self.arrivals.get_index(self.hand) {
                Some((_, &arrival)) if judge.is_full(arrival) => {
                    self.arrivals.swap_remove_index(self.hand);
                }
                Some(_) => self.hand += 1,
                None => break,
            }
        }
        self.give_back();
    }

    /// Evicts the fullest of the next few buckets, unless all of them are refusing.
    fn evict<T, E>(&mut self, judge: &impl Judge<T, E>) -> bool {
        let places = self.len();
        let Some(start) = self.hand.checked_rem(places) else {
            return false;
        };
        let sample = (0..SAMPLED.min(places)).filter_map(|step| {
            let place = (start + step) % places;
            self.arrivals.get_index(place).map(|(_, &arrival)| (arrival, place))
        });
        let fullest = sample.min();
        self.hand = (start + SAMPLED) % places;
        match fullest {
            Some((arrival, place)) if !judge.refuses(arrival) => {
                self.arrivals.swap_remove_index(place).is_some()
            }
            _ => false,
        }
    }

    /// Gives memory back when most of it is unused; so rarely that the copying does not count.
    fn give_back(&mut self) {
        if self.capacity() > self.len().saturating_mul(4).saturating_add(SPARE) {
            self.arrivals.shrink_to(self.len().saturating_mul(2));
        }
    }
}
