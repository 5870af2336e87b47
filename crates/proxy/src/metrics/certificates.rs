//! Metrics of certificates, by the names they are for.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use portcullis_core::Timestamp;
use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGaugeVec, Result};

use crate::metrics::Maker;

/// What can come of an order.
const OUTCOMES: [&str; 3] = ["failed", "issued", "placed"];

/// Of certificates, all but one by `name`.
#[derive(Debug)]
pub struct CertificateMetrics {
    /// `gateway_certificate_days_left{name}`.
    pub days_left: GaugeVec,
    /// `gateway_certificate_not_before_timestamp_seconds{name}`.
    pub not_before: GaugeVec,
    /// `gateway_certificate_not_after_timestamp_seconds{name}`.
    pub not_after: GaugeVec,
    /// `gateway_certificate_failing{name}`.
    pub failing: IntGaugeVec,
    /// `gateway_certificate_orders_total{name,outcome}`.
    pub orders: IntCounterVec,
    /// `gateway_certificate_reload_failures_total`.
    pub reload_failures: IntCounter,
    shown: Mutex<BTreeSet<String>>,
    ordered: Mutex<BTreeSet<String>>,
}

/// What is shown of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// From when to when its certificate is in force; `None` where it has none yet.
    pub term: Option<(Timestamp, Timestamp)>,
    /// Whether the last attempt to replace or order it failed.
    pub failing: bool,
}

impl CertificateMetrics {
    pub(super) fn new(make: &Maker<'_>) -> Result<Self> {
        Ok(Self {
            days_left: make.floats(
                "gateway_certificate_days_left",
                "Days until a certificate ends, 0 where there is none yet.",
                &["name"],
            )?,
            not_before: make.floats(
                "gateway_certificate_not_before_timestamp_seconds",
                "When a certificate begins, in Unix time, 0 where there is none yet.",
                &["name"],
            )?,
            not_after: make.floats(
                "gateway_certificate_not_after_timestamp_seconds",
                "When a certificate ends, in Unix time, 0 where there is none yet.",
                &["name"],
            )?,
            failing: make.gauges(
                "gateway_certificate_failing",
                "1 while the last attempt to replace or order a certificate failed.",
                &["name"],
            )?,
            orders: make.counters(
                "gateway_certificate_orders_total",
                "Orders of this process, by what came of them.",
                &["name", "outcome"],
            )?,
            reload_failures: make.counter(
                "gateway_certificate_reload_failures_total",
                "Replacements of certificate files that were refused.",
            )?,
            shown: Mutex::default(),
            ordered: Mutex::default(),
        })
    }

    /// Shows `facts` by name and nothing else. Of two certificates for one name the one counts that
    /// ends first.
    pub fn show(
        &self,
        now: Timestamp,
        facts: impl IntoIterator<Item = (String, CertificateFacts)>,
    ) {
        let mut latest = std::collections::BTreeMap::<String, CertificateFacts>::new();
        for (name, one) in facts {
            let kept = latest.entry(name).or_insert(one);
            *kept = kept.with(one);
        }
        let mut shown = self.shown.lock();
        for gone in shown.iter().filter(|name| !latest.contains_key(*name)) {
            self.forget(gone);
        }
        for (name, facts) in &latest {
            let (begins, ends) = facts.term.unwrap_or_default();
            let by = [name.as_str()];
            let left = ends.since(now).as_secs_f64() / 86_400.0;
            self.days_left.with_label_values(&by).set(left);
            self.not_before.with_label_values(&by).set(seconds(begins));
            self.not_after.with_label_values(&by).set(seconds(ends));
            self.failing.with_label_values(&by).set(i64::from(facts.failing));
        }
        *shown = latest.into_keys().collect();
    }

    /// Counts orders for `names` from now on, from zero where they are new, and for no others.
    pub fn expect_orders<'n>(&self, names: impl IntoIterator<Item = &'n str>) {
        let names: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
        let mut ordered = self.ordered.lock();
        for gone in ordered.difference(&names) {
            for outcome in OUTCOMES {
                self.orders.remove_label_values(&[gone, outcome]).ok();
            }
        }
        for name in &names {
            for outcome in OUTCOMES {
                self.orders.with_label_values(&[name, outcome]);
            }
        }
        *ordered = names;
    }

    /// Counts what came of an order, if it is for a name that is still there.
    pub fn count_order(&self, name: &str, outcome: &'static str) {
        if self.ordered.lock().contains(name) && OUTCOMES.contains(&outcome) {
            self.orders.with_label_values(&[name, outcome]).inc();
        }
    }

    fn forget(&self, name: &str) {
        for gauge in [&self.days_left, &self.not_before, &self.not_after] {
            gauge.remove_label_values(&[name]).ok();
        }
        self.failing.remove_label_values(&[name]).ok();
    }
}

impl CertificateFacts {
    fn with(self, other: Self) -> Self {
        let end = |facts: Self| facts.term.map(|(_, end)| end);
        let term = if end(other) < end(self) { other.term } else { self.term };
        Self { term, failing: self.failing || other.failing }
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of any time that can be are exact")]
fn seconds(at: Timestamp) -> f64 {
    at.unix_seconds() as f64
}

#[cfg(test)]
mod tests {
    use prometheus::{Encoder, Registry, TextEncoder};

    use super::*;

    const DAY: u64 = 86_400;

    fn page(registry: &Registry) -> Vec<String> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    fn facts(ends: Option<u64>, failing: bool) -> CertificateFacts {
        let at = |day: u64| Timestamp::from_unix_seconds(day * DAY);
        CertificateFacts { term: ends.map(|day| (at(day - 1), at(day))), failing }
    }

    #[test]
    fn what_is_shown_is_what_there_is_and_nothing_else() {
        let registry = Registry::new();
        let metrics = CertificateMetrics::new(&Maker(&registry)).unwrap();
        let now = Timestamp::from_unix_seconds(100 * DAY);
        let first = [
            ("a.test", facts(Some(110), false)),
            ("b.test", facts(None, true)),
            ("a.test", facts(Some(102), false)),
            ("a.test", facts(Some(120), true)),
        ];
        metrics.show(now, first.map(|(name, facts)| (name.to_owned(), facts)));
        let shown = page(&registry);
        for line in [
            "gateway_certificate_days_left{name=\"a.test\"} 2",
            "gateway_certificate_not_after_timestamp_seconds{name=\"a.test\"} 8812800",
            "gateway_certificate_not_before_timestamp_seconds{name=\"a.test\"} 8726400",
            "gateway_certificate_failing{name=\"a.test\"} 1",
            "gateway_certificate_not_after_timestamp_seconds{name=\"b.test\"} 0",
            "gateway_certificate_days_left{name=\"b.test\"} 0",
            "gateway_certificate_failing{name=\"b.test\"} 1",
        ] {
            assert!(shown.iter().any(|shown| shown == line), "{line} in {shown:#?}");
        }
        metrics.show(now, [("b.test".to_owned(), facts(Some(130), false))]);
        let shown = page(&registry);
        assert!(!shown.iter().any(|line| line.contains("a.test")), "{shown:#?}");
        assert!(shown.contains(&"gateway_certificate_days_left{name=\"b.test\"} 30".to_owned()));
    }

    #[test]
    fn orders_are_counted_from_zero_and_for_known_names_alone() {
        let registry = Registry::new();
        let metrics = CertificateMetrics::new(&Maker(&registry)).unwrap();
        metrics.count_order("a.test", "issued");
        metrics.expect_orders(["a.test", "b.test"]);
        metrics.count_order("a.test", "issued");
        metrics.count_order("c.test", "issued");
        let line = |name: &str, outcome: &str, count: u32| {
            let labels = format!("name=\"{name}\",outcome=\"{outcome}\"");
            format!("gateway_certificate_orders_total{{{labels}}} {count}")
        };
        let shown = page(&registry);
        assert!(shown.contains(&line("a.test", "issued", 1)), "{shown:#?}");
        assert!(shown.contains(&line("b.test", "failed", 0)), "{shown:#?}");
        assert!(!shown.iter().any(|line| line.contains("c.test")), "{shown:#?}");
        metrics.expect_orders(["a.test"]);
        let shown = page(&registry);
        assert!(shown.contains(&line("a.test", "issued", 1)), "counters go on: {shown:#?}");
        assert!(!shown.iter().any(|line| line.contains("b.test")), "{shown:#?}");
    }
}
