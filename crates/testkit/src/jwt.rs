//! Tokens with every part in the test's hand.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::clock::Clock;
use serde_json::{Map, Value, json};

use crate::keys::{Key, b64};

/// Seconds since the Unix epoch.
pub fn now() -> u64 {
    Clock::system().now().unix_seconds()
}

/// A token in the making.
#[derive(Clone, Debug)]
pub struct Token {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    payload: Option<String>,
    key: Key,
}

impl Token {
    /// A good token of `issuer` for the audience `api` and the subject `u1`, good for 5 minutes.
    pub fn new(issuer: &str, key: &Key) -> Self {
        let now = now();
        let claims = json!({
            "iss": issuer, "aud": "api", "sub": "u1", "iat": now, "nbf": now, "exp": now + 300,
        });
        let header = json!({"alg": key.alg(), "kid": key.kid()});
        let object = |value: Value| value.as_object().cloned().unwrap_or_default();
        Self { header: object(header), claims: object(claims), payload: None, key: key.clone() }
    }

    /// With a claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// With a time claim `seconds` from now.
    #[must_use]
    pub fn time(self, name: &str, seconds: i64) -> Self {
        let at = i64::try_from(now()).unwrap_or_default() + seconds;
        self.claim(name, at)
    }

    /// Without a claim.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// With a header member.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Without a header member.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// With these bytes as payload, whatever the claims.
    #[must_use]
    pub fn payload(mut self, text: impl Into<String>) -> Self {
        self.payload = Some(text.into());
        self
    }

    /// Signed by another key, which the header does not name.
    #[must_use]
    pub fn signed_by(mut self, key: &Key) -> Self {
        self.key = key.clone();
        self
    }

    /// Of another key, named in the header.
    #[must_use]
    pub fn of(self, key: &Key) -> Self {
        self.header("alg", key.alg()).header("kid", key.kid()).signed_by(key)
    }

    /// The claims as they stand.
    pub fn claims(&self) -> Value {
        Value::Object(self.claims.clone())
    }

    /// Header and payload, encoded.
    pub fn signing_input(&self) -> String {
        let header = Value::Object(self.header.clone()).to_string();
        let payload = self.payload.clone().unwrap_or_else(|| self.claims().to_string());
        format!("{}.{}", b64(header), b64(payload))
    }

    /// Signs it with its key, in the algorithm its header says where the key can.
    pub fn sign(&self) -> String {
        let alg = self.header.get("alg").and_then(Value::as_str).unwrap_or_default();
        let input = self.signing_input();
        let signature = self.key.sign(alg, input.as_bytes());
        format!("{input}.{}", b64(signature))
    }

    /// With these bytes for a signature.
    pub fn with_signature(&self, signature: impl AsRef<[u8]>) -> String {
        format!("{}.{}", self.signing_input(), b64(signature))
    }

    /// Signed with HMAC-SHA-256 under `secret`.
    pub fn hmac(&self, secret: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let input = self.signing_input();
        let tag = hmac::sign(&key, input.as_bytes());
        self.with_signature(tag.as_ref())
    }
}

/// Header and claims of an ES256 token whose signature is good under the key that its `kid` names
/// in the key set `jwks`; panics where it is not.
#[track_caller]
pub fn verified_es256(token: &str, jwks: &Value) -> (Value, Value) {
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "{token}");
    let header = decoded(parts[0]);
    let keys = jwks["keys"].as_array().expect("a key set");
    let key = keys.iter().find(|key| key["kid"] == header["kid"]).expect("the key of the token");
    let coordinate = |name: &str| {
        URL_SAFE_NO_PAD.decode(key[name].as_str().expect("a coordinate")).expect("base64url")
    };
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let input = format!("{}.{}", parts[0], parts[1]);
    let signature = URL_SAFE_NO_PAD.decode(parts[2]).expect("base64url");
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(input.as_bytes(), &signature)
        .expect("the signature is good");
    (header, decoded(parts[1]))
}

fn decoded(part: &str) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}
