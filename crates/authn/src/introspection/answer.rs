//! What the server answered (RFC 7662 §2.2), read strictly.

use serde_json::{Map, Value};

use crate::strict_json;

/// What the server says of a token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// It is good, and says this.
    Active(Map<String, Value>),
    /// It is not good, or not to be told to us.
    Inactive,
}

impl Answer {
    /// Reads the body. An answer that nobody can read tells nothing of the token: it is a failure of
    /// the server.
    pub(super) fn read(body: &[u8]) -> Result<Self, &'static str> {
        let mut members = strict_json::object(body).map_err(|_| "the answer is no usable JSON")?;
        match members.remove("active") {
            Some(Value::Bool(true)) => Ok(Self::Active(members)),
            Some(Value::Bool(false)) => Ok(Self::Inactive),
            Some(_) => Err("active is neither true nor false"),
            None => Err("the answer has no active"),
        }
    }
}

/// Whether the answer speaks of an access token: a server that knows refresh tokens says that they
/// are active too.
pub(crate) fn judge_type(claims: &Map<String, Value>) -> Result<(), &'static str> {
    const OTHER: &str = "token_type is not that of an access token";
    let Some(found) = claims.get("token_type") else { return Ok(()) };
    let found = found.as_str().ok_or("token_type is not a string")?;
    let taken = ["Bearer", "DPoP", "access_token"];
    if taken.iter().any(|one| one.eq_ignore_ascii_case(found)) { Ok(()) } else { Err(OTHER) }
}
