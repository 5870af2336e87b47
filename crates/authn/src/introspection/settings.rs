//! What the file says of an introspection server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jwt_simple::algorithms::{
    ECDSAP256KeyPairLike, ECDSAP384KeyPairLike, ES256KeyPair, ES384KeyPair, Ed25519KeyPair,
    EdDSAKeyPairLike, RS256KeyPair, RSAKeyPairLike,
};
use jwt_simple::claims::JWTClaims;
use portcullis_core::Secret;
use url::Url;

use crate::AuthnError;

/// The server that is asked, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntrospectionSettings {
    /// Where it is: https, or http on loopback.
    pub url: Url,
    /// Who the gateway is to it.
    pub client_id: String,
    /// How the gateway proves that.
    pub authentication: ClientAuthentication,
    /// How long an answer that the token is good is used; zero: each request asks.
    pub cache: Duration,
    /// How long one answer may take, the wait for a free place included.
    pub timeout: Duration,
    /// CA certificates of the server in PEM, instead of those of the system.
    pub trust_pem: Option<Vec<u8>>,
}

/// How a client authenticates (RFC 6749 §2.3, RFC 7523 §2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// Id and secret in `Authorization: Basic`.
    Basic(Secret),
    /// Id and secret in the body.
    Post(Secret),
    /// A signed assertion in the body.
    PrivateKeyJwt(AssertionKey),
}

/// The key that signs assertions: P-256 (`ES256`), P-384 (`ES384`), Ed25519 (`EdDSA`) or RSA
/// (`RS256`), whichever it is.
#[derive(Clone)]
pub struct AssertionKey {
    pem: Secret,
    key_id: Option<String>,
    pair: Arc<Pair>,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(ES256KeyPair),
    P384(ES384KeyPair),
    Rsa(RS256KeyPair),
}

impl AssertionKey {
    /// The key in PEM of PKCS#8; assertions name it by `key_id`, where there is one. Fails where it
    /// is none of the kinds that sign.
    pub fn new(pem: Secret, key_id: Option<String>) -> Result<Self, AuthnError> {
        let text = pem.expose_str().ok_or(AuthnError::AssertionKey)?.trim();
        let pair = ES256KeyPair::from_pem(text).map(Pair::P256);
        let pair = pair.or_else(|_| ES384KeyPair::from_pem(text).map(Pair::P384));
        let pair = pair.or_else(|_| Ed25519KeyPair::from_pem(text).map(Pair::Ed25519));
        let pair = pair.or_else(|_| RS256KeyPair::from_pem(text).map(Pair::Rsa));
        let mut pair = pair.map_err(|_| AuthnError::AssertionKey)?;
        if let Some(id) = &key_id {
            pair = pair.with_key_id(id);
        }
        Ok(Self { pem, key_id, pair: Arc::new(pair) })
    }

    pub(crate) fn sign(
        &self,
        claims: JWTClaims<jwt_simple::claims::NoCustomClaims>,
    ) -> Option<String> {
        match &*self.pair {
            Pair::Ed25519(pair) => pair.sign(claims).ok(),
            Pair::P256(pair) => pair.sign(claims).ok(),
            Pair::P384(pair) => pair.sign(claims).ok(),
            Pair::Rsa(pair) => pair.sign(claims).ok(),
        }
    }
}

impl Pair {
    fn with_key_id(self, id: &str) -> Self {
        match self {
            Self::Ed25519(pair) => Self::Ed25519(pair.with_key_id(id)),
            Self::P256(pair) => Self::P256(pair.with_key_id(id)),
            Self::P384(pair) => Self::P384(pair.with_key_id(id)),
            Self::Rsa(pair) => Self::Rsa(pair.with_key_id(id)),
        }
    }
}

impl PartialEq for AssertionKey {
    fn eq(&self, other: &Self) -> bool {
        (&self.pem, &self.key_id) == (&other.pem, &other.key_id)
    }
}

impl Eq for AssertionKey {}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}
