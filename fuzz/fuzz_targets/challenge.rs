//! What is taken for a token of a challenge is one plain segment of the path, byte for byte, and is
//! the same to whoever decodes, normalises or cuts it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_core::CanonicalPath;
use portcullis_tls::acme::token_of;

const PREFIX: &str = "/.well-known/acme-challenge/";

fuzz_target!(|raw: &str| {
    check(raw);
    check(&format!("{PREFIX}{raw}"));
});

fn check(path: &str) {
    let Some(token) = token_of(path) else { return };
    assert_eq!(format!("{PREFIX}{token}"), path);
    assert!((1..=256).contains(&token.len()));
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    let canonical = CanonicalPath::parse(path).expect("nothing in it needs a change");
    assert_eq!(canonical.as_str(), path, "another path to policy");
}
