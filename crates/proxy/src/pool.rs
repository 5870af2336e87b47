//! Upstreams at work: which endpoints can be used, which one gets a request, one peer per attempt.

mod balance;
mod ejection;
mod health;
mod member;
mod names;
mod peers;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use pingora::upstreams::peer::HttpPeer;
use portcullis_core::{Clock, Fault};
use portcullis_policy::UpstreamSettings;
use thiserror::Error;
use tokio::task::JoinHandle;

use crate::pool::balance::Candidate;
use crate::pool::member::{Address, Member};
pub(crate) use crate::pool::member::{Lease, Target};
pub use crate::pool::names::Resolver;
use crate::pool::peers::Peers;

/// `Retry-After` where nothing better is known.
const SOON: Duration = Duration::from_secs(1);

/// Why a pool could not be built. The file must be mended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The trust bundle or the client's chain holds something that is no certificate.
    #[error("a certificate cannot be read")]
    Trust,
}

/// A named pool of endpoints; outlives a reload that does not change its settings.
pub struct Pool {
    settings: Arc<UpstreamSettings>,
    members: Vec<Arc<Member>>,
    peers: Arc<Peers>,
    next: AtomicUsize,
    apart: AtomicU64,
    clock: Clock,
    tasks: Vec<JoinHandle<()>>,
}

/// What is known of one endpoint.
#[derive(Clone, Debug)]
pub struct EndpointStatus {
    /// As the file names it.
    pub endpoint: String,
    /// Whether it gets requests: its checks are good, and it is not left out.
    pub healthy: bool,
    /// Requests under way at it.
    pub requests: usize,
    /// How often it was left out.
    pub ejections: u64,
}

/// What an attempt asks for.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    /// Whose request it is.
    pub(crate) client: Option<IpAddr>,
    /// Where the request was tried before.
    pub(crate) tried: &'a [Target],
    /// Longest wait for bytes.
    pub(crate) read: Duration,
    /// Whether it is a gRPC call.
    pub(crate) is_call: bool,
    /// Whether it must not go over a connection that stood unused.
    pub(crate) on_new_connection: bool,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Pool {
    /// Builds the pool, and starts to resolve its names and to check its endpoints: on the runtime
    /// it is called on, until it is dropped.
    pub fn new(
        settings: Arc<UpstreamSettings>,
        clock: Clock,
        resolver: &Resolver,
    ) -> Result<Self, PoolError> {
        let peers = Arc::new(Peers::new(Arc::clone(&settings))?);
        let members: Vec<_> = settings
            .endpoints
            .iter()
            .map(|endpoint| Arc::new(Member::new(endpoint.clone())))
            .collect();
        let mut tasks = Vec::new();
        for member in &members {
            if let Address::Named(name) = &member.address {
                tasks.push(tokio::spawn(Arc::clone(name).keep(resolver.clone())));
            }
            if let Some(terms) = &settings.health {
                let (member, peers) = (Arc::clone(member), Arc::clone(&peers));
                tasks.push(tokio::spawn(health::keep(member, peers, terms.clone())));
            }
        }
        let (next, apart) = (AtomicUsize::new(0), AtomicU64::new(0));
        Ok(Self { settings, members, peers, next, apart, clock, tasks })
    }

    /// Its settings.
    pub fn settings(&self) -> &Arc<UpstreamSettings> {
        &self.settings
    }

    /// What is known of its endpoints.
    pub fn status(&self) -> Vec<EndpointStatus> {
        let now = self.clock.monotonic();
        let one = |member: &Arc<Member>| EndpointStatus {
            endpoint: member.label.to_string(),
            healthy: member.is_well() && member.is_open(now),
            requests: member.requests(),
            ejections: member.ejections(),
        };
        self.members.iter().map(one).collect()
    }

    /// How often names of it could not be resolved.
    pub fn resolve_failures(&self) -> u64 {
        let failures = |member: &Arc<Member>| match &member.address {
            Address::Named(name) => name.failures(),
            Address::Literal(_) | Address::Unix(_) => 0,
        };
        self.members.iter().map(failures).sum()
    }

    /// The peer for the next attempt, and the hold on its endpoint.
    pub(crate) async fn peer(&self, attempt: &Attempt<'_>) -> Result<(HttpPeer, Lease), Fault> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let mut left: Vec<&Arc<Member>> = self.usable(attempt.tried);
        let mut reason = "no endpoint is healthy".to_owned();
        let patience = self.settings.timeouts.connect;
        while let Some(member) = self.choose(&mut left, turn, attempt.client) {
            match member.target(turn, attempt.tried, patience).await {
                Ok(target) => return self.take(member, target, attempt),
                Err(error) => reason = error,
            }
        }
        Err(Fault::UpstreamUnavailable { reason: reason.into(), retry_after: self.retry_after() })
    }

    /// Endpoints whose checks are good and that are not left out. Where requests alone left all
    /// out, all are taken: no answer is worse than one that may fail.
    fn usable(&self, tried: &[Target]) -> Vec<&Arc<Member>> {
        let now = self.clock.monotonic();
        let well: Vec<_> = self.members.iter().filter(|member| member.is_well()).collect();
        let open: Vec<_> = well.iter().filter(|member| member.is_open(now)).copied().collect();
        let usable = if open.is_empty() { well } else { open };
        let is_new = |member: &&Arc<Member>| !tried.iter().any(|one| member.is_only_at(one));
        let new: Vec<_> = usable.iter().copied().filter(is_new).collect();
        if new.is_empty() { usable } else { new }
    }

    /// Takes one out of those left.
    fn choose<'m>(
        &self,
        left: &mut Vec<&'m Arc<Member>>,
        turn: usize,
        client: Option<IpAddr>,
    ) -> Option<&'m Arc<Member>> {
        let candidates: Vec<_> = left
            .iter()
            .map(|member| Candidate { label: &member.label, requests: member.requests() })
            .collect();
        let index = balance::choose(&candidates, self.settings.balance, turn, client)?;
        Some(left.remove(index))
    }

    fn take(
        &self,
        member: &Arc<Member>,
        target: Target,
        attempt: &Attempt<'_>,
    ) -> Result<(HttpPeer, Lease), Fault> {
        // A key of its own finds no pooled connection; the new one idles out under it.
        let apart = if attempt.on_new_connection {
            self.apart.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
        } else {
            0
        };
        let endpoint = &member.endpoint;
        let peer = self.peers.peer(&target, endpoint, attempt.read, attempt.is_call, apart);
        let peer = peer.map_err(|reason| Fault::UpstreamUnavailable {
            reason: reason.into(),
            retry_after: self.retry_after(),
        })?;
        let terms = self.settings.eject.clone();
        Ok((peer, Lease::take(Arc::clone(member), target, terms, self.clock.clone())))
    }

    /// When another attempt makes sense: after the next check.
    fn retry_after(&self) -> Duration {
        self.settings.health.as_ref().map_or(SOON, |health| health.every.max(SOON))
    }
}

#[cfg(test)]
mod tests;
