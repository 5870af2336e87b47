//! Of DPoP proofs.

use portcullis_policy::ProofStatus;
use prometheus::{IntCounter, IntGauge, Result};

use super::{Maker, raise};

/// Of DPoP proofs (RFC 9449).
#[derive(Debug)]
pub struct DpopMetrics {
    /// `gateway_dpop_proofs_held`.
    pub held: IntGauge,
    /// `gateway_dpop_replays_total`.
    pub replays: IntCounter,
    /// `gateway_dpop_proofs_turned_away_total`.
    pub turned_away: IntCounter,
}

impl DpopMetrics {
    pub(super) fn new(make: &Maker<'_>) -> Result<Self> {
        Ok(Self {
            held: make.keep(IntGauge::new(
                "gateway_dpop_proofs_held",
                "DPoP proofs that are remembered, so that none is used twice.",
            ))?,
            replays: make
                .counter("gateway_dpop_replays_total", "DPoP proofs that came a second time.")?,
            turned_away: make.counter(
                "gateway_dpop_proofs_turned_away_total",
                "DPoP proofs that were answered 503 because no more could be remembered.",
            )?,
        })
    }

    /// Brings them up to date.
    pub fn show(&self, status: ProofStatus) {
        let ProofStatus { held, replays, turned_away } = status;
        self.held.set(i64::try_from(held).unwrap_or(i64::MAX));
        raise(&self.replays, replays);
        raise(&self.turned_away, turned_away);
    }
}
