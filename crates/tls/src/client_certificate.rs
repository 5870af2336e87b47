//! From the bytes of a client's certificate to what it says. Whatever the bytes, nothing panics; what
//! cannot be read in full is refused, as a name that is passed over could be the one that matters.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::{AlternativeName, ClientCertificate, Timestamp};
use rustls::pki_types::CertificateDer;
use serde_json::{Map, Value, json};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::distinguished_name;

/// Most bytes of a client's certificate and its chain. It is kept as long as the connection, and may
/// become a field of each request.
pub(crate) const LARGEST: usize = 16 * 1024;

/// Most certificates that a client may send after its own.
pub(crate) const LONGEST_CHAIN: usize = 8;

/// Most subject alternative names.
const MOST_NAMES: usize = 256;

/// Reads a certificate that was verified, or is to be.
pub fn read_client_certificate(
    leaf: &CertificateDer<'_>,
    chain: &[CertificateDer<'_>],
) -> Result<ClientCertificate, &'static str> {
    let size: usize = chain.iter().map(|der| der.len()).sum();
    if size.saturating_add(leaf.len()) > LARGEST {
        return Err("the certificates of the client are larger than 16 KiB");
    }
    if chain.len() > LONGEST_CHAIN {
        return Err("the client sent more than 8 certificates beside its own");
    }
    let (rest, parsed) =
        X509Certificate::from_der(leaf).map_err(|_| "the certificate cannot be read")?;
    if !rest.is_empty() {
        return Err("bytes follow the certificate");
    }
    let at = |seconds: i64| Timestamp::from_unix_seconds(u64::try_from(seconds).unwrap_or(0));
    let hash = digest(&SHA256, leaf);
    let issuer = distinguished_name::text(parsed.issuer());
    let thumbprint = URL_SAFE_NO_PAD.encode(hash);
    Ok(ClientCertificate {
        leaf: leaf.to_vec(),
        chain: chain.iter().map(|der| der.to_vec()).collect(),
        subject: distinguished_name::text(parsed.subject()),
        claims: Arc::new(claims(&issuer, &thumbprint)),
        issuer: issuer.into(),
        names: names(&parsed)?,
        thumbprint,
        not_before: at(parsed.validity().not_before.timestamp()),
        not_after: at(parsed.validity().not_after.timestamp()),
    })
}

fn claims(issuer: &str, thumbprint: &str) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("iss".to_owned(), issuer.into());
    claims.insert("cnf".to_owned(), json!({"x5t#S256": thumbprint}));
    claims
}

fn names(parsed: &X509Certificate<'_>) -> Result<Vec<AlternativeName>, &'static str> {
    let extension = parsed
        .subject_alternative_name()
        .map_err(|_| "the subject alternative names cannot be read")?;
    let Some(extension) = extension else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    if extension.value.general_names.len() > MOST_NAMES {
        return Err("the certificate has more than 256 subject alternative names");
    }
    for general in &extension.value.general_names {
        if let Some(name) = name(general)?
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// `None` for a name of a kind that nobody is known by here.
fn name(general: &GeneralName<'_>) -> Result<Option<AlternativeName>, &'static str> {
    const ODD: &str = "a subject alternative name has characters that none may have";
    let text = |text: &str| {
        let sound = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
        if sound { Ok(text.to_owned()) } else { Err(ODD) }
    };
    Ok(Some(match general {
        GeneralName::DNSName(name) => AlternativeName::Dns(text(name)?.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => AlternativeName::Ip(address(bytes).ok_or(ODD)?),
        GeneralName::RFC822Name(name) => AlternativeName::Email(text(name)?),
        GeneralName::URI(name) => AlternativeName::Uri(text(name)?),
        GeneralName::Invalid(..) => return Err(ODD),
        GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::OtherName(..)
        | GeneralName::RegisteredID(_)
        | GeneralName::X400Address(_) => return Ok(None),
    }))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(four.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}
