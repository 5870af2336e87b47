//! A key set (RFC 7517 §5), read entry by entry, and the choice of a key for a token.

use aws_lc_rs::digest::{Context, SHA256};
use serde::Deserialize;
use serde_json::Value;

use crate::compact::{Compact, JoseHeader};
use crate::jwk::{Unused, VerificationKey};

/// How many keys are tried for one token.
const MAXIMUM_TRIED: usize = 4;

/// The usable keys of an issuer, and what was left out.
#[derive(Debug)]
pub(crate) struct KeySet {
    keys: Vec<VerificationKey>,
    unused: Vec<Unused>,
    print: [u8; 32],
}

/// Why no key is there to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Miss {
    /// A newer key set might have it.
    Unknown,
    /// The key named is there, and not for this token.
    Unfit,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a key set. An entry that cannot be used spoils no other; a set without one that can is
    /// refused.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let document: Document =
            serde_json::from_slice(bytes).map_err(|_| "it is not a key set (RFC 7517)")?;
        let (mut keys, mut unused) = (Vec::new(), Vec::new());
        for entry in &document.keys {
            match VerificationKey::read(entry) {
                Ok(key) => keys.push(key),
                Err(left_out) => unused.push(left_out),
            }
        }
        if keys.is_empty() {
            return Err("it holds no usable key");
        }
        let print = print_of(&keys);
        Ok(Self { keys, unused, print })
    }

    /// The keys to try for a token with `header`, at most four. A named key is that one or none; where
    /// the token names none, every fitting key is tried.
    pub(crate) fn candidates(
        &self,
        header: &JoseHeader,
    ) -> Result<impl Iterator<Item = &VerificationKey>, Miss> {
        let kid = header.kid.as_deref();
        let is_named = move |of_key: Option<&str>| kid.is_none_or(|kid| of_key == Some(kid));
        let mut named = self.keys.iter().filter(move |key| is_named(key.kid.as_deref())).peekable();
        if kid.is_some() && named.peek().is_none() {
            let was_left_out = self.unused.iter().any(|unused| is_named(unused.kid.as_deref()));
            return Err(if was_left_out { Miss::Unfit } else { Miss::Unknown });
        }
        let alg = header.alg;
        let mut fitting = named.filter(move |key| key.fits(alg)).take(MAXIMUM_TRIED).peekable();
        match (fitting.peek(), kid) {
            (Some(_), _) => Ok(fitting),
            (None, Some(_)) => Err(Miss::Unfit),
            (None, None) => Err(Miss::Unknown),
        }
    }

    /// Whether the signature of `token` is good under a fitting key.
    pub(crate) fn verifies(&self, token: &Compact<'_>) -> Result<bool, Miss> {
        let alg = token.header.alg.for_verifier();
        let is_good = |key: &VerificationKey| {
            jsonwebtoken::crypto::verify(token.signature, token.signed, &key.decoding, alg)
                .unwrap_or(false)
        };
        self.candidates(&token.header).map(|mut keys| keys.any(is_good))
    }

    /// How many keys are usable.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The entries that should have been usable and are not.
    pub(crate) fn skipped(&self) -> impl Iterator<Item = &Unused> {
        self.unused.iter().filter(|unused| !unused.other_purpose)
    }

    /// Whether both hold the same usable keys, in whatever order.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.print == other.print
    }
}

fn print_of(keys: &[VerificationKey]) -> [u8; 32] {
    let mut identities: Vec<_> = keys.iter().map(VerificationKey::identity).collect();
    identities.sort_unstable();
    let mut context = Context::new(&SHA256);
    for (kid, alg, print) in identities {
        // Length first, so that no two lists of keys run together to the same bytes.
        let kid = kid.map_or_else(|| "-".to_owned(), |kid| format!("{}:{kid}", kid.len()));
        context.update(kid.as_bytes());
        context.update(alg.map_or("-", |alg| alg.as_str()).as_bytes());
        context.update(&print);
    }
    context.finish().as_ref().try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Alg;
    use crate::testing::{Signer, changed};

    fn set(keys: &[Value]) -> KeySet {
        KeySet::parse(json!({"keys": keys, "x": 1}).to_string().as_bytes()).unwrap()
    }

    fn verified(keys: &[Value], token: &str) -> Result<bool, Miss> {
        set(keys).verifies(&Compact::parse(token).unwrap())
    }

    #[test]
    fn c03_keys_are_chosen_by_id_purpose_and_algorithm() {
        let (k1, k4, e1) = (Signer::rsa("k1"), Signer::rsa("k4"), Signer::rsa("e1"));
        let encryption = changed(&e1.jwk(), &json!({"use": "enc", "alg": "RSA-OAEP"}));
        let both = [encryption.clone(), k1.jwk()];
        assert_eq!(verified(&both, &k1.sign_without_kid(&json!({}))), Ok(true));
        assert_eq!(verified(&both, &e1.sign_without_kid(&json!({}))), Ok(false));
        assert_eq!(verified(&both, &e1.sign(&json!({}))), Err(Miss::Unfit));
        for keys in [[k1.jwk(), k4.jwk()], [k4.jwk(), k1.jwk()]] {
            assert_eq!(verified(&keys, &k4.sign_without_kid(&json!({}))), Ok(true));
        }
        let misnamed = k1.sign_with(&json!({"alg": "RS256", "kid": "zzz"}), &json!({}));
        assert_eq!(verified(&[k1.jwk()], &misnamed), Err(Miss::Unknown));
        let without_alg = changed(&k1.jwk(), &json!({"alg": null}));
        assert_eq!(verified(&[without_alg], &k1.sign(&json!({}))), Ok(true));
    }

    #[test]
    fn c03_of_two_entries_with_one_id_the_fitting_one_serves() {
        let k1 = Signer::rsa("k1");
        let rs512 = changed(&k1.jwk(), &json!({"alg": "RS512"}));
        for keys in [[k1.jwk(), rs512.clone()], [rs512, k1.jwk()]] {
            assert_eq!(verified(&keys, &k1.sign(&json!({}))), Ok(true));
        }
        let other = changed(&Signer::rsa("k4").jwk(), &json!({"kid": "k1"}));
        for keys in [[k1.jwk(), other.clone()], [other, k1.jwk()]] {
            assert_eq!(verified(&keys, &k1.sign(&json!({}))), Ok(true), "order decides nothing");
        }
    }

    #[test]
    fn c03_at_most_four_keys_are_tried() {
        let k1 = Signer::rsa("k1");
        let alias = |n: usize| changed(&Signer::rsa("k4").jwk(), &json!({"kid": format!("x{n}")}));
        let mut keys: Vec<Value> = (0..3).map(alias).collect();
        keys.push(k1.jwk());
        assert_eq!(verified(&keys, &k1.sign_without_kid(&json!({}))), Ok(true));
        keys.insert(0, alias(4));
        assert_eq!(verified(&keys, &k1.sign_without_kid(&json!({}))), Ok(false));
    }

    #[test]
    fn c04_a_bad_entry_spoils_no_other() {
        let k1 = Signer::rsa("k1");
        let keys = [
            json!(null),
            json!("x"),
            json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}),
            json!({"kty": "OKP", "crv": "Ed448", "x": "AA"}),
            json!({"kty": "RSA", "kid": "b1", "e": "AQAB"}),
            json!({"kty": "RSA", "kid": "b2", "n": "AQAB==", "e": "AQAB"}),
            json!({"kty": "RSA", "kid": "b3", "n": "AQAB", "e": "AQAB", "key_ops": "verify"}),
            k1.jwk(),
        ];
        assert_eq!(verified(&keys, &k1.sign(&json!({}))), Ok(true));
        let set = set(&keys);
        assert_eq!((set.len(), set.skipped().count()), (1, 7));
        let kids: Vec<_> = set.skipped().filter_map(|unused| unused.kid.as_deref()).collect();
        assert_eq!(kids, ["b1", "b2", "b3"]);
    }

    #[test]
    fn c09_families_live_side_by_side() {
        let signers =
            [Signer::rsa("r"), Signer::p256("p"), Signer::p384("q"), Signer::ed25519("e")];
        let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
        for signer in signers {
            assert_eq!(verified(&keys, &signer.sign(&json!({}))), Ok(true));
            assert_eq!(verified(&keys, &signer.sign_without_kid(&json!({}))), Ok(true));
        }
        let cross = JoseHeader { alg: Alg::Es256, kid: Some("r".into()), typ: None };
        assert_eq!(set(&keys).candidates(&cross).map(|_| ()), Err(Miss::Unfit));
        let by_full_name = Signer::ed25519("e").sign_with(&json!({"alg": "Ed25519"}), &json!({}));
        assert_eq!(verified(&keys, &by_full_name), Ok(true));
    }

    #[test]
    fn a_set_without_a_usable_key_is_refused() {
        for text in
            ["", "<html>", "{}", "[]", r#"{"keys":1}"#, r#"{"keys":{}}"#, r#"{"keys":[{"kty""#]
        {
            let read = KeySet::parse(text.as_bytes()).map(|_| ());
            assert_eq!(read, Err("it is not a key set (RFC 7517)"), "{text}");
        }
        for text in [r#"{"keys":[]}"#, r#"{"keys":[null]}"#] {
            let read = KeySet::parse(text.as_bytes()).map(|_| ());
            assert_eq!(read, Err("it holds no usable key"), "{text}");
        }
    }

    #[test]
    fn sets_are_the_same_by_their_usable_keys() {
        let (a, b) = (Signer::rsa("a").jwk(), Signer::p256("b").jwk());
        let both = set(&[a.clone(), b.clone()]);
        assert!(both.is_same_as(&set(&[b.clone(), json!(null), a.clone()])));
        assert!(!both.is_same_as(&set(std::slice::from_ref(&a))));
        assert!(!both.is_same_as(&set(&[a.clone(), changed(&b, &json!({"kid": "c"}))])));
        assert!(!both.is_same_as(&set(&[changed(&a, &json!({"alg": "PS256"})), b.clone()])));
        assert!(!both.is_same_as(&set(&[changed(&b, &json!({"kid": "a"})), b])));
    }
}
