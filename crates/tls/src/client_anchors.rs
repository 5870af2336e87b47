//! The files behind [`crate::ClientTrust`]: authorities and revocation lists, read and checked whole.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use portcullis_core::Timestamp;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use crate::leaf::timestamp;
use crate::pair_files::{MAXIMUM_FILE, read_bounded};
use crate::{ClientTerms, TlsError};

/// Largest revocation list that is read, in bytes: some have hundreds of thousands of entries.
const LARGEST_CRL: u64 = 16 << 20;

/// What the files say.
pub(crate) struct Anchors {
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) crls: Vec<CertificateRevocationListDer<'static>>,
    pub(crate) summary: Summary,
    /// SHA-256 of all that counts.
    pub(crate) content: [u8; 32],
}

/// What is told of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) authorities: usize,
    pub(crate) next_update: Option<Timestamp>,
}

impl Anchors {
    /// Reads the files. An authority past its end does not count; where none is in force, or a list
    /// has ended, the files are refused.
    pub(crate) fn read(terms: &ClientTerms, now: Timestamp) -> Result<Self, TlsError> {
        let mut hash = Context::new(&SHA256);
        let mut roots = RootCertStore::empty();
        for root in authorities(terms, now)? {
            hash.update(&root);
            roots.add(root).map_err(|error| invalid(&error))?;
        }
        let mut summary = Summary { authorities: roots.len(), next_update: None };
        let mut crls = Vec::new();
        for crl in lists(terms)? {
            let ends = end_of_list(&crl, now)?;
            summary.next_update = Some(summary.next_update.map_or(ends, |first| first.min(ends)));
            hash.update(&crl);
            crls.push(crl);
        }
        let mut content = [0; 32];
        for (to, from) in content.iter_mut().zip(hash.finish().as_ref()) {
            *to = *from;
        }
        Ok(Self { roots: Arc::new(roots), crls, summary, content })
    }
}

/// The certificates in a PEM file. Blocks on the disk.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read_bounded(path, MAXIMUM_FILE)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match all {
        Ok(all) if all.is_empty() => {
            Err(TlsError::InvalidChain { reason: "there is no certificate".to_owned() })
        }
        Ok(all) => Ok(all),
        Err(error) => Err(TlsError::InvalidChain { reason: error.to_string() }),
    }
}

fn invalid(error: &impl ToString) -> TlsError {
    TlsError::InvalidTrust { reason: error.to_string() }
}

fn authorities(
    terms: &ClientTerms,
    now: Timestamp,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read_bounded(&terms.trust, MAXIMUM_FILE)?;
    let mut authorities = Vec::new();
    let mut ended = None;
    for der in CertificateDer::pem_slice_iter(&pem) {
        let der = der.map_err(|error| invalid(&error))?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|error| invalid(&error))?;
        let not_after = timestamp(parsed.validity().not_after.timestamp());
        if now > not_after {
            ended = Some(not_after);
        } else {
            authorities.push(der.clone());
        }
    }
    match (authorities.is_empty(), ended) {
        (false, _) => Ok(authorities),
        (true, Some(not_after)) => Err(TlsError::Expired { not_after: not_after.rfc3339() }),
        (true, None) => Err(invalid(&"there is no certificate in PEM")),
    }
}

fn lists(terms: &ClientTerms) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let mut all = Vec::new();
    for path in &terms.crls {
        let bytes = read_bounded(path, LARGEST_CRL)?;
        let before = all.len();
        for list in CertificateRevocationListDer::pem_slice_iter(&bytes) {
            all.push(list.map_err(|error| TlsError::InvalidCrl { reason: error.to_string() })?);
        }
        if all.len() == before {
            // Authorities publish their lists in DER.
            all.push(bytes.into());
        }
    }
    Ok(all)
}

/// When the list ends.
fn end_of_list(
    list: &CertificateRevocationListDer<'_>,
    now: Timestamp,
) -> Result<Timestamp, TlsError> {
    let unreadable = |reason: &str| TlsError::InvalidCrl { reason: reason.to_owned() };
    let (rest, parsed) = CertificateRevocationList::from_der(list)
        .map_err(|_| unreadable("it is neither PEM nor DER of one"))?;
    if !rest.is_empty() {
        return Err(unreadable("bytes follow it"));
    }
    let ends = parsed.next_update().ok_or_else(|| unreadable("it has no nextUpdate"))?;
    let ends = timestamp(ends.timestamp());
    if now >= ends {
        return Err(unreadable(&format!("it ended on {}", ends.rfc3339())));
    }
    Ok(ends)
}
