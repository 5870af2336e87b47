//! `certificates`: where certificates come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::raw::acme::Acme;
use crate::raw::secret::SecretSource;
use crate::read::Items;

/// Where certificates come from.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Certificates {
    /// Certificates that are ordered and renewed. Default: where the file says nothing of
    /// `certificates`, for every name of `hosts` that is no wildcard; else none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acme: Option<Acme>,
    /// Pairs of files; watched, and a bad replacement keeps the old pair. Default: none.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub files: Items<CertificateFile>,
    /// Names that get a certificate made at start, for development. Default: none.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub self_signed: Items<String>,
    /// What a client without SNI gets: `refuse`, or the certificate of this host. Default:
    /// `refuse`.
    pub without_sni: WithoutSni,
}

/// A certificate chain and its key.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["certificate", "key"]))]
pub struct CertificateFile {
    /// PEM file with the chain, the server's own certificate first.
    #[schemars(required)]
    pub certificate: Option<String>,
    /// The private key, PEM.
    #[schemars(required)]
    pub key: Option<SecretSource>,
}

/// What a client without SNI gets.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case", expecting = "`refuse`, or a name of `hosts`")]
pub enum WithoutSni {
    /// Nothing: the handshake fails.
    #[default]
    Refuse,
    /// What this host gets.
    #[serde(rename = "<string>")]
    #[schemars(untagged)]
    SameAs(String),
}
