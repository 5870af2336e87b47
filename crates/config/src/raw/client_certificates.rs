//! `tls.client_certificates` of listeners and hosts: mutual TLS.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::raw::issuers::TrustFile;
use crate::read::Items;

/// Which certificates are asked of clients in the handshake.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientCertificates {
    /// `none`; `optional`: a client may show one, and a bad one is refused; `required`: it must
    /// show one. Default: `none`.
    pub mode: ClientMode,
    /// The authorities that clients' certificates come from; watched, and a bad replacement keeps
    /// the old ones. Needed unless `mode` is `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustFile>,
    /// Revocation lists. Default: none, and nothing is known of revocations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crl: Option<RevocationLists>,
}

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", expecting = "`none`, `optional` or `required`")]
pub enum ClientMode {
    /// None is asked for.
    #[default]
    None,
    /// It may.
    Optional,
    /// It must.
    Required,
}

/// Certificate revocation lists (RFC 5280 §5).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["files"]))]
pub struct RevocationLists {
    /// Files in PEM, with any number of lists, or in DER with one; watched, and a bad replacement
    /// keeps the old ones. Each authority between a client and the trust must have one that is in
    /// force.
    #[schemars(required)]
    pub files: Option<Items<String>>,
}
