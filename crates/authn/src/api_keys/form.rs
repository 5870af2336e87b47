//! The form of a key: `pck_` and its id, a dot, and its secret.
//!
//! The prefix lets scanners of source code find keys that went astray, and tells people what they hold;
//! the id is no secret and stands in logs. The secret is 256 bits, base64url without padding.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::{Secret, random};

/// What every key begins with.
const PREFIX: &str = "pck_";

/// Characters of an id, five bits each.
const ID_LENGTH: usize = 12;

/// Characters of a secret.
const SECRET_LENGTH: usize = 43;

/// What ids are written with (RFC 4648 §6, in lower case).
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A key in the right form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Presented<'a> {
    pub(super) id: &'a str,
    /// All of it.
    pub(super) text: &'a str,
}

impl<'a> Presented<'a> {
    /// Takes a key apart, or says what is wrong with its form.
    pub(super) fn read(text: &'a str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("the key is empty");
        }
        let form = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('.'));
        let form = form.filter(|(id, secret)| is_id(id) && is_secret(secret));
        let (id, _) = form.ok_or("it has not the form of a key")?;
        Ok(Self { id, text })
    }
}

/// Whether `id` could be the id of a key.
pub(super) fn is_id(id: &str) -> bool {
    id.len() == ID_LENGTH && id.bytes().all(|byte| ALPHABET.contains(&byte))
}

fn is_secret(secret: &str) -> bool {
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    secret.len() == SECRET_LENGTH && secret.bytes().all(is_base64url)
}

/// A new id; `None` where the system gives no random bytes.
pub(super) fn new_id() -> Option<String> {
    let drawn = random::bytes::<ID_LENGTH>()?;
    let one = |byte: u8| ALPHABET.get(usize::from(byte & 31)).copied().map(char::from);
    drawn.into_iter().map(one).collect()
}

/// A new key of this id; `None` where the system gives no random bytes.
pub(super) fn new_key(id: &str) -> Option<Secret> {
    let secret = URL_SAFE_NO_PAD.encode(random::bytes::<32>()?);
    Some(Secret::new(format!("{PREFIX}{id}.{secret}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_has_the_form_and_no_two_are_the_same() {
        let id = new_id().unwrap();
        let (one, other) = (new_key(&id).unwrap(), new_key(&id).unwrap());
        assert_ne!(one, other);
        assert_ne!(id, new_id().unwrap());
        let text = one.expose_str().unwrap();
        assert_eq!(Presented::read(text), Ok(Presented { id: &id, text }));
        assert_eq!(text.len(), 4 + 12 + 1 + 43);
    }

    #[test]
    fn whatever_has_another_form_is_no_key() {
        let good = "pck_abcdefghijk2.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert!(Presented::read(good).is_ok());
        let form = Err("it has not the form of a key");
        assert_eq!(Presented::read(""), Err("the key is empty"));
        for odd in [
            "a.b.c".to_owned(),
            good.to_uppercase(),
            good.replace("pck_", "pk_"),
            good.replace('.', ""),
            good.replace("k2.", "k1."),
            good.replace("k2.", "k."),
            format!("{good}A"),
            format!("{good}="),
            format!(" {good}"),
            format!("{good} "),
            format!("{good}, {good}"),
            good.replacen("AAA", "AA", 1),
            good.replacen("AAA", "A.A", 1),
            good.replacen("AAA", "A+A", 1),
        ] {
            assert_eq!(Presented::read(&odd), form, "{odd}");
        }
    }
}
