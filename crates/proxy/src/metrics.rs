//! What Prometheus sees. Labels come from the file or from closed lists, never from a client.

use std::time::Duration;

use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

/// Buckets of request durations, in seconds.
const BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// All metrics of the gateway, registered with one registry.
#[derive(Debug)]
pub struct Metrics {
    /// `gateway_requests_total{route,class}`.
    pub requests: IntCounterVec,
    /// `gateway_request_duration_seconds{route}`.
    pub duration: HistogramVec,
    /// `gateway_denials_total{code}`.
    pub denials: IntCounterVec,
    /// `gateway_upstream_failures_total{upstream,kind}`.
    pub upstream_failures: IntCounterVec,
    /// `gateway_upstream_retries_total{upstream}`.
    pub upstream_retries: IntCounterVec,
    /// `gateway_jwks_age_seconds{issuer}`.
    pub jwks_age: GaugeVec,
    /// `gateway_jwks_keys{issuer}`.
    pub jwks_keys: IntGaugeVec,
    /// `gateway_jwks_keys_skipped{issuer}`.
    pub jwks_skipped: IntGaugeVec,
    /// `gateway_jwks_fetches_total{issuer}`.
    pub jwks_fetches: IntCounterVec,
    /// `gateway_jwks_fetch_failures_total{issuer}`.
    pub jwks_failures: IntCounterVec,
    /// `gateway_jwks_stale{issuer}`.
    pub jwks_stale: IntGaugeVec,
    /// `gateway_limiter_keys{limit}`.
    pub limiter_keys: IntGaugeVec,
    /// `gateway_limiter_evictions_total{limit}`.
    pub limiter_evictions: IntCounterVec,
    /// `gateway_limiter_overflows_total{limit}`.
    pub limiter_overflows: IntCounterVec,
    /// `gateway_certificate_days_left{name}`.
    pub certificate_days: GaugeVec,
    /// `gateway_certificate_reload_failures_total`.
    pub certificate_failures: IntCounter,
    /// `gateway_config_reloads_total{outcome}`.
    pub reloads: IntCounterVec,
    /// `gateway_config_last_reload_success`.
    pub reload_success: IntGauge,
    /// `gateway_config_last_reload_timestamp_seconds`.
    pub reload_time: Gauge,
    /// `gateway_connections{listener}`.
    pub connections: IntGaugeVec,
    /// `gateway_connections_refused_total{listener,reason}`.
    pub connections_refused: IntCounterVec,
    /// `gateway_handshake_failures_total{listener}`.
    pub handshake_failures: IntCounterVec,
    /// `gateway_log_lines_dropped_total`.
    pub log_dropped: IntCounter,
    /// `gateway_build_info{version}`.
    pub build: IntGaugeVec,
}

struct Maker<'r> {
    registry: &'r Registry,
}

impl Maker<'_> {
    fn keep<C: prometheus::core::Collector + Clone + 'static>(
        &self,
        metric: prometheus::Result<C>,
    ) -> prometheus::Result<C> {
        let metric = metric?;
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        self.keep(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.keep(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn floats(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
        self.keep(GaugeVec::new(Opts::new(name, help), labels))
    }
}

impl Metrics {
    /// Registers all of them; fails only if one is registered twice.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let make = Maker { registry };
        let duration = HistogramOpts::new(
            "gateway_request_duration_seconds",
            "Time from the request's head to the end of the answer.",
        );
        Ok(Self {
            requests: make.counters(
                "gateway_requests_total",
                "Requests answered, by route and class of status.",
                &["route", "class"],
            )?,
            duration: make
                .keep(HistogramVec::new(duration.buckets(BUCKETS.to_vec()), &["route"]))?,
            denials: make.counters(
                "gateway_denials_total",
                "Requests refused, by code.",
                &["code"],
            )?,
            upstream_failures: make.counters(
                "gateway_upstream_failures_total",
                "Failed attempts at an upstream.",
                &["upstream", "kind"],
            )?,
            upstream_retries: make.counters(
                "gateway_upstream_retries_total",
                "Attempts at an upstream after the first.",
                &["upstream"],
            )?,
            jwks_age: make.floats(
                "gateway_jwks_age_seconds",
                "Time since the keys of an issuer were last read.",
                &["issuer"],
            )?,
            jwks_keys: make.gauges(
                "gateway_jwks_keys",
                "Usable keys of an issuer.",
                &["issuer"],
            )?,
            jwks_skipped: make.gauges(
                "gateway_jwks_keys_skipped",
                "Keys of an issuer that were not usable at the last read.",
                &["issuer"],
            )?,
            jwks_fetches: make.counters(
                "gateway_jwks_fetches_total",
                "Attempts to read the keys of an issuer.",
                &["issuer"],
            )?,
            jwks_failures: make.counters(
                "gateway_jwks_fetch_failures_total",
                "Failed attempts to read the keys of an issuer.",
                &["issuer"],
            )?,
            jwks_stale: make.gauges(
                "gateway_jwks_stale",
                "1 while keys are used beyond their refresh time.",
                &["issuer"],
            )?,
            limiter_keys: make.gauges(
                "gateway_limiter_keys",
                "Keys that a limit holds.",
                &["limit"],
            )?,
            limiter_evictions: make.counters(
                "gateway_limiter_evictions_total",
                "Keys that a limit gave up for others.",
                &["limit"],
            )?,
            limiter_overflows: make.counters(
                "gateway_limiter_overflows_total",
                "Requests counted in the shared bucket of a full limit.",
                &["limit"],
            )?,
            certificate_days: make.floats(
                "gateway_certificate_days_left",
                "Days until a certificate ends.",
                &["name"],
            )?,
            certificate_failures: make.keep(IntCounter::new(
                "gateway_certificate_reload_failures_total",
                "Replacements of certificate files that were refused.",
            ))?,
            reloads: make.counters(
                "gateway_config_reloads_total",
                "Reloads of the file, by outcome.",
                &["outcome"],
            )?,
            reload_success: make.keep(IntGauge::new(
                "gateway_config_last_reload_success",
                "1 if the last reload was taken, 0 if it was refused.",
            ))?,
            reload_time: make.keep(Gauge::new(
                "gateway_config_last_reload_timestamp_seconds",
                "When the running configuration was taken.",
            ))?,
            connections: make.gauges(
                "gateway_connections",
                "Open client connections.",
                &["listener"],
            )?,
            connections_refused: make.counters(
                "gateway_connections_refused_total",
                "Client connections refused by a cap.",
                &["listener", "reason"],
            )?,
            handshake_failures: make.counters(
                "gateway_handshake_failures_total",
                "TLS handshakes that failed.",
                &["listener"],
            )?,
            log_dropped: make.keep(IntCounter::new(
                "gateway_log_lines_dropped_total",
                "Access log lines dropped because the writer fell behind.",
            ))?,
            build: make.gauges(
                "gateway_build_info",
                "Always 1; the label says which version runs.",
                &["version"],
            )?,
        })
    }

    /// Counts one finished request.
    pub fn count(&self, route: &str, status: u16, code: &str, took: Duration) {
        let route = if route.is_empty() { "none" } else { route };
        self.requests.with_label_values(&[route, class(status)]).inc();
        self.duration.with_label_values(&[route]).observe(took.as_secs_f64());
        if !code.is_empty() {
            self.denials.with_label_values(&[code]).inc();
        }
    }

    /// Brings a counter up to a total that is counted elsewhere.
    pub fn raise(counters: &IntCounterVec, label: &str, total: u64) {
        let counter = counters.with_label_values(&[label]);
        counter.inc_by(total.saturating_sub(counter.get()));
    }

    /// Drops what was counted for a route that is no more.
    pub fn forget_route(&self, route: &str) {
        for class in CLASSES {
            self.requests.remove_label_values(&[route, class]).ok();
        }
        self.duration.remove_label_values(&[route]).ok();
    }
}

const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "aborted"];

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
