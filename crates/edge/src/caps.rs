//! How many connections there may be: of the process, and of one client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use portcullis_core::ClientKey;
use tokio::sync::Notify;

use crate::{Cap, ConnectionSettings};

/// Counts connections. The table of clients has at most one entry per connection, so `maximum`
/// bounds it.
#[derive(Debug, Default)]
pub(crate) struct Caps {
    total: AtomicUsize,
    clients: Mutex<HashMap<ClientKey, usize>>,
    empty: Notify,
}

impl Caps {
    /// Counts a connection in, or says which cap it would break. `client` is `None` where it is not
    /// known yet, or never will be.
    pub(crate) fn admit(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        settings: &ConnectionSettings,
    ) -> Result<Permit, Cap> {
        let below = |total: usize| (total < settings.maximum).then_some(total + 1);
        self.total
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, below)
            .map_err(|_| Cap::Maximum)?;
        // From here on the permit gives back what was taken, on every way out.
        let mut permit = Permit { caps: Arc::clone(self), client: None };
        if let Some(client) = client {
            permit.count_client(client, settings)?;
        }
        Ok(permit)
    }

    /// How many there are.
    pub(crate) fn total(&self) -> usize {
        self.total.load(Ordering::Acquire)
    }

    /// Ends when there is none.
    pub(crate) async fn emptied(&self) {
        loop {
            let notified = self.empty.notified();
            if self.total() == 0 {
                return;
            }
            notified.await;
        }
    }

    fn release(&self, client: Option<ClientKey>) {
        if let Some(key) = client {
            let mut clients = self.clients.lock();
            match clients.get(&key).copied().unwrap_or_default() {
                0 | 1 => clients.remove(&key),
                count => clients.insert(key, count - 1),
            };
        }
        if self.total.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.empty.notify_waiters();
        }
    }
}

/// One connection counted in; counted out when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    caps: Arc<Caps>,
    client: Option<ClientKey>,
}

impl Permit {
    /// Counts the connection as one of `client`'s, once.
    pub(crate) fn count_client(
        &mut self,
        client: IpAddr,
        settings: &ConnectionSettings,
    ) -> Result<(), Cap> {
        let client = client.to_canonical();
        if settings.per_client_exempt.iter().any(|net| net.contains(&client)) {
            return Ok(());
        }
        let key = ClientKey::new(client, settings.ipv6_prefix);
        let mut clients = self.caps.clients.lock();
        let count = clients.get(&key).copied().unwrap_or_default();
        if count >= settings.per_client {
            return Err(Cap::PerClient);
        }
        clients.insert(key, count + 1);
        self.client = Some(key);
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.caps.release(self.client.take());
    }
}
