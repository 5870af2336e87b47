//! One certificate chain with its key, checked before it may serve anybody.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;

use portcullis_core::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::{FilePair, TlsError, provider};

/// Largest PEM file that is read, in bytes. A chain is a few KiB.
pub(crate) const MAXIMUM_FILE: u64 = 1 << 20;

/// A certificate chain and the key of its leaf: they belong together, the leaf has names and is
/// in force at the time of the check.
#[derive(Clone)]
pub struct CertifiedPair {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
    not_after: Timestamp,
}

impl CertifiedPair {
    /// Reads and checks a pair of files as of `now`. Blocks on the disk.
    pub fn read(files: &FilePair, now: Timestamp) -> Result<Self, TlsError> {
        let chain = read_bounded(&files.certificate, MAXIMUM_FILE)?;
        let key = read_bounded(&files.key, MAXIMUM_FILE)?;
        Self::from_pem(&chain, &key, now)
    }

    /// Checks a chain and a key in PEM as of `now`.
    pub fn from_pem(chain: &[u8], key: &[u8], now: Timestamp) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| TlsError::InvalidChain { reason: error.to_string() })?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| TlsError::InvalidKey { reason: error.to_string() })?;
        Self::from_der(chain, key, now)
    }

    /// Checks a chain and a key in DER as of `now`.
    pub fn from_der(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        now: Timestamp,
    ) -> Result<Self, TlsError> {
        let leaf = chain
            .first()
            .ok_or_else(|| TlsError::InvalidChain { reason: "there is no certificate".into() })?;
        let Facts { names, not_after } = facts(leaf, now)?;
        let signer = provider()
            .key_provider
            .load_private_key(key)
            .map_err(|error| TlsError::InvalidKey { reason: error.to_string() })?;
        let key = CertifiedKey::new(chain, signer);
        key.keys_match().map_err(|error| {
            if matches!(error, rustls::Error::InconsistentKeys(_)) {
                TlsError::KeyMismatch
            } else {
                TlsError::InvalidChain { reason: error.to_string() }
            }
        })?;
        Ok(Self { key: Arc::new(key), names, not_after })
    }

    /// What rustls serves.
    pub const fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }

    /// DNS names in lower case and IP addresses of the leaf.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// When the leaf ends.
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether both serve the same chain.
    pub(crate) fn same_chain(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert
    }
}

/// Whether a client may show `chain` with `key`: readable, and the key belongs to the first.
pub fn check_client_pair(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'static>,
) -> Result<(), TlsError> {
    if !chain.iter().all(|der| is_certificate(der)) {
        let reason = "a certificate of the chain cannot be read".to_owned();
        return Err(TlsError::InvalidChain { reason });
    }
    let invalid = |error: rustls::Error| TlsError::InvalidChain { reason: error.to_string() };
    let signer = provider().key_provider.load_private_key(key.clone_key()).map_err(invalid)?;
    match CertifiedKey::new(chain, signer).keys_match() {
        Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::KeyMismatch),
        other => other.map_err(invalid),
    }
}

/// Whether these bytes are an X.509 certificate in DER, and nothing else.
pub fn is_certificate(der: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(rest, _)| rest.is_empty())
}

impl fmt::Debug for CertifiedPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertifiedPair")
            .field("names", &self.names)
            .field("not_after", &self.not_after.rfc3339())
            .finish_non_exhaustive()
    }
}

struct Facts {
    names: Vec<String>,
    not_after: Timestamp,
}

fn facts(leaf: &CertificateDer<'_>, now: Timestamp) -> Result<Facts, TlsError> {
    let invalid = |reason: String| TlsError::InvalidChain { reason };
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|error| invalid(error.to_string()))?;
    let not_before = timestamp(leaf.validity().not_before.timestamp());
    let not_after = timestamp(leaf.validity().not_after.timestamp());
    if now < not_before {
        return Err(TlsError::NotYetValid { not_before: not_before.rfc3339() });
    }
    if now > not_after {
        return Err(TlsError::Expired { not_after: not_after.rfc3339() });
    }
    let names = leaf
        .subject_alternative_name()
        .map_err(|error| invalid(error.to_string()))?
        .map(|san| san.value.general_names.iter().filter_map(name).collect::<Vec<_>>())
        .unwrap_or_default();
    if names.is_empty() { Err(TlsError::NoNames) } else { Ok(Facts { names, not_after }) }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "names of other kinds are no server names")]
fn name(general: &GeneralName<'_>) -> Option<String> {
    match general {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => <[u8; 4]>::try_from(*bytes)
            .map(|four| Ipv4Addr::from(four).to_string())
            .or_else(|_| <[u8; 16]>::try_from(*bytes).map(|all| Ipv6Addr::from(all).to_string()))
            .ok(),
        _ => None,
    }
}

pub(crate) fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(u64::try_from(seconds).unwrap_or_default())
}

pub(crate) fn read_bounded(path: &Path, maximum: u64) -> Result<Vec<u8>, TlsError> {
    use std::io::Read as _;
    let unreadable = |reason: String| TlsError::Unreadable { path: path.to_owned(), reason };
    let file = std::fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(maximum + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > maximum {
        return Err(unreadable(format!("it is larger than {} MiB", maximum >> 20)));
    }
    Ok(bytes)
}
