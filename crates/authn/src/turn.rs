//! Changes of a record of the store, one after another, whoever makes them.

use std::time::Duration;

use portcullis_core::random;
use portcullis_state::{Durable, DurableError};

/// How long a change may take.
const TERM: Duration = Duration::from_secs(10);

/// How often, and how long apart, somebody tries who finds a record being changed.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// The lease of one record.
pub(crate) struct Turn<'d> {
    durable: &'d dyn Durable,
    name: String,
    holder: String,
}

impl<'d> Turn<'d> {
    /// Waits for the turn; `None` where others have it for too long.
    pub(crate) async fn wait(
        durable: &'d dyn Durable,
        name: &str,
    ) -> Result<Option<Self>, DurableError> {
        for _ in 0..TRIES {
            if let Some(turn) = Self::take(durable, name).await? {
                return Ok(Some(turn));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(None)
    }

    /// The turn, where nobody has it.
    pub(crate) async fn take(
        durable: &'d dyn Durable,
        name: &str,
    ) -> Result<Option<Self>, DurableError> {
        let none = || DurableError::Unavailable { reason: "no randomness to be had".to_owned() };
        let drawn = random::bytes::<16>().ok_or_else(none)?;
        let holder = format!("{:032x}", u128::from_be_bytes(drawn));
        let taken = durable.lease(name, &holder, TERM).await?;
        Ok(taken.then(|| Self { durable, name: name.to_owned(), holder }))
    }

    /// Gives it to the next.
    pub(crate) async fn end(self) -> Result<(), DurableError> {
        self.durable.release(&self.name, &self.holder).await
    }
}
