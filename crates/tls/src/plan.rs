//! What a listener promises in a handshake: versions, protocols, names.

use std::collections::HashMap;

use crate::CertificateStore;

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

/// The TLS policy of one listener, from which a [`crate::TlsAcceptor`] is made.
#[derive(Clone, Debug)]
pub struct TlsPlan {
    /// What can be served.
    pub certificates: CertificateStore,
    /// Oldest version, where no name says otherwise.
    pub minimum: Minimum,
    /// Oldest version by host name; `*.` and a parent stands for one label more.
    pub by_name: HashMap<String, Minimum>,
    /// The name assumed for a client that sends none; `None` refuses it.
    pub without_sni: Option<String>,
    /// What is offered by ALPN, most wanted first.
    pub protocols: Vec<Protocol>,
}
