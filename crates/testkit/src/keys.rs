//! Signing keys of a test issuer. Signatures are made with aws-lc-rs directly, so that the tests
//! share no token code with the gateway.

use std::sync::Arc;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// What an RSA key of 2048 bits has before its PKCS #1 form in a `SubjectPublicKeyInfo`.
const SPKI_PREFIX: [u8; 24] = [
    0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01,
    0x01, 0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00,
];

enum Secret {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// A key pair with its id. Clones share the pair.
#[derive(Clone)]
pub struct Key {
    kid: String,
    alg: &'static str,
    secret: Arc<Secret>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({}, {})", self.kid, self.alg)
    }
}

impl Key {
    /// RSA of 2048 bits, RS256.
    pub fn rsa(kid: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        Self::new(kid, "RS256", Secret::Rsa(pair))
    }

    /// P-256, ES256.
    pub fn p256(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        Self::new(kid, "ES256", Secret::Ec(pair))
    }

    /// P-384, ES384.
    pub fn p384(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key");
        Self::new(kid, "ES384", Secret::Ec(pair))
    }

    /// P-521, ES512: a family that the gateway does not take.
    pub fn p521(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).expect("a key");
        Self::new(kid, "ES512", Secret::Ec(pair))
    }

    /// Ed25519, `EdDSA`.
    pub fn ed25519(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().expect("a key");
        Self::new(kid, "EdDSA", Secret::Ed(pair))
    }

    fn new(kid: &str, alg: &'static str, secret: Secret) -> Self {
        Self { kid: kid.to_owned(), alg, secret: Arc::new(secret) }
    }

    /// The same pair under another id.
    #[must_use]
    pub fn named(&self, kid: &str) -> Self {
        Self { kid: kid.to_owned(), ..self.clone() }
    }

    /// Its id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm it signs with where a token says nothing else.
    pub const fn alg(&self) -> &'static str {
        self.alg
    }

    /// Its public half as a JWK for signatures.
    pub fn jwk(&self) -> Value {
        let mut jwk = self.bare_jwk();
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.alg);
        jwk
    }

    /// The same without `use` and `alg`.
    pub fn bare_jwk(&self) -> Value {
        match &*self.secret {
            Secret::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = match self.alg {
                    "ES256" => "P-256",
                    "ES384" => "P-384",
                    _ => "P-521",
                };
                json!({"kty": "EC", "crv": curve, "kid": self.kid, "x": b64(x), "y": b64(y)})
            }
            Secret::Ed(pair) => {
                let x = b64(pair.public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": x})
            }
            Secret::Rsa(pair) => {
                let (n, e) = rsa_numbers(pair.public_key().as_ref());
                json!({"kty": "RSA", "kid": self.kid, "n": b64(n), "e": b64(e)})
            }
        }
    }

    /// Public half of an RSA key: PKCS #1 DER, SPKI DER, SPKI PEM.
    pub fn rsa_public(&self) -> (Vec<u8>, Vec<u8>, String) {
        let Secret::Rsa(pair) = &*self.secret else { panic!("{self:?} is no RSA key") };
        let pkcs1 = pair.public_key().as_ref().to_vec();
        let spki = [&SPKI_PREFIX[..], &pkcs1].concat();
        let text = base64(&spki);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n");
        (pkcs1, spki, pem)
    }

    /// The private half, PKCS #8 DER, of an EC or Ed25519 key.
    pub fn pkcs8(&self) -> Vec<u8> {
        match &*self.secret {
            Secret::Ec(pair) => pair.to_pkcs8v1().expect("a key").as_ref().to_vec(),
            Secret::Ed(pair) => pair.to_pkcs8v1().expect("a key").as_ref().to_vec(),
            Secret::Rsa(pair) => pair.as_der().expect("a key").as_ref().to_vec(),
        }
    }

    /// Signs `message` as JWS does for `alg`; unknown names sign with the key's own.
    pub fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &*self.secret {
            Secret::Ec(pair) => pair.sign(&random, message).expect("signed").as_ref().to_vec(),
            Secret::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Secret::Rsa(pair) => {
                let padding: &'static dyn RsaEncoding = match alg {
                    "PS256" => &RSA_PSS_SHA256,
                    "RS512" => &RSA_PKCS1_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).expect("signed");
                signature
            }
        }
    }
}

/// base64url without padding.
pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// base64 in lines of 64 characters, as PEM has it.
pub fn base64(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let lines = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Modulus and exponent of a PKCS #1 public key: a sequence of two integers.
fn rsa_numbers(pkcs1: &[u8]) -> (&[u8], &[u8]) {
    let (_, sequence, _) = element(pkcs1);
    let (_, n, rest) = element(sequence);
    let (_, e, _) = element(rest);
    (n.strip_prefix(&[0]).unwrap_or(n), e)
}

/// Tag, content and what follows of one DER element.
fn element(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (header, length) = match der[1] {
        short if short < 0x80 => (2, usize::from(short)),
        long => {
            let count = usize::from(long & 0x7f);
            let length =
                der[2..2 + count].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (2 + count, length)
        }
    };
    (der[0], &der[header..header + length], &der[header + length..])
}
