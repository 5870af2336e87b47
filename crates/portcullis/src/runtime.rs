//! What outlives a reload, and what runs now.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use portcullis_authn::{ApiKeys, IntrospectionServer, IntrospectionStatus, Issuer, Revocations};
use portcullis_config::snapshot::{AdminTerms, TelemetryTerms, Trial};
use portcullis_core::{Clock, Timestamp};
use portcullis_limit::Penalties;
use portcullis_policy::{Handover, IdentitySigner};
use portcullis_proxy::metrics::{LimitMetrics, raise};
use portcullis_proxy::{Decisions, Metrics, Pool, Recorder};
use portcullis_state::Durable;
use portcullis_tls::acme::AcmeSettings;
use portcullis_tls::{CertificateStore, ClientTrusts};
use prometheus::Registry;
use serde_json::{Value, json};

use crate::certificates::{self, Attempts, HeldUp, View};
use crate::keys;
use crate::logs::Logs;
use crate::store::Store;

/// Decisions kept for `/decisions`.
const DECISIONS: usize = 1000;

/// State of the process beside the snapshot.
#[derive(Debug)]
pub(crate) struct Runtime {
    clock: Clock,
    registry: Registry,
    metrics: Arc<Metrics>,
    logs: Arc<Logs>,
    recorder: Arc<Recorder>,
    store: Store,
    attempts: Attempts,
    held_up: Mutex<HeldUp>,
    running: ArcSwap<Running>,
    draining: Arc<AtomicBool>,
    last_reload_ok: AtomicBool,
}

/// What runs now, beside what the proxy holds.
#[derive(Debug)]
pub(crate) struct Running {
    /// SHA-256 of the file, in hex.
    pub hash: String,
    /// When it was taken.
    pub loaded: Timestamp,
    /// The configuration without secrets.
    pub view: Value,
    /// Counters and keys, for the next snapshot.
    pub handover: Handover,
    /// Issuers by name.
    pub issuers: HashMap<Arc<str>, Arc<Issuer>>,
    /// Certificates.
    pub certificates: CertificateStore,
    /// How certificates are ordered, where they are.
    pub acme: Option<AcmeSettings>,
    /// Whom clients' certificates come from.
    pub trusts: ClientTrusts,
    /// Signs identity tokens, where a route asks for it.
    pub identity: Option<Arc<IdentitySigner>>,
    /// Upstreams by name.
    pub pools: HashMap<Arc<str>, Arc<Pool>>,
    /// Names of the routes.
    pub routes: BTreeSet<Arc<str>>,
    /// What only reports.
    pub trials: Vec<Trial>,
    /// The listeners for operators.
    pub admin: AdminTerms,
    /// The logs.
    pub telemetry: TelemetryTerms,
}

/// The parts that exist before the first snapshot.
#[derive(Debug)]
pub(crate) struct Base {
    /// The clock.
    pub clock: Clock,
    /// The metrics registry.
    pub registry: Registry,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The logs.
    pub logs: Arc<Logs>,
    /// Where records go.
    pub recorder: Arc<Recorder>,
}

impl Base {
    /// Registers the metrics, the process' own among them.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let process = prometheus::process_collector::ProcessCollector::for_self();
        registry.register(Box::new(process))?;
        let metrics = Arc::new(Metrics::new(&registry)?);
        for outcome in ["taken", "refused"] {
            // A series from the start: an alert on its increase sees the first.
            metrics.process.reloads.with_label_values(&[outcome]);
        }
        for challenge in ["http-01", "tls-alpn-01"] {
            metrics.edge.challenges.with_label_values(&[challenge]);
        }
        metrics.process.build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let logs = Arc::new(Logs::new(Arc::clone(&metrics)));
        let sink: Arc<dyn portcullis_proxy::LogSink> = Arc::clone(&logs) as _;
        let decisions = Decisions::new(DECISIONS);
        let recorder = Arc::new(Recorder { metrics: Arc::clone(&metrics), decisions, sink });
        Ok(Self { clock: Clock::system(), registry, metrics, logs, recorder })
    }
}

impl Runtime {
    /// Runs `running` first, on `store`.
    pub(crate) fn new(base: Base, running: Running, store: Store) -> Self {
        let Base { clock, registry, metrics, logs, recorder } = base;
        let runtime = Self {
            clock,
            registry,
            metrics,
            logs,
            recorder,
            store,
            attempts: Attempts::default(),
            held_up: Mutex::default(),
            running: ArcSwap::from_pointee(running),
            draining: Arc::default(),
            last_reload_ok: AtomicBool::new(true),
        };
        runtime.note_taken();
        runtime
    }

    /// Replaces what runs; what the old one had and the new one has not is forgotten.
    pub(crate) fn replace(&self, running: Running) {
        let old = self.running.load_full();
        for route in old.routes.difference(&running.routes) {
            self.metrics.forget_route(route);
        }
        let gone = |name: &&Arc<str>| !running.handover.limiters.contains_key(*name);
        old.handover.limiters.keys().filter(gone).for_each(|name| self.metrics.forget_limit(name));
        let gone = |name: &&Arc<str>| !running.handover.slots.contains_key(*name);
        old.handover.slots.keys().filter(gone).for_each(|name| self.metrics.forget_slots(name));
        let gone = |name: &&Arc<str>| !running.handover.penalties.contains_key(*name);
        old.handover.penalties.keys().filter(gone).for_each(|name| self.metrics.forget_limit(name));
        let gone = |name: &&Arc<str>| !running.handover.keys.contains_key(*name);
        old.handover.keys.keys().filter(gone).for_each(|name| self.metrics.forget_issuer(name));
        let gone = |name: &&Arc<str>| !running.handover.servers.contains_key(*name);
        let forget = |name: &Arc<str>| self.metrics.introspection.forget(name);
        old.handover.servers.keys().filter(gone).for_each(forget);
        old.trusts.retire(&running.trusts);
        self.running.store(Arc::new(running));
        self.metrics.process.reloads.with_label_values(&["taken"]).inc();
        self.note_taken();
    }

    fn note_taken(&self) {
        let status = self.running().certificates.status();
        self.metrics.certificates.expect_orders(certificates::ordered(&status));
        self.last_reload_ok.store(true, Ordering::Relaxed);
        self.metrics.process.reload_success.set(1);
        let seconds = f64::from(u32::try_from(self.clock.now().unix_seconds()).unwrap_or(u32::MAX));
        self.metrics.process.reload_time.set(seconds);
    }

    /// Notes that a reload was refused.
    pub(crate) fn note_refused(&self) {
        self.last_reload_ok.store(false, Ordering::Relaxed);
        self.metrics.process.reload_success.set(0);
        self.metrics.process.reloads.with_label_values(&["refused"]).inc();
    }

    /// Whether the last reload was taken.
    pub(crate) fn last_reload_ok(&self) -> bool {
        self.last_reload_ok.load(Ordering::Relaxed)
    }

    /// Not ready from now on.
    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Set once the process is on its way out.
    pub(crate) fn draining_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.draining)
    }

    /// Whether the process is on its way out.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// What runs now.
    pub(crate) fn running(&self) -> Arc<Running> {
        self.running.load_full()
    }

    /// The clock.
    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Revocations, the same for the life of the process.
    pub(crate) fn revocations(&self) -> Option<Arc<Revocations>> {
        self.running.load().handover.revocations.clone()
    }

    /// The API keys, the same for the life of the process.
    pub(crate) fn api_keys(&self) -> Arc<ApiKeys> {
        Arc::clone(&self.running.load().handover.api_keys)
    }

    /// The durable store.
    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    /// Records and leases that outlive the process.
    pub(crate) fn durable(&self) -> &Arc<dyn Durable> {
        self.store.durable()
    }

    /// The metrics registry.
    pub(crate) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The metrics.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The logs.
    pub(crate) fn logs(&self) -> &Arc<Logs> {
        &self.logs
    }

    /// Where records go.
    pub(crate) fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// Gives back the memory of buckets that are full again.
    pub(crate) fn sweep_limits(&self) {
        for limiter in self.running().handover.limiters.values() {
            limiter.sweep();
        }
        for penalties in self.running().handover.penalties.values() {
            penalties.sweep();
        }
    }

    /// Each certificate, and why what is kept of it could not be read.
    pub(crate) async fn certificates(&self) -> (Vec<View>, Option<String>) {
        let running = self.running();
        let status = running.certificates.status();
        let names = certificates::ordered(&status);
        let (records, error) = self.attempts.read(&**self.durable(), names).await;
        let held_up = self.held_up.lock();
        let view = |status| View::new(status, &records, &held_up, running.acme.as_ref());
        (status.iter().cloned().map(view).collect(), error)
    }

    /// Notes why no attempt can be made for `name`, or that one can.
    pub(crate) fn note_held_up(&self, name: &str, reason: Option<&str>) {
        let mut held_up = self.held_up.lock();
        match reason {
            Some(reason) => held_up.insert(name.to_owned(), reason.to_owned()),
            None => held_up.remove(name),
        };
    }

    /// Brings gauges that are counted elsewhere up to date, before they are shown.
    pub(crate) async fn refresh_metrics(&self) {
        let running = self.running();
        for (name, keys) in &running.handover.keys {
            let (status, metrics) = (keys.status(), &self.metrics.issuers);
            let by = [&**name];
            metrics
                .age
                .with_label_values(&by)
                .set(status.age.map_or(-1.0, |age| age.as_secs_f64()));
            metrics.keys.with_label_values(&by).set(count(status.keys));
            metrics.skipped.with_label_values(&by).set(count(status.skipped));
            metrics.stale.with_label_values(&by).set(i64::from(status.stale));
            raise(&metrics.fetches.with_label_values(&by), status.fetches);
            raise(&metrics.failures.with_label_values(&by), status.failures);
        }
        for (name, limiter) in &running.handover.limiters {
            let (metrics, by) = (&self.metrics.limits, [&**name]);
            metrics.keys.with_label_values(&by).set(count(limiter.keys()));
            raise(&metrics.evictions.with_label_values(&by), limiter.evictions());
            raise(&metrics.overflows.with_label_values(&by), limiter.overflows());
        }
        show_penalties(&running.handover.penalties, &self.metrics.limits);
        for (name, server) in &running.handover.servers {
            let status = server.status();
            let IntrospectionStatus { calls, failures, remembered, .. } = status;
            self.metrics.introspection.show(name, calls, failures, remembered);
        }
        keys::show(&running.handover.api_keys, &self.metrics.api_keys);
        self.metrics.dpop.show(running.handover.dpop.status());
        for (name, slots) in &running.handover.slots {
            let held = i64::try_from(slots.held()).unwrap_or(i64::MAX);
            self.metrics.limits.slots.with_label_values(&[&**name]).set(held);
        }
        self.metrics.upstreams.show(running.pools.values().map(|pool| &**pool));
        let revocations = self.revocations().and_then(|revocations| revocations.count());
        self.metrics.process.revocations.set(revocations.map_or(-1, count));
        let (views, _) = self.certificates().await;
        certificates::show(&views, &self.metrics, &self.clock);
        if let Some(identity) = &running.identity {
            raise(&self.metrics.process.minted, identity.minted());
        }
    }
}

fn show_penalties(all: &HashMap<Arc<str>, Penalties>, metrics: &LimitMetrics) {
    for (name, penalties) in all {
        let by = [&**name];
        metrics.keys.with_label_values(&by).set(count(penalties.keys()));
        raise(&metrics.penalties.with_label_values(&by), penalties.begun());
        raise(&metrics.evictions.with_label_values(&by), penalties.evictions());
        raise(&metrics.overflows.with_label_values(&by), penalties.overflows());
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Running {
    /// Each issuer's keys, or its introspection server, for `/readyz`.
    pub(crate) fn issuers_json(&self) -> Value {
        let one = |(name, keys): (&Arc<str>, &portcullis_authn::KeyCache)| {
            let status = keys.status();
            let state = json!({
                "ready": status.ready,
                "stale": status.stale,
                "keys": status.keys,
                "last_error": status.last_error,
            });
            (name.to_string(), state)
        };
        let asked = |(name, server): (&Arc<str>, &IntrospectionServer)| {
            let last_error = server.status().last_error;
            (name.to_string(), json!({"ready": last_error.is_none(), "last_error": last_error}))
        };
        let signed = self.handover.keys.iter().map(one);
        let opaque = self.handover.servers.iter().map(asked);
        signed.chain(opaque).collect::<serde_json::Map<_, _>>().into()
    }

    /// Each upstream's endpoints, for `/readyz`.
    pub(crate) fn upstreams_json(&self) -> Value {
        let one = |(name, pool): (&Arc<str>, &Arc<Pool>)| {
            let endpoints = pool
                .status()
                .into_iter()
                .map(|status| json!({"endpoint": status.endpoint, "healthy": status.healthy}));
            (name.to_string(), endpoints.collect::<Vec<_>>().into())
        };
        self.pools.iter().map(one).collect::<serde_json::Map<_, _>>().into()
    }

    /// What only reports at `now`, and until when, for `/readyz`.
    pub(crate) fn trials_json(&self, now: Timestamp) -> Value {
        let active = self.trials.iter().filter(|trial| now < trial.until);
        let one = |trial: &Trial| {
            json!({
                "limits": trial.limits,
                "policies": trial.policies,
                "requests": trial.requests,
                "until": trial.until.rfc3339(),
            })
        };
        active.map(one).collect::<Vec<_>>().into()
    }

    /// Whom clients' certificates come from, for `/readyz`.
    pub(crate) fn client_certificates_json(&self) -> Value {
        let one = |status: portcullis_tls::ClientTrustStatus| {
            json!({
                "mode": status.terms.mode.to_string(),
                "trust": status.terms.trust,
                "authorities": status.authorities,
                "crl": status.terms.crls,
                "crl_next_update": status.next_update.map(Timestamp::rfc3339),
                "last_error": status.last_error,
            })
        };
        self.trusts.status().into_iter().map(one).collect::<Vec<_>>().into()
    }
}
