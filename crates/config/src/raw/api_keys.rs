//! `api_keys`: how API keys are sent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How API keys are sent. The keys themselves are kept in `state.durable`.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiKeys {
    /// The field that carries a key. Default: `x-api-key`.
    pub header: String,
}

impl Default for ApiKeys {
    fn default() -> Self {
        Self { header: "x-api-key".to_owned() }
    }
}
