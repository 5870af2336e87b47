//! Certificates and handshakes: rustls configurations, SNI, files, self-signed.
//!
//! [`CertificateStore`] holds what can be served and reads changed files again; [`TlsAcceptor`]
//! is one listener's policy over it: which version, which protocols, which certificate, or which
//! alert.

mod acceptor;
pub mod acme;
mod alert;
mod candidates;
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

pub use acceptor::TlsAcceptor;
pub use alert::Alert;
pub use error::TlsError;
pub use names::NameTable;
pub use pair::{CertifiedPair, check_client_pair, is_certificate};
pub use plan::{Minimum, Protocol, TlsPlan};
pub use provider::{install, provider};
pub use source::{CertificateSources, FilePair};
pub use status::{CertificateOrigin, CertificateStatus, ReloadReport};
pub use store::CertificateStore;

#[cfg(test)]
mod acceptor_tests;
#[cfg(test)]
mod choice_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod store_tests;
