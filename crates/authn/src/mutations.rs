//! Properties of the reader of tokens: it never panics, and no changed token is accepted.

use proptest::prelude::*;
use serde_json::json;

use crate::bearer;
use crate::compact::Compact;
use crate::jwk::VerificationKey;
use crate::key_set::KeySet;
use crate::testing::{Signer, key_set};
use crate::{strict_json, unverified_issuer};

fn signers() -> [&'static Signer; 4] {
    [Signer::rsa("k1"), Signer::p256("p"), Signer::p384("q"), Signer::ed25519("e")]
}

fn verifies(token: &str) -> bool {
    let keys: Vec<_> = signers().iter().map(|signer| signer.jwk()).collect();
    let set = KeySet::parse(key_set(&keys).as_bytes()).unwrap();
    Compact::parse(token).is_ok_and(|token| set.verifies(&token) == Ok(true))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_on_any_text(text in any::<String>()) {
        prop_assert!(!verifies(&text));
        unverified_issuer(&text);
        bearer::from_query(&text, "access_token").ok();
        KeySet::parse(text.as_bytes()).ok();
        strict_json::object(text.as_bytes()).ok();
    }

    #[test]
    fn nothing_panics_on_text_like_a_token(text in r"[A-Za-z0-9_=-]{0,40}(\.[A-Za-z0-9_=-]{0,40}){0,4}") {
        prop_assert!(!verifies(&text));
        unverified_issuer(&text);
    }

    #[test]
    fn nothing_panics_on_entries_like_keys(
        kty in "RSA|EC|OKP|oct",
        crv in "P-256|P-384|Ed25519|x",
        part in "[A-Za-z0-9_-]{0,90}",
        other in "[A-Za-z0-9_-]{0,400}",
    ) {
        let entry = json!({"kty": kty, "crv": crv, "x": part, "y": part, "n": other, "e": "AQAB"});
        VerificationKey::read(&entry).ok();
    }

    #[test]
    fn no_changed_token_is_accepted(
        which in 0..4_usize,
        at in any::<prop::sample::Index>(),
        put in "[A-Za-z0-9._=+/ -]",
        how in 0..3_u8,
    ) {
        let good = signers()[which].sign(&json!({}));
        prop_assert!(verifies(&good));
        let mut token: Vec<char> = good.chars().collect();
        let (at, put) = (at.index(token.len()), put.chars().next().unwrap());
        match how {
            0 => token[at] = put,
            1 => token.insert(at, put),
            _ => {
                token.remove(at);
            }
        }
        let changed: String = token.into_iter().collect();
        prop_assert_eq!(verifies(&changed), changed == good, "{}", changed);
    }

    #[test]
    fn no_token_with_swapped_parts_is_accepted(first in 0..4_usize, second in 0..4_usize, part in 0..3) {
        let one = signers()[first].sign(&json!({"sub": "u1"}));
        let two = signers()[second].sign(&json!({"sub": "u2"}));
        let parts = one.split('.').zip(two.split('.')).zip(0..);
        let mixed: Vec<&str> =
            parts.map(|((a, b), index)| if index == part { b } else { a }).collect();
        let mixed = mixed.join(".");
        prop_assert_eq!(verifies(&mixed), mixed == one);
    }
}
