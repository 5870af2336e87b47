//! What travels through governor to the table and back.

use std::cell::Cell;
use std::hash::{Hash, Hasher};

use governor::nanos::Nanos;

use crate::digest::Digest;

/// What the table is asked to do under the judgement of governor.
#[derive(Clone, Debug)]
pub(crate) enum Probe {
    /// Count one request, and note what was found.
    Count {
        /// Whose request.
        digest: Digest,
        /// How the bucket stands after the judgement.
        found: Cell<Found>,
    },
    /// Drop what is full again in all shards.
    Sweep,
}

/// A bucket at the time of a judgement, in nanoseconds of the limiter's own time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// When the bucket will be full again.
    pub(crate) arrival: u64,
    /// When an empty bucket asked at this time would be full again: one interval from now.
    pub(crate) fresh: u64,
}

/// One key's bucket as governor judges it: given the time at which it will be full again, whether a
/// request is admitted now and what that time is then.
pub(crate) trait Judge<T, E> {
    /// Judges a request of a bucket that will be full at `arrival`; `None` is full now.
    fn judge(&self, arrival: Option<Nanos>) -> Result<(T, Nanos), E>;

    /// Whether a bucket would refuse now.
    fn refuses(&self, arrival: Nanos) -> bool {
        self.judge(Some(arrival)).is_err()
    }

    /// What the arrival time of a full bucket is after one request.
    fn fresh(&self) -> Option<Nanos> {
        self.judge(None).ok().map(|(_, next)| next)
    }

    /// Whether a bucket is full now, so that forgetting it changes nothing.
    fn is_full(&self, arrival: Nanos) -> bool {
        let next = self.judge(Some(arrival)).ok().map(|(_, next)| next);
        next.is_some() && next == self.fresh()
    }
}

impl<F, T, E> Judge<T, E> for F
where
    F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
{
    fn judge(&self, arrival: Option<Nanos>) -> Result<(T, Nanos), E> {
        self(arrival)
    }
}

// governor asks these of a key; only the digest says whose bucket it is.

impl Probe {
    const fn digest(&self) -> Option<Digest> {
        match self {
            Self::Count { digest, .. } => Some(*digest),
            Self::Sweep => None,
        }
    }
}

impl PartialEq for Probe {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl Eq for Probe {}

impl Hash for Probe {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest().hash(state);
    }
}
