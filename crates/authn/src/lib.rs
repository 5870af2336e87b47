//! Turns credentials into a Principal or a reason.
//!
//! A token walks through [`Issuer::verify`]: strict parse, claims judged, key chosen, signature
//! verified. What was verified once is remembered by its digest; its claims are judged again on
//! every request. The keys of an issuer live in a [`KeyCache`], which outlives a reload. What an opaque
//! token says is asked of its issuer's [`IntrospectionServer`].

pub mod bearer;
pub mod dpop;
pub mod identity;

mod alg;
mod api_keys;
mod binding;
mod certificate;
mod claims;
mod compact;
mod error;
mod fetch;
mod introspection;
mod issuer;
mod jwk;
mod key_cache;
mod key_set;
#[cfg(test)]
mod mutations;
mod principal;
mod revocations;
mod roca;
mod schedule;
mod settings;
mod signed;
mod source;
mod stand_in;
mod strict_json;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod testing;
mod token_cache;
mod unverified;
#[cfg(test)]
mod vectors;

pub use alg::Alg;
pub use api_keys::{
    API_KEY, ApiKeys, DayView, Issued, KeyFailure, KeyState, KeyView, ManageError, NewKey, Numbers,
    SecretView, claimed_key_id,
};
pub use binding::Binding;
pub use certificate::{CLIENT_CERTIFICATE, of_certificate};
pub use dpop::{DpopProofs, ProofFailure, ProofStatus};
pub use error::{AuthnError, TokenFailure};
pub use introspection::{
    AssertionKey, ClientAuthentication, IntrospectionServer, IntrospectionSettings,
    IntrospectionStatus,
};
pub use issuer::Issuer;
pub use key_cache::{KeyCache, KeyStatus};
pub use revocations::{
    MAXIMUM as MAXIMUM_REVOCATIONS, NewRevocation, Revocation, RevocationError, Revocations,
    Revoked, Term,
};
pub use settings::{ClaimPaths, IssuerSettings, KeySource, Possession, Proof, ReadFrom, Refresh};
pub use stand_in::{ProofOf, StandIn};
pub use unverified::{unverified_issuer, unverified_jti, with_claimed_account};
