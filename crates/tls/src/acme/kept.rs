//! What is kept for a name, for those who only look.

use portcullis_core::Timestamp;
use portcullis_state::{Durable, Kind};

use super::record::{CertificateRecord, RecordError};
use super::task;
use crate::{CertifiedPair, TlsError};

/// The certificate that is kept for `name`, or why it cannot be served at `now`; `None` where there
/// is none yet.
pub async fn kept_certificate(
    durable: &dyn Durable,
    name: &str,
    now: Timestamp,
) -> Result<Option<Result<CertifiedPair, TlsError>>, RecordError> {
    let Some(raw) = durable.get(Kind::Certificate, name).await? else { return Ok(None) };
    let record = CertificateRecord::read(name, &raw)?;
    Ok(Some(task::check(name, &record, now)))
}
