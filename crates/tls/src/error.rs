//! What can be wrong with a certificate, its key or the plan made of them.

use std::path::PathBuf;

use thiserror::Error;

/// Why a certificate or a TLS plan cannot be used. All are for the operator to act on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The key is under a passphrase.
    #[error("the private key is protected by a passphrase: write it without one")]
    EncryptedKey,
    /// The leaf is past its end.
    #[error("the certificate expired on {not_after}")]
    Expired {
        /// RFC 3339.
        not_after: String,
    },
    /// The chain is no list of certificates in PEM.
    #[error("not a PEM certificate chain: {reason}")]
    InvalidChain {
        /// What the parser said.
        reason: String,
    },
    /// A revocation list cannot be used.
    #[error("not a usable certificate revocation list: {reason}")]
    InvalidCrl {
        /// What is wrong with it.
        reason: String,
    },
    /// The authorities of clients cannot be used.
    #[error("not a usable bundle of authorities: {reason}")]
    InvalidTrust {
        /// What is wrong with it.
        reason: String,
    },
    /// The key is no private key in PEM that we can use.
    #[error("not a usable PEM private key: {reason}")]
    InvalidKey {
        /// What the parser said; never key material.
        reason: String,
    },
    /// The key is not that of the first certificate.
    #[error("the private key does not belong to the first certificate of the chain")]
    KeyMismatch,
    /// A certificate was brought for a name that is none of its own.
    #[error("the certificate is not for {name}")]
    OtherName {
        /// The name it was brought for.
        name: String,
    },
    /// A certificate was brought for a name that none is ordered for.
    #[error("no certificate is ordered for {name}")]
    NotOrdered {
        /// The name.
        name: String,
    },
    /// The leaf names nobody.
    #[error("the certificate has no DNS name or IP address in its subject alternative names")]
    NoNames,
    /// The leaf says what it is for, and that is not servers.
    #[error("the certificate is not for servers: its extended key usage lacks serverAuth")]
    NotForServers,
    /// The leaf is not good yet.
    #[error("the certificate is not valid before {not_before}")]
    NotYetValid {
        /// RFC 3339.
        not_before: String,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A key or a signature is too weak to prove anything.
    #[error("too weak: {reason}")]
    Weak {
        /// What of it.
        reason: String,
    },
    /// `without_sni` names no certificate we have.
    #[error("no certificate is for {name}, which is to serve clients that send no server name")]
    WithoutSniUnknown {
        /// The name.
        name: String,
    },
    /// The crypto library refused.
    #[error("the TLS library refused: {reason}")]
    Library {
        /// What it said.
        reason: String,
    },
}

impl TlsError {
    #[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
    pub(crate) fn library(error: impl ToString) -> Self {
        Self::Library { reason: error.to_string() }
    }
}
