//! The demo issuer: discovery, one key, and tokens made at start.

use std::future::{Ready, ready};
use std::sync::Arc;

use http::StatusCode;
use jwt_simple::prelude::{
    Claims, Duration, ECDSAP256KeyPairLike, ECDSAP256PublicKeyLike, ES256KeyPair,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::web::{self, Reply, Request};

/// Life of a demo token in seconds.
const LIFETIME: u64 = 3600;

/// An issuer with a key that lives as long as the process.
pub(super) struct DemoIssuer {
    key: ES256KeyPair,
    url: &'static str,
    audience: &'static str,
}

#[derive(Serialize, Deserialize)]
struct Custom {
    scope: String,
    roles: Vec<String>,
}

impl DemoIssuer {
    pub(super) fn new(url: &'static str, audience: &'static str) -> Self {
        Self { key: ES256KeyPair::generate().with_key_id("demo"), url, audience }
    }

    /// A token of `subject`.
    pub(super) fn token(
        &self,
        subject: &str,
        scope: &str,
        roles: &[&str],
    ) -> Result<String, jwt_simple::Error> {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let custom = Custom { scope: scope.to_owned(), roles };
        let claims = Claims::with_custom_claims(custom, Duration::from_secs(LIFETIME))
            .with_issuer(self.url)
            .with_audience(self.audience)
            .with_subject(subject);
        self.key.sign(claims)
    }

    fn key_set(&self) -> Value {
        let point = self.key.public_key().public_key().to_bytes_uncompressed();
        let coordinate = |range| {
            let bytes = point.get::<std::ops::Range<usize>>(range).unwrap_or_default();
            base64_url(bytes)
        };
        json!({"keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "demo",
            "x": coordinate(1..33), "y": coordinate(33..65),
        }]})
    }

    /// Serves discovery and the key.
    pub(super) fn handler(&self) -> impl Fn(Request) -> Ready<Reply> + Clone + Send + 'static {
        let discovery = json!({"issuer": self.url, "jwks_uri": format!("{}/jwks", self.url)});
        let (discovery, keys) = (Arc::new(discovery), Arc::new(self.key_set()));
        move |request| {
            ready(match request.uri().path() {
                "/.well-known/openid-configuration" => web::json(StatusCode::OK, &discovery),
                "/jwks" => web::json(StatusCode::OK, &keys),
                _ => web::json(StatusCode::NOT_FOUND, &json!({"error": "not_found"})),
            })
        }
    }
}

fn base64_url(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
