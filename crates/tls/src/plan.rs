//! What a listener promises in a handshake: versions, protocols, names.

use crate::{CertificateStore, ClientTerms, ClientTrusts};

/// The oldest TLS version that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Minimum {
    /// TLS 1.2 with ECDHE and AEAD, and 1.3.
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

/// An application protocol offered by ALPN (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `h2`.
    H2,
    /// `http/1.1`.
    Http11,
}

impl Protocol {
    /// Its ALPN identifier.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::H2 => "h2",
            Self::Http11 => "http/1.1",
        }
    }
}

/// What is asked of a client in its handshake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HandshakePolicy {
    /// Oldest version.
    pub minimum: Minimum,
    /// Which certificates; `None` asks for none.
    pub clients: Option<ClientTerms>,
}

/// What a host name says of handshakes where it differs from the listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamePolicy {
    /// Oldest version; `None` is the listener's.
    pub minimum: Option<Minimum>,
    /// Which certificates; the outer `None` is the listener's, the inner one asks for none.
    pub clients: Option<Option<ClientTerms>>,
}

impl NamePolicy {
    /// What holds for the name on a listener with `policy`.
    pub fn over(&self, policy: &HandshakePolicy) -> HandshakePolicy {
        HandshakePolicy {
            minimum: self.minimum.unwrap_or(policy.minimum),
            clients: self.clients.clone().unwrap_or_else(|| policy.clients.clone()),
        }
    }
}

/// The TLS policy of one listener, from which a [`crate::TlsAcceptor`] is made.
#[derive(Clone, Debug)]
pub struct TlsPlan {
    /// What can be served.
    pub certificates: CertificateStore,
    /// What is asked of clients, where no name says otherwise.
    pub policy: HandshakePolicy,
    /// What host names say otherwise, the first entry for a name before others; `*.` and a parent
    /// stands for one label more.
    pub by_name: Vec<(String, NamePolicy)>,
    /// Whom the certificates of clients must come from: has all terms of the policies.
    pub trusts: ClientTrusts,
    /// The name assumed for a client that sends none; `None` refuses it.
    pub without_sni: Option<String>,
    /// What is offered by ALPN, most wanted first.
    pub protocols: Vec<Protocol>,
}
