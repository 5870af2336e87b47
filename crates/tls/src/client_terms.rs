//! Which certificates are asked of clients, as the file says it.

use std::fmt;
use std::fmt::Write;
use std::path::PathBuf;

use portcullis_core::ClientPolicy;

/// Whether a client must show a certificate. That none is asked for is the absence of terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientMode {
    /// It may show none; a bad one is refused.
    Optional,
    /// It must show one.
    Required,
}

impl fmt::Display for ClientMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Optional => "optional",
            Self::Required => "required",
        })
    }
}

/// Which certificates are asked for, and whom they must come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientTerms {
    /// Whether one must be shown.
    pub mode: ClientMode,
    /// The authorities, PEM.
    pub trust: PathBuf,
    /// Revocation lists, PEM or DER. Where there are any, each certificate between a client's and
    /// the trust must be on none of them, by a list of its issuer that is in force.
    pub crls: Vec<PathBuf>,
}

impl ClientTerms {
    /// By what connections are told apart.
    pub fn policy(&self) -> ClientPolicy {
        let mut text = format!("{} trust {}", self.mode, self.trust.display());
        for crl in &self.crls {
            write!(text, " crl {}", crl.display()).ok();
        }
        ClientPolicy::asking(&text)
    }
}
