//! What an authority asks for, and who can answer it.

use std::fmt;

use async_trait::async_trait;
use portcullis_core::Secret;

/// A way to show that a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChallengeType {
    /// A file over HTTP on port 80 (RFC 8555 §8.3).
    Http01,
    /// A TXT record (RFC 8555 §8.4); the only one that proves a wildcard.
    Dns01,
    /// A certificate in a handshake on port 443 (RFC 8737).
    TlsAlpn01,
}

impl ChallengeType {
    /// Its name in the registry of ACME validation methods.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::Dns01 => "dns-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }
}

/// One challenge, for one name of an order.
#[derive(Clone)]
pub struct Challenge {
    /// Which way.
    pub kind: ChallengeType,
    /// The DNS name in lower case, without `*.`.
    pub name: String,
    /// The authority's token.
    pub token: String,
    /// What proves the account (RFC 8555 §8.1): the token and the thumbprint of the account key.
    pub key_authorization: Secret,
}

impl Challenge {
    pub(crate) fn unsolved(&self, reason: impl Into<String>) -> SolveError {
        SolveError { kind: self.kind, name: self.name.clone(), reason: reason.into() }
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge")
            .field("kind", &self.kind.as_str())
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Why a challenge could not be answered. It counts as a failed attempt for its name alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} for {name}: {reason}", kind = kind.as_str())]
pub struct SolveError {
    /// Which way.
    pub kind: ChallengeType,
    /// The name.
    pub name: String,
    /// What went wrong; for the operator.
    pub reason: String,
}

/// Makes answers to challenges visible to the authority.
#[async_trait]
pub trait Solver: fmt::Debug + Send + Sync {
    /// Makes the answer visible; when this returns, the authority may look, at any replica.
    async fn present(&self, challenge: &Challenge) -> Result<(), SolveError>;

    /// Takes the answer away again, whatever came of it. Failures are logged, never passed on.
    async fn withdraw(&self, challenge: &Challenge);
}
