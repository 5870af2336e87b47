//! No token passes that the issuer did not sign; one that it signed passes only with the right
//! issuer, audience and times; nothing panics.
//!
//! The first byte chooses: raw text, the three decoded parts of a token divided by NUL, or claims
//! that are signed with a good key under a good header.
#![no_main]

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use portcullis_authn::{
    Alg, ClaimPaths, Issuer, IssuerSettings, KeyCache, KeySource, Proof, ReadFrom, Refresh, TokenFailure,
    unverified_issuer,
};
use portcullis_core::{Clock, Principal, Timestamp};
use serde_json::Value;

const ISSUER: &str = "https://idp.test/r1";
const NOW: u64 = 1_800_000_000;
const LEEWAY: u64 = 30;

struct Fixture {
    key: Ed25519KeyPair,
    issuer: Issuer,
    runtime: tokio::runtime::Runtime,
}

fuzz_target!(|data: &[u8]| {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    let fixture = FIXTURE.get_or_init(Fixture::new);
    let Some((mode, rest)) = data.split_first() else { return };
    match mode % 3 {
        0 => {
            if let Ok(token) = std::str::from_utf8(rest) {
                unverified_issuer(token);
                assert!(fixture.verify(token).is_err(), "an unsigned token passed");
            }
        }
        1 => {
            let parts: Vec<String> = rest.split(|&byte| byte == 0).map(encode).collect();
            let token = parts.join(".");
            unverified_issuer(&token);
            assert!(fixture.verify(&token).is_err(), "an unsigned token passed");
        }
        _ => {
            if let Ok(principal) = fixture.verify(&fixture.sign(rest)) {
                check(&principal, rest);
            }
        }
    }
});

/// What must hold of claims that passed, read by another parser.
fn check(principal: &Principal, payload: &[u8]) {
    let claims: Value = serde_json::from_slice(payload).expect("the claims are JSON");
    assert_eq!(claims["iss"], ISSUER);
    let audience = &claims["aud"];
    let listed = |list: &Vec<Value>| list.iter().any(|one| one == "api");
    assert!(audience == "api" || audience.as_array().is_some_and(listed));
    assert_eq!(claims["sub"], *principal.subject);
    let time = |name: &str| claims[name].as_f64();
    assert!(time("exp").expect("an expiry") > (NOW - LEEWAY - 1) as f64);
    assert!(time("nbf").is_none_or(|time| time < (NOW + LEEWAY + 1) as f64));
}

impl Fixture {
    fn new() -> Self {
        let key = Ed25519KeyPair::generate().expect("a key");
        let x = encode(key.public_key().as_ref());
        let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"k","alg":"EdDSA","x":"{x}"}}"#);
        let file = std::env::temp_dir().join(format!("portcullis-fuzz-{}", std::process::id()));
        std::fs::write(&file, format!(r#"{{"keys":[{jwk}]}}"#)).expect("a key file");
        let clock = Clock::manual(Timestamp::from_unix_seconds(NOW));
        let settings = IssuerSettings {
            name: "fuzz".into(),
            issuer: ISSUER.into(),
            audience: vec!["api".to_owned()],
            audience_claim: "aud".to_owned(),
            algorithms: vec![Alg::EdDsa, Alg::Es256, Alg::Rs256],
            keys: KeySource::File(file.clone()),
            refresh: Refresh::default(),
            trust_pem: None,
            token_types: vec!["at+jwt".to_owned(), "JWT".to_owned()],
            leeway: Duration::from_secs(LEEWAY),
            maximum_lifetime: None,
            required_claims: vec!["sub".to_owned()],
            read_from: vec![ReadFrom::Authorization],
            claims: ClaimPaths { roles: Some(vec!["roles".to_owned()]), ..ClaimPaths::default() },
            proof: Proof::default(),
        };
        let keys = KeyCache::new(&settings, clock.clone()).expect("a key cache");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        runtime.block_on(keys.load_now());
        std::fs::remove_file(file).ok();
        let fixture = Self { key, issuer: Issuer::new(settings, keys, clock), runtime };
        let good = format!(r#"{{"iss":"{ISSUER}","aud":"api","sub":"u1","exp":{}}}"#, NOW + 60);
        fixture.verify(&fixture.sign(good.as_bytes())).expect("a good token passes");
        fixture
    }

    fn sign(&self, payload: &[u8]) -> String {
        let signed = format!("{}.{}", encode(br#"{"alg":"EdDSA","kid":"k"}"#), encode(payload));
        let signature = encode(self.key.sign(signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }

    /// A verdict that is not there at once waits for the issuer, which is a refusal here.
    fn verify(&self, token: &str) -> Result<Arc<Principal>, Option<TokenFailure>> {
        let _inside = self.runtime.enter();
        match pin!(self.issuer.verify(token)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(verdict) => verdict.map_err(Some),
            Poll::Pending => Err(None),
        }
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
