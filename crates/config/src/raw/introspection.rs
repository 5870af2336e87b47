//! `issuers[].introspection`: the server that is asked about opaque tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::raw::secret::SecretSource;
use crate::units::Duration;

/// The server that is asked about each token (RFC 7662), and who the gateway is to it.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["url", "client_id"]))]
pub struct Introspection {
    /// Where it is: an https URL; http on loopback alone.
    #[schemars(required)]
    pub url: Option<String>,
    /// The gateway's name at the server.
    #[schemars(required)]
    pub client_id: Option<String>,
    /// How the gateway proves its name: `basic`, `post` or `private_key_jwt`. Default: `basic`.
    pub auth: ClientAuth,
    /// The secret of `basic` and `post`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretSource>,
    /// The key of `private_key_jwt`, PEM of PKCS#8: P-256, P-384, Ed25519 or RSA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<SecretSource>,
    /// The `kid` by which the server knows the key of `private_key_jwt`. Default: none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// How long a good answer is used, at most; `0s` asks on every request. Default: 30s.
    pub cache: Duration,
    /// How long an answer may take. Default: 5s.
    pub timeout: Duration,
}

impl Default for Introspection {
    fn default() -> Self {
        Self {
            url: None,
            client_id: None,
            auth: ClientAuth::default(),
            client_secret: None,
            private_key: None,
            key_id: None,
            cache: Duration::seconds(30),
            timeout: Duration::seconds(5),
        }
    }
}

/// How a client authenticates.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", expecting = "`basic`, `post` or `private_key_jwt`")]
pub enum ClientAuth {
    /// Id and secret in `Authorization: Basic` (RFC 6749 §2.3.1).
    #[default]
    Basic,
    /// Id and secret in the body (RFC 6749 §2.3.1).
    Post,
    /// An assertion that is signed with a key of the gateway's own (RFC 7523 §2.2).
    PrivateKeyJwt,
}
