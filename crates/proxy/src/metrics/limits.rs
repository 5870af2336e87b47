//! Of limits.

use prometheus::{IntCounterVec, IntGaugeVec, Result};

use super::Maker;

/// Of limits, all by `limit`.
#[derive(Debug)]
pub struct LimitMetrics {
    /// `gateway_limiter_keys`.
    pub keys: IntGaugeVec,
    /// `gateway_limiter_evictions_total`.
    pub evictions: IntCounterVec,
    /// `gateway_limiter_overflows_total`.
    pub overflows: IntCounterVec,
    /// `gateway_limiter_penalties_total`.
    pub penalties: IntCounterVec,
    /// `gateway_limiter_slots`.
    pub slots: IntGaugeVec,
}

impl LimitMetrics {
    pub(super) fn new(make: &Maker<'_>) -> Result<Self> {
        let by = &["limit"];
        Ok(Self {
            keys: make.gauges("gateway_limiter_keys", "Keys that a limit holds.", by)?,
            evictions: make.counters(
                "gateway_limiter_evictions_total",
                "Keys that a full limit gave up for others; never one that is throttled.",
                by,
            )?,
            overflows: make.counters(
                "gateway_limiter_overflows_total",
                "Requests counted in the shared bucket of a full limit, and failures that a full penalty could not count.",
                by,
            )?,
            penalties: make.counters(
                "gateway_limiter_penalties_total",
                "Delays begun by wrong credentials.",
                by,
            )?,
            slots: make.gauges(
                "gateway_limiter_slots",
                "Slots held by requests and upgraded connections that are being served.",
                by,
            )?,
        })
    }

    /// Drops what was counted for a limit that is no more.
    pub(super) fn forget(&self, limit: &str) {
        self.keys.remove_label_values(&[limit]).ok();
        self.evictions.remove_label_values(&[limit]).ok();
        self.overflows.remove_label_values(&[limit]).ok();
        self.penalties.remove_label_values(&[limit]).ok();
    }
}
