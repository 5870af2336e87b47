//! Names of endpoints: asked for again when their answers end, the last good answer kept.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tokio::sync::watch;

/// Bounds of the time for which an answer is used before it is asked for again.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);
/// From a failed question to the next.
const AGAIN: Duration = Duration::from_secs(2);
/// Most time for one question, all servers and attempts together.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who is asked.
#[derive(Clone, Debug, Default)]
pub enum Resolver {
    /// The servers of `/etc/resolv.conf`, after `/etc/hosts`; both are read at each question.
    #[default]
    System,
    /// These servers alone, over UDP.
    Servers(Arc<[SocketAddr]>),
}

impl Resolver {
    fn build(&self) -> Result<TokioResolver, String> {
        let mut builder = match self {
            Self::System => TokioResolver::builder_tokio().map_err(|error| error.to_string())?,
            Self::Servers(servers) => {
                let servers = servers.iter().map(|server| {
                    let mut connection = ConnectionConfig::udp();
                    connection.port = server.port();
                    NameServerConfig::new(server.ip(), true, vec![connection])
                });
                let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.cache_size = 0;
        if matches!(self, Self::Servers(_)) {
            options.use_hosts_file = ResolveHosts::Never;
        }
        builder.build().map_err(|error| error.to_string())
    }

    /// The addresses of `host`, and for how long they hold.
    async fn look_up(&self, host: &str) -> Result<(Vec<IpAddr>, Duration), String> {
        let this = self.clone();
        let built = tokio::task::spawn_blocking(move || this.build()).await;
        let resolver = built.map_err(|error| error.to_string())??;
        let asked = tokio::time::timeout(PATIENCE, resolver.lookup_ip(host)).await;
        let asked = asked.map_err(|_| "no answer in time".to_owned())?;
        let answer = asked.map_err(|error| error.to_string())?;
        let mut addresses: Vec<IpAddr> = answer.iter().collect();
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() {
            return Err("the name has no address".to_owned());
        }
        let shortest = answer.as_lookup().answers().iter().map(|record| record.ttl).min();
        let holds = Duration::from_secs(shortest.unwrap_or_default().into());
        Ok((addresses, holds.clamp(SHORTEST, LONGEST)))
    }
}

#[derive(Clone, Debug)]
enum Known {
    /// Not answered yet.
    Nothing,
    /// Asked for in vain, and never had.
    Failed(Arc<str>),
    /// The last good answer.
    Addresses(Arc<[IpAddr]>),
}

/// A name, and what is known of it.
#[derive(Debug)]
pub(crate) struct Name {
    host: Arc<str>,
    known: watch::Sender<Known>,
    failures: AtomicU64,
}

impl Name {
    pub(crate) fn new(host: Arc<str>) -> Self {
        Self { host, known: watch::Sender::new(Known::Nothing), failures: AtomicU64::new(0) }
    }

    /// How often it was asked for in vain.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Its addresses: those known, or the first answer, if it comes within `patience`.
    pub(crate) async fn addresses(&self, patience: Duration) -> Result<Arc<[IpAddr]>, String> {
        let mut watching = self.known.subscribe();
        let first = watching.wait_for(|known| !matches!(known, Known::Nothing));
        let known = match tokio::time::timeout(patience, first).await {
            Ok(Ok(known)) => known.clone(),
            Ok(Err(_)) | Err(_) => Known::Nothing,
        };
        match known {
            Known::Addresses(addresses) => Ok(addresses),
            Known::Failed(reason) => Err(reason.to_string()),
            Known::Nothing => Err("the name was not resolved yet".to_owned()),
        }
    }

    /// Asks, again and again, as long as the task lives.
    pub(crate) async fn keep(self: Arc<Self>, resolver: Resolver) {
        loop {
            let wait = match resolver.look_up(&self.host).await {
                Ok((addresses, holds)) => {
                    self.known.send_replace(Known::Addresses(addresses.into()));
                    holds
                }
                Err(reason) => {
                    self.note_failure(&reason);
                    AGAIN
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    fn note_failure(&self, reason: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(host = %self.host, reason, "upstream name not resolved, the last addresses stay");
        self.known.send_if_modified(|known| {
            let never_had = !matches!(known, Known::Addresses(_));
            if never_had {
                *known = Known::Failed(reason.into());
            }
            never_had
        });
    }
}
