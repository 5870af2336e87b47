//! Who may call a route.

use std::sync::Arc;

use http::HeaderName;
use portcullis_authn::{ApiKeys, DpopProofs, Issuer};
use portcullis_core::{AlternativeName, Challenge, ChallengeError, Scheme, Schemes};

use crate::Origin;
use crate::cel::RoutePolicy;

/// Who may call a route. There is no default: the file says it in words.
#[derive(Clone, Debug)]
pub enum Access {
    /// Who meets this demand.
    AnyOf(Demand),
    /// Anybody.
    Public {
        /// The line of `access`.
        origin: Origin,
    },
}

/// A good credential of one of the ways, or none at all where `anonymous` stands among them.
#[derive(Clone, Debug, Default)]
pub struct Demand {
    /// Tokens that suffice.
    pub tokens: Vec<TokenWay>,
    /// API keys that suffice.
    pub api_keys: Option<Box<KeyWay>>,
    /// Client certificates that suffice; with the two before at least one.
    pub certificates: Vec<CertificateWay>,
    /// Client certificates that are needed on top, each of them.
    pub also: Vec<CertificateWay>,
    /// Whether a request without any credential passes too.
    pub anonymous: bool,
    /// Roles of which the principal needs one; empty: none needed.
    pub roles: Vec<String>,
    /// Policies that must all be true.
    pub policies: Vec<RoutePolicy>,
    /// The DPoP proofs that were seen; there where one of `tokens` takes any.
    pub dpop: Option<Arc<DpopProofs>>,
    /// What a challenge names.
    pub schemes: Schemes,
    /// The line of `access`.
    pub origin: Origin,
}

/// One entry of `any_of`: a token of this issuer with all of these scopes.
#[derive(Clone, Debug)]
pub struct TokenWay {
    /// Who must have issued the token.
    pub issuer: Arc<Issuer>,
    /// Scopes the token must have, all of them.
    pub scopes: Vec<String>,
    /// The line of the entry.
    pub origin: Origin,
}

/// One entry of `any_of`: an API key with all of these scopes.
#[derive(Clone, Debug)]
pub struct KeyWay {
    /// The keys.
    pub keys: Arc<ApiKeys>,
    /// The field that carries one.
    pub field: HeaderName,
    /// Scopes the key must have, all of them.
    pub scopes: Vec<String>,
    /// The line of the entry.
    pub origin: Origin,
}

/// A client certificate that was verified in the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateWay {
    /// Names of which it must have one; empty: whoever it names.
    pub names: Vec<AlternativeName>,
    /// The line of the entry.
    pub origin: Origin,
}

impl Access {
    /// The line that says it.
    pub const fn origin(&self) -> Origin {
        match self {
            Self::AnyOf(Demand { origin, .. }) | Self::Public { origin } => *origin,
        }
    }

    /// Whether tokens or API keys are taken, which can be guessed.
    pub const fn has_guessable(&self) -> bool {
        match self {
            Self::AnyOf(demand) => !demand.tokens.is_empty() || demand.api_keys.is_some(),
            Self::Public { .. } => false,
        }
    }

    /// The field that carries API keys, where they are taken.
    pub fn key_field(&self) -> Option<&HeaderName> {
        match self {
            Self::AnyOf(demand) => demand.api_keys.as_ref().map(|way| &way.field),
            Self::Public { .. } => None,
        }
    }
}

impl Demand {
    /// What a refusal asks for: every scheme that would do, and the scopes where there is but one
    /// answer to which. What is wrong with a token is said of the scheme it came by, or of the other
    /// one for tokens where that would not do.
    pub fn challenge(&self, error: Option<(Scheme, ChallengeError)>) -> Box<Challenge> {
        let scope = match &*self.tokens {
            [way] => way.scopes.join(" "),
            _ => String::new(),
        };
        let schemes = self.schemes.clone();
        let error = error.map(|(scheme, error)| match scheme {
            Scheme::Bearer if !schemes.bearer && schemes.dpop.is_some() => (Scheme::Dpop, error),
            Scheme::Dpop if schemes.dpop.is_none() => (Scheme::Bearer, error),
            Scheme::ApiKey | Scheme::Bearer | Scheme::Dpop => (scheme, error),
        });
        Box::new(Challenge { schemes, error, scope, ..Challenge::default() })
    }
}
