//! Foreign test vectors: Wycheproof's JWS and JWK files and the cookbook of RFC 7520.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::compact::Compact;
use crate::jwk::VerificationKey;
use crate::key_set::KeySet;

/// Algorithms of the vectors that are supported here; all others must be refused.
const SUPPORTED: [&str; 5] = ["ES256", "ES384", "EdDSA", "PS256", "RS256"];

/// The file, or `None` where there are no vectors on this machine.
#[expect(clippy::disallowed_methods, reason = "tests find their vectors through the environment")]
fn vectors(path: &str) -> Option<Value> {
    let folder = std::env::var("PORTCULLIS_VECTORS").map_or_else(
        |_| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors")),
        PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(folder.join(path)) else {
        let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!is_ci, "{path} is missing below {}", folder.display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

/// Whether `token` is accepted with `keys`, a key or a key set.
fn is_accepted(keys: &Value, token: &str) -> bool {
    let keys = if keys.get("keys").is_some() { keys.clone() } else { json!({"keys": [keys]}) };
    let Ok(set) = KeySet::parse(keys.to_string().as_bytes()) else { return false };
    Compact::parse(token).is_ok_and(|token| set.verifies(&token) == Ok(true))
}

/// The `alg` a token names, read leniently.
fn alg_of(token: &str) -> Option<String> {
    let header = crate::compact::decode(token.split('.').next()?)?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    header.get("alg")?.as_str().map(str::to_owned)
}

/// Goes through a Wycheproof file. Gives how many were accepted and how many refused.
///
/// The two faulty vectors of the signature file, 367 and 370, are called invalid and hold the bytes of
/// a valid token; being HMAC, they are refused in any case.
#[track_caller]
fn check_wycheproof(path: &str, counts: (usize, usize)) {
    let Some(file) = vectors(path) else { return };
    let (mut accepted, mut refused) = (0, 0);
    for group in file["testGroups"].as_array().unwrap() {
        let keys = group.get("public").or_else(|| group.get("private")).unwrap();
        for test in group["tests"].as_array().unwrap() {
            let Some(token) = test.get("jws").and_then(Value::as_str) else { continue };
            let id = test["tcId"].as_u64().unwrap();
            let is_supported = alg_of(token).is_some_and(|alg| SUPPORTED.contains(&alg.as_str()));
            let expected = test["result"] == "valid" && is_supported;
            assert_eq!(is_accepted(keys, token), expected, "{path} tcId {id}: {}", test["comment"]);
            if expected { accepted += 1 } else { refused += 1 }
        }
    }
    assert_eq!((accepted, refused), counts, "{path}");
}

#[test]
fn wycheproof_signatures() {
    check_wycheproof("wycheproof/json_web_signature_test.json", (16, 385));
}

#[test]
fn wycheproof_keys() {
    check_wycheproof("wycheproof/json_web_key_test.json", (1, 25));
}

#[test]
fn wycheproof_mixed() {
    check_wycheproof("wycheproof/json_web_crypto_test.json", (2, 46));
}

#[test]
fn wycheproof_keys_are_refused_for_what_is_wrong_with_them() {
    let Some(file) = vectors("wycheproof/json_web_key_test.json") else { return };
    let groups = file["testGroups"].as_array().unwrap();
    for (comment, reason) in [
        ("jws_rsa_roca_key", "its modulus is of a faulty generator (CVE-2017-15361)"),
        ("keysize_too_small", "its modulus is shorter than 2048 bits"),
        ("exponentOne", "its exponent is not an odd number above 1"),
        ("wrong_algorithm", "its alg is not supported"),
        ("invalid_point", "it is not a point of its curve"),
        ("wrong_curve", "its x or y has not the length of its curve"),
        ("invalid_use", "it is not meant for signatures"),
    ] {
        let group = groups.iter().find(|group| group["comment"] == comment).unwrap();
        let read = VerificationKey::read(&group["public"]["keys"][0]);
        assert_eq!(read.unwrap_err().reason, reason, "{comment}");
    }
}

#[test]
fn rfc_7520_and_8037() {
    #[track_caller]
    fn check(name: &str, expected: bool) {
        let Some(example) = vectors(&format!("jose-cookbook/{name}.json")) else { return };
        let key = &example["input"]["key"];
        let public = crate::testing::changed(
            key,
            &json!({"d": null, "p": null, "q": null, "dp": null, "dq": null, "qi": null}),
        );
        let token = example["output"]["compact"].as_str().unwrap();
        assert_eq!(is_accepted(&public, token), expected, "{name}");
        assert!(!is_accepted(key, token), "{name}: a private key verifies nothing");
    }
    check("4_1.rsa_v15_signature", true);
    check("jws", true);
    for name in [
        "4_2.rsa-pss_signature",
        "4_3.ecdsa_signature",
        "4_4.hmac-sha2_integrity_protection",
        "4_5.signature_with_detached_content",
    ] {
        check(name, false);
    }
}
