//! What is known of a connection before its first request.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::{ClientPolicy, ShownCertificate};

/// One connection: made once at accept, shared by all its requests.
#[derive(Clone, Debug)]
pub struct ConnMeta {
    /// Name of the listener it came in on.
    pub listener: Arc<str>,
    /// The client: the TCP peer, or whom a balancer announced; `None` on a unix socket.
    pub peer: Option<SocketAddr>,
    /// The balancer that announced `peer` by the PROXY protocol.
    pub proxy: Option<SocketAddr>,
    /// What the client connected to; `None` on a unix socket.
    pub local: Option<SocketAddr>,
    /// The handshake's outcome; `None` on a cleartext listener.
    pub tls: Option<TlsMeta>,
}

impl ConnMeta {
    /// The address that rules and limits know the peer by: `0.0.0.0` on a unix socket.
    pub fn address(&self) -> IpAddr {
        self.peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip())
    }
}

/// What a TLS handshake settled.
#[derive(Clone, Debug)]
pub struct TlsMeta {
    /// Server name that the client asked for, in lower case.
    pub server_name: Option<String>,
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// Cipher suite, by its IANA name.
    pub cipher_suite: &'static str,
    /// Key exchange group, by its IANA name.
    pub group: Option<&'static str>,
    /// Whether a ticket stood in for a full handshake.
    pub resumed: bool,
    /// Which certificates were asked of the client.
    pub policy: ClientPolicy,
    /// The one it showed; `None` where it showed none.
    pub client: Option<ShownCertificate>,
}
