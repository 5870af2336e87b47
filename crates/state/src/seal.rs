//! Sealing of records: AES-256-GCM-SIV (RFC 8452) under keys that are derived from the encryption
//! key (HKDF, RFC 5869), one for each kind, and bound to the place of the record.

use std::collections::HashSet;
use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use portcullis_core::{Secret, random};

/// The form of a sealed record, its first byte.
const FORM: u8 = 1;

/// Bytes of randomness that an encryption key must have.
const KEY_BYTES: usize = 32;

/// The fewest different bytes of a key. A key of 32 random bytes has more, whichever way it is
/// written; a repeated word or character has fewer.
const KEY_VARIETY: usize = 9;

/// The key that seals what is kept.
#[derive(Clone)]
pub struct EncryptionKey(Prk);

impl EncryptionKey {
    /// What an operator is told to give.
    pub const EXPECTED: &str =
        "at least 32 random bytes, such as `openssl rand -base64 32` makes them";

    /// A key from `secret`, taken as it is written: 32 bytes, 64 hexadecimal digits, or 43
    /// characters of any other text at least. `None` where it is shorter or always says the same.
    pub fn new(secret: &Secret) -> Option<Self> {
        let bytes = secret.expose();
        let needed = if bytes.iter().all(u8::is_ascii_hexdigit) {
            KEY_BYTES * 2
        } else if bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
            // Six bits a character, as in base64.
            (KEY_BYTES * 8).div_ceil(6)
        } else {
            KEY_BYTES
        };
        let variety: HashSet<&u8> = bytes.iter().collect();
        let is_strong = bytes.len() >= needed && variety.len() >= KEY_VARIETY;
        is_strong.then(|| Self(Salt::new(HKDF_SHA256, b"portcullis state 1").extract(bytes)))
    }

    /// A new key as text, to be kept in a file; `None` where there is no randomness.
    pub(crate) fn generate() -> Option<Vec<u8>> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied();
        let drawn = random::bytes::<KEY_BYTES>()?;
        drawn.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    /// Seals `value` for its place; `None` where there is no randomness.
    pub(crate) fn seal(&self, kind: &str, key: &str, value: &Secret) -> Option<Vec<u8>> {
        let nonce = random::bytes::<NONCE_LEN>()?;
        let mut body = Vec::with_capacity(value.expose().len() + AES_256_GCM_SIV.tag_len());
        body.extend_from_slice(value.expose());
        let aad = Aad::from(place(kind, key)?);
        let nonce_of_record = Nonce::assume_unique_for_key(nonce);
        self.of_kind(kind)?.seal_in_place_append_tag(nonce_of_record, aad, &mut body).ok()?;
        Some([&[FORM], nonce.as_slice(), &body].concat())
    }

    /// What was sealed for this place; `None` where it was not, or was changed.
    pub(crate) fn open(&self, kind: &str, key: &str, sealed: &[u8]) -> Option<Secret> {
        let (&FORM, sealed) = sealed.split_first()? else { return None };
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let aad = Aad::from(place(kind, key)?);
        let mut body = body.to_vec();
        let length = self.of_kind(kind)?.open_in_place(nonce, aad, &mut body).ok()?.len();
        body.truncate(length);
        Some(Secret::new(body))
    }

    fn of_kind(&self, kind: &str) -> Option<LessSafeKey> {
        let info = [b"record".as_slice(), kind.as_bytes()];
        let derived = self.0.expand(&info, &AES_256_GCM_SIV).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(derived)))
    }
}

/// The place of a record, so written that no two places look the same.
fn place(kind: &str, key: &str) -> Option<Vec<u8>> {
    let length = u32::try_from(kind.len()).ok()?.to_be_bytes();
    Some([&[FORM], length.as_slice(), kind.as_bytes(), key.as_bytes()].concat())
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(fill: u8) -> EncryptionKey {
        let bytes: Vec<u8> = (0..32).map(|n| n ^ fill).collect();
        EncryptionKey::new(&Secret::new(bytes)).unwrap()
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_at_its_place(shelf: String, name: String, value: Vec<u8>) {
            let value = Secret::new(value);
            let sealed = key(0).seal(&shelf, &name, &value).unwrap();
            prop_assert_eq!(key(0).open(&shelf, &name, &sealed), Some(value.clone()));
            let again = key(0).seal(&shelf, &name, &value).unwrap();
            prop_assert_ne!(sealed, again, "each sealing has a nonce of its own");
        }

        #[test]
        fn nothing_else_opens(value: Vec<u8>, flip in 0_usize..4096, bit in 0_u8..8) {
            let mut sealed = key(0).seal("shelf", "name", &Secret::new(value)).unwrap();
            prop_assert_eq!(key(1).open("shelf", "name", &sealed), None, "another key");
            prop_assert_eq!(key(0).open("shelf", "other", &sealed), None, "another name");
            prop_assert_eq!(key(0).open("shel", "fname", &sealed), None, "a border moved");
            let flip = flip % sealed.len();
            prop_assert_eq!(key(0).open("shelf", "name", &sealed[..flip]), None, "cut short");
            sealed[flip] ^= 1 << bit;
            prop_assert_eq!(key(0).open("shelf", "name", &sealed), None, "a bit changed");
        }
    }

    #[test]
    fn a_key_must_have_32_bytes_of_randomness() {
        let accepted = |text: &[u8]| EncryptionKey::new(&Secret::new(text)).is_some();
        let hex = b"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        assert!(accepted(hex), "64 hexadecimal digits");
        assert!(!accepted(&hex[1..]), "63 of them");
        let base64 = b"n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=";
        assert!(accepted(base64), "32 bytes in base64");
        assert!(!accepted(&base64[3..]), "30 bytes in base64");
        let raw: Vec<u8> = (100..132).collect();
        assert!(accepted(&raw), "32 bytes as they are");
        assert!(!accepted(&raw[1..]), "31 of them");
        assert!(!accepted(b"changeme-changeme-changeme-changeme-changeme-changeme"), "a word");
        assert!(!accepted(&[b'0'; 64]), "one character");
        assert!(!accepted(b""));
    }

    #[test]
    fn a_made_key_is_strong_and_another_each_time() {
        let (one, two) = (EncryptionKey::generate().unwrap(), EncryptionKey::generate().unwrap());
        assert_ne!(one, two);
        assert!(EncryptionKey::new(&Secret::new(one)).is_some());
    }

    #[test]
    fn debug_shows_nothing_of_the_key() {
        assert_eq!(format!("{:?}", key(0)), "EncryptionKey(redacted)");
    }
}
