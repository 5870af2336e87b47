//! All certificates that can be served, by name; replaced while connections come in.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use portcullis_core::{Clock, Timestamp};
use rustls::server::{ClientHello, ProducesTickets};
use rustls::sign::CertifiedKey;

use crate::candidates::{Candidates, Offer};
use crate::entry::Entry;
use crate::names::canonical;
use crate::pair_files::PairBytes;
use crate::tickets::Tickets;
use crate::{
    Alert, CertificateOrigin, CertificateSources, CertificateStatus, CertifiedPair, NameTable,
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
    served: ArcSwap<NameTable<Served>>,
    tickets: Arc<Tickets>,
}

/// What there is for one name, from the first kind of source that has something.
struct Served {
    precedence: u8,
    candidates: Candidates,
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
            match kept.map_or_else(|| Entry::load(origin, &sources.self_signed, now), Ok) {
                Ok(entry) => entries.push(entry),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let tickets = match previous {
            Some(store) => Arc::clone(&store.0.tickets),
            None => Tickets::new(clock.clone())
                .map(Arc::new)
                .map_err(|error| vec![(CertificateOrigin::SelfSigned, error)])?,
        };
        let served = ArcSwap::from_pointee(table(&entries));
        Ok(Self(Arc::new(Shared {
            clock,
            self_signed_names: sources.self_signed.clone(),
            ordered: sources.acme.iter().map(|name| canonical(name)).collect(),
            entries: Mutex::new(entries),
            served,
            tickets,
        })))
    }

    /// The first certificate for `name`: exact names come before wildcards.
    pub fn find(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.0.served.load().find(name)?.candidates.first().map(Arc::clone)
    }

    /// The certificate for `name` that whoever sent `hello` can verify, or the alert to send
    /// instead. A name has one of each kind of key at best: elliptic curves come before RSA.
    pub fn choose(&self, name: &str, hello: &ClientHello<'_>) -> Result<Arc<CertifiedKey>, Alert> {
        let table = self.0.served.load();
        let served = table.find(name).ok_or(Alert::UnrecognizedName)?;
        let chosen = served.candidates.choose(&Offer::new(hello), self.0.clock.now());
        chosen.map(Arc::clone).ok_or(Alert::NoSuitableCertificate)
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
        let entry = entries.iter_mut().find(|entry| *entry.origin() == wanted);
        entry.ok_or(TlsError::NotOrdered { name })?.install(pair);
        self.0.served.store(Arc::new(table(&entries)));
        Ok(())
    }

    /// Reads the files again and replaces what changed; the self-signed certificate is made anew
    /// when two thirds of its life are over. A pair that is half written, does not match or has
    /// expired is not taken: the one before goes on, and the report has it once. Blocks on the
    /// disk.
    pub fn reload_files(&self) -> ReloadReport {
        self.0.tickets.rotate();
        let now = self.0.clock.now();
        let mut report = ReloadReport::default();
        // Entries never come or go, so what is read without the lock fits them still.
        let origins: Vec<_> = self.0.entries.lock().iter().map(Entry::source).collect();
        let read: Vec<_> =
            origins.iter().map(|files| files.as_ref().map(PairBytes::read)).collect();
        let mut entries = self.0.entries.lock();
        let before: Vec<String> = entries.iter().flat_map(Entry::names).cloned().collect();
        for (entry, bytes) in entries.iter_mut().zip(read) {
            entry.renew(bytes, &self.0.self_signed_names, now, &mut report);
        }
        if report.replaced > 0 {
            let table = table(&entries);
            report.lost = before.into_iter().filter(|name| !table.covers(name)).collect();
            self.0.served.store(Arc::new(table));
        }
        report
    }

    /// Each certificate as it is served now, and each that is awaited.
    pub fn status(&self) -> Vec<CertificateStatus> {
        let now = self.0.clock.now();
        let entries = self.0.entries.lock();
        entries.iter().map(|entry| entry.status(now)).collect()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn ticketer(&self) -> Arc<dyn ProducesTickets> {
        Arc::clone(&self.0.tickets) as Arc<dyn ProducesTickets>
    }

    /// The entry of `origin`, where it need not be made again.
    fn kept(
        &self,
        origin: &CertificateOrigin,
        self_signed_names: &[String],
        now: Timestamp,
    ) -> Option<Entry> {
        let entries = self.0.entries.lock();
        let entry = entries.iter().find(|entry| entry.origin() == origin)?;
        let pair = entry.pair()?;
        let is_kept = match origin {
            CertificateOrigin::Acme(_) => true,
            CertificateOrigin::Files(_) => false,
            CertificateOrigin::SelfSigned => {
                self.0.self_signed_names == self_signed_names && !self_signed::is_due(pair, now)
            }
        };
        is_kept.then(|| entry.clone())
    }
}

impl fmt::Debug for CertificateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CertificateStore").field(&self.status()).finish()
    }
}

/// In order of precedence.
fn origins(sources: &CertificateSources) -> Vec<CertificateOrigin> {
    let files = sources.files.iter().cloned().map(CertificateOrigin::Files);
    let acme = sources.acme.iter().map(|name| CertificateOrigin::Acme(canonical(name)));
    let own = (!sources.self_signed.is_empty()).then_some(CertificateOrigin::SelfSigned);
    files.chain(acme).chain(own).collect()
}

const fn precedence(origin: &CertificateOrigin) -> u8 {
    match origin {
        CertificateOrigin::Files(_) => 0,
        CertificateOrigin::Acme(_) => 1,
        CertificateOrigin::SelfSigned => 2,
    }
}

fn table(entries: &[Entry]) -> NameTable<Served> {
    let mut table = NameTable::default();
    for entry in entries {
        let Some(pair) = entry.pair() else { continue };
        let precedence = precedence(entry.origin());
        for name in entry.names() {
            let empty = || Served { precedence, candidates: Candidates::default() };
            let served = table.entry(name).or_insert_with(empty);
            if served.precedence == precedence {
                served.candidates.add(Arc::clone(pair));
            }
        }
    }
    table
}
