//! The right to work on a name: held by one process at a time, and lost when it is not renewed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis_state::{Durable, DurableError};
use tokio::task::JoinHandle;

use super::failure::Failure;

/// A lease that is renewed until it is released or dropped.
#[derive(Debug)]
pub(super) struct Lease {
    durable: Arc<dyn Durable>,
    name: String,
    holder: String,
    term: Duration,
    is_lost: Arc<AtomicBool>,
    renewal: JoinHandle<()>,
}

impl Lease {
    /// Takes the lease; `None` where another holder has it.
    pub(super) async fn take(
        durable: &Arc<dyn Durable>,
        name: String,
        holder: &str,
        term: Duration,
    ) -> Result<Option<Self>, DurableError> {
        if !durable.lease(&name, holder, term).await? {
            return Ok(None);
        }
        let is_lost = Arc::new(AtomicBool::new(false));
        let (shared, lost) = (Arc::clone(durable), Arc::clone(&is_lost));
        let (of, by) = (name.clone(), holder.to_owned());
        let renewal = tokio::spawn(async move {
            renew(&*shared, &of, &by, term).await;
            lost.store(true, Ordering::Relaxed);
        });
        let (durable, holder) = (Arc::clone(durable), holder.to_owned());
        Ok(Some(Self { durable, name, holder, term, is_lost, renewal }))
    }

    /// Makes sure that it is still held, for a whole term. To be asked before each step that others
    /// see.
    pub(super) async fn check(&self) -> Result<(), Failure> {
        let is_held = !self.is_lost.load(Ordering::Relaxed)
            && self.durable.lease(&self.name, &self.holder, self.term).await?;
        if is_held { Ok(()) } else { Err(Failure::LeaseLost) }
    }

    /// Gives it up, so that the next holder need not wait for its end.
    pub(super) async fn release(self) {
        self.renewal.abort();
        if let Err(error) = self.durable.release(&self.name, &self.holder).await {
            tracing::debug!(lease = self.name, %error, "the lease ends by itself");
        }
    }
}

/// Renews the lease until that fails.
async fn renew(durable: &dyn Durable, name: &str, holder: &str, term: Duration) {
    loop {
        tokio::time::sleep(term / 3).await;
        if !matches!(durable.lease(name, holder, term).await, Ok(true)) {
            return;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}
