//! `certificates.acme.dns`: how `dns-01` is answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::raw::secret::SecretSource;
use crate::units::Duration;

/// How TXT records come into the DNS.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case", expecting = "{exec: path} or {rfc2136: …}")]
pub enum AcmeDns {
    /// Absolute path of a program that is run as `PROGRAM set NAME VALUE` and
    /// `PROGRAM clear NAME VALUE`, without a shell.
    Exec(String),
    /// Signed updates of the zone (RFC 2136).
    Rfc2136(Rfc2136),
}

/// A name server that takes signed updates, over TCP.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["server", "key_name", "secret"]))]
pub struct Rfc2136 {
    /// Its name or address, and its port where that is not 53.
    #[schemars(required)]
    pub server: Option<String>,
    /// The name of the key, as the server has it.
    #[schemars(required)]
    pub key_name: Option<String>,
    /// How updates are signed (RFC 8945). Default: `hmac-sha256`.
    pub algorithm: TsigAlgorithm,
    /// The key in base64, as the server's configuration has it.
    #[schemars(required)]
    pub secret: Option<SecretSource>,
    /// The zone that is updated. Default: the nearest one of the server that the name is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// How long resolvers may keep a record. Default: 60s.
    pub ttl: Duration,
    /// How long to wait for the zone's other servers, once this one shows a record. Default: 0s.
    pub propagation: Duration,
}

impl Default for Rfc2136 {
    fn default() -> Self {
        Self {
            server: None,
            key_name: None,
            algorithm: TsigAlgorithm::default(),
            secret: None,
            zone: None,
            ttl: Duration::seconds(60),
            propagation: Duration::seconds(0),
        }
    }
}

/// How updates are signed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(expecting = "`hmac-sha256`, `hmac-sha384` or `hmac-sha512`")]
pub enum TsigAlgorithm {
    /// HMAC with SHA-256.
    #[default]
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// HMAC with SHA-384.
    #[serde(rename = "hmac-sha384")]
    HmacSha384,
    /// HMAC with SHA-512.
    #[serde(rename = "hmac-sha512")]
    HmacSha512,
}
