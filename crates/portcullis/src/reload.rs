//! Reload: a new file whole, or everything as it was.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_config::LoadOptions;
use portcullis_edge::{ConnectionSettings, Edge};
use portcullis_proxy::{App, LogSink, Serving};
use portcullis_state::StateFolder;
use portcullis_tls::acme::Acme;
use portcullis_tls::{CertificateOrigin, FilePair};
use serde_json::json;

use crate::handover::Sockets;
use crate::listeners::Listeners;
use crate::logs;
use crate::operators::Operators;
use crate::prepare::{Kept, Prepared, Previous, prepare};
use crate::run::start_keys;
use crate::runtime::Runtime;

/// Holds what a reload replaces.
pub(crate) struct Reloader {
    /// The configuration.
    pub file: PathBuf,
    /// Where made secrets are kept.
    pub state: StateFolder,
    /// The rest of the process.
    pub runtime: Arc<Runtime>,
    /// The edge.
    pub edge: Edge,
    /// The HTTP engine.
    pub proxy: Arc<App>,
    /// What requests take.
    pub serving: Arc<ArcSwap<Serving>>,
    /// What connections take.
    pub connections: Arc<ArcSwap<ConnectionSettings>>,
    /// Client listeners.
    pub listeners: Listeners,
    /// Operator listeners.
    pub operators: Operators,
    /// Orders certificates.
    pub acme: Acme,
    /// Drain delay and grace.
    pub drain: (Duration, Duration),
    /// Files that the configuration names.
    pub files: Vec<PathBuf>,
    /// Of the bytes of file and secrets at the last attempt.
    pub fingerprint: Option<u64>,
    /// Why the last attempt was refused, if it was.
    pub refusal: Option<String>,
}

impl Reloader {
    /// The configuration and all files it names.
    pub(crate) fn watched(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.file.as_path()).chain(self.files.iter().map(PathBuf::as_path))
    }

    /// Something changed on disk: certificates first, which keep the old pair on any mistake; then
    /// the file and its secrets, if their bytes are others than at the last attempt.
    pub(crate) async fn files_changed(&mut self) {
        self.certificates_changed().await;
        if self.fingerprint != Some(self.current_fingerprint()) {
            self.reload().await;
        }
    }

    /// Reads certificate files again.
    pub(crate) async fn certificates_changed(&self) {
        let store = self.runtime.running().certificates.clone();
        let Ok(report) = tokio::task::spawn_blocking(move || store.reload_files()).await else {
            return;
        };
        self.tell(&report);
        self.client_trust_changed().await;
    }

    /// Reads again whom clients' certificates come from, and which were revoked.
    async fn client_trust_changed(&self) {
        let trusts = self.runtime.running().trusts.clone();
        let Ok(report) = tokio::task::spawn_blocking(move || trusts.reload()).await else {
            return;
        };
        for terms in report.replaced {
            self.note("client-trust-replaced", &terms.policy().to_string());
        }
        for (terms, error) in report.failed {
            self.note("client-trust-refused", &format!("{}: {error}", terms.policy()));
            self.runtime.metrics().certificates.reload_failures.inc();
        }
    }

    /// Reads the file and takes it, or says why not and changes nothing.
    pub(crate) async fn reload(&mut self) {
        self.note_fingerprint();
        let outcome = self.try_reload().await;
        self.conclude(outcome);
    }

    /// Tries a refused file again, and says so only where something else comes of it.
    pub(crate) async fn reload_if_refused(&mut self) {
        let Some(before) = self.refusal.clone() else { return };
        let outcome = self.try_reload().await;
        if outcome.as_ref().err() != Some(&before) {
            self.conclude(outcome);
        }
    }

    fn conclude(&mut self, outcome: Result<String, String>) {
        match &outcome {
            Ok(hash) => self.note("config-reloaded", hash),
            Err(reason) => {
                self.runtime.note_refused();
                self.note("config-refused", reason);
            }
        }
        self.refusal = outcome.err();
    }

    async fn try_reload(&mut self) -> Result<String, String> {
        let running = self.runtime.running();
        let handover = running.handover.clone();
        let options = LoadOptions { handover, ..LoadOptions::new(self.runtime.clock().clone()) };
        let file = self.file.clone();
        let loaded = tokio::task::spawn_blocking(move || portcullis_config::load(&file, &options));
        let loaded = loaded.await.map_err(|error| error.to_string())?;
        let mut snapshot = loaded.map_err(|report| report.render_text(false))?.snapshot;
        let completed = self.runtime.store().complete(&mut snapshot).await;
        completed.map_err(|error| error.to_string())?;
        let serving = self.serving.load_full();
        let previous = Previous {
            certificates: Some(&running.certificates),
            trusts: Some(&running.trusts),
            pools: Some(&serving.pools),
        };
        let (clock, recorder) = (self.runtime.clock(), self.runtime.recorder());
        let revocations = running.handover.revocations.as_ref();
        let kept = Kept { folder: &self.state, durable: self.runtime.durable(), revocations };
        let prepared = prepare(snapshot, &previous, kept, clock, recorder);
        self.take(prepared.map_err(|error| error.to_string())?).await
    }

    async fn take(&mut self, prepared: Prepared) -> Result<String, String> {
        let Prepared { serving, running, connections, listeners, drain, files, admin_token, acme } =
            prepared;
        let change = self
            .listeners
            .plan(&mut Sockets::default(), listeners)
            .map_err(|error| error.to_string())?;
        let (access, audit) = logs::targets(&running.telemetry);
        let writers = logs::start(&access, &audit).map_err(|error| error.to_string())?;
        let none = &mut Sockets::default();
        let operators =
            self.operators.set(none, &self.runtime, &running.admin, &admin_token).await?;
        // From here on nothing can fail.
        let before = self.runtime.running();
        start_keys(&running.handover, Some(&before.handover)).await;
        self.serving.store(Arc::new(serving));
        self.connections.store(Arc::new(connections));
        self.runtime.logs().replace(writers);
        for line in self.listeners.take(change, &self.edge, &self.proxy).iter().chain(&operators) {
            tracing::info!("{line}");
        }
        self.drain = drain;
        self.files = files;
        let hash = running.hash.clone();
        self.runtime.replace(running);
        self.acme.update(acme).await;
        Ok(hash)
    }

    /// All listening sockets, for a successor.
    pub(crate) fn sockets(&self) -> Sockets {
        let mut sockets = Sockets::default();
        self.listeners.offer(&mut sockets);
        self.operators.offer(&mut sockets);
        sockets
    }

    /// Remembers the bytes of this attempt.
    pub(crate) fn note_fingerprint(&mut self) {
        self.fingerprint = Some(self.current_fingerprint());
    }

    fn current_fingerprint(&self) -> u64 {
        let running = self.runtime.running();
        let status = running.certificates.status();
        let mut certificates: HashSet<PathBuf> =
            status.into_iter().flat_map(|status| paths(status.origin)).collect();
        for status in running.trusts.status() {
            certificates.insert(status.terms.trust);
            certificates.extend(status.terms.crls);
        }
        let mut hasher = DefaultHasher::new();
        for path in self.watched().filter(|path| !certificates.contains(*path)) {
            path.hash(&mut hasher);
            std::fs::read(path).ok().hash(&mut hasher);
        }
        hasher.finish()
    }

    /// An event for our own log and for the audit log; what was refused stays as it was.
    pub(crate) fn note(&self, event: &str, detail: &str) {
        if event.ends_with("-refused") {
            log_refused(event, detail);
        } else {
            tracing::info!(event, detail);
        }
        self.audit(event, detail);
    }

    /// An event that somebody has to look at.
    pub(crate) fn warn(&self, event: &str, detail: &str) {
        tracing::warn!(event, detail);
        self.audit(event, detail);
    }

    fn audit(&self, event: &str, detail: &str) {
        let time = self.runtime.clock().now().rfc3339();
        let line = json!({"event": event, "time": time, "detail": detail}).to_string();
        self.runtime.logs().audit(line);
    }
}

fn log_refused(event: &str, detail: &str) {
    tracing::error!(event, detail, "everything stays as it was");
}

fn paths(origin: CertificateOrigin) -> Vec<PathBuf> {
    match origin {
        CertificateOrigin::Files(FilePair { certificate, key }) => vec![certificate, key],
        CertificateOrigin::Acme(_) | CertificateOrigin::SelfSigned => Vec::new(),
    }
}
