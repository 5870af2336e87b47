//! What Prometheus sees. Labels come from the file or from closed lists, never from a client.

use std::time::Duration;

use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, Result,
};

use portcullis_core::Denial;

pub use crate::metrics::api_keys::KeyMetrics;
pub use crate::metrics::certificates::{CertificateFacts, CertificateMetrics};
pub use crate::metrics::dpop::DpopMetrics;
pub use crate::metrics::introspection::IntrospectionMetrics;
pub use crate::metrics::limits::LimitMetrics;
pub use crate::metrics::upstreams::UpstreamMetrics;

mod api_keys;
mod certificates;
mod dpop;
mod introspection;
mod limits;
mod upstreams;

/// Buckets of request durations, in seconds.
const BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "aborted"];

/// All metrics of the gateway, registered with one registry.
#[derive(Debug)]
pub struct Metrics {
    /// Of requests.
    pub requests: RequestMetrics,
    /// Of upstreams.
    pub upstreams: UpstreamMetrics,
    /// Of issuers' keys.
    pub issuers: IssuerMetrics,
    /// Of API keys.
    pub api_keys: KeyMetrics,
    /// Of DPoP proofs.
    pub dpop: DpopMetrics,
    /// Of introspection servers.
    pub introspection: IntrospectionMetrics,
    /// Of limits.
    pub limits: LimitMetrics,
    /// Of connections.
    pub edge: EdgeMetrics,
    /// Of certificates.
    pub certificates: CertificateMetrics,
    /// Of the process and its configuration.
    pub process: ProcessMetrics,
}

/// Of requests.
#[derive(Debug)]
pub struct RequestMetrics {
    /// `gateway_requests_total{route,class}`.
    pub answered: IntCounterVec,
    /// `gateway_request_duration_seconds{route}`.
    pub duration: HistogramVec,
    /// `gateway_denials_total{code}`.
    pub denials: IntCounterVec,
    /// `gateway_would_deny_total{route,code}`.
    pub would_deny: IntCounterVec,
}

/// Of issuers' keys, all by `issuer`.
#[derive(Debug)]
pub struct IssuerMetrics {
    /// `gateway_jwks_age_seconds`.
    pub age: GaugeVec,
    /// `gateway_jwks_keys`.
    pub keys: IntGaugeVec,
    /// `gateway_jwks_keys_skipped`.
    pub skipped: IntGaugeVec,
    /// `gateway_jwks_stale`.
    pub stale: IntGaugeVec,
    /// `gateway_jwks_fetches_total`.
    pub fetches: IntCounterVec,
    /// `gateway_jwks_fetch_failures_total`.
    pub failures: IntCounterVec,
}

/// Of connections.
#[derive(Debug)]
pub struct EdgeMetrics {
    /// `gateway_connections{listener}`.
    pub connections: IntGaugeVec,
    /// `gateway_connections_refused_total{listener,reason}`.
    pub refused: IntCounterVec,
    /// `gateway_connections_ended_total{listener,reason}`.
    pub ended: IntCounterVec,
    /// `gateway_handshake_failures_total{listener,reason}`.
    pub handshake_failures: IntCounterVec,
    /// `gateway_challenges_answered_total{challenge}`.
    pub challenges: IntCounterVec,
}

/// Of the process and its configuration.
#[derive(Debug)]
pub struct ProcessMetrics {
    /// `gateway_config_reloads_total{outcome}`.
    pub reloads: IntCounterVec,
    /// `gateway_config_last_reload_success`.
    pub reload_success: IntGauge,
    /// `gateway_config_last_reload_timestamp_seconds`.
    pub reload_time: Gauge,
    /// `gateway_identity_tokens_minted_total`.
    pub minted: IntCounter,
    /// `gateway_log_lines_dropped_total`.
    pub log_dropped: IntCounter,
    /// `gateway_revocations`.
    pub revocations: IntGauge,
    /// `gateway_build_info{version}`.
    pub build: IntGaugeVec,
}

struct Maker<'r>(&'r Registry);

impl Maker<'_> {
    fn keep<C: prometheus::core::Collector + Clone + 'static>(
        &self,
        metric: Result<C>,
    ) -> Result<C> {
        let metric = metric?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.keep(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter> {
        self.keep(IntCounter::new(name, help))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        self.keep(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn floats(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec> {
        self.keep(GaugeVec::new(Opts::new(name, help), labels))
    }
}

impl Metrics {
    /// Registers all of them; fails only if one is registered twice.
    pub fn new(registry: &Registry) -> Result<Self> {
        let make = Maker(registry);
        Ok(Self {
            requests: RequestMetrics::new(&make)?,
            upstreams: UpstreamMetrics::new(&make)?,
            issuers: IssuerMetrics::new(&make)?,
            api_keys: KeyMetrics::new(&make)?,
            dpop: DpopMetrics::new(&make)?,
            introspection: IntrospectionMetrics::new(&make)?,
            limits: LimitMetrics::new(&make)?,
            edge: EdgeMetrics::new(&make)?,
            certificates: CertificateMetrics::new(&make)?,
            process: ProcessMetrics::new(&make)?,
        })
    }

    /// Counts one finished request.
    pub fn count(&self, route: &str, status: u16, code: &str, took: Duration) {
        let route = if route.is_empty() { "none" } else { route };
        self.requests.answered.with_label_values(&[route, class(status)]).inc();
        self.requests.duration.with_label_values(&[route]).observe(took.as_secs_f64());
        if !code.is_empty() {
            self.requests.denials.with_label_values(&[code]).inc();
        }
    }

    /// Counts the refusals that were not given, by code.
    pub fn count_trials(&self, route: &str, codes: impl Iterator<Item = &'static str>) {
        for code in codes {
            self.requests.would_deny.with_label_values(&[route, code]).inc();
        }
    }

    /// Drops what was counted for a route that is no more.
    pub fn forget_route(&self, route: &str) {
        for class in CLASSES {
            self.requests.answered.remove_label_values(&[route, class]).ok();
        }
        self.requests.duration.remove_label_values(&[route]).ok();
        for denial in Denial::samples() {
            self.requests.would_deny.remove_label_values(&[route, denial.code()]).ok();
        }
    }

    /// Drops what was counted for a limit that is no more.
    pub fn forget_limit(&self, limit: &str) {
        self.limits.forget(limit);
    }

    /// Drops what was counted for a limit of requests at once that is no more.
    pub fn forget_slots(&self, limit: &str) {
        self.limits.slots.remove_label_values(&[limit]).ok();
    }

    /// Drops what was counted for an issuer that is no more.
    pub fn forget_issuer(&self, issuer: &str) {
        self.issuers.age.remove_label_values(&[issuer]).ok();
        for gauge in [&self.issuers.keys, &self.issuers.skipped, &self.issuers.stale] {
            gauge.remove_label_values(&[issuer]).ok();
        }
        self.issuers.fetches.remove_label_values(&[issuer]).ok();
        self.issuers.failures.remove_label_values(&[issuer]).ok();
    }
}

/// Brings a counter up to a total that is counted elsewhere.
pub fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

/// Class of a status; `aborted` where none was sent.
fn class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "aborted",
    }
}

impl RequestMetrics {
    fn new(make: &Maker<'_>) -> Result<Self> {
        let duration = HistogramOpts::new(
            "gateway_request_duration_seconds",
            "Time from the request's head to the end of the answer.",
        );
        Ok(Self {
            answered: make.counters(
                "gateway_requests_total",
                "Requests, by route and class of the status answered.",
                &["route", "class"],
            )?,
            duration: make
                .keep(HistogramVec::new(duration.buckets(BUCKETS.to_vec()), &["route"]))?,
            denials: make.counters(
                "gateway_denials_total",
                "Requests refused, by code.",
                &["code"],
            )?,
            would_deny: make.counters(
                "gateway_would_deny_total",
                "Refusals that rules which only report did not give.",
                &["route", "code"],
            )?,
        })
    }
}

impl IssuerMetrics {
    fn new(make: &Maker<'_>) -> Result<Self> {
        let by = &["issuer"];
        Ok(Self {
            age: make.floats(
                "gateway_jwks_age_seconds",
                "Time since the keys of an issuer were last read.",
                by,
            )?,
            keys: make.gauges("gateway_jwks_keys", "Usable keys of an issuer.", by)?,
            skipped: make.gauges(
                "gateway_jwks_keys_skipped",
                "Keys of an issuer that could not be used at the last read.",
                by,
            )?,
            stale: make.gauges(
                "gateway_jwks_stale",
                "1 while the keys of an issuer are used beyond their refresh time.",
                by,
            )?,
            fetches: make.counters(
                "gateway_jwks_fetches_total",
                "Attempts to read the keys of an issuer.",
                by,
            )?,
            failures: make.counters(
                "gateway_jwks_fetch_failures_total",
                "Failed attempts to read the keys of an issuer.",
                by,
            )?,
        })
    }
}

impl EdgeMetrics {
    fn new(make: &Maker<'_>) -> Result<Self> {
        Ok(Self {
            connections: make.gauges(
                "gateway_connections",
                "Open client connections.",
                &["listener"],
            )?,
            refused: make.counters(
                "gateway_connections_refused_total",
                "Client connections that a cap turned away.",
                &["listener", "reason"],
            )?,
            ended: make.counters(
                "gateway_connections_ended_total",
                "HTTP/2 connections that were ended for what the client did on them.",
                &["listener", "reason"],
            )?,
            handshake_failures: make.counters(
                "gateway_handshake_failures_total",
                "Client connections that ended before they could carry a request.",
                &["listener", "reason"],
            )?,
            challenges: make.counters(
                "gateway_challenges_answered_total",
                "Challenges that were answered to a certificate authority.",
                &["challenge"],
            )?,
        })
    }
}

impl ProcessMetrics {
    fn new(make: &Maker<'_>) -> Result<Self> {
        Ok(Self {
            reloads: make.counters(
                "gateway_config_reloads_total",
                "Reloads of the file, by outcome.",
                &["outcome"],
            )?,
            reload_success: make.keep(IntGauge::new(
                "gateway_config_last_reload_success",
                "1 if the last reload was taken, 0 if it was refused.",
            ))?,
            revocations: make.keep(IntGauge::new(
                "gateway_revocations",
                "Revocations that are kept; -1 while they cannot be read and tokens are answered 503.",
            ))?,
            reload_time: make.keep(Gauge::new(
                "gateway_config_last_reload_timestamp_seconds",
                "When the running configuration was taken, in Unix time.",
            ))?,
            minted: make.counter(
                "gateway_identity_tokens_minted_total",
                "Identity tokens signed for apps.",
            )?,
            log_dropped: make.counter(
                "gateway_log_lines_dropped_total",
                "Access log lines dropped because the writer fell behind.",
            )?,
            build: make.gauges(
                "gateway_build_info",
                "Always 1; the label says which version runs.",
                &["version"],
            )?,
        })
    }
}
