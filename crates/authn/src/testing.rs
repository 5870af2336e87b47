//! What the tests of this crate share: keys, tokens, settings.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use parking_lot::Mutex;
use portcullis_core::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::{Alg, ClaimPaths, IssuerSettings, KeySource, Proof, ReadFrom, Refresh};

/// The time at which tests stand, in seconds since the Unix epoch.
pub(crate) const NOW: u64 = 1_800_000_000;

/// The settings of the field cases.
pub(crate) fn settings() -> IssuerSettings {
    IssuerSettings {
        name: "main".into(),
        issuer: "https://idp.test/r1".into(),
        audience: vec!["api".to_owned()],
        audience_claim: "aud".to_owned(),
        algorithms: vec![Alg::Es256, Alg::EdDsa, Alg::Rs256],
        keys: KeySource::Discover,
        refresh: Refresh::default(),
        trust_pem: None,
        token_types: vec!["at+jwt".to_owned(), "JWT".to_owned()],
        leeway: Duration::from_secs(30),
        maximum_lifetime: None,
        required_claims: vec!["sub".to_owned()],
        read_from: vec![ReadFrom::Authorization],
        claims: ClaimPaths::default(),
        proof: Proof::default(),
    }
}

/// A clock that stands at [`NOW`].
pub(crate) fn clock() -> Clock {
    Clock::manual(Timestamp::from_unix_seconds(NOW))
}

/// The claims of the field cases with `changes`; a null removes.
pub(crate) fn claims(changes: &Value) -> Value {
    let good = json!({
        "iss": "https://idp.test/r1", "aud": "api", "sub": "u1",
        "iat": NOW, "nbf": NOW, "exp": NOW + 300,
    });
    changed(&good, changes)
}

/// `object` with the members of `changes` set, and those that are null removed.
pub(crate) fn changed(object: &Value, changes: &Value) -> Value {
    let mut object = object.clone();
    let members = object.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    object
}

/// A key of an issuer, made once per kind and id for all tests of the process.
pub(crate) struct Signer {
    pub(crate) kid: String,
    alg: Alg,
    key: EncodingKey,
    public: Value,
}

impl Signer {
    pub(crate) fn rsa(kid: &str) -> &'static Self {
        once(Alg::Rs256, kid, || {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
            let public = pair.public_key();
            let n = base64url(public.modulus().big_endian_without_leading_zero());
            let e = base64url(public.exponent().big_endian_without_leading_zero());
            let pkcs1 = pkcs1_of(der.as_ref());
            (EncodingKey::from_rsa_der(pkcs1), json!({"kty": "RSA", "n": n, "e": e}))
        })
    }

    pub(crate) fn p256(kid: &str) -> &'static Self {
        once(Alg::Es256, kid, || ec("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING))
    }

    pub(crate) fn p384(kid: &str) -> &'static Self {
        once(Alg::Es384, kid, || ec("P-384", &ECDSA_P384_SHA384_FIXED_SIGNING))
    }

    pub(crate) fn ed25519(kid: &str) -> &'static Self {
        once(Alg::EdDsa, kid, || {
            let pair = Ed25519KeyPair::generate().unwrap();
            let der = pair.to_pkcs8().unwrap();
            let x = base64url(pair.public_key().as_ref());
            let public = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
            (EncodingKey::from_ed_der(der.as_ref()), public)
        })
    }

    /// The public key as an entry of a key set.
    pub(crate) fn jwk(&self) -> Value {
        let more = json!({"kid": self.kid, "alg": self.alg.as_str(), "use": "sig"});
        changed(&self.public, &more)
    }

    /// A token of the good claims with `changes`.
    pub(crate) fn sign(&self, changes: &Value) -> String {
        self.sign_with(&json!({"alg": self.alg.as_str(), "kid": self.kid}), changes)
    }

    pub(crate) fn sign_without_kid(&self, changes: &Value) -> String {
        self.sign_with(&json!({"alg": self.alg.as_str()}), changes)
    }

    /// A token with this very header.
    pub(crate) fn sign_with(&self, header: &Value, changes: &Value) -> String {
        self.sign_bytes(&header.to_string(), &claims(changes).to_string())
    }

    /// A token of these very bytes; PS256 where the header says so.
    pub(crate) fn sign_bytes(&self, header: &str, payload: &str) -> String {
        let is_pss = header.contains("\"PS256\"");
        let alg = if is_pss { Alg::Ps256 } else { self.alg };
        let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()));
        let signature =
            jsonwebtoken::crypto::sign(signed.as_bytes(), &self.key, alg.for_verifier()).unwrap();
        format!("{signed}.{signature}")
    }
}

/// `bytes` in base64url without padding.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key set of these entries.
pub(crate) fn key_set(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

fn once(alg: Alg, kid: &str, generate: impl FnOnce() -> (EncodingKey, Value)) -> &'static Signer {
    static MADE: Mutex<Option<HashMap<(Alg, String), &'static Signer>>> = Mutex::new(None);
    let mut made = MADE.lock();
    let made = made.get_or_insert_default();
    made.entry((alg, kid.to_owned())).or_insert_with(|| {
        let (key, public) = generate();
        Box::leak(Box::new(Signer { kid: kid.to_owned(), alg, key, public }))
    })
}

fn ec(crv: &str, algorithm: &'static EcdsaSigningAlgorithm) -> (EncodingKey, Value) {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let der = pair.to_pkcs8v1().unwrap();
    let point = pair.public_key().as_ref().to_vec();
    let (x, y) = point[1..].split_at((point.len() - 1) / 2);
    let public = json!({"kty": "EC", "crv": crv, "x": base64url(x), "y": base64url(y)});
    (EncodingKey::from_ec_der(der.as_ref()), public)
}

/// The PKCS#1 key inside a PKCS#8 one: the contents of its last octet string.
fn pkcs1_of(pkcs8: &[u8]) -> &[u8] {
    // 30 82 .. .. | 02 01 00 | 30 0d … (15 bytes) | 04 82 .. .. | PKCS#1
    &pkcs8[4 + 3 + 15 + 4..]
}

/// Keeps the warnings of this crate, one line each.
#[derive(Clone, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Listens on this thread until the guard is dropped.
    pub(crate) fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        // With one subscriber alive, a call site first met on another thread, where nobody listens,
        // would be switched off for all threads. With two or more, every one alive is asked.
        static ALIVE: OnceLock<[tracing::Dispatch; 2]> = OnceLock::new();
        ALIVE.get_or_init(|| [(); 2].map(|()| tracing::Dispatch::new(Self::default())));
        let warnings = Self::default();
        let guard = tracing::subscriber::set_default(warnings.clone());
        (warnings, guard)
    }

    /// The lines so far; they are forgotten.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN && metadata.target().starts_with("portcullis")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = String::new();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            write!(line, "{field}={value:?} ").unwrap();
        });
        self.0.lock().push(line);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
