//! `access` of a route: who may call.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::read::Items;

/// Who may call.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case", expecting = "`public`, or {any_of: […]}")]
pub enum Access {
    /// Anybody.
    Public,
    /// Who meets these rules.
    #[serde(rename = "<mapping>")]
    #[schemars(untagged)]
    Rules(Rules),
}

/// Rules of access.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["any_of"]))]
pub struct Rules {
    /// Credentials, of which one suffices.
    #[schemars(required)]
    pub any_of: Option<Items<Credential>>,
    /// What is needed on top, whatever the credential. Default: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub also: Option<Items<Demand>>,
    /// Roles, of which one is needed. Default: none needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Items<String>>,
    /// Names of `policies`, all of which must be true. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policies: Option<Items<String>>,
}

/// A way to be let in.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(
    rename_all = "snake_case",
    expecting = "{issuer: name, scopes: […]}, `api_key`, {api_key: {scopes: […]}}, \
                 `client_certificate`, {client_certificate: {san: […]}}, or `anonymous`"
)]
pub enum Credential {
    /// None at all; a wrong credential is refused all the same.
    Anonymous,
    /// Any API key.
    ApiKey,
    /// Any client certificate that was verified in the handshake.
    ClientCertificate,
    /// A token, an API key with these scopes, or a client certificate with one of these names.
    #[serde(rename = "<mapping>")]
    #[schemars(untagged)]
    Named(Named),
}

/// A token of an issuer, an API key with these scopes, or a client certificate with one of these names.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    {"required": ["issuer"]}, {"required": ["api_key"]}, {"required": ["client_certificate"]}
]))]
pub struct Named {
    /// A name of `issuers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Scopes of the token, all of which are needed. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Items<String>>,
    /// An API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<KeyScopes>,
    /// A client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<CertificateNames>,
}

/// Scopes of an API key.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["scopes"]))]
pub struct KeyScopes {
    /// Scopes that the key must have, all of them.
    #[schemars(required)]
    pub scopes: Option<Items<String>>,
}

/// Something that is needed on top of a credential.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(
    rename_all = "snake_case",
    expecting = "`client_certificate`, or {client_certificate: {san: […]}}"
)]
pub enum Demand {
    /// Any client certificate that was verified in the handshake.
    ClientCertificate,
    /// A client certificate with one of these names.
    #[serde(rename = "<mapping>")]
    #[schemars(untagged)]
    Named(NamedDemand),
}

/// A client certificate with one of these names.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["client_certificate"]))]
pub struct NamedDemand {
    /// The certificate.
    #[schemars(required)]
    pub client_certificate: Option<CertificateNames>,
}

/// Names of a client certificate.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["san"]))]
pub struct CertificateNames {
    /// Subject alternative names, of which it must have one: URIs such as SPIFFE ids, DNS names,
    /// mailboxes or addresses, without patterns.
    #[schemars(required)]
    pub san: Option<Items<String>>,
}
