//! API keys: secrets that the gateway made itself, and of which it keeps digests alone.
//!
//! [`ApiKeys`] is one for the life of the process: the shelf of the durable store in memory, and how
//! often each key was used. Keys are made, rotated and revoked through it as well, so that a change
//! counts at once here, and within a second in every process that shares the store.

mod form;
mod index;
mod manage;
mod record;
mod uses;

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use portcullis_core::{Clock, Principal};
use portcullis_state::{Durable, DurableError, Mirror};

pub use index::Numbers;
pub use manage::{Issued, ManageError, NewKey};
pub use record::{DayView, KeyState, KeyView, SecretView};

use form::Presented;
use index::{Found, Index};
use uses::Uses;

/// Name of the issuer of all such principals, as `access` and the logs have it.
pub const API_KEY: &str = "api_key";

/// Why a key was not accepted. The reasons are for the log alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFailure {
    /// It is none of ours: a guess, or something else.
    #[error("{0}")]
    Wrong(&'static str),
    /// It is one of ours, and good no more, or not from here.
    #[error("{0}")]
    Ended(&'static str),
    /// Which keys there are is not known at the moment.
    #[error("the keys cannot be read")]
    Unavailable,
}

/// The keys of the durable store.
#[derive(Debug)]
pub struct ApiKeys {
    mirror: Arc<Mirror<Index>>,
    uses: Uses,
    clock: Clock,
}

/// The id that a key says of itself. It proves nothing. `None` where it has not the form of a key.
pub fn claimed_key_id(presented: &str) -> Option<&str> {
    Presented::read(presented).ok().map(|presented| presented.id)
}

impl ApiKeys {
    /// Keys of a store that is yet to be named: until then nobody can decide.
    pub fn new(clock: Clock) -> Arc<Self> {
        let mirror = Mirror::new(clock.clone());
        Arc::new(Self { mirror, uses: Uses::default(), clock })
    }

    /// Names the store, the first time it is called.
    pub fn bind(&self, durable: Arc<dyn Durable>) {
        self.mirror.bind(durable);
    }

    /// Asks the store now.
    pub async fn refresh(&self) -> Result<(), DurableError> {
        self.mirror.refresh().await
    }

    /// Looks at the store a few times a second, for as long as anybody holds the keys.
    pub fn keep_fresh(&self) -> impl Future<Output = ()> + use<> {
        Mirror::keep_fresh(Arc::downgrade(&self.mirror))
    }

    /// The principal of a key that a client at `address` presented, and one more use of it. Nothing is
    /// allocated, nothing waits. For an id that does not exist the same is done as for a wrong secret.
    pub fn verify(&self, presented: &str, address: IpAddr) -> Result<Arc<Principal>, KeyFailure> {
        let presented = Presented::read(presented).map_err(KeyFailure::Wrong)?;
        let held = self.mirror.current().ok_or(KeyFailure::Unavailable)?;
        let index = held.as_ref().ok_or(KeyFailure::Unavailable)?;
        let digest = digest(&SHA256, presented.text.as_bytes());
        let found = index.find(presented.id, digest.as_ref());
        let Found { key, principal } =
            found.ok_or(KeyFailure::Wrong("there is no such key, or its secret is another"))?;
        let now = self.clock.now();
        key.judge(principal, address, now).map_err(KeyFailure::Ended)?;
        key.tally(|| self.uses.of(presented.id)).note(now);
        Ok(Arc::clone(principal))
    }

    /// How many keys there are; `None` where that is not known.
    pub fn numbers(&self) -> Option<Numbers> {
        let held = self.mirror.current()?;
        held.as_ref().map(|index| index.numbers(self.clock.now()))
    }

    /// How often keys of this process' clients were taken, since its start.
    pub fn total_uses(&self) -> u64 {
        self.uses.total()
    }

    /// Adds what was counted since the last time to what the store has. What cannot be added now is
    /// added the next time.
    pub async fn flush(&self) -> Result<(), DurableError> {
        let Some(durable) = self.mirror.durable() else { return Ok(()) };
        self.uses.flush(&**durable, self.clock.now()).await
    }
}

#[cfg(test)]
mod tests;
