//! What connections may cost: every deadline, size and count of the edge.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use portcullis_tls::{Protocol, TlsAcceptor};

/// Limits of connections, replaced as a whole by a reload. A connection reads them when it is
/// accepted and again for each of its HTTP/1.1 requests.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    /// Connections of the process, over all listeners.
    pub maximum: usize,
    /// Connections of one client address (IPv6: of one prefix), over all listeners.
    pub per_client: usize,
    /// Peers that `per_client` does not hold: trusted proxies.
    pub per_client_exempt: Vec<IpNet>,
    /// Bits of an IPv6 address that make one client.
    pub ipv6_prefix: u8,
    /// From accept to the end of the TLS handshake.
    pub tls_handshake: Duration,
    /// For a whole request head, from its first byte; for the first head of a connection, and for
    /// the HTTP/2 preface, from the end of the handshake.
    pub head_time: Duration,
    /// Bytes of a request head, its request line and last empty line included.
    pub head_size: usize,
    /// Fields of a request head.
    pub head_fields: usize,
    /// Bytes of a request target.
    pub target_size: usize,
    /// Bytes a second that the body of an HTTP/1 request must have, on average and after
    /// `body_grace`; time in which nobody reads it does not count. 0: any rate will do.
    pub minimum_body_rate: u64,
    /// Waiting time that every body has beside what the rate gives it.
    pub body_grace: Duration,
    /// For a refusal to be taken by the client. Other answers: the proxy sets it per request.
    pub write: Duration,
    /// Between requests on one connection.
    pub idle: Duration,
    /// HTTP/2 streams open at once on one connection.
    pub streams_per_connection: u32,
    /// Fields that every refusal carries beside its own, such as the security headers.
    pub answer_fields: Vec<(HeaderName, HeaderValue)>,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            maximum: 20_000,
            per_client: 256,
            per_client_exempt: Vec::new(),
            ipv6_prefix: 64,
            tls_handshake: Duration::from_secs(10),
            head_time: Duration::from_secs(10),
            head_size: 32 * 1024,
            head_fields: 100,
            target_size: 8 * 1024,
            minimum_body_rate: 500,
            body_grace: Duration::from_secs(10),
            write: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            streams_per_connection: 128,
            answer_fields: Vec::new(),
        }
    }
}

/// What makes one listener.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// Its name in the file.
    pub name: Arc<str>,
    /// Its TLS policy, replaced at runtime; `None` is cleartext.
    pub tls: Option<Arc<ArcSwap<TlsAcceptor>>>,
    /// What is spoken in cleartext, replaced at runtime: HTTP/2 is recognised by its preface. With
    /// TLS the policy says what may be agreed on.
    pub protocols: Arc<ArcSwap<Vec<Protocol>>>,
    /// Peers that must begin with a header of the PROXY protocol, replaced at runtime. It is read
    /// from no other.
    pub proxies: Arc<ArcSwap<Vec<IpNet>>>,
}

impl ListenerSettings {
    /// A listener whose peers are its clients, and speak HTTP/1.1 in cleartext.
    pub fn new(name: impl Into<Arc<str>>, tls: Option<Arc<ArcSwap<TlsAcceptor>>>) -> Self {
        let protocols = Arc::new(ArcSwap::from_pointee(vec![Protocol::Http11]));
        Self { name: name.into(), tls, protocols, proxies: Arc::default() }
    }
}
