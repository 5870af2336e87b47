//! Who may call a route.

use std::sync::Arc;

use portcullis_authn::Issuer;
use portcullis_core::AlternativeName;

use crate::Origin;

/// The demand of a route. There is no default: the file says it in words.
#[derive(Clone, Debug)]
pub enum Access {
    /// A good credential of one of the ways, or none at all where `anonymous` stands among them.
    AnyOf {
        /// Tokens that suffice.
        ways: Vec<Way>,
        /// Client certificates that suffice; with `ways` at least one.
        certificates: Vec<CertificateWay>,
        /// Client certificates that are needed on top, each of them.
        also: Vec<CertificateWay>,
        /// Whether a request without any credential passes too.
        anonymous: bool,
        /// Roles of which the principal needs one; empty: none needed.
        roles: Vec<String>,
        /// The line of `access`.
        origin: Origin,
    },
    /// Anybody.
    Public {
        /// The line of `access`.
        origin: Origin,
    },
}

/// One entry of `any_of`: a token of this issuer with all of these scopes.
#[derive(Clone, Debug)]
pub struct Way {
    /// Who must have issued the token.
    pub issuer: Arc<Issuer>,
    /// Scopes the token must have, all of them.
    pub scopes: Vec<String>,
    /// The line of the entry.
    pub origin: Origin,
}

/// A client certificate that was verified in the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateWay {
    /// Names of which it must have one; empty: whoever it names.
    pub names: Vec<AlternativeName>,
    /// The line of the entry.
    pub origin: Origin,
}

impl Access {
    /// The line that says it.
    pub const fn origin(&self) -> Origin {
        match self {
            Self::AnyOf { origin, .. } | Self::Public { origin } => *origin,
        }
    }
}
