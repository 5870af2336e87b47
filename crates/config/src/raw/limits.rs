//! `limits`: named limits, used by routes.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::read::Items;
use crate::units::Rate;

/// One named limit: a `rate`, or a number of requests at once. A request that finds its bucket empty,
/// or all slots held, is answered 429.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "key"], "oneOf" = [{"required": ["rate"]}, {"required": ["concurrent"]}]))]
pub struct Limit {
    /// Its name in this file, in `RateLimit` fields and in metrics.
    #[schemars(required)]
    pub name: Option<String>,
    /// Whose bucket it is: `address`, `principal` or `{claim: [path]}`.
    #[schemars(required)]
    pub key: Option<LimitKey>,
    /// Requests a bucket regains in a period. Either this or `concurrent`.
    #[schemars(required)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Requests a full bucket allows at once. Default: the count of the rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<NonZeroU32>,
    /// Requests of one key served at the same time, upgraded connections among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<NonZeroU32>,
    /// Most buckets kept. Default: 100000.
    pub maximum_keys: NonZeroU32,
}

impl Default for Limit {
    fn default() -> Self {
        let maximum_keys = NonZeroU32::MIN.saturating_add(99_999);
        Self { name: None, key: None, rate: None, burst: None, concurrent: None, maximum_keys }
    }
}

/// Whose bucket it is.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case", expecting = "`address`, `principal` or {claim: [path]}")]
pub enum LimitKey {
    /// The client's address.
    Address,
    /// The value of a claim, by path; without the claim one shared bucket.
    Claim(Items<String>),
    /// Issuer and subject.
    Principal,
}
