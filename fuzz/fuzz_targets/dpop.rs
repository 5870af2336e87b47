//! No proof passes that the holder's key did not sign; one that it signed passes only for its own
//! request, at its time, once; nothing panics.
//!
//! The first byte chooses: raw text, the decoded parts of a proof divided by NUL, or claims that
//! are signed with the holder's key under a good header.
#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use portcullis_authn::dpop::{Asked, FIELD};
use portcullis_authn::DpopProofs;
use portcullis_core::{Authority, CanonicalPath, Clock, Timestamp};
use serde_json::Value;

const NOW: u64 = 1_800_000_000;
const TOKEN: &str = "a.b.c";

struct Fixture {
    key: Ed25519KeyPair,
    x: String,
    jkt: String,
    ath: String,
    authority: Authority,
    path: CanonicalPath,
}

fuzz_target!(|data: &[u8]| {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    let fixture = FIXTURE.get_or_init(Fixture::new);
    let Some((mode, rest)) = data.split_first() else { return };
    match mode % 3 {
        0 => assert!(!fixture.passes(rest, &fixture.fresh()), "an unsigned proof passed"),
        1 => {
            let parts: Vec<String> = rest.split(|&byte| byte == 0).map(encode).collect();
            let proof = parts.join(".");
            assert!(!fixture.passes(proof.as_bytes(), &fixture.fresh()), "an unsigned proof passed");
        }
        _ => {
            let (proof, proofs) = (fixture.sign(rest), fixture.fresh());
            if fixture.passes(proof.as_bytes(), &proofs) {
                fixture.check(rest);
                assert!(!fixture.passes(proof.as_bytes(), &proofs), "it passed twice");
            }
        }
    }
});

impl Fixture {
    fn new() -> Self {
        let key = Ed25519KeyPair::generate().expect("a key");
        let x = encode(key.public_key().as_ref());
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let fixture = Self {
            key,
            x,
            jkt: encode(digest(&SHA256, members.as_bytes()).as_ref()),
            ath: encode(digest(&SHA256, TOKEN.as_bytes()).as_ref()),
            authority: Authority::parse("api.test").expect("an authority"),
            path: CanonicalPath::parse("/a").expect("a path"),
        };
        let good = format!(
            r#"{{"jti":"1","htm":"GET","htu":"https://api.test/a","iat":{NOW},"ath":"{}"}}"#,
            fixture.ath
        );
        let proof = fixture.sign(good.as_bytes());
        assert!(fixture.passes(proof.as_bytes(), &fixture.fresh()), "a good proof passes");
        fixture
    }

    /// A memory that began long ago, and is empty.
    fn fresh(&self) -> DpopProofs {
        let clock = Clock::manual(Timestamp::from_unix_seconds(NOW - 1_000));
        let proofs = DpopProofs::new(clock.clone());
        clock.advance(Duration::from_secs(1_000));
        proofs
    }

    fn passes(&self, proof: &[u8], proofs: &DpopProofs) -> bool {
        let Ok(value) = HeaderValue::from_bytes(proof) else { return false };
        let headers = HeaderMap::from_iter([(FIELD.parse().expect("a name"), value)]);
        let asked = Asked {
            method: &Method::GET,
            https: true,
            authority: &self.authority,
            path: &self.path,
            token: TOKEN,
        };
        proofs.judge(&headers, &asked, &self.jkt, false).is_ok()
    }

    /// What must hold of claims that passed, read by another parser.
    fn check(&self, payload: &[u8]) {
        let claims: Value = serde_json::from_slice(payload).expect("the claims are JSON");
        assert_eq!(claims["htm"], "GET");
        assert_eq!(claims["ath"], *self.ath);
        let id = claims["jti"].as_str().expect("an id");
        assert!((1..=256).contains(&id.len()));
        let time = claims["iat"].as_f64().expect("a time");
        assert!((-61.0..=31.0).contains(&(time - NOW as f64)));
        let target = claims["htu"].as_str().expect("a target").to_ascii_lowercase();
        assert!(target.starts_with("https://api.test"), "{target}");
        assert!(claims.get("nonce").is_none(), "nobody knows one");
    }

    fn sign(&self, payload: &[u8]) -> String {
        let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, self.x);
        let header = format!(r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{jwk}}}"#);
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(payload));
        let signature = encode(self.key.sign(signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
