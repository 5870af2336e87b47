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
    /// Roles, of which one is needed. Default: none needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Items<String>>,
}

/// A way to be let in.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case", expecting = "{issuer: name, scopes: […]}, or `anonymous`")]
pub enum Credential {
    /// None at all; a wrong credential is refused all the same.
    Anonymous,
    /// A token.
    #[serde(rename = "<mapping>")]
    #[schemars(untagged)]
    Token(Token),
}

/// A token of an issuer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["issuer"]))]
pub struct Token {
    /// A name of `issuers`.
    #[schemars(required)]
    pub issuer: Option<String>,
    /// Scopes, all of which are needed. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Items<String>>,
}
