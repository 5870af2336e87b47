//! Of introspection servers.

use prometheus::{IntCounterVec, Result};

use super::{Maker, raise};

/// Of introspection servers (RFC 7662), all by `issuer`.
#[derive(Debug)]
pub struct IntrospectionMetrics {
    /// `gateway_introspection_calls_total`.
    pub calls: IntCounterVec,
    /// `gateway_introspection_failures_total`.
    pub failures: IntCounterVec,
    /// `gateway_introspection_cache_hits_total`.
    pub hits: IntCounterVec,
}

impl IntrospectionMetrics {
    pub(super) fn new(make: &Maker<'_>) -> Result<Self> {
        let by = &["issuer"];
        Ok(Self {
            calls: make.counters(
                "gateway_introspection_calls_total",
                "Calls to the introspection server of an issuer.",
                by,
            )?,
            failures: make.counters(
                "gateway_introspection_failures_total",
                "Calls to the introspection server of an issuer that told nothing of the token.",
                by,
            )?,
            hits: make.counters(
                "gateway_introspection_cache_hits_total",
                "Tokens of an issuer of which it was known what its introspection server says.",
                by,
            )?,
        })
    }

    /// Brings the counts of one issuer up to date.
    pub fn show(&self, issuer: &str, calls: u64, failures: u64, hits: u64) {
        raise(&self.calls.with_label_values(&[issuer]), calls);
        raise(&self.failures.with_label_values(&[issuer]), failures);
        raise(&self.hits.with_label_values(&[issuer]), hits);
    }

    /// Drops what was counted for an issuer that is no more.
    pub fn forget(&self, issuer: &str) {
        for counter in [&self.calls, &self.failures, &self.hits] {
            counter.remove_label_values(&[issuer]).ok();
        }
    }
}
