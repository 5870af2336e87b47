//! `limits`: named limits, used by routes.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::read::Items;
use crate::units::{Duration, Rate};

/// One named limit: a `rate`, a number of requests at once, or a `penalty` for wrong credentials. A
/// request that finds its bucket empty, all slots held, or the delay of its pair running, is answered
/// 429.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "key"], "oneOf" = [{"required": ["rate"]}, {"required": ["concurrent"]}, {"required": ["penalty"]}]))]
pub struct Limit {
    /// Its name in this file, in `RateLimit` fields and in metrics.
    #[schemars(required)]
    pub name: Option<String>,
    /// Whose bucket it is: `address`, `principal` or `{claim: [path]}`; of a penalty always
    /// `address_and_account`.
    #[schemars(required)]
    pub key: Option<LimitKey>,
    /// Requests a bucket regains in a period. This, `concurrent` or `penalty`.
    #[schemars(required)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Requests a full bucket allows at once. Default: the count of the rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<NonZeroU32>,
    /// Requests of one key served at the same time, upgraded connections among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<NonZeroU32>,
    /// What wrong credentials of one address for one account cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub penalty: Option<Penalty>,
    /// Most buckets kept. Default: 100000.
    pub maximum_keys: NonZeroU32,
}

impl Default for Limit {
    fn default() -> Self {
        let maximum_keys = NonZeroU32::MIN.saturating_add(99_999);
        Self {
            name: None,
            key: None,
            rate: None,
            burst: None,
            concurrent: None,
            penalty: None,
            maximum_keys,
        }
    }
}

/// What wrong credentials cost: from the failure number `after` on, nothing of the same address and
/// account passes for a time that grows with each.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Penalty {
    /// The failure that begins the first delay, 1 to 1000. Default: 3.
    pub after: NonZeroU32,
    /// The first delay, 100ms to 1h. Default: 1s.
    pub first: Duration,
    /// How many times longer each delay is than the one before, 1 to 10. Default: 2.
    pub factor: NonZeroU32,
    /// The longest delay, `first` to 24h; failures are forgotten as long after the last. Default: 15m.
    pub maximum: Duration,
}

impl Default for Penalty {
    fn default() -> Self {
        let number = |more| NonZeroU32::MIN.saturating_add(more);
        let (first, maximum) = (Duration::seconds(1), Duration::seconds(15 * 60));
        Self { after: number(2), first, factor: number(1), maximum }
    }
}

/// Whose bucket it is.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(
    rename_all = "snake_case",
    expecting = "`address`, `address_and_account`, `principal` or {claim: [path]}"
)]
pub enum LimitKey {
    /// The client's address.
    Address,
    /// The client's address and the account that its credential claims; for a penalty.
    AddressAndAccount,
    /// The value of a claim, by path; without the claim one shared bucket.
    Claim(Items<String>),
    /// Issuer and subject.
    Principal,
}
