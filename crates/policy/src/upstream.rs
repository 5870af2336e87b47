//! Where requests go: settings of a named pool of endpoints.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::Secret;

/// A named pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Its name in the file.
    pub name: Arc<str>,
    /// The endpoints, at least one.
    pub endpoints: Vec<Endpoint>,
    /// How one of them is chosen.
    pub balance: Balance,
    /// How they are asked whether they are well; `None`: not asked.
    pub health: Option<HealthCheck>,
    /// When an endpoint that fails requests is left out for a while.
    pub eject: Ejection,
    /// Time-outs of one attempt.
    pub timeouts: UpstreamTimeouts,
    /// Further attempts after the first.
    pub retries: u32,
    /// How https endpoints are checked; `None` where none is https.
    pub tls: Option<UpstreamTls>,
    /// What the endpoint gets as `Host`.
    pub host_header: HostHeader,
}

/// One member of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What is spoken to it.
    pub scheme: Scheme,
    /// Where it is.
    pub place: Place,
}

/// What is spoken to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP/2 in cleartext, by prior knowledge (RFC 9113 §3.3).
    H2c,
    /// HTTP/1.1 in cleartext.
    Http,
    /// Over TLS: HTTP/1.1, and HTTP/2 for gRPC.
    Https,
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the network.
    Tcp {
        /// Host name or address literal (IPv6 without brackets).
        host: Arc<str>,
        /// Its port.
        port: u16,
    },
    /// A unix socket, by its path.
    Unix(Arc<str>),
}

impl Endpoint {
    /// `host:port`, brackets around IPv6, as a `Host` field has it; `localhost` for a unix socket.
    pub fn authority(&self) -> String {
        match &self.place {
            Place::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Place::Tcp { host, port } => format!("{host}:{port}"),
            Place::Unix(_) => "localhost".to_owned(),
        }
    }

    /// Whether it is spoken to over TLS.
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::Https
    }
}

/// As logs and metrics name it: `host:port` or `unix:/path`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp { .. } => f.write_str(&self.authority()),
            Place::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// By the client's address: the same endpoint as long as it can be used.
    HashAddress,
    /// The one with the fewest requests under way.
    LeastRequests,
    /// One after the other.
    #[default]
    RoundRobin,
}

/// How an endpoint is asked whether it is well: a `GET` on a connection of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Path and query asked for.
    pub path: Arc<str>,
    /// The `Host` sent; `None`: the endpoint's own authority.
    pub host: Option<Arc<str>>,
    /// Statuses that mean well.
    pub expect: Vec<u16>,
    /// From one check to the next.
    pub every: Duration,
    /// Most time for one check.
    pub timeout: Duration,
    /// Failed checks in a row after which it is left out.
    pub unhealthy_after: u32,
    /// Good checks in a row after which it is taken again.
    pub healthy_after: u32,
}

/// When an endpoint that fails requests is left out for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Failed requests in a row.
    pub after_failures: u32,
    /// How long it gets none; then one is tried.
    pub pause: Duration,
}

impl Default for Ejection {
    fn default() -> Self {
        Self { after_failures: 5, pause: Duration::from_secs(10) }
    }
}

/// Time-outs of one attempt at an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// For the TCP connection and the TLS handshake.
    pub connect: Duration,
    /// From the last byte of the request to the head of the answer.
    pub response_head: Duration,
    /// Between two reads of the answer's body.
    pub between_reads: Duration,
    /// For one write.
    pub write: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            response_head: Duration::from_secs(30),
            between_reads: Duration::from_mins(1),
            write: Duration::from_secs(30),
            idle: Duration::from_secs(4),
        }
    }
}

/// How an https endpoint is checked. There is no way to leave the check out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Certificates (DER) of authorities trusted for it; `None`: those of the system.
    pub trust: Option<Arc<[Vec<u8>]>>,
    /// The name its certificate must have; `None`: the endpoint's host.
    pub server_name: Option<Arc<str>>,
    /// What the gateway shows of itself.
    pub client_certificate: Option<ClientPair>,
}

/// A certificate that the gateway shows to an app, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPair {
    /// The chain (DER), the gateway's own certificate first.
    pub chain: Arc<[Vec<u8>]>,
    /// The private key (DER).
    pub key: Secret,
}

/// What an endpoint gets as `Host`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostHeader {
    /// The endpoint's own authority.
    Endpoint,
    /// The host the client asked for.
    #[default]
    Keep,
}
