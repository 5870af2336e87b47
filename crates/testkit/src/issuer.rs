//! An identity provider: discovery, a key set that can change and misbehave, and tokens.

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::authority::CertificateAuthority;
use crate::jwt::Token;
use crate::keys::Key;
use crate::reply::Reply;
use crate::upstream::Upstream;

const DISCOVERY: &str = "/.well-known/openid-configuration";
const JWKS: &str = "/jwks";

/// The provider. Its name is an `https` URL unless it is found by discovery.
pub struct Issuer {
    name: String,
    server: Upstream,
    key: Mutex<Key>,
}

impl Issuer {
    /// A provider called `https://idp.test/r1` with one RSA key `k1`.
    pub fn start() -> Self {
        Self::named("https://idp.test/r1")
    }

    /// A provider of another name.
    pub fn named(name: &str) -> Self {
        Self::on(Upstream::start(), name.to_owned())
    }

    /// A provider whose name is its own address, so that discovery finds it.
    pub fn discoverable() -> Self {
        let server = Upstream::start();
        let name = server.url();
        Self::on(server, name)
    }

    /// A provider behind TLS, at 127.0.0.1.
    pub fn start_tls(authority: &CertificateAuthority) -> Self {
        let pair = authority.issue(&["127.0.0.1"]);
        Self::on(Upstream::start_tls(pair.server_config()), "https://idp.test/r1".to_owned())
    }

    fn on(server: Upstream, name: String) -> Self {
        let key = Key::rsa("k1");
        let issuer = Self { name, server, key: Mutex::new(key.clone()) };
        issuer.publish(&[key.jwk()]);
        issuer.discovery(&issuer.document());
        issuer
    }

    /// Its name, as in `iss`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its keys are.
    pub fn jwks_url(&self) -> String {
        format!("{}{JWKS}", self.server.url())
    }

    /// The key its tokens are signed with.
    pub fn key(&self) -> Key {
        self.key.lock().clone()
    }

    /// Signs with another key from now on; publishes nothing.
    pub fn use_key(&self, key: &Key) {
        *self.key.lock() = key.clone();
    }

    /// Publishes these entries.
    pub fn publish(&self, keys: &[Value]) {
        self.answer_jwks(Reply::json(&json!({ "keys": keys })));
    }

    /// Answers requests for the keys with `reply`.
    pub fn answer_jwks(&self, reply: Reply) {
        self.server.answer(&format!("GET {JWKS} "), reply);
    }

    /// Its discovery document.
    pub fn document(&self) -> Value {
        json!({ "issuer": self.name, "jwks_uri": self.jwks_url() })
    }

    /// Publishes another discovery document.
    pub fn discovery(&self, document: &Value) {
        self.server.answer(&format!("GET {DISCOVERY} "), Reply::json(document));
    }

    /// How often the keys were asked for.
    pub fn fetches(&self) -> usize {
        self.server.seen(&format!("GET {JWKS} ")).len()
    }

    /// The server behind it.
    pub const fn server(&self) -> &Upstream {
        &self.server
    }

    /// A good token in the making.
    pub fn token(&self) -> Token {
        Token::new(&self.name, &self.key())
    }
}
