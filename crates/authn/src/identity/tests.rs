//! Identity tokens as an app reads them.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde_json::json;

use super::*;
use crate::compact::Compact;
use crate::key_set::KeySet;
use crate::testing::NOW;

fn principal() -> Principal {
    Principal {
        subject: "u1".to_owned(),
        issuer_name: "main".into(),
        issuer: "https://idp.test/r1".into(),
        scopes: vec!["a:read".to_owned(), "b:write".to_owned()],
        roles: vec!["admin".to_owned()],
        claims: Arc::new(Map::new()),
        expires: Timestamp::from_unix_seconds(NOW + 300),
        credential: portcullis_core::CredentialKind::Token,
        derived: portcullis_core::Derived::default(),
    }
}

fn signer() -> (IdentitySigner, Clock) {
    let clock = Clock::manual(Timestamp::from_unix_seconds(NOW));
    let settings = SigningSettings {
        issuer: "https://gateway.test".to_owned(),
        lifetime: Duration::from_mins(1),
        key_pem: Secret::new(generate_key_pem()),
    };
    (IdentitySigner::new(settings, clock.clone()).unwrap(), clock)
}

/// Verifies as an app would: with another library's verifier and the published key set.
fn verified(signer: &IdentitySigner, token: &str, audience: &str) -> (Header, Value) {
    let header = jsonwebtoken::decode_header(token).unwrap();
    let set: JwkSet = serde_json::from_str(&signer.jwks_json()).unwrap();
    let jwk = set.find(header.kid.as_deref().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.validate_exp = false;
    validation.set_audience(&[audience]);
    validation.set_issuer(&["https://gateway.test"]);
    validation.set_required_spec_claims(&["iss", "aud", "exp", "nbf"]);
    let key = DecodingKey::from_jwk(jwk).unwrap();
    let data = jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap();
    (data.header, data.claims)
}

#[test]
fn an_app_can_verify_the_token_and_read_who_calls() {
    let (signer, _) = signer();
    let token = signer.sign(Some(&principal()), "orders").unwrap();
    let (header, claims) = verified(&signer, &token, "orders");
    assert_eq!(header.typ.as_deref(), Some("portcullis-identity+jwt"));
    let expected = json!({
        "iss": "https://gateway.test", "aud": "orders", "sub": "u1",
        "iat": NOW, "nbf": NOW, "exp": NOW + 60,
        "scope": "a:read b:write", "roles": ["admin"], "idp": "https://idp.test/r1",
    });
    assert_eq!(claims, expected);
}

#[test]
fn nobody_in_particular_has_no_subject() {
    let (signer, _) = signer();
    let token = signer.sign(None, "orders").unwrap();
    let (_, claims) = verified(&signer, &token, "orders");
    let expected = json!({
        "iss": "https://gateway.test", "aud": "orders",
        "iat": NOW, "nbf": NOW, "exp": NOW + 60,
    });
    assert_eq!(claims, expected);
}

#[test]
fn a_token_is_made_once_and_anew_at_half_its_life() {
    let (signer, clock) = signer();
    let principal = principal();
    let first = signer.sign(Some(&principal), "orders").unwrap();
    clock.advance(Duration::from_secs(29));
    assert!(Arc::ptr_eq(&first, &signer.sign(Some(&principal), "orders").unwrap()));
    clock.advance(Duration::from_secs(1));
    let second = signer.sign(Some(&principal), "orders").unwrap();
    assert_eq!(verified(&signer, &second, "orders").1["exp"], json!(NOW + 90));
}

#[test]
fn tokens_of_others_are_never_mixed_up() {
    let (signer, _) = signer();
    let one = principal();
    let subject = |token: &str, audience| verified(&signer, token, audience).1["sub"].clone();
    let for_orders = signer.sign(Some(&one), "orders").unwrap();
    let for_billing = signer.sign(Some(&one), "billing").unwrap();
    assert_eq!(subject(&for_orders, "orders"), json!("u1"));
    assert_eq!(subject(&for_billing, "billing"), json!("u1"));
    // The claims of a principal that is gone may leave their place in memory to another's.
    for n in 0..200 {
        let subject_n = format!("u{n}");
        let other =
            Principal { subject: subject_n.clone(), claims: Arc::new(Map::new()), ..principal() };
        let token = signer.sign(Some(&other), "orders").unwrap();
        assert_eq!(subject(&token, "orders"), json!(subject_n));
    }
    let demoted = Principal { roles: Vec::new(), ..one.clone() };
    let token = signer.sign(Some(&demoted), "orders").unwrap();
    assert_eq!(verified(&signer, &token, "orders").1.get("roles"), None);
    assert_eq!(
        signer.sign(None, "orders").map(|token| subject(&token, "orders")).unwrap(),
        json!(null)
    );
}

#[test]
fn a_kept_token_is_for_one_principal_and_one_audience() {
    let one = principal();
    let kept = Kept {
        token: "t".into(),
        renew_at: Timestamp::default(),
        audience: "orders".to_owned(),
        principal: Some(one.clone()),
    };
    assert!(kept.is_for(Some(&one), "orders"));
    assert!(!kept.is_for(Some(&one), "billing"));
    assert!(!kept.is_for(None, "orders"));
    let with_other_claims = Principal { claims: Arc::new(Map::new()), ..one.clone() };
    assert!(!kept.is_for(Some(&with_other_claims), "orders"));
    let others = [
        Principal { subject: "u2".to_owned(), ..one.clone() },
        Principal { issuer: "https://idp.test/r2".into(), ..one.clone() },
        Principal { scopes: Vec::new(), ..one.clone() },
        Principal { roles: Vec::new(), ..one.clone() },
    ];
    for other in others {
        assert!(!kept.is_for(Some(&other), "orders"), "{other:?}");
    }
}

#[test]
fn the_key_set_names_the_key_by_its_thumbprint() {
    let (signer, _) = signer();
    let set: Value = serde_json::from_str(&signer.jwks_json()).unwrap();
    let jwk = &set["keys"][0];
    let members = json!({"crv": "P-256", "kty": "EC", "x": jwk["x"], "y": jwk["y"]});
    let print = digest(&SHA256, members.to_string().as_bytes());
    assert_eq!(jwk["kid"], json!(crate::testing::base64url(print.as_ref())));
    assert_eq!((&jwk["alg"], &jwk["use"], jwk.get("d")), (&json!("ES256"), &json!("sig"), None));
}

#[test]
fn the_key_is_kept_across_restarts_and_opens_no_door() {
    let pem = generate_key_pem();
    let clock = Clock::manual(Timestamp::from_unix_seconds(NOW));
    let make = || {
        let settings = SigningSettings {
            issuer: "https://gateway.test".to_owned(),
            lifetime: Duration::from_mins(1),
            key_pem: Secret::new(format!("{pem}\n")),
        };
        IdentitySigner::new(settings, clock.clone()).unwrap()
    };
    let (before, after) = (make(), make());
    assert_eq!(before.jwks_json(), after.jwks_json());
    let token = before.sign(None, "orders").unwrap();
    let token = Compact::parse(&token).unwrap();
    let set = KeySet::parse(after.jwks_json().as_bytes()).unwrap();
    assert_eq!(set.verifies(&token), Ok(true), "the signature is good");
    let accepted = ["JWT".to_owned(), "portcullis-identity+jwt".to_owned()];
    assert!(!token.header.type_is_one_of(&accepted), "and the type is refused all the same");
}

#[test]
fn other_keys_are_refused() {
    let clock = Clock::manual(Timestamp::default());
    let ed25519 = Ed25519KeyPair::generate().and_then(|key| key.to_pkcs8()).unwrap();
    let ed25519 = base64::engine::general_purpose::STANDARD.encode(ed25519.as_ref());
    let ed25519 = format!("-----BEGIN PRIVATE KEY-----\n{ed25519}\n-----END PRIVATE KEY-----\n");
    for pem in ["", "x", &ed25519, &generate_key_pem().replace("PRIVATE", "PUBLIC")] {
        let settings = SigningSettings {
            issuer: String::new(),
            lifetime: Duration::from_mins(1),
            key_pem: Secret::new(pem),
        };
        let refused = IdentitySigner::new(settings, clock.clone());
        assert!(matches!(refused, Err(AuthnError::IdentityKey)), "{pem}");
    }
}

#[test]
fn debug_shows_nothing_of_the_key() {
    let (signer, _) = signer();
    let text = format!("{signer:?}");
    assert!(text.contains("gateway.test") && !text.contains("PRIVATE"), "{text}");
}
