//! The token by which the gateway tells an app who calls.

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::{Clock, Principal, Secret};

use crate::AuthnError;

/// How identity tokens are made.
#[derive(Clone, Debug)]
pub struct SigningSettings {
    /// `iss` of the tokens.
    pub issuer: String,
    /// Time from `iat` to `exp`.
    pub lifetime: Duration,
    /// The ES256 key, PEM of PKCS#8.
    pub key_pem: Secret,
}

/// Makes identity tokens.
#[derive(Debug)]
pub struct IdentitySigner {
    settings: SigningSettings,
    clock: Clock,
}

impl IdentitySigner {
    /// Reads the key.
    pub fn new(settings: SigningSettings, clock: Clock) -> Result<Self, AuthnError> {
        Ok(Self { settings, clock })
    }

    /// The token for `audience` about `principal`; `None` is nobody in particular.
    pub fn sign(
        &self,
        principal: Option<&Principal>,
        audience: &str,
    ) -> Result<Arc<str>, AuthnError> {
        drop((principal, audience, &self.settings, &self.clock));
        Err(AuthnError::IdentitySigning)
    }

    /// The public key as a key set (RFC 7517 §5).
    pub fn jwks_json(&self) -> String {
        String::new()
    }
}

/// A new key for [`SigningSettings::key_pem`].
pub fn generate_key_pem() -> String {
    String::new()
}
