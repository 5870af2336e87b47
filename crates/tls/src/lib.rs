//! Certificates and handshakes: rustls configurations, SNI, files, self-signed.
//!
//! [`CertificateStore`] holds what can be served and reads changed files again; [`TlsAcceptor`]
//! is one listener's policy over it: which version, which protocols, which certificate, or which
//! alert.

mod acceptor;
pub mod acme;
mod alert;
mod candidates;
mod client_anchors;
mod client_certificate;
mod client_terms;
mod client_tickets;
mod client_trust;
mod client_verifier;
mod distinguished_name;
mod entry;
mod error;
mod leaf;
mod names;
mod pair;
mod pair_files;
mod plan;
mod provider;
mod self_signed;
mod source;
mod status;
mod store;
mod tickets;

pub use acceptor::{Chosen, TlsAcceptor};
pub use alert::Alert;
pub use client_anchors::read_certificates;
pub use client_certificate::read_client_certificate;
pub use client_terms::{ClientMode, ClientTerms};
pub use client_trust::{ClientTrust, ClientTrustStatus, ClientTrusts, TrustReport};
pub use error::TlsError;
pub use names::NameTable;
pub use pair::{CertifiedPair, check_client_pair, is_certificate};
pub use plan::{HandshakePolicy, Minimum, NamePolicy, Protocol, TlsPlan};
pub use provider::{install, provider};
pub use source::{CertificateSources, FilePair};
pub use status::{CertificateOrigin, CertificateStatus, ReloadReport};
pub use store::CertificateStore;

#[cfg(test)]
mod acceptor_tests;
#[cfg(test)]
mod choice_tests;
#[cfg(test)]
mod client_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod store_tests;
