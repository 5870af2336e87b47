//! One certificate chain with its key, checked before it may serve anybody.

use std::fmt;
use std::sync::Arc;

use portcullis_core::Timestamp;
use rustls::SignatureScheme;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::leaf::Leaf;
use crate::pair_files::PairBytes;
use crate::{FilePair, TlsError, provider};

/// A certificate chain and the key of its leaf: they belong together, the leaf has names and is
/// in force at the time of the check.
#[derive(Clone)]
pub struct CertifiedPair {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl CertifiedPair {
    /// Reads and checks a pair of files as of `now`. Blocks on the disk.
    pub fn read(files: &FilePair, now: Timestamp) -> Result<Self, TlsError> {
        let bytes = PairBytes::read(files)?;
        Self::from_pem(&bytes.chain, bytes.key.expose(), now)
    }

    /// Checks a chain and a key in PEM as of `now`.
    pub fn from_pem(chain: &[u8], key: &[u8], now: Timestamp) -> Result<Self, TlsError> {
        let (chain, key) = (without_mark(chain), without_mark(key));
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| TlsError::InvalidChain { reason: error.to_string() })?;
        let parsed = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            if is_encrypted(key) {
                TlsError::EncryptedKey
            } else {
                TlsError::InvalidKey { reason: error.to_string() }
            }
        })?;
        Self::from_der(chain, parsed, now)
    }

    /// Checks a chain and a key in DER as of `now`.
    pub fn from_der(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        now: Timestamp,
    ) -> Result<Self, TlsError> {
        let Leaf { names, not_before, not_after } = Leaf::read(&chain)?;
        in_force(not_before, not_after, now)?;
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
        Ok(Self { key: Arc::new(key), names, not_before, not_after })
    }

    /// What rustls serves.
    pub const fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }

    /// DNS names in lower case and IP addresses of the leaf.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// When the leaf begins.
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// When the leaf ends.
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The kind of its key, as an operator calls it.
    pub fn key_kind(&self) -> &'static str {
        let kinds = [
            (SignatureScheme::ECDSA_NISTP256_SHA256, "P-256"),
            (SignatureScheme::ECDSA_NISTP384_SHA384, "P-384"),
            (SignatureScheme::ECDSA_NISTP521_SHA512, "P-521"),
            (SignatureScheme::ED25519, "Ed25519"),
            (SignatureScheme::RSA_PSS_SHA256, "RSA"),
        ];
        let signs = |scheme| self.key.key.choose_scheme(&[scheme]).is_some();
        kinds.into_iter().find(|(scheme, _)| signs(*scheme)).map_or("other", |(_, kind)| kind)
    }

    /// Whether it is in force at `now`.
    pub(crate) fn check_in_force(&self, now: Timestamp) -> Result<(), TlsError> {
        in_force(self.not_before, self.not_after, now)
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

/// Without the byte order mark that some editors put first.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Whether a key in PEM is under a passphrase (RFC 5958 §3, RFC 1421 §4.6.1.1), which nobody could
/// type in.
fn is_encrypted(pem: &[u8]) -> bool {
    let has = |mark: &[u8]| pem.windows(mark.len()).any(|part| part == mark);
    has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED")
}

fn in_force(not_before: Timestamp, not_after: Timestamp, now: Timestamp) -> Result<(), TlsError> {
    if now < not_before {
        return Err(TlsError::NotYetValid { not_before: not_before.rfc3339() });
    }
    if now > not_after {
        return Err(TlsError::Expired { not_after: not_after.rfc3339() });
    }
    Ok(())
}
