//! All certificates that can be served, by name; replaced while connections come in.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use portcullis_core::{Clock, Timestamp};
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;
use rustls::sign::CertifiedKey;

use crate::{
    CertificateOrigin, CertificateSources, CertificateStatus, CertifiedPair, NameTable,
    ReloadReport, TlsError, self_signed,
};

/// What can be served, by name. Clones share it.
#[derive(Clone)]
pub struct CertificateStore(Arc<Shared>);

struct Shared {
    clock: Clock,
    self_signed_names: Vec<String>,
    entries: Mutex<Vec<Entry>>,
    served: ArcSwap<NameTable<Arc<CertifiedKey>>>,
    ticketer: Arc<dyn ProducesTickets>,
}

struct Entry {
    origin: CertificateOrigin,
    pair: CertifiedPair,
    last_error: Option<String>,
}

impl CertificateStore {
    /// Reads all sources; each must be good. Blocks on the disk. From `previous`, the store before
    /// a reload, come the ticket keys, so that sessions resume, and the self-signed certificate if
    /// its names are the same. All mistakes are told at once.
    pub fn open(
        sources: &CertificateSources,
        previous: Option<&Self>,
        clock: Clock,
    ) -> Result<Self, Vec<(CertificateOrigin, TlsError)>> {
        let now = clock.now();
        let mut entries = Vec::new();
        let mut mistakes = Vec::new();
        for origin in origins(sources) {
            let kept = previous.and_then(|store| store.kept(&origin, &sources.self_signed, now));
            match kept.map_or_else(|| load(&origin, &sources.self_signed, now), Ok) {
                Ok(pair) => entries.push(Entry { origin, pair, last_error: None }),
                Err(error) => mistakes.push((origin, error)),
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let ticketer = match previous {
            Some(store) => Arc::clone(&store.0.ticketer),
            None => Ticketer::new()
                .map_err(|error| vec![(CertificateOrigin::SelfSigned, TlsError::library(error))])?,
        };
        let served = ArcSwap::from_pointee(table(&entries));
        Ok(Self(Arc::new(Shared {
            clock,
            self_signed_names: sources.self_signed.clone(),
            entries: Mutex::new(entries),
            served,
            ticketer,
        })))
    }

    /// The certificate for `name`: exact names first, then wildcards.
    pub fn find(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.0.served.load().find(name).map(Arc::clone)
    }

    /// Reads the files again and replaces what changed; the self-signed certificate is made anew
    /// when two thirds of its life are over. A pair that is half written, does not match or has
    /// expired is not taken: the one before goes on. Blocks on the disk.
    pub fn reload_files(&self) -> ReloadReport {
        let now = self.0.clock.now();
        let mut report = ReloadReport::default();
        let mut entries = self.0.entries.lock();
        for entry in entries.iter_mut() {
            self.renew(entry, now, &mut report);
        }
        if report.replaced > 0 {
            self.0.served.store(Arc::new(table(&entries)));
        }
        report
    }

    /// Each certificate as it is served now.
    pub fn status(&self) -> Vec<CertificateStatus> {
        let now = self.0.clock.now();
        let entries = self.0.entries.lock();
        entries.iter().map(|entry| entry.status(now)).collect()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn ticketer(&self) -> Arc<dyn ProducesTickets> {
        Arc::clone(&self.0.ticketer)
    }

    fn renew(&self, entry: &mut Entry, now: Timestamp, report: &mut ReloadReport) {
        let is_self_signed = entry.origin == CertificateOrigin::SelfSigned;
        if is_self_signed && !self_signed::is_due(&entry.pair, now) {
            report.unchanged += 1;
            return;
        }
        match load(&entry.origin, &self.0.self_signed_names, now) {
            Ok(pair) => {
                let unchanged = pair.same_chain(&entry.pair);
                entry.pair = pair;
                entry.last_error = None;
                if unchanged { report.unchanged += 1 } else { report.replaced += 1 }
            }
            Err(error) => {
                entry.last_error = Some(error.to_string());
                report.failed.push((entry.origin.clone(), error.to_string()));
            }
        }
    }

    fn kept(
        &self,
        origin: &CertificateOrigin,
        names: &[String],
        now: Timestamp,
    ) -> Option<CertifiedPair> {
        if *origin != CertificateOrigin::SelfSigned || self.0.self_signed_names != names {
            return None;
        }
        let entries = self.0.entries.lock();
        let entry = entries.iter().find(|entry| entry.origin == *origin)?;
        (!self_signed::is_due(&entry.pair, now)).then(|| entry.pair.clone())
    }
}

impl fmt::Debug for CertificateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CertificateStore").field(&self.status()).finish()
    }
}

impl Entry {
    fn status(&self, now: Timestamp) -> CertificateStatus {
        CertificateStatus {
            origin: self.origin.clone(),
            names: self.pair.names().to_vec(),
            not_after: self.pair.not_after(),
            days_left: self.pair.not_after().since(now).as_secs() / 86_400,
            last_error: self.last_error.clone(),
        }
    }
}

fn origins(sources: &CertificateSources) -> Vec<CertificateOrigin> {
    let files = sources.files.iter().cloned().map(CertificateOrigin::Files);
    let own = (!sources.self_signed.is_empty()).then_some(CertificateOrigin::SelfSigned);
    files.chain(own).collect()
}

fn load(
    origin: &CertificateOrigin,
    self_signed_names: &[String],
    now: Timestamp,
) -> Result<CertifiedPair, TlsError> {
    match origin {
        CertificateOrigin::Files(files) => CertifiedPair::read(files, now),
        CertificateOrigin::SelfSigned => self_signed::make(self_signed_names, now),
    }
}

fn table(entries: &[Entry]) -> NameTable<Arc<CertifiedKey>> {
    let mut table = NameTable::default();
    for entry in entries {
        for name in entry.pair.names() {
            table.insert(name, Arc::clone(entry.pair.certified_key()));
        }
    }
    table
}
