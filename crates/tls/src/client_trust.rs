//! Whom clients' certificates must come from: read from files, read again when they change, and asked
//! again about certificates of connections that stand.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use portcullis_core::{ClientCertificate, Clock, ShownCertificate, Timestamp, Vouch};
use rustls::pki_types::CertificateDer;

use crate::client_anchors::{Anchors, Summary};
use crate::client_verifier::Verifier;
use crate::{ClientTerms, TlsError, read_client_certificate};

/// After so many seconds a certificate is looked at whole again, although no file changed: a list
/// or an authority may have ended meanwhile.
const JUDGED_FOR: u64 = 10;

/// One set of terms, and what its files said last. Clones share it.
#[derive(Clone)]
pub struct ClientTrust(Arc<Shared>);

struct Shared {
    terms: ClientTerms,
    clock: Clock,
    current: ArcSwap<Verifier>,
    last_error: Mutex<Option<String>>,
    retired: AtomicBool,
}

/// What an operator may know of it.
#[derive(Clone, Debug)]
pub struct ClientTrustStatus {
    /// The terms.
    pub terms: ClientTerms,
    /// Authorities in force.
    pub authorities: usize,
    /// When the first of the revocation lists ends.
    pub next_update: Option<Timestamp>,
    /// Why the last attempt to read it again failed; what holds is what was read before.
    pub last_error: Option<String>,
}

impl ClientTrust {
    /// Reads the files of `terms`; all must be good. Blocks on the disk.
    pub fn open(terms: ClientTerms, clock: Clock) -> Result<Self, TlsError> {
        let anchors = Anchors::read(&terms, clock.now())?;
        let verifier = Verifier::new(&terms, anchors, 1, &clock)?;
        Ok(Self(Arc::new(Shared {
            terms,
            clock,
            current: ArcSwap::from_pointee(verifier),
            last_error: Mutex::new(None),
            retired: AtomicBool::new(false),
        })))
    }

    /// The terms.
    pub fn terms(&self) -> &ClientTerms {
        &self.0.terms
    }

    /// Verifies a certificate as a handshake would.
    pub fn verify(&self, sent: &[CertificateDer<'static>]) -> Result<ShownCertificate, String> {
        let (leaf, chain) = sent.split_first().ok_or("there is no certificate")?;
        let verifier = self.current();
        verifier.verify_at(leaf, chain, self.0.clock.now()).map_err(|error| error.to_string())?;
        self.shown(sent).map_err(str::to_owned)
    }

    /// What the client showed in a handshake that came to its end; it is judged whole at the first
    /// request, as a resumed session was not.
    pub fn shown(&self, sent: &[CertificateDer<'_>]) -> Result<ShownCertificate, &'static str> {
        let (leaf, chain) = sent.split_first().ok_or("there is no certificate")?;
        let path = self.current().path(leaf, chain, self.0.clock.now());
        let certificate = Arc::new(read_client_certificate(leaf, &path)?);
        let (generation, until) = (AtomicU64::new(0), AtomicU64::new(0));
        let vouch = Arc::new(Standing { trust: self.clone(), generation, until });
        Ok(ShownCertificate { certificate, vouch })
    }

    pub(crate) fn current(&self) -> Arc<Verifier> {
        self.0.current.load_full()
    }

    /// Reads the files again; `Ok` says whether anything changed. On a mistake all stays as it was.
    fn reload(&self) -> Result<bool, TlsError> {
        Anchors::read(&self.0.terms, self.0.clock.now()).and_then(|anchors| {
            let before = self.current();
            if before.same_content(&anchors) {
                return Ok(false);
            }
            let generation = before.generation() + 1;
            let verifier = Verifier::new(&self.0.terms, anchors, generation, &self.0.clock)?;
            self.0.current.store(Arc::new(verifier));
            Ok(true)
        })
    }

    /// Notes how the last reading went; whether that is news.
    fn note(&self, error: Option<&TlsError>) -> bool {
        let error = error.map(ToString::to_string);
        let mut last = self.0.last_error.lock();
        let is_news = *last != error;
        *last = error;
        is_news
    }

    fn status(&self) -> ClientTrustStatus {
        let Summary { authorities, next_update } = self.current().summary();
        let last_error = self.0.last_error.lock().clone();
        ClientTrustStatus { terms: self.0.terms.clone(), authorities, next_update, last_error }
    }
}

impl fmt::Debug for ClientTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientTrust").field(&self.0.terms).finish()
    }
}

/// The certificate of one connection, and when it was last found good.
#[derive(Debug)]
struct Standing {
    trust: ClientTrust,
    generation: AtomicU64,
    until: AtomicU64,
}

impl Vouch for Standing {
    fn judge(&self, certificate: &ClientCertificate) -> Result<(), Cow<'static, str>> {
        let shared = &self.trust.0;
        if shared.retired.load(Ordering::Relaxed) {
            return Err("its authorities are not asked any more".into());
        }
        let now = shared.clock.now();
        let seconds = now.unix_seconds();
        // Its last second is a whole one, as in the handshake.
        if seconds > certificate.not_after.unix_seconds() {
            return Err("it has expired".into());
        }
        let verifier = shared.current.load();
        if self.generation.load(Ordering::Relaxed) == verifier.generation()
            && seconds < self.until.load(Ordering::Relaxed)
        {
            return Ok(());
        }
        let leaf = CertificateDer::from(certificate.leaf.as_slice());
        let chain: Vec<CertificateDer<'_>> =
            certificate.chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        verifier.verify_at(&leaf, &chain, now).map_err(|error| error.to_string())?;
        self.until.store(seconds.saturating_add(JUDGED_FOR), Ordering::Relaxed);
        self.generation.store(verifier.generation(), Ordering::Relaxed);
        Ok(())
    }
}

/// All terms of a configuration.
#[derive(Clone, Debug, Default)]
pub struct ClientTrusts(Arc<HashMap<ClientTerms, ClientTrust>>);

/// What one round of reading did.
#[derive(Clone, Debug, Default)]
pub struct TrustReport {
    /// Terms whose files said something new.
    pub replaced: Vec<ClientTerms>,
    /// Terms whose files could not be taken, and why.
    pub failed: Vec<(ClientTerms, String)>,
}

impl ClientTrusts {
    /// Opens each of `terms`; those that `previous` has are taken over, with the connections that
    /// they vouch for. Blocks on the disk.
    pub fn open<'t>(
        terms: impl IntoIterator<Item = &'t ClientTerms>,
        previous: Option<&Self>,
        clock: &Clock,
    ) -> Result<Self, (ClientTerms, TlsError)> {
        let mut all = HashMap::new();
        for terms in terms {
            if all.contains_key(terms) {
                continue;
            }
            let trust = match previous.and_then(|previous| previous.0.get(terms)) {
                Some(kept) => kept.clone(),
                None => ClientTrust::open(terms.clone(), clock.clone())
                    .map_err(|error| (terms.clone(), error))?,
            };
            all.insert(terms.clone(), trust);
        }
        Ok(Self(Arc::new(all)))
    }

    /// The one for `terms`.
    pub fn find(&self, terms: &ClientTerms) -> Option<&ClientTrust> {
        self.0.get(terms)
    }

    /// Reads all files again. Blocks on the disk.
    pub fn reload(&self) -> TrustReport {
        let mut report = TrustReport::default();
        for (terms, trust) in &*self.0 {
            let read = trust.reload();
            let is_news = trust.note(read.as_ref().err());
            match read {
                Ok(true) => report.replaced.push(terms.clone()),
                Err(error) if is_news => report.failed.push((terms.clone(), error.to_string())),
                Ok(false) | Err(_) => {}
            }
        }
        report
    }

    /// Ends those that `next` has not: nobody reads their files any more, so what they said is worth
    /// nothing from now on.
    pub fn retire(&self, next: &Self) {
        for (_, trust) in self.0.iter().filter(|(terms, _)| !next.0.contains_key(*terms)) {
            trust.0.retired.store(true, Ordering::Relaxed);
        }
    }

    /// Each as it holds now.
    pub fn status(&self) -> Vec<ClientTrustStatus> {
        self.0.values().map(ClientTrust::status).collect()
    }
}
