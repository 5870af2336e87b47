//! Where certificates come from, as the file says it.

use std::path::PathBuf;

/// Two PEM files that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FilePair {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key of the leaf.
    pub key: PathBuf,
}

/// All sources of one store. Where two have a certificate for one name, the first serves it: files
/// come before ACME, and ACME before self-signed names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateSources {
    /// Pairs on disk.
    pub files: Vec<FilePair>,
    /// DNS names that certificates are ordered for, one each; `*.` and a parent is one too.
    pub acme: Vec<String>,
    /// DNS names and IP addresses of the one self-signed certificate; none is made if empty.
    pub self_signed: Vec<String>,
}
