//! The field cases of tokens, against an issuer on loopback.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey};
use portcullis_core::random;
use serde_json::{Value, json};

use super::*;
use crate::test_server::{Answer, TestServer};
use crate::testing::{Signer, base64url, changed, claims, clock, key_set};
use crate::{Alg, AuthnError};

struct Fixture {
    server: TestServer,
    clock: Clock,
    issuer: Arc<Issuer>,
}

impl Fixture {
    async fn with(keys: &[Value], change: impl FnOnce(&mut IssuerSettings)) -> Self {
        let server = TestServer::with_keys(&key_set(keys)).await;
        let clock = clock();
        let mut settings = server.settings();
        change(&mut settings);
        let keys = KeyCache::new(&settings, clock.clone()).unwrap();
        keys.load_now().await;
        let issuer = Arc::new(Issuer::new(settings, keys, clock.clone()));
        Self { server, clock, issuer }
    }

    async fn new(keys: &[Value]) -> Self {
        Self::with(keys, |_| {}).await
    }

    fn publish(&self, keys: &[Value]) {
        self.server.answer("/jwks", Answer::Body(key_set(keys)));
    }

    /// The reason for refusing `token`, or "ok".
    async fn verdict(&self, token: &str) -> String {
        match self.issuer.verify(token).await {
            Ok(_) => "ok".to_owned(),
            Err(failure) => failure.to_string(),
        }
    }

    async fn check(&self, token: &str, expected: &str) {
        assert_eq!(self.verdict(token).await, expected, "{token}");
    }
}

fn k1() -> &'static Signer {
    Signer::rsa("k1")
}

fn forged() -> String {
    let kid = format!("{:016x}", u64::from_be_bytes(random::bytes().unwrap()));
    let header = json!({"alg": "RS256", "kid": kid}).to_string();
    let payload = claims(&json!({})).to_string();
    let signature = base64url(&random::bytes::<256>().unwrap());
    format!("{}.{}.{signature}", base64url(header.as_bytes()), base64url(payload.as_bytes()))
}

const UNKNOWN: &str = "no key has the kid of the token";

#[tokio::test]
async fn a_good_token_gives_its_principal_again_and_again() {
    let fixture = Fixture::new(&[k1().jwk()]).await;
    let token = k1().sign(&json!({"scope": "a b"}));
    let first = fixture.issuer.verify(&token).await.unwrap();
    assert_eq!((first.subject.as_str(), first.scopes.len()), ("u1", 2));
    let second = fixture.issuer.verify(&token).await.unwrap();
    assert!(Arc::ptr_eq(&first, &second), "the second time it is remembered");
}

#[tokio::test]
async fn c01_a_flood_of_unknown_keys_costs_one_fetch_and_delays_nobody() {
    let fixture = Fixture::new(&[k1().jwk()]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..220 {
        let issuer = Arc::clone(&fixture.issuer);
        let token = if n % 11 == 0 { k1().sign(&json!({"n": n})) } else { forged() };
        tasks.spawn(async move { issuer.verify(&token).await.is_ok() });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|ok| **ok).count(), 20);
    assert_eq!(fixture.server.hits("/jwks"), 2, "one at start, one for the flood");
    fixture.clock.advance(Duration::from_secs(29));
    fixture.check(&forged(), UNKNOWN).await;
    assert_eq!(fixture.server.hits("/jwks"), 2, "the cooldown is not over");
    fixture.clock.advance(Duration::from_secs(1));
    fixture.check(&forged(), UNKNOWN).await;
    assert_eq!(fixture.server.hits("/jwks"), 3);
}

#[tokio::test]
async fn c01_known_keys_do_not_wait_for_a_fetch() {
    let fixture = Fixture::new(&[k1().jwk()]).await;
    fixture.server.answer("/jwks", Answer::Held(key_set(&[k1().jwk()])));
    let issuer = Arc::clone(&fixture.issuer);
    let waiting = tokio::spawn(async move { issuer.verify(&forged()).await });
    fixture.server.until_asked("/jwks", 2).await;
    fixture.check(&k1().sign(&json!({})), "ok").await;
    assert!(!waiting.is_finished());
    fixture.server.release(1);
    assert_eq!(waiting.await.unwrap(), Err(TokenFailure::wrong(UNKNOWN)));
}

#[tokio::test]
async fn c01_a_token_refused_anyway_makes_nobody_fetch() {
    let fixture = Fixture::new(&[k1().jwk()]).await;
    let stranger = Signer::rsa("zzz");
    for changes in
        [json!({"aud": "x"}), json!({"iss": "x"}), json!({"exp": 1}), json!({"sub": null})]
    {
        assert_ne!(fixture.verdict(&stranger.sign(&changes)).await, UNKNOWN);
    }
    assert_eq!(fixture.server.hits("/jwks"), 1);
}

#[tokio::test]
async fn c02_a_new_key_serves_at_once_and_a_withdrawn_one_no_more() {
    let fixture = Fixture::new(&[k1().jwk()]).await;
    let k3 = Signer::rsa("k3");
    let (old, new) = (k1().sign(&json!({})), k3.sign(&json!({})));
    fixture.check(&old, "ok").await;
    fixture.publish(&[k1().jwk(), k3.jwk()]);
    fixture.check(&new, "ok").await;
    assert_eq!(fixture.server.hits("/jwks"), 2, "exactly one fetch more");
    fixture.check(&old, "ok").await;
    fixture.publish(&[k3.jwk()]);
    fixture.issuer.keys().load_now().await;
    fixture.check(&old, UNKNOWN).await;
    fixture.check(&new, "ok").await;
}

#[tokio::test]
async fn c02_a_flood_delays_a_rotation_by_one_cooldown_at_most() {
    let fixture = Fixture::new(&[k1().jwk()]).await;
    fixture.check(&forged(), UNKNOWN).await;
    let k3 = Signer::rsa("k3");
    fixture.publish(&[k1().jwk(), k3.jwk()]);
    fixture.check(&k3.sign(&json!({})), UNKNOWN).await;
    fixture.clock.advance(Duration::from_secs(30));
    fixture.check(&k3.sign(&json!({})), "ok").await;
}

#[tokio::test]
async fn c02_a_fetch_begun_before_a_rotation_does_not_hide_it() {
    let fixture = Fixture::new(&[k1().jwk()]).await;
    fixture.server.answer("/jwks", Answer::Held(key_set(&[k1().jwk()])));
    let keys = fixture.issuer.keys().clone();
    let refresh = tokio::spawn(async move { keys.load_now().await });
    fixture.server.until_asked("/jwks", 2).await;
    let k3 = Signer::rsa("k3");
    fixture.publish(&[k1().jwk(), k3.jwk()]);
    let issuer = Arc::clone(&fixture.issuer);
    let waiting = tokio::spawn(async move { issuer.verify(&k3.sign(&json!({}))).await });
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.server.hits("/jwks"), 2, "it joins the fetch under way first");
    fixture.server.release(1);
    assert!(waiting.await.unwrap().is_ok());
    refresh.await.unwrap();
    assert_eq!(fixture.server.hits("/jwks"), 3);
}

#[tokio::test]
async fn c03_a_symmetric_key_in_the_set_verifies_nothing() {
    let secret = base64url(b"0123456789abcdef0123456789abcdef");
    let oct = json!({"kty": "oct", "kid": "o1", "alg": "HS256", "k": secret});
    let fixture = Fixture::new(&[oct, k1().jwk()]).await;
    let key =
        EncodingKey::from_base64_secret("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
    fixture.check(&hs256(&key, "o1"), "unsupported alg").await;
}

fn hs256(key: &EncodingKey, kid: &str) -> String {
    let header = json!({"alg": "HS256", "kid": kid}).to_string();
    let payload = claims(&json!({})).to_string();
    let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()));
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), key, Algorithm::HS256).unwrap();
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn c05_times_are_judged_each_time() {
    let fixture = Fixture::new(&[k1().jwk()]).await;
    let token = k1().sign(&json!({}));
    fixture.check(&token, "ok").await;
    fixture.clock.advance(Duration::from_secs(329));
    fixture.check(&token, "ok").await;
    fixture.clock.advance(Duration::from_secs(1));
    fixture.check(&token, "the token has expired").await;
    fixture.check(&token, "the token has expired").await;
}

#[tokio::test]
async fn c06_a_reload_that_tightens_an_issuer_bites_at_once() {
    let fixture = Fixture::new(&[k1().jwk()]).await;
    let token = k1().sign(&json!({}));
    fixture.check(&token, "ok").await;
    let after = |change: fn(&mut IssuerSettings)| {
        let mut settings = fixture.issuer.settings().clone();
        change(&mut settings);
        Issuer::new(settings, fixture.issuer.keys().clone(), fixture.clock.clone())
    };
    for (change, expected) in [
        (
            (|settings| settings.audience = vec!["other".to_owned()]) as fn(&mut IssuerSettings),
            "the audience is another",
        ),
        (|settings| settings.algorithms = vec![Alg::Es256], "the alg is not one of the issuer's"),
        (
            |settings| settings.token_types = vec!["at+jwt".to_owned()],
            "the typ is not one that is taken",
        ),
        (|settings| settings.required_claims.push("x".to_owned()), "a required claim is missing"),
        (
            |settings| settings.maximum_lifetime = Some(Duration::from_secs(299)),
            "the token lives too long",
        ),
    ] {
        let refused = after(change).verify(&token).await;
        assert_eq!(refused, Err(TokenFailure::because(expected)));
    }
    assert!(after(|_| {}).verify(&token).await.is_ok());
}

#[tokio::test]
async fn c07_no_algorithm_is_confused_with_another() {
    let fixture = Fixture::new(&[k1().jwk(), Signer::p256("p1").jwk()]).await;
    let n = k1().jwk()["n"].as_str().unwrap().to_owned();
    for secret in [n.as_bytes(), n.trim().as_bytes(), b"", b"\n"] {
        fixture.check(&hs256(&EncodingKey::from_secret(secret), "k1"), "unsupported alg").await;
    }
    let good = k1().sign(&json!({}));
    let (_, rest) = good.split_once('.').unwrap();
    let payload = rest.split('.').next().unwrap();
    for alg in ["none", "None", "nOnE", ""] {
        let header = base64url(json!({"alg": alg, "kid": "k1"}).to_string().as_bytes());
        fixture.check(&format!("{header}.{payload}."), "the token is not signed").await;
        fixture.check(&format!("{header}.{rest}"), "unsupported alg").await;
    }
    let pss = k1().sign_with(&json!({"alg": "PS256", "kid": "k1"}), &json!({}));
    fixture.check(&pss, "the alg is not one of the issuer's").await;
    let cross = k1().sign_with(&json!({"alg": "RS256", "kid": "p1"}), &json!({}));
    fixture.check(&cross, "the key named does not fit the token").await;
    for header in [r#"{"kid":"k1"}"#, r#"{"alg":["RS256"],"kid":"k1"}"#] {
        let token = k1().sign_bytes(header, &claims(&json!({})).to_string());
        assert_ne!(fixture.verdict(&token).await, "ok", "{header}");
    }
}

#[tokio::test]
async fn c07_a_key_serves_the_one_algorithm_it_is_for() {
    let pss = k1().sign_with(&json!({"alg": "PS256", "kid": "k1"}), &json!({}));
    let allow = |settings: &mut IssuerSettings| settings.algorithms.push(Alg::Ps256);
    let bound = Fixture::with(&[k1().jwk()], allow).await;
    bound.check(&pss, "the key named does not fit the token").await;
    let free = changed(&k1().jwk(), &json!({"alg": null}));
    Fixture::with(&[free], allow).await.check(&pss, "ok").await;
}

#[tokio::test]
async fn c08_without_keys_nothing_is_judged() {
    let fixture = Fixture::new(&[]).await;
    let token = k1().sign(&json!({}));
    let unavailable = TokenFailure::KeysUnavailable { retry_after: Duration::from_secs(1) };
    assert_eq!(fixture.issuer.verify(&token).await, Err(unavailable));
    fixture.publish(&[k1().jwk()]);
    fixture.clock.advance(Duration::from_secs(1));
    assert!(fixture.issuer.keys().load_if_due().await);
    fixture.check(&token, "ok").await;
}

#[tokio::test]
async fn c08_remembered_tokens_end_with_the_keys() {
    let fixture = Fixture::new(&[k1().jwk()]).await;
    let token = k1().sign(&json!({"exp": 4_102_444_800_u64}));
    fixture.check(&token, "ok").await;
    fixture.server.answer("/jwks", Answer::Status(500));
    fixture.clock.advance(Duration::from_hours(24));
    let answer = fixture.issuer.verify(&token).await;
    assert!(matches!(answer, Err(TokenFailure::KeysUnavailable { .. })), "{answer:?}");
}

#[tokio::test]
async fn c08_a_refresh_makes_no_request_wait() {
    let fixture = Fixture::new(&[k1().jwk()]).await;
    fixture.server.answer("/jwks", Answer::Held(key_set(&[k1().jwk()])));
    fixture.clock.advance(Duration::from_mins(10));
    let keys = fixture.issuer.keys().clone();
    let refresh = tokio::spawn(async move { keys.load_if_due().await });
    fixture.server.until_asked("/jwks", 2).await;
    for n in 0..50 {
        fixture.check(&k1().sign(&json!({"exp": 4_102_444_800_u64, "n": n})), "ok").await;
    }
    assert!(!refresh.is_finished());
    fixture.server.release(1);
    assert!(refresh.await.unwrap());
    assert_eq!(fixture.server.hits("/jwks"), 2);
}

/// A 1024-bit key and a token that it signed, right in everything else.
const SMALL_N: &str = "ud5u-V5XBCa0oJcAnoStAnYF2tGf7vfHazlCcWnehw6Q2aIJ4vS9hj2U-mJ1xD6MNEiJarGztPY3yKcvZC\
    nVu2y5bBnY4FePwRPIBdl17Dmj2hIfsF7MUUFIxTvzye42pGTjGrIx01jcoVlSo1kLGgBdUYT74Dt0XBsAKekUM6s";
const SMALL_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InMxIn0.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0L3IxIiwiYX\
    VkIjoiYXBpIiwic3ViIjoidTEiLCJpYXQiOjE4MDAwMDAwMDAsIm5iZiI6MTgwMDAwMDAwMCwiZXhwIjoxODAwMDAwMzAwfQ.\
    ajsOMaXKwUnaDh07WpFZD7kt7pp3Sg-q66dSQqSsROcYS6NWoUQVqgJJ_jqY9-pLIEUjqv1JdFyB0973apS7guL2BOzqC0Wiu\
    XtOcD53nb8hvqRCUV8NGL7YXTjBflfEp5f8ziQDF2auJLjUVCkhzVpLQJPXaOUYUQyzXyCUXac";

#[tokio::test]
async fn c09_mixed_families_small_keys_and_unknown_curves() {
    let signers =
        [Signer::rsa("r"), Signer::p256("p"), Signer::ed25519("e1"), Signer::ed25519("e2")];
    let mut keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    keys[3] = changed(&keys[3], &json!({"alg": "Ed25519"}));
    keys.push(
        json!({"kty": "EC", "crv": "P-521", "alg": "ES512", "kid": "w", "x": "AA", "y": "AA"}),
    );
    keys.push(json!({"kty": "RSA", "alg": "RS256", "kid": "s1", "n": SMALL_N, "e": "AQAB"}));
    let fixture = Fixture::new(&keys).await;
    for signer in signers {
        fixture.check(&signer.sign(&json!({})), "ok").await;
    }
    let full_name = json!({"alg": "Ed25519", "kid": "e2"});
    fixture.check(&Signer::ed25519("e2").sign_with(&full_name, &json!({})), "ok").await;
    let es512 = Signer::p256("p").sign_bytes(r#"{"alg":"ES512","kid":"w"}"#, "{}");
    fixture.check(&es512, "unsupported alg").await;
    fixture.check(SMALL_TOKEN, "the key named does not fit the token").await;
    assert_eq!(fixture.server.hits("/jwks"), 1, "a key left out is no unknown key");
}

#[tokio::test]
async fn claims_named_twice_and_other_payloads_are_refused() {
    let fixture = Fixture::new(&[k1().jwk()]).await;
    let header = r#"{"alg":"RS256","kid":"k1"}"#;
    let good = claims(&json!({})).to_string();
    fixture.check(&k1().sign_bytes(header, &good), "ok").await;
    let twice = good.replacen('{', r#"{"aud":"evil","#, 1);
    for payload in [twice.as_str(), "", "[]", "null", "\"x\"", &format!("{good} x")] {
        let token = k1().sign_bytes(header, payload);
        fixture.check(&token, "the claims are not usable JSON").await;
    }
}

#[tokio::test]
async fn refusals_are_not_remembered() {
    let fixture = Fixture::new(&[k1().jwk()]).await;
    let early = k1().sign(&json!({"nbf": crate::testing::NOW + 60}));
    fixture.check(&early, "the token is not valid yet").await;
    for _ in 0..100 {
        fixture.check(&forged(), UNKNOWN).await;
    }
    assert_eq!(fixture.issuer.signed().remembered(), 0);
    fixture.clock.advance(Duration::from_secs(30));
    fixture.check(&early, "ok").await;
    assert_eq!(fixture.issuer.signed().remembered(), 1);
    fixture.clock.advance(Duration::from_secs(400));
    fixture.check(&early, "the token has expired").await;
    assert_eq!(fixture.issuer.signed().remembered(), 0, "an expired token is forgotten");
}

#[test]
fn settings_that_cannot_work_say_who_must_act() {
    let error = AuthnError::Trust { reason: "it is empty".to_owned() };
    assert!(error.to_string().contains("trust file"));
}

#[tokio::test]
async fn a_signature_of_another_key_of_that_name_is_refused() {
    let fixture = Fixture::new(&[k1().jwk()]).await;
    let other = Signer::rsa("k4").sign_with(&json!({"alg": "RS256", "kid": "k1"}), &json!({}));
    fixture.check(&other, "the signature is not good").await;
    fixture.check(&k1().sign(&json!({})), "ok").await;
}
