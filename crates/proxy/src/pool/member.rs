//! One endpoint of a pool, and a request's hold on it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::Clock;
use portcullis_policy::{Ejection, Endpoint, Place};

use crate::pool::ejection::Standing;
use crate::pool::names::Name;

/// One endpoint.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) endpoint: Endpoint,
    /// As logs and metrics name it.
    pub(crate) label: Box<str>,
    pub(crate) address: Address,
    requests: AtomicUsize,
    /// What the checks say; `true` where none are made.
    well: AtomicBool,
    standing: Mutex<Standing>,
    ejections: AtomicU64,
}

/// Where an endpoint is found.
#[derive(Debug)]
pub(crate) enum Address {
    /// At an address of the file.
    Literal(IpAddr),
    /// At the addresses of a name.
    Named(Arc<Name>),
    /// At the path of a socket.
    Unix(Arc<str>),
}

/// Where one attempt goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Tcp(SocketAddr),
    Unix(Arc<str>),
}

impl Member {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        let address = match &endpoint.place {
            Place::Unix(path) => Address::Unix(Arc::clone(path)),
            Place::Tcp { host, .. } => match host.parse() {
                Ok(literal) => Address::Literal(literal),
                Err(_) => Address::Named(Arc::new(Name::new(Arc::clone(host)))),
            },
        };
        Self {
            label: endpoint.to_string().into(),
            endpoint,
            address,
            requests: AtomicUsize::new(0),
            well: AtomicBool::new(true),
            standing: Mutex::default(),
            ejections: AtomicU64::new(0),
        }
    }

    /// Requests under way at it.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// How often it was left out.
    pub(crate) fn ejections(&self) -> u64 {
        self.ejections.load(Ordering::Relaxed)
    }

    /// Whether its checks say that it is well.
    pub(crate) fn is_well(&self) -> bool {
        self.well.load(Ordering::Relaxed)
    }

    pub(crate) fn set_well(&self, well: bool) {
        self.well.store(well, Ordering::Relaxed);
    }

    /// Whether it is not left out.
    pub(crate) fn is_open(&self, now: Duration) -> bool {
        self.standing.lock().is_open(now)
    }

    /// Whether `target` is its only address: where it was tried, it has no other.
    pub(crate) fn is_only_at(&self, target: &Target) -> bool {
        match (&self.address, &self.endpoint.place, target) {
            (Address::Literal(address), Place::Tcp { port, .. }, Target::Tcp(tried)) => {
                SocketAddr::new(*address, *port) == *tried
            }
            (Address::Unix(path), _, Target::Unix(tried)) => path == tried,
            _ => false,
        }
    }

    /// Where an attempt goes: one of its addresses, not one of `tried` as long as there are others.
    pub(crate) async fn target(
        &self,
        turn: usize,
        tried: &[Target],
        patience: Duration,
    ) -> Result<Target, String> {
        let Place::Tcp { port, .. } = &self.endpoint.place else {
            return match &self.address {
                Address::Unix(path) => Ok(Target::Unix(Arc::clone(path))),
                Address::Literal(_) | Address::Named(_) => Err("no address".to_owned()),
            };
        };
        match &self.address {
            Address::Literal(address) => Ok(Target::Tcp(SocketAddr::new(*address, *port))),
            Address::Named(name) => {
                let known = name.addresses(patience).await?;
                let all: Vec<Target> =
                    known.iter().map(|one| Target::Tcp(SocketAddr::new(*one, *port))).collect();
                let fresh: Vec<&Target> = all.iter().filter(|one| !tried.contains(one)).collect();
                let from = if fresh.is_empty() { all.iter().collect() } else { fresh };
                let index = turn.checked_rem(from.len()).unwrap_or_default();
                from.get(index).map(|one| (*one).clone()).ok_or_else(|| "no address".to_owned())
            }
            Address::Unix(path) => Ok(Target::Unix(Arc::clone(path))),
        }
    }
}

/// A request's hold on an endpoint: counted from the choice until it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) member: Arc<Member>,
    pub(crate) target: Target,
    terms: Ejection,
    clock: Clock,
}

impl Lease {
    pub(crate) fn take(member: Arc<Member>, target: Target, terms: Ejection, clock: Clock) -> Self {
        member.requests.fetch_add(1, Ordering::Relaxed);
        {
            let mut standing = member.standing.lock();
            *standing = standing.chosen(clock.monotonic(), &terms);
        }
        Self { member, target, terms, clock }
    }

    /// The endpoint answered, whatever it said.
    pub(crate) fn succeeded(&self) {
        let mut standing = self.member.standing.lock();
        *standing = standing.succeeded();
    }

    /// The endpoint failed the request.
    pub(crate) fn failed(&self) {
        let ejected = {
            let mut standing = self.member.standing.lock();
            let (next, ejected) = standing.failed(self.clock.monotonic(), &self.terms);
            *standing = next;
            ejected
        };
        if ejected {
            self.member.ejections.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(endpoint = %self.member.label, "endpoint left out: requests to it failed");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.member.requests.fetch_sub(1, Ordering::Relaxed);
    }
}
