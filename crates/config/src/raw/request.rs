//! `request` and `timeouts` of a route.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::read::Items;
use crate::units::{Duration, Size};

/// What a request may bring.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// Its body.
    pub body: Body,
}

/// What a request's body may be.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Body {
    /// Most bytes. Default: 1MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Size>,
    /// Media types, such as `application/json` or `image/*`. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub types: Option<Items<String>>,
}

/// How long a request may take.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouteTimeouts {
    /// From its head to the last byte of the answer. Default: 60s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Duration>,
}
