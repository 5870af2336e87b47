//! `clients`: whose address counts, and who may come at all.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::raw::network::Network;
use crate::read::Items;
use crate::units::Rate;

/// Whose address counts, and who may come at all.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clients {
    /// Networks of proxies whose word about earlier hops counts. Default: `[]`, nobody.
    pub trusted_proxies: TrustedProxies,
    /// The field they write. Default: `x-forwarded-for`.
    pub header: ForwardedHeader,
    /// Bits of an IPv6 address that make one client, 1 to 128. Default: 64.
    pub ipv6_prefix: u8,
    /// Networks that may come. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Items<Network>>,
    /// Networks that may not; deny wins over allow. Default: none.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub deny: Items<Network>,
    /// A flood guard per client, counted before anything else is looked at. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<FloodLimit>,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            trusted_proxies: TrustedProxies::default(),
            header: ForwardedHeader::default(),
            ipv6_prefix: 64,
            allow: None,
            deny: Items::default(),
            limit: None,
        }
    }
}

/// Whose word about earlier hops counts.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(expecting = "a list of networks, or {any: true}")]
pub enum TrustedProxies {
    /// Anybody's, said in words.
    #[serde(rename = "<mapping>")]
    #[schemars(untagged)]
    Any(AnyProxy),
    /// These networks'.
    #[serde(rename = "<list>")]
    #[schemars(untagged)]
    Networks(Items<Network>),
}

impl Default for TrustedProxies {
    fn default() -> Self {
        Self::Networks(Items::default())
    }
}

/// `{any: true}`.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["any"]))]
pub struct AnyProxy {
    /// `true`: every peer is believed. Only behind a network that lets nobody else in.
    #[schemars(required)]
    pub any: Option<bool>,
}

/// The field of trusted proxies.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", expecting = "`x-forwarded-for` or `forwarded`")]
pub enum ForwardedHeader {
    /// RFC 7239.
    Forwarded,
    /// `X-Forwarded-For`, with `X-Forwarded-Proto`.
    #[default]
    XForwardedFor,
}

/// A flood guard.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["rate"]))]
pub struct FloodLimit {
    /// Requests in a period.
    #[schemars(required)]
    pub rate: Option<Rate>,
    /// Requests at once. Default: the count of the rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<NonZeroU32>,
}

/// From where a route may be called.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientRules {
    /// Networks that may come. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Items<Network>>,
    /// Networks that may not; deny wins over allow. Default: none.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub deny: Items<Network>,
}
