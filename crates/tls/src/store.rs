//! All certificates that can be served, by name; replaced while connections come in.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use portcullis_core::{Clock, Timestamp};
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;
use rustls::sign::CertifiedKey;

use crate::names::canonical;
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
    /// Names that certificates are ordered for, wildcards as they stand.
    ordered: HashSet<String>,
    entries: Mutex<Vec<Entry>>,
    served: ArcSwap<NameTable<Arc<CertifiedKey>>>,
    ticketer: Arc<dyn ProducesTickets>,
}

struct Entry {
    origin: CertificateOrigin,
    /// `None` where it is awaited: only ACME has such.
    pair: Option<CertifiedPair>,
    last_error: Option<String>,
}

impl CertificateStore {
    /// Reads all sources; each file must be good. Blocks on the disk. From `previous`, the store
    /// before a reload, come the ticket keys, so that sessions resume, certificates that were
    /// ordered for names that are still in `sources`, and the self-signed certificate if its names
    /// are the same. All mistakes are told at once.
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
            match kept.map_or_else(|| load(&origin, &sources.self_signed, now), |it| Ok(Some(it))) {
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
            ordered: sources.acme.iter().map(|name| canonical(name)).collect(),
            entries: Mutex::new(entries),
            served,
            ticketer,
        })))
    }

    /// The certificate for `name`: exact names first, then wildcards.
    pub fn find(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.0.served.load().find(name).map(Arc::clone)
    }

    /// Whether `name` has a certificate, or one is ordered for it.
    pub fn expects(&self, name: &str) -> bool {
        let name = canonical(name);
        let wildcard = || name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        self.0.ordered.contains(&name)
            || wildcard().is_some_and(|name| self.0.ordered.contains(&name))
            || self.find(&name).is_some()
    }

    /// Serves `pair` for `name`, which is one of [`CertificateSources::acme`] in any case, from the
    /// next handshake on. A pair that is not in force or not for `name` is refused, and what was
    /// served before goes on; that it belongs together was checked when it was made.
    pub fn install(&self, name: &str, pair: CertifiedPair) -> Result<(), TlsError> {
        let name = canonical(name);
        if !pair.names().contains(&name) {
            return Err(TlsError::OtherName { name });
        }
        pair.check_in_force(self.0.clock.now())?;
        let mut entries = self.0.entries.lock();
        let wanted = CertificateOrigin::Acme(name.clone());
        let entry = entries.iter_mut().find(|entry| entry.origin == wanted);
        let entry = entry.ok_or(TlsError::NotOrdered { name })?;
        entry.pair = Some(pair);
        entry.last_error = None;
        self.0.served.store(Arc::new(table(&entries)));
        Ok(())
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

    /// Each certificate as it is served now, and each that is awaited.
    pub fn status(&self) -> Vec<CertificateStatus> {
        let now = self.0.clock.now();
        let entries = self.0.entries.lock();
        entries.iter().map(|entry| entry.status(now)).collect()
    }

    pub(crate) fn ticketer(&self) -> Arc<dyn ProducesTickets> {
        Arc::clone(&self.0.ticketer)
    }

    fn renew(&self, entry: &mut Entry, now: Timestamp, report: &mut ReloadReport) {
        if !entry.is_read_again(now) {
            report.unchanged += 1;
            return;
        }
        match load(&entry.origin, &self.0.self_signed_names, now) {
            Ok(pair) => {
                let both = pair.as_ref().zip(entry.pair.as_ref());
                let unchanged = both.is_some_and(|(new, old)| new.same_chain(old));
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

    /// The pair of `origin` that need not be made again.
    fn kept(
        &self,
        origin: &CertificateOrigin,
        self_signed_names: &[String],
        now: Timestamp,
    ) -> Option<CertifiedPair> {
        let entries = self.0.entries.lock();
        let pair = entries.iter().find(|entry| entry.origin == *origin)?.pair.as_ref()?;
        let is_kept = match origin {
            CertificateOrigin::Acme(_) => true,
            CertificateOrigin::Files(_) => false,
            CertificateOrigin::SelfSigned => {
                self.0.self_signed_names == self_signed_names && !self_signed::is_due(pair, now)
            }
        };
        is_kept.then(|| pair.clone())
    }
}

impl fmt::Debug for CertificateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CertificateStore").field(&self.status()).finish()
    }
}

impl Entry {
    fn status(&self, now: Timestamp) -> CertificateStatus {
        let not_after = self.pair.as_ref().map(CertifiedPair::not_after);
        CertificateStatus {
            origin: self.origin.clone(),
            names: self.names().to_vec(),
            not_after,
            days_left: not_after.map(|end| end.since(now).as_secs() / 86_400),
            last_error: self.last_error.clone(),
        }
    }

    /// Of an ordered certificate only the name that was ordered, whatever the authority added.
    fn names(&self) -> &[String] {
        match &self.origin {
            CertificateOrigin::Acme(name) => std::slice::from_ref(name),
            CertificateOrigin::Files(_) | CertificateOrigin::SelfSigned => {
                self.pair.as_ref().map_or(&[], CertifiedPair::names)
            }
        }
    }

    fn is_read_again(&self, now: Timestamp) -> bool {
        match &self.origin {
            CertificateOrigin::Acme(_) => false,
            CertificateOrigin::Files(_) => true,
            CertificateOrigin::SelfSigned => {
                self.pair.as_ref().is_none_or(|pair| self_signed::is_due(pair, now))
            }
        }
    }
}

/// In order of precedence.
fn origins(sources: &CertificateSources) -> Vec<CertificateOrigin> {
    let files = sources.files.iter().cloned().map(CertificateOrigin::Files);
    let acme = sources.acme.iter().map(|name| CertificateOrigin::Acme(canonical(name)));
    let own = (!sources.self_signed.is_empty()).then_some(CertificateOrigin::SelfSigned);
    files.chain(acme).chain(own).collect()
}

/// What can be had at once; nothing where it has to be ordered.
fn load(
    origin: &CertificateOrigin,
    self_signed_names: &[String],
    now: Timestamp,
) -> Result<Option<CertifiedPair>, TlsError> {
    match origin {
        CertificateOrigin::Acme(_) => Ok(None),
        CertificateOrigin::Files(files) => CertifiedPair::read(files, now).map(Some),
        CertificateOrigin::SelfSigned => self_signed::make(self_signed_names, now).map(Some),
    }
}

fn table(entries: &[Entry]) -> NameTable<Arc<CertifiedKey>> {
    let mut table = NameTable::default();
    for entry in entries {
        let Some(pair) = &entry.pair else { continue };
        for name in entry.names() {
            table.insert(name, Arc::clone(pair.certified_key()));
        }
    }
    table
}
