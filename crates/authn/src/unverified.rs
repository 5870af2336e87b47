//! A look at a token before anything is known of it.

use serde::Deserialize;

use crate::compact::{MAXIMUM_LENGTH, decode, three_parts};

/// The `iss` that a token says of itself, to choose the issuer that must judge it. It proves nothing.
/// `None` where there is none to be read, or two.
pub fn unverified_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
    }
    if token.len() > MAXIMUM_LENGTH {
        return None;
    }
    let (_, payload, _) = three_parts(token).ok()?;
    serde_json::from_slice(&decode(payload)?).ok().map(|Claims { iss }| iss)
}

/// The `jti` that a token says of itself, to revoke it. It proves nothing. `None` where there is none to
/// be read, or two, or an empty one.
pub fn unverified_jti(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        jti: String,
    }
    if token.len() > MAXIMUM_LENGTH {
        return None;
    }
    let (_, payload, _) = three_parts(token).ok()?;
    serde_json::from_slice(&decode(payload)?).ok().map(|Claims { jti }| jti)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::base64url;

    #[track_caller]
    fn check(payload: &str, expected: Option<&str>) {
        let token = format!("e30.{}.x", base64url(payload.as_bytes()));
        assert_eq!(unverified_issuer(&token).as_deref(), expected, "{payload}");
    }

    #[test]
    fn the_issuer_is_read_if_there_is_exactly_one() {
        check(r#"{"a":[1],"iss":"https://idp.test/r1","b":{}}"#, Some("https://idp.test/r1"));
        for payload in ["", "{}", "[]", r#"{"iss":1}"#, r#"{"iss":["a"]}"#, r#"{"iss":null}"#] {
            check(payload, None);
        }
        check(r#"{"iss":"a","iss":"a"}"#, None);
        check(r#"{"iss":"a"}x"#, None);
    }

    #[test]
    fn what_is_no_token_has_no_issuer() {
        for token in ["", "a.b", "a.b.c.d", "e30.e30.x", "e30.!.x"] {
            assert_eq!(unverified_issuer(token), None, "{token}");
        }
        let long = base64url(format!(r#"{{"iss":"{}"}}"#, "a".repeat(MAXIMUM_LENGTH)).as_bytes());
        assert_eq!(unverified_issuer(&format!("e30.{long}.x")), None);
    }
}
