//! `report_only`: rules on trial.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::read::Items;

/// Rules that are decided and recorded, but do not refuse, until a time.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend(
    "required" = ["until"],
    "anyOf" = [{"required": ["limits"]}, {"required": ["policies"]}, {"required": ["requests"]}]
))]
pub struct ReportOnly {
    /// Names of `limits`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Items<String>>,
    /// Names of `policies`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policies: Option<Items<String>>,
    /// Names of `routes` whose `request.body` only reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Items<String>>,
    /// When it ends and the rules refuse: a date, to its end in UTC, or a time (RFC 3339).
    #[schemars(required)]
    pub until: Option<String>,
}
