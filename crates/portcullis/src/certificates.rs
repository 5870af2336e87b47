//! What is known of certificates, in one form for `/readyz`, the metrics and the command: what is
//! served, and what is kept of the attempts to order it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_core::{Clock, Timestamp};
use portcullis_proxy::metrics::CertificateFacts;
use portcullis_proxy::{LogSink as _, Metrics};
use portcullis_state::Durable;
use portcullis_tls::acme::{AcmeEvents, AcmeSettings, ChallengeType, NameRecord};
use portcullis_tls::{CertificateOrigin, CertificateStatus};
use serde_json::{Value, json};

use crate::runtime::Runtime;

pub(crate) mod command;
pub(crate) mod planned;

/// Longest wait for the records: what asks for them is itself waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is kept of the attempts, by name.
pub(crate) type Records = BTreeMap<String, NameRecord>;

/// Why no attempt can be made at all, by name.
pub(crate) type HeldUp = BTreeMap<String, String>;

/// The records as they were read last.
#[derive(Debug, Default)]
pub(crate) struct Attempts(ArcSwap<Records>);

impl Attempts {
    /// Reads the records of `names`, and says why where one could not be had: then it is as it was.
    pub(crate) async fn read<'n>(
        &self,
        durable: &dyn Durable,
        names: impl Iterator<Item = &'n str> + Send,
    ) -> (Arc<Records>, Option<String>) {
        let before = self.0.load_full();
        let read = tokio::time::timeout(PATIENCE, read_each(durable, names, &before)).await;
        let error = match read {
            Ok((records, error)) => {
                self.0.store(Arc::new(records));
                error
            }
            Err(_) => Some("the durable store does not answer".to_owned()),
        };
        (self.0.load_full(), error)
    }
}

async fn read_each<'n>(
    durable: &dyn Durable,
    names: impl Iterator<Item = &'n str> + Send,
    before: &Records,
) -> (Records, Option<String>) {
    let (mut records, mut failed) = (Records::new(), None);
    for name in names {
        let record = match NameRecord::load(durable, name).await {
            Ok(record) => Some(record),
            Err(error) => {
                failed = Some(error.to_string());
                before.get(name).cloned()
            }
        };
        records.extend(record.map(|record| (name.to_owned(), record)));
    }
    (records, failed)
}

/// A certificate, served or awaited.
#[derive(Debug)]
pub(crate) struct View {
    status: CertificateStatus,
    record: Option<NameRecord>,
    /// How it is ordered, and from which directory.
    order: Option<(ChallengeType, String)>,
}

impl View {
    /// `status`, with what is kept of the attempts to order it as `acme` says.
    pub(crate) fn new(
        status: CertificateStatus,
        records: &Records,
        held_up: &HeldUp,
        acme: Option<&AcmeSettings>,
    ) -> Self {
        let mut status = status;
        if let CertificateOrigin::Acme(name) = &status.origin
            && let Some(reason) = held_up.get(name)
        {
            status.last_error = Some(reason.clone());
        }
        let (record, order) = match (&status.origin, acme) {
            (CertificateOrigin::Acme(name), Some(acme)) => {
                // What another authority said is no matter any more.
                let is_ours = |record: &&NameRecord| record.directory == acme.directory;
                let record = records.get(name).filter(is_ours).cloned();
                (record, Some((acme.challenge_for(name), acme.directory.clone())))
            }
            _ => (None, None),
        };
        Self { status, record, order }
    }

    /// Its names.
    pub(crate) fn names(&self) -> &[String] {
        &self.status.names
    }

    /// Where it comes from, as the file calls it.
    pub(crate) const fn source(&self) -> &'static str {
        match &self.status.origin {
            CertificateOrigin::Acme(_) => "acme",
            CertificateOrigin::Files(_) => "files",
            CertificateOrigin::SelfSigned => "self_signed",
        }
    }

    /// When it ends; `None` where there is none yet.
    pub(crate) const fn not_after(&self) -> Option<Timestamp> {
        self.status.not_after
    }

    /// Whole days until then.
    pub(crate) const fn days_left(&self) -> Option<u64> {
        self.status.days_left
    }

    /// Why the last attempt to replace or order it failed.
    pub(crate) fn last_error(&self) -> Option<&str> {
        let ordered = || self.record.as_ref()?.last_error.as_deref();
        self.status.last_error.as_deref().or_else(ordered)
    }

    /// When the authority is asked again after a failure.
    pub(crate) fn next_attempt(&self) -> Option<Timestamp> {
        self.record.as_ref()?.next_attempt.map(|at| at.0)
    }

    /// When an ordered certificate is to be replaced.
    fn renew_at(&self) -> Option<Timestamp> {
        self.record.as_ref()?.renew_at.map(|at| at.0)
    }

    /// The file that it is in.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.status.origin {
            CertificateOrigin::Files(files) => Some(&files.certificate),
            CertificateOrigin::Acme(_) | CertificateOrigin::SelfSigned => None,
        }
    }

    /// All of it, for programs, but for paths, which are nobody's business.
    pub(crate) fn json(&self) -> Value {
        let time = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
        json!({
            "names": self.names(),
            "source": self.source(),
            "challenge": self.order.as_ref().map(|(challenge, _)| challenge.as_str()),
            "directory": self.order.as_ref().map(|(_, directory)| directory),
            "key": self.status.key,
            "not_before": time(self.status.not_before),
            "not_after": time(self.not_after()),
            "days_left": self.days_left(),
            "renew_at": time(self.renew_at()),
            "last_error": self.last_error(),
            "failures": self.record.as_ref().map_or(0, |record| record.failures),
            "next_attempt": time(self.next_attempt()),
        })
    }

    fn facts(&self) -> CertificateFacts {
        let term = self.status.not_before.zip(self.status.not_after);
        CertificateFacts { term, failing: self.last_error().is_some() }
    }
}

/// Brings the metrics of certificates up to date.
pub(crate) fn show(views: &[View], metrics: &Metrics, clock: &Clock) {
    let by_name = views.iter().flat_map(|view| {
        let facts = view.facts();
        view.names().iter().map(move |name| (name.clone(), facts))
    });
    metrics.certificates.show(clock.now(), by_name);
}

/// Names that certificates are ordered for.
pub(crate) fn ordered(status: &[CertificateStatus]) -> impl Iterator<Item = &str> {
    status.iter().filter_map(|status| match &status.origin {
        CertificateOrigin::Acme(name) => Some(name.as_str()),
        CertificateOrigin::Files(_) | CertificateOrigin::SelfSigned => None,
    })
}

/// Orders are counted, and told in the audit log.
impl AcmeEvents for Runtime {
    fn ordered(&self, name: &str) {
        self.note_order(name, "placed");
    }

    fn issued(&self, name: &str) {
        self.note_order(name, "issued");
    }

    fn failed(&self, name: &str) {
        self.note_order(name, "failed");
    }

    fn held_up(&self, name: &str, reason: Option<&str>) {
        self.note_held_up(name, reason);
    }
}

impl Runtime {
    fn note_order(&self, name: &str, outcome: &'static str) {
        self.metrics().certificates.count_order(name, outcome);
        let event =
            format!("certificate-{}", if outcome == "placed" { "ordered" } else { outcome });
        let time = self.clock().now().rfc3339();
        self.logs().audit(json!({"event": event, "time": time, "detail": name}).to_string());
    }
}
