//! DPoP proofs (RFC 9449) with every part in the test's hand.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::jwt::{Token, now};
use crate::keys::{Key, b64};
use crate::marker::marker;
use crate::request::Request;

/// A proof in the making.
#[derive(Clone, Debug)]
pub struct Proof(Token);

impl Proof {
    /// A good proof of `key` for a request with `token`.
    pub fn new(key: &Key, method: &str, target: &str, token: &str) -> Self {
        let mut made = Token::new("", key).header("typ", "dpop+jwt").without_header("kid");
        for name in ["iss", "aud", "sub", "nbf", "exp"] {
            made = made.without(name);
        }
        Self(made.header("jwk", public(key)))
            .claim("jti", marker("jti"))
            .claim("htm", method)
            .claim("htu", target)
            .claim("iat", now())
            .claim("ath", b64(digest(&SHA256, token.as_bytes())))
    }

    /// With another claim.
    #[must_use]
    pub fn claim(self, name: &str, value: impl Into<Value>) -> Self {
        Self(self.0.claim(name, value))
    }

    /// With a time claim `seconds` from now.
    #[must_use]
    pub fn time(self, name: &str, seconds: i64) -> Self {
        Self(self.0.time(name, seconds))
    }

    /// Without a claim.
    #[must_use]
    pub fn without(self, name: &str) -> Self {
        Self(self.0.without(name))
    }

    /// With another member of the header.
    #[must_use]
    pub fn header(self, name: &str, value: impl Into<Value>) -> Self {
        Self(self.0.header(name, value))
    }

    /// Signed by another key than its header shows.
    #[must_use]
    pub fn signed_by(self, key: &Key) -> Self {
        Self(self.0.signed_by(key))
    }

    /// Signs it.
    pub fn sign(&self) -> String {
        self.0.sign()
    }

    /// The token behind it, for what is signed in other ways.
    pub const fn token(&self) -> &Token {
        &self.0
    }
}

impl Request {
    /// With `Authorization: DPoP` and a proof.
    #[must_use]
    pub fn dpop(self, token: impl AsRef<str>, proof: impl AsRef<str>) -> Self {
        let value = format!("DPoP {}", token.as_ref());
        self.field("authorization", value).field("dpop", proof)
    }
}

/// The public half of a key, with nothing but what makes it.
pub fn public(key: &Key) -> Value {
    let mut jwk = key.bare_jwk();
    jwk.as_object_mut().expect("an object").remove("kid");
    jwk
}

/// The thumbprint of a key (RFC 7638).
pub fn thumbprint(key: &Key) -> String {
    let jwk = public(key);
    let part = |name: &str| jwk[name].as_str().expect(name).to_owned();
    let text = match part("kty").as_str() {
        "EC" => format!(
            r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
            part("crv"),
            part("x"),
            part("y")
        ),
        "OKP" => format!(r#"{{"crv":"{}","kty":"OKP","x":"{}"}}"#, part("crv"), part("x")),
        _ => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, part("e"), part("n")),
    };
    b64(digest(&SHA256, text.as_bytes()))
}

impl Token {
    /// Bound to a key.
    #[must_use]
    pub fn bound_to(self, key: &Key) -> Self {
        self.claim("cnf", json!({"jkt": thumbprint(key)}))
    }
}
