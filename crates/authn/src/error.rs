//! Why a token was not accepted, and why an issuer could not be set up.

use std::borrow::Cow;
use std::time::Duration;

use thiserror::Error;

/// Why no principal came out of a token.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TokenFailure {
    /// The token is not good; the client must get another. The reason is for the log alone.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
    /// It is none of the issuer's: a guess or a forgery, and none that was good once, or is elsewhere.
    /// The reason is for the log alone.
    #[error("{0}")]
    Wrong(Cow<'static, str>),
    /// No key to judge it with: none was ever had, or those had are too old.
    #[error("the issuer's keys are not available")]
    KeysUnavailable {
        /// When the next attempt to get them is due; at least one second.
        retry_after: Duration,
    },
    /// The issuer's introspection server says nothing of it: it is down, slow, or does not let us ask.
    #[error("the introspection server is not available: {reason}")]
    ServerUnavailable {
        /// What went wrong, for the log alone.
        reason: Cow<'static, str>,
        /// When another attempt makes sense.
        retry_after: Duration,
    },
    /// Whether it was revoked is not known at the moment.
    #[error("the revocations cannot be read")]
    StateUnavailable,
}

impl TokenFailure {
    pub(crate) const fn because(reason: &'static str) -> Self {
        Self::Invalid(Cow::Borrowed(reason))
    }

    pub(crate) const fn wrong(reason: &'static str) -> Self {
        Self::Wrong(Cow::Borrowed(reason))
    }
}

/// What is wrong with the settings of an issuer or of the identity token.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AuthnError {
    /// The operator must give a P-256, P-384, Ed25519 or RSA key as PEM of PKCS#8.
    #[error("this is no P-256, P-384, Ed25519 or RSA private key in PEM of PKCS#8")]
    AssertionKey,
    /// The operator must give an ES256 key (P-256) as PEM of PKCS#8 (`BEGIN PRIVATE KEY`).
    #[error("the identity key is not a P-256 private key in PEM of PKCS#8")]
    IdentityKey,
    /// A defect of ours: the identity token could not be signed.
    #[error("the identity token could not be signed")]
    IdentitySigning,
    /// The operator must give an https URL; http is taken for loopback alone.
    #[error("{url}: {reason}")]
    KeyUrl {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The operator must give certificates of the issuer's CA in PEM.
    #[error("the issuer's trust file holds no usable certificate: {reason}")]
    Trust {
        /// What is wrong with it.
        reason: String,
    },
}
