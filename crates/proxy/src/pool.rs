//! Upstreams at work: endpoints in turn, names resolved in the background, one peer per attempt.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use pingora::protocols::ALPN;
use pingora::upstreams::peer::{H1UpgradePolicy, HttpPeer, HttpUpstreamRequestPolicy};
use pingora::utils::tls::{WrappedX509, parse_x509};
use portcullis_core::{Clock, Fault};
use portcullis_policy::{Endpoint, UpstreamSettings};
use thiserror::Error;

/// How long an answer of the resolver is used before it is asked again in the background.
const RESOLVE_EVERY: Duration = Duration::from_secs(5);

/// Why a pool could not be built. The file must be mended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The trust bundle holds something that is no certificate.
    #[error("a certificate of the trust bundle cannot be read")]
    Trust,
}

/// A named pool of endpoints; outlives a reload that does not change its settings.
pub struct Pool {
    settings: Arc<UpstreamSettings>,
    endpoints: Vec<Arc<Resolved>>,
    next: AtomicUsize,
    trust: Option<Arc<[WrappedX509]>>,
    group: u64,
    clock: Clock,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Resolved {
    endpoint: Endpoint,
    addresses: ArcSwapOption<Answer>,
    asking: AtomicBool,
}

#[derive(Debug)]
struct Answer {
    addresses: Vec<SocketAddr>,
    at: Duration,
}

impl Pool {
    /// Builds the pool; resolves nothing yet.
    pub fn new(settings: Arc<UpstreamSettings>, clock: Clock) -> Result<Self, PoolError> {
        let trust = settings.tls.as_ref().and_then(|tls| tls.trust.as_ref());
        let trust = trust.map(|ders| wrap(ders)).transpose()?;
        let endpoints = settings.endpoints.iter().map(|endpoint| {
            let addresses = ArcSwapOption::empty();
            Arc::new(Resolved {
                endpoint: endpoint.clone(),
                addresses,
                asking: AtomicBool::new(false),
            })
        });
        Ok(Self {
            endpoints: endpoints.collect(),
            next: AtomicUsize::new(0),
            group: group(&settings),
            trust,
            settings,
            clock,
        })
    }

    /// Its settings.
    pub fn settings(&self) -> &Arc<UpstreamSettings> {
        &self.settings
    }

    /// The peer for the next attempt, and its endpoint.
    pub(crate) async fn peer(&self, read: Duration) -> Result<(HttpPeer, &Endpoint), Fault> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let unavailable = |reason: String| Fault::UpstreamUnavailable { reason: reason.into() };
        let index = turn.checked_rem(self.endpoints.len()).unwrap_or_default();
        let Some(resolved) = self.endpoints.get(index) else {
            return Err(unavailable("no endpoint".to_owned()));
        };
        let address = resolved.address(turn, &self.clock).await.map_err(unavailable)?;
        Ok((self.peer_at(address, &resolved.endpoint, read), &resolved.endpoint))
    }

    fn peer_at(&self, address: SocketAddr, endpoint: &Endpoint, read: Duration) -> HttpPeer {
        let timeouts = &self.settings.timeouts;
        let server_name = self.settings.tls.as_ref().and_then(|tls| tls.server_name.as_ref());
        // Never empty: pingora's rustls connector checks no certificate for an empty name.
        let server_name = server_name.unwrap_or(&endpoint.host).to_string();
        let mut peer = HttpPeer::new(address, endpoint.https, server_name);
        peer.group_key = self.group;
        let options = &mut peer.options;
        options.alpn = ALPN::H1;
        options.ca.clone_from(&self.trust);
        options.connection_timeout = Some(timeouts.connect);
        options.total_connection_timeout = Some(timeouts.connect);
        options.read_timeout = Some(read);
        options.write_timeout = Some(timeouts.write);
        options.idle_timeout = Some(timeouts.idle);
        options.http_upstream_request_policy = upstream_request_policy();
        peer
    }
}

/// Hop-by-hop fields go, no upgrade passes.
fn upstream_request_policy() -> HttpUpstreamRequestPolicy {
    HttpUpstreamRequestPolicy {
        h1_upgrade: H1UpgradePolicy::Deny,
        ..HttpUpstreamRequestPolicy::default()
    }
}

fn wrap(ders: &[Vec<u8>]) -> Result<Arc<[WrappedX509]>, PoolError> {
    let sound = |der: &Vec<u8>| rustls_pki_types::CertificateDer::from(der.as_slice()).len() > 1;
    if !ders.iter().all(sound) {
        return Err(PoolError::Trust);
    }
    Ok(ders.iter().map(|der| WrappedX509::new(der.clone(), parse_x509)).collect())
}

/// Connections are reused only within one upstream and one set of TLS settings.
fn group(settings: &UpstreamSettings) -> u64 {
    let mut hasher = DefaultHasher::new();
    settings.name.hash(&mut hasher);
    if let Some(tls) = &settings.tls {
        tls.trust.hash(&mut hasher);
        tls.server_name.hash(&mut hasher);
    }
    hasher.finish()
}

impl Resolved {
    /// An address of the endpoint: a literal, a fresh answer, or the last good one while a new one
    /// is asked for.
    async fn address(self: &Arc<Self>, turn: usize, clock: &Clock) -> Result<SocketAddr, String> {
        if let Ok(literal) = self.endpoint.host.parse::<IpAddr>() {
            return Ok(SocketAddr::new(literal, self.endpoint.port));
        }
        let answer = if let Some(answer) = self.addresses.load_full() {
            if clock.monotonic().saturating_sub(answer.at) >= RESOLVE_EVERY {
                self.refresh(clock.clone());
            }
            answer
        } else {
            self.resolve(clock).await?
        };
        let index = turn.checked_rem(answer.addresses.len()).unwrap_or_default();
        answer.addresses.get(index).copied().ok_or_else(|| "the name has no address".to_owned())
    }

    fn refresh(self: &Arc<Self>, clock: Clock) {
        if self.asking.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(reason) = this.resolve(&clock).await {
                tracing::warn!(host = %this.endpoint.host, %reason, "upstream name not resolved, the last addresses stay");
            }
            this.asking.store(false, Ordering::Release);
        });
    }

    async fn resolve(&self, clock: &Clock) -> Result<Arc<Answer>, String> {
        let found = tokio::net::lookup_host((&*self.endpoint.host, self.endpoint.port)).await;
        let mut addresses: Vec<SocketAddr> = found.map_err(|error| error.to_string())?.collect();
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() {
            return Err("the name has no address".to_owned());
        }
        let answer = Arc::new(Answer { addresses, at: clock.monotonic() });
        self.addresses.store(Some(Arc::clone(&answer)));
        Ok(answer)
    }
}
