//! Metrics of upstreams and their endpoints.

use prometheus::{IntCounterVec, IntGaugeVec, Result};

use crate::metrics::{Maker, raise};
use crate::pool::Pool;

/// Of upstreams.
#[derive(Debug)]
pub struct UpstreamMetrics {
    /// `gateway_upstream_failures_total{upstream,kind}`.
    pub failures: IntCounterVec,
    /// `gateway_upstream_retries_total{upstream}`.
    pub retries: IntCounterVec,
    /// `gateway_upstream_healthy{upstream,endpoint}`.
    pub healthy: IntGaugeVec,
    /// `gateway_upstream_requests{upstream,endpoint}`.
    pub requests: IntGaugeVec,
    /// `gateway_upstream_ejections_total{upstream,endpoint}`.
    pub ejections: IntCounterVec,
    /// `gateway_upstream_resolve_failures_total{upstream}`.
    pub resolve_failures: IntCounterVec,
}

impl UpstreamMetrics {
    pub(super) fn new(make: &Maker<'_>) -> Result<Self> {
        Ok(Self {
            failures: make.counters(
                "gateway_upstream_failures_total",
                "Failed attempts at an upstream.",
                &["upstream", "kind"],
            )?,
            retries: make.counters(
                "gateway_upstream_retries_total",
                "Attempts at an upstream after the first.",
                &["upstream"],
            )?,
            healthy: make.gauges(
                "gateway_upstream_healthy",
                "1 while an endpoint gets requests, 0 while it is left out.",
                &["upstream", "endpoint"],
            )?,
            requests: make.gauges(
                "gateway_upstream_requests",
                "Requests under way at an endpoint.",
                &["upstream", "endpoint"],
            )?,
            ejections: make.counters(
                "gateway_upstream_ejections_total",
                "Times that failed requests left an endpoint out.",
                &["upstream", "endpoint"],
            )?,
            resolve_failures: make.counters(
                "gateway_upstream_resolve_failures_total",
                "Times that a name of an upstream could not be resolved.",
                &["upstream"],
            )?,
        })
    }

    /// Shows what is known of the endpoints of all pools, and of no others.
    pub fn show<'p>(&self, pools: impl IntoIterator<Item = &'p Pool>) {
        self.healthy.reset();
        self.requests.reset();
        self.ejections.reset();
        self.resolve_failures.reset();
        for pool in pools {
            let name = &*pool.settings().name;
            self.resolve_failures.with_label_values(&[name]).inc_by(pool.resolve_failures());
            for status in pool.status() {
                let by = [name, status.endpoint.as_str()];
                self.healthy.with_label_values(&by).set(i64::from(status.healthy));
                let requests = i64::try_from(status.requests).unwrap_or(i64::MAX);
                self.requests.with_label_values(&by).set(requests);
                let ejections = self.ejections.with_label_values(&by);
                raise(&ejections, status.ejections);
            }
        }
    }
}
