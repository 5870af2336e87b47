//! Signed requests (RFC 8555 §6.2), verified.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// A request whose signature is not yet verified.
pub(crate) struct Signed {
    pub(crate) header: Value,
    pub(crate) payload: Vec<u8>,
    message: String,
    signature: Vec<u8>,
}

impl Signed {
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let (protected, payload) = (body["protected"].as_str()?, body["payload"].as_str()?);
        Some(Self {
            header: serde_json::from_slice(&decode(protected)?).ok()?,
            payload: decode(payload)?,
            message: format!("{protected}.{payload}"),
            signature: decode(body["signature"].as_str()?)?,
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_default()
    }

    pub(crate) fn is_signed_by(&self, key: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key);
        key.verify(self.message.as_bytes(), &self.signature).is_ok()
    }

    /// The key in the header, in SEC 1 form, and its thumbprint (RFC 7638).
    pub(crate) fn key(&self) -> Option<(Vec<u8>, String)> {
        let jwk = &self.header["jwk"];
        let (x, y) = (jwk["x"].as_str()?, jwk["y"].as_str()?);
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let key = [vec![4], decode(x)?, decode(y)?].concat();
        Some((key, encode(digest(&SHA256, canonical.as_bytes()).as_ref())))
    }
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
