//! A look at a token before anything is known of it.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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

/// The most bytes that the payload of a token can have.
const MAXIMUM_PAYLOAD: usize = MAXIMUM_LENGTH.div_ceil(4) * 3;

/// Gives `to` the account that a token claims to be one of: its `iss` and `sub`, empty where it has none.
/// It proves nothing. Nothing is allocated, where neither has a character that JSON escapes.
pub fn with_claimed_account<T>(token: &str, to: impl FnOnce(&str, &str) -> T) -> T {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Claims<'a> {
        #[serde(borrow)]
        iss: Cow<'a, str>,
        #[serde(borrow)]
        sub: Cow<'a, str>,
    }
    let mut payload = [0; MAXIMUM_PAYLOAD];
    let part = match three_parts(token) {
        Ok((_, part, _)) if token.len() <= MAXIMUM_LENGTH => part,
        Ok(_) | Err(_) => "",
    };
    let length = URL_SAFE_NO_PAD.decode_slice(part, &mut payload).unwrap_or(0);
    let json = payload.get(..length).unwrap_or_default();
    let Claims { iss, sub } = serde_json::from_slice(json).unwrap_or_default();
    to(&iss, &sub)
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

    #[track_caller]
    fn claims(payload: &str, iss: &str, sub: &str) {
        let token = format!("e30.{}.x", base64url(payload.as_bytes()));
        let claimed = with_claimed_account(&token, |iss, sub| (iss.to_owned(), sub.to_owned()));
        assert_eq!(claimed, (iss.to_owned(), sub.to_owned()), "{payload}");
    }

    #[test]
    fn an_account_is_claimed_however_it_is_written() {
        claims(
            r#"{"aud":["x"],"sub":"alice","iss":"https://idp.test"}"#,
            "https://idp.test",
            "alice",
        );
        claims(r#"{"iss" : "\u0061","sub":"\u0062\n"}"#, "a", "b\n");
        claims(r#"{"iss":"a"}"#, "a", "");
        claims(r#"{"sub":"b"}"#, "", "b");
        for nothing in ["", "[]", r#"{"iss":"a","sub":1}"#, r#"{"iss":"a","iss":"a"}"#] {
            claims(nothing, "", "");
        }
        for token in ["", "opaque", "a.b", "e30.!.x", &format!("e30.{}.x", "A".repeat(20_000))] {
            assert!(with_claimed_account(token, |iss, sub| iss.is_empty() && sub.is_empty()));
        }
        let long = "a".repeat(12_000);
        claims(&format!(r#"{{"sub":"{long}"}}"#), "", &long);
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
