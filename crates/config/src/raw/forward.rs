//! `forward` of a route: where it goes, and what the app is told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::read::{Entries, Items};

/// Where a route goes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["upstream"]))]
pub struct Forward {
    /// A name of `upstreams`.
    #[schemars(required)]
    pub upstream: Option<String>,
    /// What the upstream does not see of the path. Default: nothing is taken off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strip_prefix: Option<String>,
    /// What the app is told of the caller.
    pub identity: ForwardIdentity,
    /// How the app's cookies are hardened.
    pub cookies: Cookies,
}

/// `forward` of `defaults`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DefaultForward {
    /// As in a route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strip_prefix: Option<String>,
    /// As in a route.
    pub identity: ForwardIdentity,
    /// As in a route.
    pub cookies: Cookies,
}

/// What the app is told of the caller, and nothing the client sent under these names.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForwardIdentity {
    /// Fields and what they carry: `subject`, `issuer`, `scopes`, `roles` or `{claim: [path]}`; or of
    /// the client's certificate `certificate`, `certificate_chain` or `certificate_thumbprint`.
    /// Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Entries<IdentityValue>>,
    /// The token the app gets: `none`, `signed` or `original`. Default: `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenMode>,
    /// `aud` of a signed token. Default: the upstream's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// What an identity field carries.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(
    rename_all = "snake_case",
    expecting = "`subject`, `issuer`, `scopes`, `roles`, {claim: [path]}, `certificate`, \
                 `certificate_chain` or `certificate_thumbprint`"
)]
pub enum IdentityValue {
    /// The client's certificate, as RFC 9440 has it in `Client-Cert`.
    Certificate,
    /// What led from it to the trust, as RFC 9440 has it in `Client-Cert-Chain`.
    CertificateChain,
    /// SHA-256 of the client's certificate, base64url.
    CertificateThumbprint,
    /// A claim, by path.
    Claim(Items<String>),
    /// The `iss` of the token.
    Issuer,
    /// The roles.
    Roles,
    /// The scopes.
    Scopes,
    /// The subject.
    Subject,
}

/// Which token the app gets.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", expecting = "`none`, `signed` or `original`")]
pub enum TokenMode {
    /// None.
    None,
    /// The client's own.
    Original,
    /// One that the gateway signed.
    Signed,
}

/// Attributes added to the app's cookies; never taken off.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cookies {
    /// Adds `Secure`. Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure: Option<bool>,
    /// Adds `HttpOnly`. Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_only: Option<bool>,
    /// Adds or tightens `SameSite`: `lax` or `strict`. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_site: Option<SameSite>,
}

/// A value of `SameSite`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", expecting = "`lax` or `strict`")]
pub enum SameSite {
    /// Sent on navigation from other sites.
    Lax,
    /// Never sent from other sites.
    Strict,
}
