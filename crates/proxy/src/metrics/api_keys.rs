//! Of API keys; none has a label of a key's own.

use prometheus::{IntCounter, IntGaugeVec, Result};

use super::{Maker, raise};

/// Of API keys.
#[derive(Debug)]
pub struct KeyMetrics {
    /// `gateway_api_keys{state}`.
    pub keys: IntGaugeVec,
    /// `gateway_api_key_uses_total`.
    pub uses: IntCounter,
}

impl KeyMetrics {
    pub(super) fn new(make: &Maker<'_>) -> Result<Self> {
        Ok(Self {
            keys: make.gauges(
                "gateway_api_keys",
                "API keys by state: live, expired, revoked; -1 where the store cannot be read.",
                &["state"],
            )?,
            uses: make.counter(
                "gateway_api_key_uses_total",
                "Requests whose API key was good; per key and day they are shown by `keys list`.",
            )?,
        })
    }

    /// Brings them up to date: how many there are in each state, and how often one was used.
    pub fn show(&self, states: [(&str, Option<usize>); 3], uses: u64) {
        for (state, count) in states {
            let count = count.map_or(-1, |count| i64::try_from(count).unwrap_or(i64::MAX));
            self.keys.with_label_values(&[state]).set(count);
        }
        raise(&self.uses, uses);
    }
}
