//! What an operator may know of the certificates in use.

use portcullis_core::Timestamp;

use crate::FilePair;

/// Where a certificate came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CertificateOrigin {
    /// A pair on disk.
    Files(FilePair),
    /// Made at start by ourselves.
    SelfSigned,
}

/// One certificate as it is served now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateStatus {
    /// Where it came from.
    pub origin: CertificateOrigin,
    /// Its DNS names and IP addresses.
    pub names: Vec<String>,
    /// When it ends.
    pub not_after: Timestamp,
    /// Whole days until then; 0 on the last day and after.
    pub days_left: u64,
    /// Why the last attempt to read it again failed; the pair served is the one before.
    pub last_error: Option<String>,
}

/// What one round of reading the sources again did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadReport {
    /// Certificates that were replaced.
    pub replaced: usize,
    /// Certificates that are as they were.
    pub unchanged: usize,
    /// What could not be read, and why; these are served as they were.
    pub failed: Vec<(CertificateOrigin, String)>,
}
