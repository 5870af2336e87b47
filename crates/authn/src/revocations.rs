//! Revocations: tokens that are good no more before they end, by what they have in common.
//!
//! What is kept is never the token itself: one token has many spellings, and each of them says the
//! same `iss`, `jti`, subject and `iat`. [`Revocations`] is one for the life of the process. It is
//! asked on every request, after the token was verified, whether that was now or before.

mod index;
mod manage;
mod record;

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::{Clock, Principal, Timestamp};
use portcullis_state::{Durable, DurableError, Mirror};
use serde_json::Value;

use crate::TokenFailure;
use crate::claims::numeric_date;
use index::{Asked, Index};

pub use manage::{MAXIMUM, NewRevocation, RevocationError};
pub use record::{Revocation, Revoked, Term};

/// The revocations of the durable store.
#[derive(Debug)]
pub struct Revocations {
    mirror: Arc<Mirror<Index>>,
    clock: Clock,
}

impl Revocations {
    /// Revocations of a store that is yet to be named: until then nobody can decide.
    pub fn new(clock: Clock) -> Arc<Self> {
        let mirror = Mirror::new(clock.clone());
        Arc::new(Self { mirror, clock })
    }

    /// Names the store, the first time it is called.
    pub fn bind(&self, durable: Arc<dyn Durable>) {
        self.mirror.bind(durable);
    }

    /// Asks the store now.
    pub async fn refresh(&self) -> Result<(), DurableError> {
        self.mirror.refresh().await
    }

    /// Looks at the store a few times a second, for as long as anybody holds the revocations.
    pub fn keep_fresh(&self) -> impl Future<Output = ()> + use<> {
        Mirror::keep_fresh(Arc::downgrade(&self.mirror))
    }

    /// Refuses a principal whose token was revoked, or of which that is not known. Allocates nothing.
    pub(crate) fn judge(
        &self,
        principal: &Principal,
        leeway: Duration,
    ) -> Result<(), TokenFailure> {
        let held = self.mirror.current().ok_or(TokenFailure::StateUnavailable)?;
        let index = held.as_ref().ok_or(TokenFailure::StateUnavailable)?;
        if index.is_unreadable() {
            return Err(TokenFailure::StateUnavailable);
        }
        if index.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        // A token from the future tells nothing of when it was issued.
        let issued = principal.claims.get("iat").and_then(numeric_date);
        let issued = issued.filter(|issued| *issued <= now.plus(leeway));
        // Times of revocation have fractions where `iat` may have none.
        let issued = issued.map(|issued| Timestamp::from_unix_seconds(issued.unix_seconds()));
        let asked = Asked {
            issuer: &principal.issuer,
            jti: principal.claims.get("jti").and_then(Value::as_str),
            subject: &principal.subject,
            issued,
            leeway,
        };
        match index.find(&asked, now) {
            Some(reason) => Err(TokenFailure::because(reason)),
            None => Ok(()),
        }
    }

    /// How many there are; `None` where that is not known.
    pub fn count(&self) -> Option<usize> {
        let held = self.mirror.current()?;
        held.as_ref().filter(|index| !index.is_unreadable()).map(|index| index.count())
    }
}

#[cfg(test)]
mod tests;
