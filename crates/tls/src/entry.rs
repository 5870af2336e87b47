//! One certificate of a store: where it comes from, what is served, and what went wrong last.

use std::sync::Arc;

use portcullis_core::Timestamp;

use crate::pair_files::PairBytes;
use crate::{
    CertificateOrigin, CertificateStatus, CertifiedPair, FilePair, ReloadReport, TlsError,
    self_signed,
};

/// One certificate, served or awaited.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    origin: CertificateOrigin,
    /// `None` where it is awaited: only ACME has such.
    pair: Option<Arc<CertifiedPair>>,
    last_error: Option<String>,
    /// Of the bytes of the last attempt, good or bad, so that one that failed is told of once.
    attempt: Option<u64>,
    /// Whether it was told that what is served is past its end.
    told_expired: bool,
}

impl Entry {
    /// With what is there already, or is to come.
    pub(crate) const fn new(origin: CertificateOrigin, pair: Option<Arc<CertifiedPair>>) -> Self {
        Self { origin, pair, last_error: None, attempt: None, told_expired: false }
    }

    /// Reads or makes what can be had at once. Blocks on the disk.
    pub(crate) fn load(
        origin: CertificateOrigin,
        self_signed_names: &[String],
        now: Timestamp,
    ) -> Result<Self, (CertificateOrigin, TlsError)> {
        let mut attempt = None;
        let loaded = match &origin {
            CertificateOrigin::Acme(_) => return Ok(Self::new(origin, None)),
            CertificateOrigin::Files(files) => {
                PairBytes::read(files).and_then(|bytes| parse(&bytes, now, &mut attempt))
            }
            CertificateOrigin::SelfSigned => self_signed::make(self_signed_names, now),
        };
        match loaded {
            Ok(pair) => Ok(Self { attempt, ..Self::new(origin, Some(Arc::new(pair))) }),
            Err(error) => Err((origin, error)),
        }
    }

    pub(crate) const fn origin(&self) -> &CertificateOrigin {
        &self.origin
    }

    pub(crate) const fn pair(&self) -> Option<&Arc<CertifiedPair>> {
        self.pair.as_ref()
    }

    /// What it is served for. Of an ordered certificate that is only the name that was ordered,
    /// whatever the authority added.
    pub(crate) fn names(&self) -> &[String] {
        match (&self.origin, &self.pair) {
            (CertificateOrigin::Acme(name), _) => std::slice::from_ref(name),
            (CertificateOrigin::Files(_) | CertificateOrigin::SelfSigned, pair) => {
                pair.as_ref().map_or(&[], |pair| pair.names())
            }
        }
    }

    /// Serves `pair` from now on.
    pub(crate) fn install(&mut self, pair: CertifiedPair) {
        self.pair = Some(Arc::new(pair));
        self.last_error = None;
        self.told_expired = false;
    }

    /// The files to read it from.
    pub(crate) fn source(&self) -> Option<FilePair> {
        match &self.origin {
            CertificateOrigin::Files(files) => Some(files.clone()),
            CertificateOrigin::Acme(_) | CertificateOrigin::SelfSigned => None,
        }
    }

    /// Takes what was read from its files, or makes it anew where that is due, and tells what came
    /// of it.
    pub(crate) fn renew(
        &mut self,
        bytes: Option<Result<PairBytes, TlsError>>,
        self_signed_names: &[String],
        now: Timestamp,
        report: &mut ReloadReport,
    ) {
        let mut attempt = None;
        let renewed = match bytes {
            Some(bytes) => Some(bytes.and_then(|bytes| parse(&bytes, now, &mut attempt))),
            None if self.is_due(now) => Some(self_signed::make(self_signed_names, now)),
            None => None,
        };
        match renewed {
            Some(Ok(pair)) if !self.serves(&pair) => {
                self.install(pair);
                report.replaced += 1;
            }
            Some(Err(error)) if !self.is_known(&error, attempt) => {
                self.last_error = Some(error.to_string());
                report.failed.push((self.origin.clone(), error.to_string()));
            }
            Some(Ok(_)) => {
                self.last_error = None;
                report.unchanged += 1;
            }
            Some(Err(_)) | None => report.unchanged += 1,
        }
        self.attempt = attempt;
        self.tell_of_expiry(now, report);
    }

    /// What an operator may know of it.
    pub(crate) fn status(&self, now: Timestamp) -> CertificateStatus {
        let not_after = self.pair.as_ref().map(|pair| pair.not_after());
        let last_error = self.last_error.clone().or_else(|| self.expiry(now));
        CertificateStatus {
            origin: self.origin.clone(),
            names: self.names().to_vec(),
            key: self.pair.as_ref().map(|pair| pair.key_kind()),
            not_before: self.pair.as_ref().map(|pair| pair.not_before()),
            not_after,
            days_left: not_after.map(|end| end.since(now).as_secs() / 86_400),
            last_error,
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.origin == CertificateOrigin::SelfSigned
            && self.pair.as_ref().is_none_or(|pair| self_signed::is_due(pair, now))
    }

    fn serves(&self, pair: &CertifiedPair) -> bool {
        self.pair.as_ref().is_some_and(|served| served.same_chain(pair))
    }

    /// Whether `error` was told already, of the same bytes.
    fn is_known(&self, error: &TlsError, attempt: Option<u64>) -> bool {
        self.attempt == attempt && self.last_error.as_ref() == Some(&error.to_string())
    }

    /// It is served on: a client that looks at the time refuses it, and one that does not is no
    /// worse off than with none.
    fn tell_of_expiry(&mut self, now: Timestamp, report: &mut ReloadReport) {
        match self.expiry(now) {
            Some(text) if !self.told_expired => {
                self.told_expired = true;
                report.expired.push((self.origin.clone(), text));
            }
            Some(_) | None => {}
        }
    }

    fn expiry(&self, now: Timestamp) -> Option<String> {
        let error = self.pair.as_ref()?.check_in_force(now).err()?;
        Some(error.to_string())
    }
}

fn parse(
    bytes: &PairBytes,
    now: Timestamp,
    attempt: &mut Option<u64>,
) -> Result<CertifiedPair, TlsError> {
    *attempt = Some(bytes.fingerprint());
    CertifiedPair::from_pem(&bytes.chain, bytes.key.expose(), now)
}
