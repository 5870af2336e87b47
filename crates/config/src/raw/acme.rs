//! `certificates.acme`: certificates that are ordered and renewed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::raw::acme_dns::AcmeDns;
use crate::raw::issuers::TrustFile;
use crate::raw::secret::SecretSource;
use crate::read::Items;

/// Certificates from an authority by ACME (RFC 8555). Using one means agreeing to its terms of
/// service.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Acme {
    /// URL of the authority's directory, over https; http on loopback alone. Default: that of Let's Encrypt.
    pub directory: String,
    /// Mail addresses that the authority may write to. Default: none.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub contact: Items<String>,
    /// How names are proved. Wildcards are always proved by `dns-01`. Default: `tls-alpn-01`.
    pub challenge: Challenge,
    /// How TXT records are set, for `dns-01`. Default: no way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<AcmeDns>,
    /// The account at the authority that this one is bound to. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_account: Option<ExternalAccount>,
    /// Authorities trusted for the directory's HTTPS, in the place of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustFile>,
    /// Names to order certificates for, one each. Default: every name of `hosts` that is no wildcard
    /// and that `files` and `self_signed` have no certificate for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Items<String>>,
}

impl Default for Acme {
    fn default() -> Self {
        Self {
            directory: portcullis_tls::acme::DEFAULT_DIRECTORY.to_owned(),
            contact: Items::default(),
            challenge: Challenge::default(),
            dns: None,
            external_account: None,
            trust: None,
            names: None,
        }
    }
}

/// A way to prove a name.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(expecting = "`tls-alpn-01`, `http-01` or `dns-01`")]
pub enum Challenge {
    /// A TXT record (RFC 8555 §8.4).
    #[serde(rename = "dns-01")]
    Dns01,
    /// An answer on port 80 (RFC 8555 §8.3).
    #[serde(rename = "http-01")]
    Http01,
    /// An answer in the handshake on port 443 (RFC 8737).
    #[default]
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
}

/// An account elsewhere at the authority (RFC 8555 §7.3.4).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["key_id", "hmac"]))]
pub struct ExternalAccount {
    /// The authority's name for the key.
    #[schemars(required)]
    pub key_id: Option<String>,
    /// The key in base64url, as the authority gives it out.
    #[schemars(required)]
    pub hmac: Option<SecretSource>,
}
