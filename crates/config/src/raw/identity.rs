//! `identity`: what the apps are told by a signed token.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::raw::secret::SecretSource;
use crate::units::Duration;

/// The signed identity token for apps.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// Its `iss`. Default: https:// and the first of `hosts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The ES256 key it is signed with, PEM. Default: made at the first start and kept in
    /// `state.durable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<SecretSource>,
    /// The field it is sent in. Default: `x-portcullis-identity`.
    pub header: String,
    /// Its life. Default: 60s.
    pub lifetime: Duration,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            issuer: None,
            signing_key: None,
            header: "x-portcullis-identity".to_owned(),
            lifetime: Duration::seconds(60),
        }
    }
}
