//! `issuers`: who issues the tokens that are taken.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::raw::introspection::Introspection;
use crate::read::Items;
use crate::units::Duration;

/// An issuer of tokens: of JSON Web Tokens, or with `introspection` of opaque ones.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "issuer", "audience"]))]
pub struct Issuer {
    /// Its name in this file.
    #[schemars(required)]
    pub name: Option<String>,
    /// The value of `iss`, compared byte for byte.
    #[schemars(required)]
    pub issuer: Option<String>,
    /// Values of `aud` that are meant for us; a token needs one of them.
    #[schemars(required)]
    pub audience: Option<Items<String>>,
    /// The claim that holds the audience. Default: `aud`.
    pub audience_claim: String,
    /// Algorithms taken. Default: `[ES256, EdDSA, RS256]`; PS256 and ES384 on demand.
    pub algorithms: Items<Algorithm>,
    /// Where its keys come from: `discover`, `{url: …}` or `{file: …}`. Default: `discover`.
    pub keys: Keys,
    /// When its keys are fetched anew.
    pub keys_refresh: KeysRefresh,
    /// Authorities trusted for its HTTPS, in the place of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustFile>,
    /// Values of `typ` taken; a token without one counts as JWT. Default: `[at+jwt, JWT]`.
    pub token_types: Items<String>,
    /// How far clocks may differ. Default: 30s.
    pub leeway: Duration,
    /// Longest life of a token, from `iat` to `exp`. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_lifetime: Option<Duration>,
    /// Claims a token must have, beside iss, aud and exp. Default: `[sub]`.
    pub required_claims: Items<String>,
    /// Where a token may stand. Default: `[authorization]`.
    pub read_token_from: Items<TokenPlace>,
    /// Which claims say what.
    pub claims: Claims,
    /// What shows that a token is used by its holder.
    pub proof: Proof,
    /// The server that is asked about its tokens, which are opaque. Default: they are JWTs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection: Option<Introspection>,
}

impl Default for Issuer {
    fn default() -> Self {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Self {
            name: None,
            issuer: None,
            audience: None,
            audience_claim: "aud".to_owned(),
            algorithms: [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256]
                .into_iter()
                .collect(),
            keys: Keys::default(),
            keys_refresh: KeysRefresh::default(),
            trust: None,
            token_types: texts(&["at+jwt", "JWT"]),
            leeway: Duration::seconds(30),
            maximum_lifetime: None,
            required_claims: texts(&["sub"]),
            read_token_from: std::iter::once(TokenPlace::Authorization).collect(),
            claims: Claims::default(),
            proof: Proof::default(),
            introspection: None,
        }
    }
}

/// A signature algorithm (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(expecting = "`ES256`, `ES384`, `EdDSA`, `PS256` or `RS256`")]
pub enum Algorithm {
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA over P-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA over P-384.
    #[serde(rename = "ES384")]
    Es384,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
}

/// Where keys come from.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case", expecting = "`discover`, {url: …} or {file: …}")]
pub enum Keys {
    /// The discovery document of the issuer (RFC 8414).
    #[default]
    Discover,
    /// A JWK set in a file.
    File(String),
    /// A JWK set at an https URL; http on loopback alone.
    Url(String),
}

/// When keys are fetched anew.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeysRefresh {
    /// Time between two fetches. Default: 10m.
    pub every: Duration,
    /// Shortest time between fetches for key ids that are not known. Default: 30s.
    pub unknown_kid: Duration,
    /// How long known keys are used while the issuer is down. Default: 24h.
    pub usable_without_issuer: Duration,
}

impl Default for KeysRefresh {
    fn default() -> Self {
        Self {
            every: Duration::minutes(10),
            unknown_kid: Duration::seconds(30),
            usable_without_issuer: Duration::minutes(24 * 60),
        }
    }
}

/// Authorities that are trusted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["file"]))]
pub struct TrustFile {
    /// PEM file with their certificates.
    #[schemars(required)]
    pub file: Option<String>,
}

/// Where a token may stand.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case", expecting = "`authorization`, {cookie: name} or {query: name}")]
pub enum TokenPlace {
    /// `Authorization: Bearer …` (RFC 6750 §2.1).
    Authorization,
    /// A cookie of this name.
    Cookie(String),
    /// A query parameter of this name.
    Query(String),
}

/// Which claims say what; a path is a list of keys, outermost first.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Claims {
    /// Who it is. Default: `[sub]`.
    pub subject: Items<String>,
    /// What it may. Default: `scope`, then `scp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Items<String>>,
    /// Its roles. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Items<String>>,
}

impl Default for Claims {
    fn default() -> Self {
        let subject = std::iter::once("sub".to_owned()).collect();
        Self { subject, scopes: None, roles: None }
    }
}

/// What shows that a token is used by the holder it was issued to.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Proof {
    /// The client certificate of the connection (RFC 8705 §3). Default: `none`.
    pub certificate: Possession,
    /// A key, by which the client signs each request (RFC 9449). Default: `none`.
    pub dpop: Possession,
    /// Whether what it signs needs a nonce of the gateway: `optional` or `required`. Default:
    /// `optional`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Nonce>,
}

/// Whether a proof needs a nonce.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", expecting = "`optional` or `required`")]
pub enum Nonce {
    /// Only one that may be from before the gateway's start.
    Optional,
    /// Each.
    Required,
}

/// Whether tokens are bound to what their holder has.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", expecting = "`none`, `optional` or `required`")]
pub enum Possession {
    /// None is; one that is bound is refused.
    #[default]
    None,
    /// Those that are bound need it.
    Optional,
    /// All must be bound.
    Required,
}
