//! The thumbprint of a key (RFC 7638), by which a token names it (`jkt`, RFC 9449 §6.1).

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use crate::compact::encode;

/// SHA-256 of the members that make a key, in base64url. `None` for a kind of key that is not known
/// here, or one that lacks a member. Whether it is a key at all is not looked at.
pub(crate) fn of(jwk: &Map<String, Value>) -> Option<String> {
    let names: &[&str] = match jwk.get("kty")?.as_str()? {
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        "RSA" => &["e", "kty", "n"],
        _ => return None,
    };
    let member = |name: &&str| {
        let value = jwk.get(*name)?.as_str()?;
        Some(format!("\"{name}\":{}", json!(value)))
    };
    let members: Option<Vec<String>> = names.iter().map(member).collect();
    let text = format!("{{{}}}", members?.join(","));
    Some(encode(digest(&SHA256, text.as_bytes()).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(jwk: &Value, expected: Option<&str>) {
        assert_eq!(of(jwk.as_object().unwrap()).as_deref(), expected, "{jwk}");
    }

    #[test]
    fn thumbprints_are_those_of_the_rfcs() {
        // RFC 7638 §3.1.
        check(
            &json!({
                "kty": "RSA", "alg": "RS256", "kid": "2011-04-29", "e": "AQAB",
                "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            }),
            Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        );
        // RFC 8037, appendix A.3.
        check(
            &json!({
                "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            }),
            Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        );
        // RFC 9449 §6.1: the key of figure 2.
        check(
            &json!({
                "kty": "EC", "crv": "P-256", "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
                "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
            }),
            Some("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
        );
    }

    #[test]
    fn what_is_no_public_key_has_none() {
        check(&json!({"kty": "oct", "k": "AAAA"}), None);
        check(&json!({"kty": "EC", "crv": "P-256", "x": "a"}), None);
        check(&json!({"kty": "RSA", "n": 1, "e": "AQAB"}), None);
        check(&json!({"kty": ["EC"]}), None);
        check(&json!({}), None);
    }
}
