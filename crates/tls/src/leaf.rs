//! What a certificate says of itself, and whether that is enough to be shown.

use std::net::{Ipv4Addr, Ipv6Addr};

use portcullis_core::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::SignatureAlgorithm;

use crate::TlsError;
use crate::names::canonical;

/// Fewest bits of an RSA key. Clients refuse shorter ones, and so did authorities since 2014.
const RSA_BITS: usize = 2048;

/// Signatures that can be forged: by MD2, MD4, MD5 and SHA-1 (RFC 8446 §4.4.2.4).
const FORGEABLE: [&str; 8] = [
    "1.2.840.113549.1.1.2",
    "1.2.840.113549.1.1.3",
    "1.2.840.113549.1.1.4",
    "1.2.840.113549.1.1.5",
    "1.3.14.3.2.29",
    "1.3.14.3.2.27",
    "1.2.840.10040.4.3",
    "1.2.840.10045.4.1",
];

/// SHA-1 by itself, as parameters of RSASSA-PSS name it.
const SHA1: &str = "1.3.14.3.2.26";

/// What is known of a leaf.
pub(crate) struct Leaf {
    /// DNS names in lower case and IP addresses.
    pub(crate) names: Vec<String>,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

impl Leaf {
    /// Reads the first certificate of `chain`. Refused are a leaf that names nobody or is not for
    /// servers, and a chain with keys or signatures that no client should accept.
    pub(crate) fn read(chain: &[CertificateDer<'_>]) -> Result<Self, TlsError> {
        let parsed = chain.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let (leaf, above) =
            parsed.split_first().ok_or_else(|| invalid("there is no certificate".to_owned()))?;
        check_signature(leaf)?;
        // Nobody checks the signature of a root under itself.
        above.iter().filter(|it| it.subject() != it.issuer()).try_for_each(check_signature)?;
        parsed.iter().try_for_each(check_key)?;
        check_purpose(leaf)?;
        let names = names(leaf)?;
        let not_before = timestamp(leaf.validity().not_before.timestamp());
        let not_after = timestamp(leaf.validity().not_after.timestamp());
        Ok(Self { names, not_before, not_after })
    }
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, TlsError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(invalid("there is something behind a certificate".to_owned())),
        Err(error) => Err(invalid(error.to_string())),
    }
}

fn check_signature(certificate: &X509Certificate<'_>) -> Result<(), TlsError> {
    let algorithm = &certificate.signature_algorithm;
    let pss_hash = match SignatureAlgorithm::try_from(algorithm) {
        Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => {
            Some(parameters.hash_algorithm_oid().to_id_string())
        }
        Ok(_) | Err(_) => None,
    };
    let id = algorithm.algorithm.to_id_string();
    if FORGEABLE.contains(&id.as_str()) || pss_hash.as_deref() == Some(SHA1) {
        let subject = certificate.subject();
        return Err(TlsError::Weak {
            reason: format!("the certificate of `{subject}` is signed with MD5, SHA-1 or older"),
        });
    }
    Ok(())
}

fn check_key(certificate: &X509Certificate<'_>) -> Result<(), TlsError> {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() < RSA_BITS => {
            let (subject, bits) = (certificate.subject(), key.key_size());
            Err(TlsError::Weak {
                reason: format!(
                    "the certificate of `{subject}` has an RSA key of {bits} bits, fewer than \
                     {RSA_BITS}"
                ),
            })
        }
        // Of other kinds the library takes none that is weak.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// RFC 5280 §4.2.1.12: a leaf that says what it is for must say that it is for servers.
fn check_purpose(leaf: &X509Certificate<'_>) -> Result<(), TlsError> {
    let usage = leaf.extended_key_usage().map_err(|error| invalid(error.to_string()))?;
    match usage {
        Some(usage) if !usage.value.any && !usage.value.server_auth => Err(TlsError::NotForServers),
        Some(_) | None => Ok(()),
    }
}

fn names(leaf: &X509Certificate<'_>) -> Result<Vec<String>, TlsError> {
    let names = leaf
        .subject_alternative_name()
        .map_err(|error| invalid(error.to_string()))?
        .map(|san| san.value.general_names.iter().filter_map(name).collect::<Vec<_>>())
        .unwrap_or_default();
    if names.is_empty() { Err(TlsError::NoNames) } else { Ok(names) }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "names of other kinds are no server names")]
fn name(general: &GeneralName<'_>) -> Option<String> {
    match general {
        GeneralName::DNSName(name) => Some(canonical(name)).filter(|name| !name.is_empty()),
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

fn invalid(reason: String) -> TlsError {
    TlsError::InvalidChain { reason }
}
