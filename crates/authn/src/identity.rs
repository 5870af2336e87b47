//! The token by which the gateway tells an app who calls: ES256, short-lived, `typ`
//! `portcullis-identity+jwt`. It is never accepted as a credential.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::fast::FixedState;
use jwt_simple::algorithms::{ECDSAP256KeyPairLike, ES256KeyPair};
use jwt_simple::claims::{Audiences, JWTClaims};
use jwt_simple::common::HeaderOptions;
use jwt_simple::prelude::UnixTimeStamp;
use portcullis_core::{Clock, Principal, Secret, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::AuthnError;
use crate::compact::IDENTITY_TYPE;
use crate::token_cache::TokenCache;

/// How many tokens are kept for reuse.
const KEPT: usize = 10_000;

/// How identity tokens are made.
#[derive(Clone, Debug)]
pub struct SigningSettings {
    /// `iss` of the tokens.
    pub issuer: String,
    /// Time from `iat` to `exp`; whole seconds count, at least one.
    pub lifetime: Duration,
    /// The P-256 key, PEM of PKCS#8.
    pub key_pem: Secret,
}

/// Makes identity tokens: once per principal and audience, anew at half their life.
pub struct IdentitySigner {
    issuer: String,
    lifetime: Duration,
    key: ES256KeyPair,
    thumbprint: String,
    clock: Clock,
    kept: TokenCache<KeptKey, Arc<Kept>>,
    minted: AtomicU64,
}

/// Where the principal's claims are in memory, and a hash of the audience: found without allocating.
type KeptKey = (usize, u64);

/// A token that was made. It holds on to the claims, so that their place in memory is theirs alone.
struct Kept {
    token: Arc<str>,
    renew_at: Timestamp,
    audience: String,
    principal: Option<Principal>,
}

/// The claims beside those of RFC 7519 §4.1.
#[derive(Serialize)]
struct MoreClaims {
    /// Scopes, blank between them (RFC 9068 §2.2.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
    /// `iss` of the token that the principal sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    idp: Option<String>,
}

impl IdentitySigner {
    /// A signer with the key of `settings`. Fails where that is no P-256 key in PEM of PKCS#8.
    pub fn new(settings: SigningSettings, clock: Clock) -> Result<Self, AuthnError> {
        let SigningSettings { issuer, lifetime, key_pem } = settings;
        let pem = key_pem.expose_str().ok_or(AuthnError::IdentityKey)?;
        let key = ES256KeyPair::from_pem(pem.trim()).map_err(|_| AuthnError::IdentityKey)?;
        let thumbprint = key.jwk_thumbprint();
        let key = key.with_key_id(&thumbprint);
        let lifetime = Duration::from_secs(lifetime.as_secs().max(1));
        Ok(Self {
            issuer,
            lifetime,
            key,
            thumbprint,
            clock,
            kept: TokenCache::new(KEPT),
            minted: AtomicU64::new(0),
        })
    }

    /// The token for `audience` about `principal`; `None` stands for a caller without a credential,
    /// and gives a token without `sub`.
    pub fn sign(
        &self,
        principal: Option<&Principal>,
        audience: &str,
    ) -> Result<Arc<str>, AuthnError> {
        let place = principal.map_or(0, |principal| Arc::as_ptr(&principal.claims).addr());
        let key = (place, FixedState::default().hash_one(audience));
        let now = self.clock.now();
        let fits = |kept: &Arc<Kept>| now < kept.renew_at && kept.is_for(principal, audience);
        if let Some(kept) = self.kept.find(&key).filter(fits) {
            return Ok(Arc::clone(&kept.token));
        }
        let token: Arc<str> = self.mint(principal, audience, now)?.into();
        self.minted.fetch_add(1, Ordering::Relaxed);
        let kept = Kept {
            token: Arc::clone(&token),
            renew_at: now.plus(self.lifetime / 2),
            audience: audience.to_owned(),
            principal: principal.cloned(),
        };
        self.kept.put(key, Arc::new(kept));
        Ok(token)
    }

    /// How many tokens were made so far.
    pub fn minted(&self) -> u64 {
        self.minted.load(Ordering::Relaxed)
    }

    /// The public key as a key set (RFC 7517 §5); its `kid` is its thumbprint (RFC 7638).
    pub fn jwks_json(&self) -> String {
        let jwk = self.key.public_key().to_jwk();
        let mut jwk: Map<String, Value> = serde_json::from_str(&jwk).unwrap_or_default();
        for (name, value) in [("kid", &*self.thumbprint), ("alg", "ES256"), ("use", "sig")] {
            jwk.insert(name.to_owned(), value.into());
        }
        serde_json::json!({ "keys": [jwk] }).to_string()
    }

    fn mint(
        &self,
        principal: Option<&Principal>,
        audience: &str,
        now: Timestamp,
    ) -> Result<String, AuthnError> {
        let issued = now.unix_seconds();
        let at = |seconds: u64| Some(UnixTimeStamp::from_secs(seconds));
        let claims = JWTClaims {
            issued_at: at(issued),
            expires_at: at(issued.saturating_add(self.lifetime.as_secs())),
            invalid_before: at(issued),
            issuer: Some(self.issuer.clone()),
            subject: principal.map(|principal| principal.subject.clone()),
            audiences: Some(Audiences::AsString(audience.to_owned())),
            jwt_id: None,
            nonce: None,
            custom: MoreClaims {
                scope: principal.map(|principal| principal.scopes.join(" ")),
                roles: principal.map_or_else(Vec::new, |principal| principal.roles.clone()),
                idp: principal.map(|principal| principal.issuer.to_string()),
            },
        };
        let options =
            HeaderOptions { signature_type: Some(IDENTITY_TYPE.to_owned()), content_type: None };
        let token = self.key.sign_with_options(claims, &options);
        token.map_err(|_| AuthnError::IdentitySigning)
    }
}

impl fmt::Debug for IdentitySigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentitySigner")
            .field("issuer", &self.issuer)
            .field("lifetime", &self.lifetime)
            .field("kid", &self.thumbprint)
            .finish_non_exhaustive()
    }
}

impl Kept {
    fn is_for(&self, principal: Option<&Principal>, audience: &str) -> bool {
        let is_same = match (&self.principal, principal) {
            (None, None) => true,
            (Some(own), Some(asked)) => {
                Arc::ptr_eq(&own.claims, &asked.claims)
                    && own.subject == asked.subject
                    && own.issuer == asked.issuer
                    && own.scopes == asked.scopes
                    && own.roles == asked.roles
            }
            (None, Some(_)) | (Some(_), None) => false,
        };
        is_same && self.audience == audience
    }
}

/// A new key for [`SigningSettings::key_pem`], PEM of PKCS#8. Its randomness comes from the signing
/// library's own generator, which the system seeds.
pub fn generate_key_pem() -> String {
    // Made from a sound key, so it is never empty in fact; an empty one would be refused when read.
    ES256KeyPair::generate().to_pem().unwrap_or_default()
}

#[cfg(test)]
mod tests;
