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
mod tests {
    use aws_lc_rs::digest::{SHA256, digest};
    use aws_lc_rs::signature::Ed25519KeyPair;
    use base64::Engine;
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
    use serde_json::json;

    use super::*;
    use crate::compact::Compact;
    use crate::key_set::KeySet;
    use crate::testing::NOW;

    fn principal() -> Principal {
        Principal {
            subject: "u1".to_owned(),
            issuer_name: "main".into(),
            issuer: "https://idp.test/r1".into(),
            scopes: vec!["a:read".to_owned(), "b:write".to_owned()],
            roles: vec!["admin".to_owned()],
            claims: Arc::new(Map::new()),
            expires: Timestamp::from_unix_seconds(NOW + 300),
            credential: portcullis_core::CredentialKind::Token,
            derived: portcullis_core::Derived::default(),
        }
    }

    fn signer() -> (IdentitySigner, Clock) {
        let clock = Clock::manual(Timestamp::from_unix_seconds(NOW));
        let settings = SigningSettings {
            issuer: "https://gateway.test".to_owned(),
            lifetime: Duration::from_mins(1),
            key_pem: Secret::new(generate_key_pem()),
        };
        (IdentitySigner::new(settings, clock.clone()).unwrap(), clock)
    }

    /// Verifies as an app would: with another library's verifier and the published key set.
    fn verified(signer: &IdentitySigner, token: &str, audience: &str) -> (Header, Value) {
        let header = jsonwebtoken::decode_header(token).unwrap();
        let set: JwkSet = serde_json::from_str(&signer.jwks_json()).unwrap();
        let jwk = set.find(header.kid.as_deref().unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_exp = false;
        validation.set_audience(&[audience]);
        validation.set_issuer(&["https://gateway.test"]);
        validation.set_required_spec_claims(&["iss", "aud", "exp", "nbf"]);
        let key = DecodingKey::from_jwk(jwk).unwrap();
        let data = jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap();
        (data.header, data.claims)
    }

    #[test]
    fn an_app_can_verify_the_token_and_read_who_calls() {
        let (signer, _) = signer();
        let token = signer.sign(Some(&principal()), "orders").unwrap();
        let (header, claims) = verified(&signer, &token, "orders");
        assert_eq!(header.typ.as_deref(), Some("portcullis-identity+jwt"));
        let expected = json!({
            "iss": "https://gateway.test", "aud": "orders", "sub": "u1",
            "iat": NOW, "nbf": NOW, "exp": NOW + 60,
            "scope": "a:read b:write", "roles": ["admin"], "idp": "https://idp.test/r1",
        });
        assert_eq!(claims, expected);
    }

    #[test]
    fn nobody_in_particular_has_no_subject() {
        let (signer, _) = signer();
        let token = signer.sign(None, "orders").unwrap();
        let (_, claims) = verified(&signer, &token, "orders");
        let expected = json!({
            "iss": "https://gateway.test", "aud": "orders",
            "iat": NOW, "nbf": NOW, "exp": NOW + 60,
        });
        assert_eq!(claims, expected);
    }

    #[test]
    fn a_token_is_made_once_and_anew_at_half_its_life() {
        let (signer, clock) = signer();
        let principal = principal();
        let first = signer.sign(Some(&principal), "orders").unwrap();
        clock.advance(Duration::from_secs(29));
        assert!(Arc::ptr_eq(&first, &signer.sign(Some(&principal), "orders").unwrap()));
        clock.advance(Duration::from_secs(1));
        let second = signer.sign(Some(&principal), "orders").unwrap();
        assert_eq!(verified(&signer, &second, "orders").1["exp"], json!(NOW + 90));
    }

    #[test]
    fn tokens_of_others_are_never_mixed_up() {
        let (signer, _) = signer();
        let one = principal();
        let subject = |token: &str, audience| verified(&signer, token, audience).1["sub"].clone();
        let for_orders = signer.sign(Some(&one), "orders").unwrap();
        let for_billing = signer.sign(Some(&one), "billing").unwrap();
        assert_eq!(subject(&for_orders, "orders"), json!("u1"));
        assert_eq!(subject(&for_billing, "billing"), json!("u1"));
        // The claims of a principal that is gone may leave their place in memory to another's.
        for n in 0..200 {
            let subject_n = format!("u{n}");
            let other = Principal {
                subject: subject_n.clone(),
                claims: Arc::new(Map::new()),
                ..principal()
            };
            let token = signer.sign(Some(&other), "orders").unwrap();
            assert_eq!(subject(&token, "orders"), json!(subject_n));
        }
        let demoted = Principal { roles: Vec::new(), ..one.clone() };
        let token = signer.sign(Some(&demoted), "orders").unwrap();
        assert_eq!(verified(&signer, &token, "orders").1.get("roles"), None);
        assert_eq!(
            signer.sign(None, "orders").map(|token| subject(&token, "orders")).unwrap(),
            json!(null)
        );
    }

    #[test]
    fn a_kept_token_is_for_one_principal_and_one_audience() {
        let one = principal();
        let kept = Kept {
            token: "t".into(),
            renew_at: Timestamp::default(),
            audience: "orders".to_owned(),
            principal: Some(one.clone()),
        };
        assert!(kept.is_for(Some(&one), "orders"));
        assert!(!kept.is_for(Some(&one), "billing"));
        assert!(!kept.is_for(None, "orders"));
        let with_other_claims = Principal { claims: Arc::new(Map::new()), ..one.clone() };
        assert!(!kept.is_for(Some(&with_other_claims), "orders"));
        let others = [
            Principal { subject: "u2".to_owned(), ..one.clone() },
            Principal { issuer: "https://idp.test/r2".into(), ..one.clone() },
            Principal { scopes: Vec::new(), ..one.clone() },
            Principal { roles: Vec::new(), ..one.clone() },
        ];
        for other in others {
            assert!(!kept.is_for(Some(&other), "orders"), "{other:?}");
        }
    }

    #[test]
    fn the_key_set_names_the_key_by_its_thumbprint() {
        let (signer, _) = signer();
        let set: Value = serde_json::from_str(&signer.jwks_json()).unwrap();
        let jwk = &set["keys"][0];
        let members = json!({"crv": "P-256", "kty": "EC", "x": jwk["x"], "y": jwk["y"]});
        let print = digest(&SHA256, members.to_string().as_bytes());
        assert_eq!(jwk["kid"], json!(crate::testing::base64url(print.as_ref())));
        assert_eq!(
            (&jwk["alg"], &jwk["use"], jwk.get("d")),
            (&json!("ES256"), &json!("sig"), None)
        );
    }

    #[test]
    fn the_key_is_kept_across_restarts_and_opens_no_door() {
        let pem = generate_key_pem();
        let clock = Clock::manual(Timestamp::from_unix_seconds(NOW));
        let make = || {
            let settings = SigningSettings {
                issuer: "https://gateway.test".to_owned(),
                lifetime: Duration::from_mins(1),
                key_pem: Secret::new(format!("{pem}\n")),
            };
            IdentitySigner::new(settings, clock.clone()).unwrap()
        };
        let (before, after) = (make(), make());
        assert_eq!(before.jwks_json(), after.jwks_json());
        let token = before.sign(None, "orders").unwrap();
        let token = Compact::parse(&token).unwrap();
        let set = KeySet::parse(after.jwks_json().as_bytes()).unwrap();
        assert_eq!(set.verifies(&token), Ok(true), "the signature is good");
        let accepted = ["JWT".to_owned(), "portcullis-identity+jwt".to_owned()];
        assert!(!token.header.type_is_one_of(&accepted), "and the type is refused all the same");
    }

    #[test]
    fn other_keys_are_refused() {
        let clock = Clock::manual(Timestamp::default());
        let ed25519 = Ed25519KeyPair::generate().and_then(|key| key.to_pkcs8()).unwrap();
        let ed25519 = base64::engine::general_purpose::STANDARD.encode(ed25519.as_ref());
        let ed25519 =
            format!("-----BEGIN PRIVATE KEY-----\n{ed25519}\n-----END PRIVATE KEY-----\n");
        for pem in ["", "x", &ed25519, &generate_key_pem().replace("PRIVATE", "PUBLIC")] {
            let settings = SigningSettings {
                issuer: String::new(),
                lifetime: Duration::from_mins(1),
                key_pem: Secret::new(pem),
            };
            let refused = IdentitySigner::new(settings, clock.clone());
            assert!(matches!(refused, Err(AuthnError::IdentityKey)), "{pem}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_the_key() {
        let (signer, _) = signer();
        let text = format!("{signer:?}");
        assert!(text.contains("gateway.test") && !text.contains("PRIVATE"), "{text}");
    }
}
