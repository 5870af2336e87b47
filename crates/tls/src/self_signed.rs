//! The certificate for development: one for all names, made in memory and never written down.

use std::time::Duration;

use portcullis_core::Timestamp;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivateKeyDer;
use time::OffsetDateTime;

use crate::{CertifiedPair, TlsError};

const DAY: Duration = Duration::from_hours(24);

/// How long it is good for.
const LIFETIME: Duration = Duration::from_hours(90 * 24);

/// Makes a certificate for `names` (DNS names, wildcards and IP addresses), good from a day before
/// `now`, so that a client whose clock is behind takes it too.
pub(crate) fn make(names: &[String], now: Timestamp) -> Result<CertifiedPair, TlsError> {
    let key = KeyPair::generate().map_err(TlsError::library)?;
    let mut params = CertificateParams::new(names.to_vec()).map_err(TlsError::library)?;
    params.distinguished_name.push(DnType::CommonName, "Portcullis self-signed");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let start = now.unix_seconds().saturating_sub(DAY.as_secs());
    params.not_before = date(start)?;
    params.not_after = date(now.plus(LIFETIME).unix_seconds())?;
    let certificate = params.self_signed(&key).map_err(TlsError::library)?;
    let der = PrivateKeyDer::try_from(key.serialize_der()).map_err(TlsError::library)?;
    CertifiedPair::from_der(vec![certificate.der().clone()], der, now)
}

/// Whether it is old enough to be made anew.
pub(crate) fn is_due(pair: &CertifiedPair, now: Timestamp) -> bool {
    pair.not_after().since(now) < LIFETIME / 3
}

fn date(seconds: u64) -> Result<OffsetDateTime, TlsError> {
    let seconds = i64::try_from(seconds).map_err(TlsError::library)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(TlsError::library)
}
