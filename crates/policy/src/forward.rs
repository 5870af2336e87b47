//! What the app is told, and nothing the client said under the same names.

use std::sync::Arc;

use http::HeaderName;

use crate::UpstreamSettings;

/// The `forward` of a route.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Where to.
    pub upstream: Arc<UpstreamSettings>,
    /// Leading part of the canonical path that the upstream does not see; begins with `/`, does
    /// not end with one.
    pub strip_prefix: Option<Arc<str>>,
    /// What it is told of the principal.
    pub identity: IdentityRules,
    /// How the app's `Set-Cookie` is hardened.
    pub cookies: CookieRules,
}

/// What the app is told of the principal.
#[derive(Clone, Debug)]
pub struct IdentityRules {
    /// Fields and what they carry.
    pub headers: Vec<(HeaderName, IdentityValue)>,
    /// Which token it gets.
    pub token: TokenMode,
    /// `aud` of a signed token.
    pub audience: Arc<str>,
}

impl IdentityValue {
    /// Whether it tells of the connection's certificate, whoever calls.
    pub const fn is_of_connection(&self) -> bool {
        matches!(self, Self::Certificate | Self::CertificateChain | Self::CertificateThumbprint)
    }
}

/// What an identity field carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityValue {
    /// The certificate that the client showed (RFC 9440 §2.1).
    Certificate,
    /// What led from it to the trust (RFC 9440 §2.2).
    CertificateChain,
    /// Its SHA-256 thumbprint, base64url.
    CertificateThumbprint,
    /// A claim by path, where it is a string, number or bool.
    Claim(Vec<String>),
    /// Value of `iss`.
    Issuer,
    /// Roles, separated by commas.
    Roles,
    /// Scopes, separated by blanks.
    Scopes,
    /// The subject.
    Subject,
}

/// Which token the app gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenMode {
    /// None: the client's credential is taken out.
    #[default]
    None,
    /// The client's credential as it came.
    Original,
    /// One that the gateway signed; the client's is taken out.
    Signed,
}

/// Attributes added to each `Set-Cookie` of the app that lacks them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CookieRules {
    /// Add `Secure`.
    pub secure: bool,
    /// Add `HttpOnly`.
    pub http_only: bool,
    /// Add or tighten `SameSite`.
    pub same_site: Option<SameSite>,
}

/// Values of `SameSite`, from loosest to tightest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SameSite {
    /// Sent from other sites too.
    None,
    /// Sent on navigation from other sites.
    Lax,
    /// Never sent from other sites.
    Strict,
}

impl SameSite {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::None => "None",
            Self::Strict => "Strict",
        }
    }
}
