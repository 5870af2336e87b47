//! What an operator may know of the certificates in use.

use std::fmt;

use portcullis_core::Timestamp;

use crate::FilePair;

/// Where a certificate came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CertificateOrigin {
    /// Ordered by ACME for this name.
    Acme(String),
    /// A pair on disk.
    Files(FilePair),
    /// Made at start by ourselves.
    SelfSigned,
}

impl fmt::Display for CertificateOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acme(name) => write!(f, "acme {name}"),
            Self::Files(files) => files.certificate.display().fmt(f),
            Self::SelfSigned => f.write_str("self_signed"),
        }
    }
}

/// One certificate as it is served now, or awaited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateStatus {
    /// Where it came from.
    pub origin: CertificateOrigin,
    /// Its DNS names and IP addresses, or those it is awaited for.
    pub names: Vec<String>,
    /// The kind of its key: `P-256`, `P-384`, `P-521`, `Ed25519`, `RSA`; `None` where there is none
    /// yet.
    pub key: Option<&'static str>,
    /// When it begins; `None` where there is none yet.
    pub not_before: Option<Timestamp>,
    /// When it ends; `None` where there is none yet.
    pub not_after: Option<Timestamp>,
    /// Whole days until then; 0 on the last day and after, `None` where there is none yet.
    pub days_left: Option<u64>,
    /// Why the last attempt to replace it failed; the pair served is the one before.
    pub last_error: Option<String>,
}

/// What one round of reading the sources again did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadReport {
    /// Certificates that were replaced.
    pub replaced: usize,
    /// Certificates that are as they were.
    pub unchanged: usize,
    /// What was refused, and why, where that is news; these are served as they were.
    pub failed: Vec<(CertificateOrigin, String)>,
    /// Names that were served and for which the certificates that were taken are not.
    pub lost: Vec<String>,
    /// What is served although its time is over, as was not told before.
    pub expired: Vec<(CertificateOrigin, String)>,
}
