//! `admin`: the listeners for operators.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::raw::secret::SecretSource;

/// The listeners for operators.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Address and port, or `unix:` and a path, of `/config` and `/decisions`. Default:
    /// `127.0.0.1:9901`.
    pub address: String,
    /// The bearer token they ask for. Default: made at the first start and kept in the state folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretSource>,
    /// Address and port of `/healthz`, `/readyz` and `/metrics`, without a token. Default:
    /// `127.0.0.1:9902`.
    pub probes: String,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:9901".to_owned(),
            token: None,
            probes: "127.0.0.1:9902".to_owned(),
        }
    }
}
