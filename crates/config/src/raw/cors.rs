//! `cors`: named cross-origin policies, used by routes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::read::Items;
use crate::units::Duration;

/// One policy for other origins.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "origins"]))]
pub struct Cors {
    /// Its name in this file.
    #[schemars(required)]
    pub name: Option<String>,
    /// Origins, such as `https://app.example.com`, `https://*.example.com` (one label) or `*`.
    #[schemars(required)]
    pub origins: Option<Items<String>>,
    /// Methods granted. Default: `[GET, HEAD, POST]`.
    pub methods: Items<String>,
    /// Request fields granted. Default: none.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub headers: Items<String>,
    /// Answer fields that scripts may read; ours always are. Default: none.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub expose_headers: Items<String>,
    /// Whether cookies may go along. Default: `false`.
    pub credentials: bool,
    /// How long a preflight's answer is good for. Default: 10m.
    pub max_age: Duration,
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            name: None,
            origins: None,
            methods: ["GET", "HEAD", "POST"].into_iter().map(str::to_owned).collect(),
            headers: Items::default(),
            expose_headers: Items::default(),
            credentials: false,
            max_age: Duration::minutes(10),
        }
    }
}
