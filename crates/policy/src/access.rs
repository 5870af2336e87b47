//! Who may call a route.

use std::sync::Arc;

use portcullis_authn::Issuer;
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
    /// Client certificates that suffice; with `tokens` at least one.
    pub certificates: Vec<CertificateWay>,
    /// Client certificates that are needed on top, each of them.
    pub also: Vec<CertificateWay>,
    /// Whether a request without any credential passes too.
    pub anonymous: bool,
    /// Roles of which the principal needs one; empty: none needed.
    pub roles: Vec<String>,
    /// Policies that must all be true.
    pub policies: Vec<RoutePolicy>,
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
}

impl Demand {
    /// What a refusal asks for: every scheme that would do, and the scopes where there is but one
    /// answer to which.
    pub fn challenge(&self, error: Option<(Scheme, ChallengeError)>) -> Box<Challenge> {
        let scope = match &*self.tokens {
            [way] => way.scopes.join(" "),
            _ => String::new(),
        };
        let schemes = self.schemes.clone();
        Box::new(Challenge { schemes, error, scope, ..Challenge::default() })
    }
}
