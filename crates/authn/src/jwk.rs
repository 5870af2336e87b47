//! One entry of a key set (RFC 7517 §4): a key that may verify signatures, or why it may not.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, VerificationAlgorithm,
};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use crate::{Alg, compact, roca};

/// Members that no public key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

const SMALLEST_MODULUS_BITS: usize = 2048;
const LARGEST_MODULUS_BITS: usize = 8192;

/// A longer exponent would only make each verification slow.
const LARGEST_EXPONENT_BYTES: usize = 4;

/// A key that may verify signatures.
#[derive(Debug)]
pub(crate) struct VerificationKey {
    pub(crate) kid: Option<String>,
    kind: Kind,
    /// The one algorithm the issuer says it is for.
    alg: Option<Alg>,
    pub(crate) decoding: DecodingKey,
    /// Digest of the key itself.
    print: [u8; 32],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ed25519,
    P256,
    P384,
    Rsa,
}

/// An entry that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unused {
    pub(crate) kid: Option<String>,
    pub(crate) reason: &'static str,
    /// Whether it is a sound key for another purpose: nothing to warn of.
    pub(crate) other_purpose: bool,
}

impl VerificationKey {
    /// Reads one entry of `keys`.
    pub(crate) fn read(entry: &Value) -> Result<Self, Unused> {
        let kid = entry.get("kid").and_then(Value::as_str).map(str::to_owned);
        let unused = |reason, other_purpose| Unused { kid: kid.clone(), reason, other_purpose };
        let entry = entry.as_object().ok_or_else(|| unused("it is not an object", false))?;
        match is_for_signatures(entry) {
            Ok(true) => Self::read_signing(entry, kid.clone()).map_err(|why| unused(why, false)),
            Ok(false) => Err(unused("it is not meant for signatures", true)),
            Err(reason) => Err(unused(reason, false)),
        }
    }

    fn read_signing(entry: &Map<String, Value>, kid: Option<String>) -> Result<Self, &'static str> {
        if entry.contains_key("kid") && kid.is_none() {
            return Err("its kid is not a string");
        }
        let kty = entry.get("kty").and_then(Value::as_str).ok_or("it has no kty")?;
        if kty == "oct" {
            return Err("it is a symmetric key");
        }
        if PRIVATE_MEMBERS.iter().any(|name| entry.contains_key(*name)) {
            return Err("it is a private key, published");
        }
        let crv = entry.get("crv").and_then(Value::as_str);
        let (family, decoding, bytes) = match (kty, crv) {
            ("RSA", _) => rsa(entry)?,
            ("EC", Some("P-256")) => ec(entry, Kind::P256, 32, &ECDSA_P256_SHA256_FIXED)?,
            ("EC", Some("P-384")) => ec(entry, Kind::P384, 48, &ECDSA_P384_SHA384_FIXED)?,
            ("OKP", Some("Ed25519")) => ed25519(entry)?,
            _ => return Err("its kty or crv is not supported"),
        };
        let alg = match entry.get("alg") {
            None => None,
            Some(alg) => Some(alg.as_str().and_then(Alg::parse).ok_or("its alg is not supported")?),
        };
        if alg.is_some_and(|alg| !family.fits(alg)) {
            return Err("its alg does not fit its kty or crv");
        }
        let print = digest(&SHA256, &bytes).as_ref().try_into().unwrap_or_default();
        Ok(Self { kid, kind: family, alg, decoding, print })
    }

    /// Whether a signature by `alg` may be verified with this key.
    pub(crate) fn fits(&self, alg: Alg) -> bool {
        self.kind.fits(alg) && self.alg.is_none_or(|own| own == alg)
    }

    /// What tells this key, its id and its purpose from every other.
    pub(crate) fn identity(&self) -> (Option<&str>, Option<Alg>, [u8; 32]) {
        (self.kid.as_deref(), self.alg, self.print)
    }
}

impl Kind {
    const fn fits(self, alg: Alg) -> bool {
        match alg {
            Alg::EdDsa => matches!(self, Self::Ed25519),
            Alg::Es256 => matches!(self, Self::P256),
            Alg::Es384 => matches!(self, Self::P384),
            Alg::Ps256 | Alg::Rs256 => matches!(self, Self::Rsa),
        }
    }
}

/// RFC 7517 §4.2 and §4.3: a key for encryption verifies nothing.
fn is_for_signatures(entry: &Map<String, Value>) -> Result<bool, &'static str> {
    let by_use = match entry.get("use") {
        None => true,
        Some(value) => value.as_str().ok_or("its use is not a string")? == "sig",
    };
    let Some(operations) = entry.get("key_ops") else { return Ok(by_use) };
    let operations = operations.as_array().ok_or("its key_ops is not a list")?;
    Ok(by_use && operations.iter().any(|operation| operation == "verify"))
}

type Read = (Kind, DecodingKey, Vec<u8>);

fn rsa(entry: &Map<String, Value>) -> Result<Read, &'static str> {
    let (n, e) = (integer(entry, "n")?, integer(entry, "e")?);
    let spare_bits = n.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = n.len() * 8 - spare_bits;
    if bits < SMALLEST_MODULUS_BITS {
        return Err("its modulus is shorter than 2048 bits");
    }
    if bits > LARGEST_MODULUS_BITS {
        return Err("its modulus is longer than 8192 bits");
    }
    if e.as_slice() == [1] || e.last().is_none_or(|byte| byte % 2 == 0) {
        return Err("its exponent is not an odd number above 1");
    }
    if e.len() > LARGEST_EXPONENT_BYTES {
        return Err("its exponent is longer than 32 bits");
    }
    if roca::is_marked(&n) {
        return Err("its modulus is of a faulty generator (CVE-2017-15361)");
    }
    let components = RsaPublicKeyComponents { n: n.as_slice(), e: e.as_slice() };
    let usable = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256);
    usable.map_err(|_| "it is not a usable RSA key")?;
    let decoding = DecodingKey::from_rsa_raw_components(&n, &e);
    Ok((Kind::Rsa, decoding, [n, vec![0], e].concat()))
}

fn ec(
    entry: &Map<String, Value>,
    kind: Kind,
    width: usize,
    algorithm: &'static dyn VerificationAlgorithm,
) -> Result<Read, &'static str> {
    let (x, y) = (octets(entry, "x")?, octets(entry, "y")?);
    if x.len() != width || y.len() != width {
        return Err("its x or y has not the length of its curve");
    }
    let point = [vec![4], x, y].concat();
    ParsedPublicKey::new(algorithm, &point).map_err(|_| "it is not a point of its curve")?;
    Ok((kind, DecodingKey::from_ec_der(&point), point))
}

fn ed25519(entry: &Map<String, Value>) -> Result<Read, &'static str> {
    let x = octets(entry, "x")?;
    if x.len() != 32 {
        return Err("its x is not 32 bytes");
    }
    ParsedPublicKey::new(&ED25519, &x).map_err(|_| "it is not a usable Ed25519 key")?;
    Ok((Kind::Ed25519, DecodingKey::from_ed_der(&x), x))
}

/// A positive integer, without the zero bytes that some issuers put before it.
fn integer(entry: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    let bytes = octets(entry, name)?;
    let bytes: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    if bytes.is_empty() { Err("a number of it is zero") } else { Ok(bytes) }
}

fn octets(entry: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    let text = entry.get(name).and_then(Value::as_str).ok_or("a part of it is missing")?;
    compact::decode(text).ok_or("a part of it is not base64url")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Signer, changed};

    #[track_caller]
    fn check(entry: &Value, expected: Result<(), &'static str>) {
        let read = VerificationKey::read(entry).map(|_| ()).map_err(|unused| unused.reason);
        assert_eq!(read, expected, "{entry}");
    }

    #[test]
    fn keys_fit_the_algorithms_of_their_kind_and_no_other() {
        let fitting = |jwk: &Value| {
            let key = VerificationKey::read(jwk).unwrap();
            Alg::ALL.into_iter().filter(|alg| key.fits(*alg)).collect::<Vec<_>>()
        };
        let without_alg = |signer: &Signer| changed(&signer.jwk(), &json!({"alg": null}));
        assert_eq!(fitting(&Signer::rsa("a").jwk()), [Alg::Rs256]);
        assert_eq!(fitting(&without_alg(Signer::rsa("a"))), [Alg::Ps256, Alg::Rs256]);
        assert_eq!(fitting(&without_alg(Signer::p256("a"))), [Alg::Es256]);
        assert_eq!(fitting(&without_alg(Signer::p384("a"))), [Alg::Es384]);
        assert_eq!(fitting(&without_alg(Signer::ed25519("a"))), [Alg::EdDsa]);
        let named = changed(&Signer::ed25519("a").jwk(), &json!({"alg": "Ed25519"}));
        assert_eq!(fitting(&named), [Alg::EdDsa]);
    }

    #[test]
    fn a_key_for_another_purpose_is_passed_over_without_alarm() {
        let jwk = Signer::rsa("a").jwk();
        for change in [
            json!({"use": "enc", "alg": "RSA-OAEP"}),
            json!({"use": "SIG"}),
            json!({"use": null, "key_ops": ["encrypt"]}),
            json!({"key_ops": []}),
            json!({"use": "enc", "key_ops": ["verify"]}),
        ] {
            let unused = VerificationKey::read(&changed(&jwk, &change)).unwrap_err();
            assert_eq!(
                (unused.kid.as_deref(), unused.other_purpose),
                (Some("a"), true),
                "{change}"
            );
        }
        check(&changed(&jwk, &json!({"key_ops": ["verify"]})), Ok(()));
        check(&changed(&jwk, &json!({"use": null, "key_ops": ["sign", "verify"]})), Ok(()));
    }

    #[test]
    fn c04_what_cannot_be_a_key_says_why() {
        let jwk = Signer::rsa("a").jwk();
        check(&json!(null), Err("it is not an object"));
        check(&json!("x"), Err("it is not an object"));
        check(&json!({}), Err("it has no kty"));
        let unsupported = Err("its kty or crv is not supported");
        check(&json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}), unsupported);
        check(&json!({"kty": "OKP", "crv": "Ed448", "x": "AA"}), unsupported);
        check(
            &json!({"kty": "EC", "crv": "P-521", "alg": "ES512", "x": "AA", "y": "AA"}),
            unsupported,
        );
        check(&json!({"kty": "EC"}), unsupported);
        check(&json!({"kty": "RSA", "e": "AQAB"}), Err("a part of it is missing"));
        check(&changed(&jwk, &json!({"n": "AQAB=="})), Err("a part of it is not base64url"));
        check(&changed(&jwk, &json!({"key_ops": "verify"})), Err("its key_ops is not a list"));
        check(&changed(&jwk, &json!({"use": 1})), Err("its use is not a string"));
        check(&changed(&jwk, &json!({"kid": 1})), Err("its kid is not a string"));
        check(&changed(&jwk, &json!({"alg": "RS512"})), Err("its alg is not supported"));
        check(&changed(&jwk, &json!({"alg": 1})), Err("its alg is not supported"));
        check(&changed(&jwk, &json!({"alg": "ES256"})), Err("its alg does not fit its kty or crv"));
        check(&changed(&jwk, &json!({"x5c": "abc", "x5t": 1})), Ok(()));
    }

    #[test]
    fn symmetric_and_private_keys_are_refused() {
        let oct = json!({"kty": "oct", "kid": "o1", "alg": "HS256", "k": "c2VjcmV0"});
        check(&oct, Err("it is a symmetric key"));
        let jwk = Signer::rsa("a").jwk();
        for name in PRIVATE_MEMBERS {
            check(&changed(&jwk, &json!({name: "AQAB"})), Err("it is a private key, published"));
        }
    }

    #[test]
    fn c09_rsa_numbers_are_within_bounds() {
        let jwk = Signer::rsa("a").jwk();
        let short = base64_of(&[0xff; 255]);
        check(&changed(&jwk, &json!({"n": short})), Err("its modulus is shorter than 2048 bits"));
        let mut bits_2047 = [0xff; 256];
        bits_2047[0] = 0x7f;
        let short = base64_of(&bits_2047);
        check(&changed(&jwk, &json!({"n": short})), Err("its modulus is shorter than 2048 bits"));
        let padded = base64_of(&[&[0; 10][..], &[0xff; 250]].concat());
        check(&changed(&jwk, &json!({"n": padded})), Err("its modulus is shorter than 2048 bits"));
        let long = base64_of(&[0xff; 1025]);
        check(&changed(&jwk, &json!({"n": long})), Err("its modulus is longer than 8192 bits"));
        for e in [&[1][..], &[2], &[0, 1], &[1, 0, 0]] {
            let change = json!({"e": base64_of(e)});
            check(&changed(&jwk, &change), Err("its exponent is not an odd number above 1"));
        }
        check(&changed(&jwk, &json!({"e": ""})), Err("a number of it is zero"));
        check(&changed(&jwk, &json!({"e": base64_of(&[3])})), Ok(()));
        let long = json!({"e": base64_of(&[0xff; 5])});
        check(&changed(&jwk, &long), Err("its exponent is longer than 32 bits"));
        let n = compact::decode(jwk["n"].as_str().unwrap()).unwrap();
        let with_sign_byte = base64_of(&[&[0][..], &n].concat());
        check(&changed(&jwk, &json!({"n": with_sign_byte})), Ok(()));
    }

    #[test]
    fn a_modulus_of_the_faulty_generator_is_refused() {
        // 65537^128, least significant byte first: a power of the generator modulo everything.
        let mut power = vec![1_u8];
        for _ in 0..128 {
            let mut product = vec![0_u8; power.len() + 3];
            let mut carry = 0_u16;
            for (at, byte) in product.iter_mut().enumerate() {
                let low = power.get(at).copied().unwrap_or_default();
                let high =
                    at.checked_sub(2).and_then(|at| power.get(at)).copied().unwrap_or_default();
                carry += u16::from(low) + u16::from(high);
                *byte = carry.to_le_bytes()[0];
                carry >>= 8;
            }
            power = product;
        }
        power.reverse();
        let marked = json!({"n": base64_of(&power)});
        let reason = "its modulus is of a faulty generator (CVE-2017-15361)";
        check(&changed(&Signer::rsa("a").jwk(), &marked), Err(reason));
    }

    #[test]
    fn points_lie_on_their_curve() {
        let jwk = Signer::p256("a").jwk();
        let swapped = json!({"x": jwk["y"], "y": jwk["x"]});
        check(&changed(&jwk, &swapped), Err("it is not a point of its curve"));
        let lengths = Err("its x or y has not the length of its curve");
        check(&changed(&jwk, &json!({"crv": "P-384"})), lengths);
        check(&changed(&jwk, &json!({"x": "AAAA"})), lengths);
        let jwk = Signer::ed25519("a").jwk();
        check(&changed(&jwk, &json!({"x": "AAAA"})), Err("its x is not 32 bytes"));
    }

    fn base64_of(bytes: &[u8]) -> String {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    }
}
