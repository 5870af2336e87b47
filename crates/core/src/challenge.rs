//! What a 401 or 403 asks for: `WWW-Authenticate` with every scheme that would do.

use std::sync::Arc;

use http::HeaderValue;

/// What a 401 or 403 asks for (RFC 9110 §11.6.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// The schemes that would do.
    pub schemes: Schemes,
    /// What is wrong with the credential, and with which; `None` where none was sent.
    pub error: Option<(Scheme, ChallengeError)>,
    /// Scopes that would do, space separated; empty where none are asked for.
    pub scope: String,
    /// Where the metadata of the protected resource is (RFC 9728 §5.1).
    pub resource_metadata: Option<String>,
    /// What the next DPoP proof must contain (RFC 9449 §8).
    pub nonce: Option<Arc<str>>,
}

/// A way to send a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In a field of its own.
    ApiKey,
    /// RFC 6750.
    Bearer,
    /// RFC 9449.
    Dpop,
}

/// The schemes that a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schemes {
    /// A token that nothing binds to its holder.
    pub bearer: bool,
    /// A token that is bound to a key, with the algorithms its proof may be signed with, space
    /// separated.
    pub dpop: Option<Arc<str>>,
    /// A key in the field of this name.
    pub api_key: Option<Arc<str>>,
}

impl Default for Schemes {
    /// A bearer token alone.
    fn default() -> Self {
        Self { bearer: true, dpop: None, api_key: None }
    }
}

/// The `error` values of RFC 6750 §3.1 and RFC 9449 §7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeError {
    /// The token lacks a scope.
    InsufficientScope,
    /// The proof of possession is not good.
    InvalidDpopProof,
    /// The request carries its credential in a wrong way.
    InvalidRequest,
    /// The token is not, or no longer, good.
    InvalidToken,
    /// The proof needs the nonce that is sent along.
    UseDpopNonce,
}

impl ChallengeError {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InsufficientScope => "insufficient_scope",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::UseDpopNonce => "use_dpop_nonce",
        }
    }
}

impl Challenge {
    /// The value of `WWW-Authenticate`: one challenge a scheme, the most common first. What it
    /// contains comes from the file, where its characters were checked, or from a canonical host and
    /// path.
    pub fn field(&self) -> HeaderValue {
        let Schemes { bearer, dpop, api_key } = &self.schemes;
        let mut challenges = Vec::new();
        if *bearer {
            challenges.push(self.one("Bearer", Scheme::Bearer, None));
        }
        if let Some(algorithms) = dpop {
            challenges.push(self.one("DPoP", Scheme::Dpop, Some(("algs", algorithms))));
        }
        if let Some(name) = api_key {
            challenges.push(self.one("ApiKey", Scheme::ApiKey, Some(("header", name))));
        }
        HeaderValue::try_from(challenges.join(", "))
            .unwrap_or(HeaderValue::from_static("Bearer error=\"invalid_request\""))
    }

    fn one(&self, name: &str, scheme: Scheme, own: Option<(&str, &str)>) -> String {
        let error = self.error.filter(|(of, _)| *of == scheme).map(|(_, error)| error.as_str());
        let is_token = scheme != Scheme::ApiKey;
        let scope = Some(&*self.scope).filter(|scope| is_token && !scope.is_empty());
        let metadata = self.resource_metadata.as_deref().filter(|_| is_token);
        let parameters = [
            error.map(|error| ("error", error)),
            own,
            scope.map(|scope| ("scope", scope)),
            metadata.map(|url| ("resource_metadata", url)),
        ];
        let parameters: Vec<String> = parameters
            .into_iter()
            .flatten()
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        format!("{name} {}", parameters.join(", ")).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(challenge: &Challenge, expected: &str) {
        assert_eq!(challenge.field().to_str().unwrap(), expected);
    }

    #[test]
    fn every_scheme_that_would_do_is_named() {
        let mut challenge = Challenge::default();
        check(&challenge, "Bearer");
        challenge.error = Some((Scheme::Bearer, ChallengeError::InvalidToken));
        challenge.scope = "a b".to_owned();
        check(&challenge, "Bearer error=\"invalid_token\", scope=\"a b\"");
        challenge.schemes.dpop = Some("ES256 EdDSA".into());
        challenge.schemes.api_key = Some("x-api-key".into());
        challenge.error = Some((Scheme::Dpop, ChallengeError::UseDpopNonce));
        challenge.resource_metadata = Some("https://a.test/m".to_owned());
        check(
            &challenge,
            "Bearer scope=\"a b\", resource_metadata=\"https://a.test/m\", \
             DPoP error=\"use_dpop_nonce\", algs=\"ES256 EdDSA\", scope=\"a b\", \
             resource_metadata=\"https://a.test/m\", ApiKey header=\"x-api-key\"",
        );
        let only_keys = Schemes { bearer: false, dpop: None, api_key: Some("x-api-key".into()) };
        check(
            &Challenge { schemes: only_keys, scope: "a".to_owned(), ..Challenge::default() },
            "ApiKey header=\"x-api-key\"",
        );
    }
}
