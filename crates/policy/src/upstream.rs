//! Where requests go: settings of a named pool of endpoints.

use std::sync::Arc;
use std::time::Duration;

/// A named pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Its name in the file.
    pub name: Arc<str>,
    /// The endpoints, at least one, taken in turn.
    pub endpoints: Vec<Endpoint>,
    /// Time-outs of one attempt.
    pub timeouts: UpstreamTimeouts,
    /// Further attempts after the first.
    pub retries: u32,
    /// How https endpoints are checked; `None` where all are http.
    pub tls: Option<UpstreamTls>,
    /// What the endpoint gets as `Host`.
    pub host_header: HostHeader,
}

/// One address in a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether it is spoken to over TLS.
    pub https: bool,
    /// Host name or address literal (IPv6 without brackets).
    pub host: Arc<str>,
    /// Its port.
    pub port: u16,
}

impl Endpoint {
    /// `host:port`, brackets around IPv6, as a `Host` field has it.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
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
