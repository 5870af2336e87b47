//! A key that stands in for an issuer's, or for a client's: `portcullis test` signs with it what they
//! would sign.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::Timestamp;
use serde_json::{Map, Value, json};

use crate::{Alg, dpop};

/// A key pair drawn for the purpose. No issuer has it, and no cache takes it but by
/// [`crate::KeyCache::stand_in`].
pub struct StandIn {
    alg: Alg,
    pair: Pair,
}

enum Pair {
    Ec(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// What a proof says of its request.
#[derive(Clone, Copy, Debug)]
pub struct ProofOf<'a> {
    /// The method.
    pub method: &'a str,
    /// The URI.
    pub target: &'a str,
    /// What no other proof has.
    pub jti: &'a str,
    /// When it was made.
    pub issued: Timestamp,
    /// The nonce, where one was asked for.
    pub nonce: Option<&'a str>,
}

impl fmt::Debug for StandIn {
    /// Never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StandIn({})", self.alg.as_str())
    }
}

impl StandIn {
    /// A new key for `alg`; `None` where none can be drawn.
    pub fn new(alg: Alg) -> Option<Self> {
        let pair = match alg {
            Alg::EdDsa => Ed25519KeyPair::generate().ok().map(Pair::Ed),
            Alg::Es256 => ec("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING),
            Alg::Es384 => ec("P-384", &ECDSA_P384_SHA384_FIXED_SIGNING),
            Alg::Ps256 | Alg::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).ok().map(Pair::Rsa),
        };
        Some(Self { alg, pair: pair? })
    }

    /// A token (RFC 7519 §7.1) of type `typ` with these very claims.
    pub fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Option<String> {
        self.sign_under(&json!({"alg": self.alg.as_str(), "typ": typ, "kid": self.kid()}), claims)
    }

    /// A proof that the client has this key (RFC 9449 §4.2), for a request with `token`.
    pub fn prove(&self, request: &ProofOf<'_>, token: &str) -> Option<String> {
        let ProofOf { method, target, jti, issued, nonce } = request;
        let header = json!({"alg": self.alg.as_str(), "typ": "dpop+jwt", "jwk": self.public_key()});
        let mut claims = Map::new();
        for (name, value) in [
            ("jti", json!(jti)),
            ("htm", json!(method)),
            ("htu", json!(target)),
            ("iat", json!(issued.unix_seconds())),
            ("ath", json!(encoded(digest(&SHA256, token.as_bytes())))),
        ] {
            claims.insert(name.to_owned(), value);
        }
        claims.extend(nonce.map(|nonce| ("nonce".to_owned(), json!(nonce))));
        self.sign_under(&header, &claims)
    }

    /// The thumbprint by which a token names this key (RFC 9449 §6.1).
    pub fn thumbprint(&self) -> Option<String> {
        dpop::thumbprint(self.public_key().as_object()?)
    }

    fn sign_under(&self, header: &Value, claims: &Map<String, Value>) -> Option<String> {
        let claims = serde_json::to_string(claims).ok()?;
        let signed = format!("{}.{}", encoded(header.to_string()), encoded(claims));
        let signature = self.signature(signed.as_bytes())?;
        Some(format!("{signed}.{}", encoded(signature)))
    }

    /// The public key as a key set (RFC 7517 §5).
    pub(crate) fn key_set(&self) -> String {
        let mut jwk = self.public_key();
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".to_owned(), self.kid().into());
            members.insert("alg".to_owned(), self.alg.as_str().into());
            members.insert("use".to_owned(), "sig".into());
        }
        json!({ "keys": [jwk] }).to_string()
    }

    /// The public key with nothing but what makes it.
    fn public_key(&self) -> Value {
        match &self.pair {
            Pair::Ec(pair, crv) => {
                let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at(point.len() / 2);
                json!({"kty": "EC", "crv": crv, "x": encoded(x), "y": encoded(y)})
            }
            Pair::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key())})
            }
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let n = encoded(public.modulus().big_endian_without_leading_zero());
                let e = encoded(public.exponent().big_endian_without_leading_zero());
                json!({"kty": "RSA", "n": n, "e": e})
            }
        }
    }

    fn kid(&self) -> String {
        format!("stand-in-{}", self.alg.as_str())
    }

    fn signature(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ec(pair, _) => pair.sign(&random, bytes).ok().map(|s| s.as_ref().to_vec()),
            Pair::Ed(pair) => Some(pair.sign(bytes).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let padding =
                    if self.alg == Alg::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, bytes, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

fn ec(crv: &'static str, algorithm: &'static EcdsaSigningAlgorithm) -> Option<Pair> {
    EcdsaKeyPair::generate(algorithm).ok().map(|pair| Pair::Ec(pair, crv))
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, claims, clock, settings};
    use crate::{Issuer, KeyCache, TokenFailure};

    /// What an issuer that the key of `alg` stands in for says to a token signed by `signer`.
    async fn verdict(alg: Alg, signer: &StandIn, keys: &StandIn) -> Result<String, TokenFailure> {
        let settings = crate::IssuerSettings { algorithms: vec![alg], ..settings() };
        let cache = KeyCache::new(&settings, clock()).unwrap();
        assert!(cache.stand_in(keys));
        let issuer = Issuer::new(settings, cache, clock());
        let claims = claims(&json!({"exp": NOW + 60}));
        let token = signer.sign("JWT", claims.as_object().unwrap()).unwrap();
        issuer.verify(&token).await.map(|principal| principal.subject.clone())
    }

    #[tokio::test]
    async fn what_the_key_signs_is_good_and_nothing_else() {
        for alg in Alg::ALL {
            let (key, other) = (StandIn::new(alg).unwrap(), StandIn::new(alg).unwrap());
            assert_eq!(verdict(alg, &key, &key).await.unwrap(), "u1", "{alg:?}");
            assert!(verdict(alg, &other, &key).await.is_err(), "{alg:?}");
        }
    }

    #[tokio::test]
    async fn nobody_is_asked_for_keys_any_more() {
        let cache = KeyCache::new(&settings(), clock()).unwrap();
        assert!(cache.stand_in(&StandIn::new(Alg::Es256).unwrap()));
        cache.load_now().await;
        assert_eq!(cache.status().fetches, 0);
        assert!(cache.status().ready);
    }
}
