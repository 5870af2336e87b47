//! One proof: read strictly, and judged by what it says alone (RFC 9449 §4.3).

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA256, digest};
use portcullis_core::Timestamp;
use serde_json::{Map, Value};

use crate::claims::numeric_date;
use crate::compact::{Compact, encode};
use crate::dpop::{AHEAD, Asked, OLDEST, ProofFailure, target, thumbprint};
use crate::jwk::VerificationKey;
use crate::strict_json;

/// The longest `jti`, in bytes.
const LONGEST_ID: usize = 256;

/// `typ` of a proof.
const TYPE: [&str; 1] = ["dpop+jwt"];

/// A proof in its parts. Nothing of it is verified.
#[derive(Debug)]
pub(super) struct Proof<'p> {
    token: Compact<'p>,
    key: Value,
    method: String,
    target: String,
    token_digest: String,
    pub(super) jti: String,
    pub(super) issued: Timestamp,
    pub(super) nonce: Option<String>,
}

impl<'p> Proof<'p> {
    pub(super) fn read(text: &'p str) -> Result<Self, ProofFailure> {
        let (token, mut header) = Compact::with_header(text).map_err(ProofFailure::invalid)?;
        if !token.header.type_is_one_of(&TYPE) {
            return Err(ProofFailure::invalid("its typ is not dpop+jwt"));
        }
        let key = header.remove("jwk").filter(Value::is_object);
        let key = key.ok_or(ProofFailure::invalid("it has no jwk"))?;
        let claims = strict_json::object(&token.payload);
        let mut claims =
            claims.map_err(|_| ProofFailure::invalid("its claims are not usable JSON"))?;
        let issued = claims.get("iat").and_then(numeric_date);
        let jti = text_of(&mut claims, "jti", "it has no jti")?;
        if jti.is_empty() || jti.len() > LONGEST_ID {
            return Err(ProofFailure::invalid("its jti is empty or too long"));
        }
        let nonce = match claims.remove("nonce") {
            None => None,
            Some(Value::String(nonce)) => Some(nonce),
            Some(_) => return Err(ProofFailure::invalid("its nonce is not a string")),
        };
        Ok(Self {
            method: text_of(&mut claims, "htm", "it has no htm")?,
            target: text_of(&mut claims, "htu", "it has no htu")?,
            token_digest: text_of(&mut claims, "ath", "it has no ath")?,
            issued: issued.ok_or(ProofFailure::invalid("it has no iat"))?,
            token,
            key,
            jti,
            nonce,
        })
    }

    /// Judges all that needs no memory. The signature comes last: a proof that is refused for
    /// something else costs little.
    pub(super) fn judge(
        &self,
        asked: &Asked<'_>,
        jkt: &str,
        now: Timestamp,
    ) -> Result<(), ProofFailure> {
        if self.key.as_object().and_then(thumbprint::of).as_deref() != Some(jkt) {
            return Err(ProofFailure::OtherKey);
        }
        if self.method != asked.method.as_str() {
            return Err(ProofFailure::invalid("it is for another method"));
        }
        if !target::is_target(&self.target, asked.https, asked.authority, asked.path) {
            return Err(ProofFailure::invalid("it is for another URI"));
        }
        if self.issued > now.plus(AHEAD) {
            return Err(ProofFailure::invalid("its iat lies ahead"));
        }
        if self.issued.plus(OLDEST) < now {
            return Err(ProofFailure::invalid("its iat is too long ago"));
        }
        if self.token_digest != encode(digest(&SHA256, asked.token.as_bytes()).as_ref()) {
            return Err(ProofFailure::invalid("it is for another token"));
        }
        self.verify()
    }

    fn verify(&self) -> Result<(), ProofFailure> {
        let key = VerificationKey::read(&self.key).map_err(|unused| {
            ProofFailure::Invalid(Cow::Owned(format!("its key: {}", unused.reason)))
        })?;
        let Compact { header, signature, signed, .. } = &self.token;
        if !key.fits(header.alg) {
            return Err(ProofFailure::invalid("its key does not fit its alg"));
        }
        let alg = header.alg.for_verifier();
        match jsonwebtoken::crypto::verify(signature, signed, &key.decoding, alg) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(ProofFailure::Wrong("its signature is not good")),
        }
    }
}

fn text_of(
    claims: &mut Map<String, Value>,
    name: &str,
    missing: &'static str,
) -> Result<String, ProofFailure> {
    match claims.remove(name) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(ProofFailure::invalid(missing)),
    }
}
