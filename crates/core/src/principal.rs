//! Who a credential proved to be.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{Derived, Timestamp};

/// The party a credential stands for. Made only by `authn`, from a credential that was verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// Value of the subject claim, or whom a client's certificate names.
    pub subject: String,
    /// Name of the issuer in the file, as `access` uses it.
    pub issuer_name: Arc<str>,
    /// The `iss` value, or the issuer of a client's certificate.
    pub issuer: Arc<str>,
    /// Scopes granted to the token.
    pub scopes: Vec<String>,
    /// Roles read from the configured claim; empty where none is configured.
    pub roles: Vec<String>,
    /// All claims of the token.
    pub claims: Arc<Map<String, Value>>,
    /// When the credential ends.
    pub expires: Timestamp,
    /// What kind of credential it was.
    pub credential: CredentialKind,
    /// What others made of the claims.
    pub derived: Derived,
}

/// What kinds of credentials there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A key that the gateway keeps the digest of.
    ApiKey,
    /// The certificate of a connection; it has neither scopes nor roles.
    Certificate,
    /// A token of an issuer.
    Token,
}

impl Principal {
    /// The claim at `path` (one key per level), where every level is there.
    pub fn claim<S: AsRef<str>>(&self, path: &[S]) -> Option<&Value> {
        let (last, parents) = path.split_last()?;
        let mut level = &*self.claims;
        for key in parents {
            level = level.get(key.as_ref())?.as_object()?;
        }
        level.get(last.as_ref())
    }
}
