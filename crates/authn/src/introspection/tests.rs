//! Against a scripted server.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jwt_simple::algorithms::{ECDSAP256PublicKeyLike, ES256KeyPair};
use portcullis_core::{Clock, Principal, Secret};
use serde_json::{Value, json};

use super::{AssertionKey, ClientAuthentication, IntrospectionServer, IntrospectionSettings};
use crate::test_server::{Answer, PATIENCE, TestServer};
use crate::testing::{NOW, Signer, changed, clock, settings};
use crate::{Issuer, IssuerSettings, KeySource, TokenFailure};

struct Fixture {
    web: TestServer,
    server: IntrospectionServer,
    issuer: Arc<Issuer>,
    clock: Clock,
}

fn introspection(web: &TestServer) -> IntrospectionSettings {
    IntrospectionSettings {
        url: web.url("/introspect"),
        client_id: "gate:way".to_owned(),
        authentication: ClientAuthentication::Basic(Secret::new("p@ss w%rd")),
        cache: Duration::from_secs(30),
        timeout: PATIENCE,
        trust_pem: None,
    }
}

async fn fixture(change: impl FnOnce(&mut IssuerSettings, &mut IntrospectionSettings)) -> Fixture {
    let web = TestServer::start().await;
    let mut of_issuer = IssuerSettings { keys: KeySource::None, ..settings() };
    let mut of_server = introspection(&web);
    change(&mut of_issuer, &mut of_server);
    let clock = clock();
    let server = IntrospectionServer::new(&of_issuer, of_server, clock.clone()).unwrap();
    let issuer = Arc::new(Issuer::opaque(of_issuer, server.clone(), clock.clone()));
    Fixture { web, server, issuer, clock }
}

async fn plain() -> Fixture {
    fixture(|_, _| {}).await
}

impl Fixture {
    /// The server says of every token what a good one is, with `changes`.
    fn says(&self, changes: &Value) {
        let good = json!({
            "active": true, "iss": "https://idp.test/r1", "aud": "api", "sub": "u1",
            "scope": "a b", "exp": NOW + 300, "token_type": "Bearer",
        });
        self.web.answer("/introspect", Answer::Body(changed(&good, changes).to_string()));
    }

    fn hits(&self) -> usize {
        self.web.hits("/introspect")
    }

    async fn verify(&self, token: &str) -> Result<Arc<Principal>, TokenFailure> {
        self.issuer.verify(token).await
    }

    #[track_caller]
    fn refused(answer: Result<Arc<Principal>, TokenFailure>, reason: &str, what: &Value) {
        let failure = answer.expect_err(&what.to_string());
        assert_eq!(failure, TokenFailure::Invalid(reason.to_owned().into()), "{what}");
    }
}

#[tokio::test]
async fn a_good_token_is_asked_for_once_in_the_time_of_the_cache() {
    let fixture = plain().await;
    fixture.says(&json!({}));
    let principal = fixture.verify("opaque").await.unwrap();
    assert_eq!((&*principal.subject, &*principal.scopes), ("u1", &["a".into(), "b".into()][..]));
    assert_eq!((&*principal.issuer_name, principal.expires.unix_seconds()), ("main", NOW + 300));
    assert!(!principal.claims.contains_key("active"));
    fixture.says(&json!({"active": false}));
    fixture.clock.advance(Duration::from_secs(29));
    let again = fixture.verify("opaque").await.unwrap();
    assert!(Arc::ptr_eq(&principal, &again));
    assert_eq!(fixture.hits(), 1);
    fixture.clock.advance(Duration::from_secs(1));
    let reason = "the issuer says that the token is not good";
    Fixture::refused(fixture.verify("opaque").await, reason, &json!("revoked"));
    assert_eq!(fixture.hits(), 2);
    let status = fixture.server.status();
    assert_eq!((status.calls, status.failures, status.remembered), (2, 0, 1));
}

#[tokio::test]
async fn an_answer_is_never_used_past_the_end_of_its_token() {
    let fixture = plain().await;
    fixture.says(&json!({"exp": NOW + 5}));
    fixture.verify("opaque").await.unwrap();
    fixture.clock.advance(Duration::from_secs(5));
    fixture.verify("opaque").await.unwrap();
    assert_eq!(
        fixture.hits(),
        2,
        "the leeway is for the server's word, not for what is remembered"
    );
    fixture.clock.advance(Duration::from_secs(30));
    Fixture::refused(fixture.verify("opaque").await, "the token has expired", &json!("expired"));
}

#[tokio::test]
async fn that_a_token_is_not_good_is_remembered_for_a_shorter_time() {
    let fixture = plain().await;
    fixture.says(&json!({"active": false}));
    for _ in 0..3 {
        fixture.verify("opaque").await.unwrap_err();
    }
    assert_eq!(fixture.hits(), 1);
    fixture.says(&json!({}));
    fixture.clock.advance(Duration::from_secs(10));
    fixture.verify("opaque").await.unwrap();
}

#[tokio::test]
async fn without_a_cache_every_request_asks() {
    let fixture = fixture(|_, server| server.cache = Duration::ZERO).await;
    fixture.says(&json!({}));
    for count in 1..4 {
        fixture.verify("opaque").await.unwrap();
        assert_eq!(fixture.hits(), count);
    }
}

#[tokio::test]
async fn what_the_server_says_is_judged_like_the_claims_of_a_token() {
    let taken = [
        json!({}),
        json!({"iss": null}),
        json!({"exp": null}),
        json!({"token_type": null}),
        json!({"token_type": "bearer"}),
        json!({"token_type": "DPoP"}),
        json!({"aud": ["x", "api"]}),
        json!({"nbf": NOW + 30}),
    ];
    for changes in taken {
        let fixture = plain().await;
        fixture.says(&changes);
        assert!(fixture.verify("opaque").await.is_ok(), "{changes}");
    }
    let refused = [
        (json!({"aud": null}), "the audience is missing"),
        (json!({"aud": "other"}), "the audience is another"),
        (json!({"aud": []}), "the audience is another"),
        (json!({"iss": "https://evil.test"}), "iss is another issuer"),
        (json!({"iss": 1}), "iss is another issuer"),
        (json!({"exp": NOW - 30}), "the token has expired"),
        (json!({"exp": "soon"}), "exp is not a time"),
        (json!({"nbf": NOW + 31}), "the token is not valid yet"),
        (json!({"sub": null}), "a required claim is missing"),
        (json!({"sub": 1}), "the subject is not a string"),
        (json!({"scope": 1}), "scopes or roles are not a string or a list of strings"),
        (json!({"token_type": "refresh_token"}), "token_type is not that of an access token"),
        (json!({"token_type": 1}), "token_type is not a string"),
    ];
    for (changes, reason) in refused {
        let fixture = plain().await;
        fixture.says(&changes);
        Fixture::refused(fixture.verify("opaque").await, reason, &changes);
    }
}

#[tokio::test]
async fn a_reload_that_tightens_the_issuer_bites_at_once() {
    let fixture = plain().await;
    fixture.says(&json!({}));
    fixture.verify("opaque").await.unwrap();
    let tighter = IssuerSettings { audience: vec!["other".to_owned()], ..settings() };
    let tighter = Issuer::opaque(tighter, fixture.server.clone(), fixture.clock.clone());
    let answer = tighter.verify("opaque").await;
    Fixture::refused(answer, "the audience is another", &json!("tighter"));
}

#[tokio::test]
async fn a_server_that_says_nothing_of_the_token_is_no_verdict() {
    let answers = [
        (Answer::Status(500), "answered 500"),
        (Answer::Status(401), "answered 401"),
        (Answer::Status(204), "answered 204"),
        (Answer::Redirect("/elsewhere".to_owned()), "answered 302"),
        (Answer::Body("<html>".to_owned()), "no usable JSON"),
        (Answer::Body("[]".to_owned()), "no usable JSON"),
        (Answer::Body(r#"{"active":true,"active":false}"#.to_owned()), "no usable JSON"),
        (Answer::Body("{}".to_owned()), "has no active"),
        (Answer::Body(r#"{"active":"true"}"#.to_owned()), "neither true nor false"),
        (Answer::Body(r#"{"active":null}"#.to_owned()), "neither true nor false"),
        (Answer::Bytes(1024 * 1024), "more than"),
        (Answer::Silence, "no answer within"),
        (Answer::Drip, "no answer within"),
    ];
    for (answer, expected) in answers {
        let short = Duration::from_secs(2);
        let fixture = fixture(|_, server| server.timeout = short).await;
        fixture.web.answer("/introspect", answer.clone());
        let failure = fixture.verify("opaque").await.unwrap_err();
        let TokenFailure::ServerUnavailable { reason, retry_after } = failure else {
            panic!("{answer:?}: {failure:?}");
        };
        assert!(reason.contains(expected), "{answer:?}: {reason}");
        assert!(retry_after >= Duration::from_secs(1));
        assert!(!reason.contains("p%40ss") && !reason.contains("opaque"), "{reason}");
        assert_eq!(fixture.server.status().failures, 1);
        assert_eq!(fixture.server.status().last_error.as_deref(), Some(&*reason));
        // Nothing is remembered of it.
        fixture.says(&json!({}));
        fixture.verify("opaque").await.unwrap();
        assert_eq!(fixture.server.status().last_error, None);
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_no_verdict() {
    let fixture = fixture(|_, server| server.url = "http://127.0.0.1:9/".parse().unwrap()).await;
    let failure = fixture.verify("opaque").await.unwrap_err();
    assert!(matches!(failure, TokenFailure::ServerUnavailable { .. }), "{failure:?}");
}

#[tokio::test]
async fn requests_at_once_share_one_call_and_it_outlives_who_began_it() {
    let fixture = plain().await;
    let good = json!({"active": true, "aud": "api", "sub": "u1"});
    fixture.web.answer("/introspect", Answer::Held(good.to_string()));
    let first = {
        let issuer = Arc::clone(&fixture.issuer);
        tokio::spawn(async move { issuer.verify("opaque").await })
    };
    fixture.web.until_asked("/introspect", 1).await;
    let others: Vec<_> = (0..20)
        .map(|_| {
            let issuer = Arc::clone(&fixture.issuer);
            tokio::spawn(async move { issuer.verify("opaque").await })
        })
        .collect();
    first.abort();
    tokio::task::yield_now().await;
    fixture.web.release(1);
    for other in others {
        let answer = tokio::time::timeout(PATIENCE, other).await.unwrap().unwrap();
        assert_eq!(answer.unwrap().subject, "u1");
    }
    assert_eq!(fixture.hits(), 1);
}

#[tokio::test]
async fn a_token_of_another_issuer_is_not_shown_to_the_server() {
    let fixture = plain().await;
    fixture.says(&json!({}));
    let signer = Signer::p256("k1");
    let other = signer.sign(&json!({"iss": "https://other.test"}));
    let reason = "the token is one of another issuer";
    Fixture::refused(fixture.verify(&other).await, reason, &json!("other"));
    assert_eq!(fixture.hits(), 0);
    fixture.verify(&signer.sign(&json!({}))).await.unwrap();
    assert_eq!(fixture.hits(), 1);
}

#[tokio::test]
async fn the_gateway_says_who_it_is_in_the_way_that_is_configured() {
    let fixture = plain().await;
    fixture.says(&json!({}));
    fixture.verify("opaque~token+/=").await.unwrap();
    let request = fixture.web.last();
    let basic = STANDARD.encode("gate%3Away:p%40ss+w%25rd");
    assert!(request.starts_with("POST /introspect "), "{request}");
    assert!(request.contains(&format!("authorization: Basic {basic}\r\n")), "{request}");
    assert!(request.contains("content-type: application/x-www-form-urlencoded\r\n"), "{request}");
    let body = "token=opaque%7Etoken%2B%2F%3D&token_type_hint=access_token";
    assert!(request.ends_with(&format!("\r\n\r\n{body}")), "{request}");

    let post = |secret| ClientAuthentication::Post(Secret::new(secret));
    let fixture = self::fixture(|_, server| server.authentication = post("p@ss w%rd")).await;
    fixture.says(&json!({}));
    fixture.verify("opaque").await.unwrap();
    let request = fixture.web.last();
    assert!(!request.contains("authorization:"), "{request}");
    assert!(request.ends_with("&client_id=gate%3Away&client_secret=p%40ss+w%25rd"), "{request}");
}

#[tokio::test]
async fn an_assertion_is_signed_anew_for_each_call() {
    let pair = ES256KeyPair::generate();
    let pem = Secret::new(pair.to_pem().unwrap());
    let key = AssertionKey::new(pem, Some("k1".to_owned())).unwrap();
    let fixture = fixture(|_, server| {
        server.authentication = ClientAuthentication::PrivateKeyJwt(key);
    })
    .await;
    fixture.says(&json!({}));
    let mut seen = Vec::new();
    for token in ["a", "b"] {
        fixture.verify(token).await.unwrap();
        let request = fixture.web.last();
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        let fields: std::collections::HashMap<_, _> =
            url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        assert_eq!(fields["client_assertion_type"], bearer);
        assert_eq!(fields["client_id"], "gate:way");
        let assertion = &fields["client_assertion"];
        let parts: Vec<Value> = assertion
            .split('.')
            .take(2)
            .map(|part| serde_json::from_slice(&crate::compact::decode(part).unwrap()).unwrap())
            .collect();
        assert_eq!((&parts[0]["alg"], &parts[0]["kid"]), (&json!("ES256"), &json!("k1")));
        let claims = &parts[1];
        for (name, value) in
            [("iss", "gate:way"), ("sub", "gate:way"), ("aud", "https://idp.test/r1")]
        {
            assert_eq!(claims[name], value, "{claims}");
        }
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(NOW), &json!(NOW + 60)));
        seen.push(claims["jti"].as_str().unwrap().to_owned());
        let options = jwt_simple::prelude::VerificationOptions {
            artificial_time: Some(jwt_simple::prelude::UnixTimeStamp::from_secs(NOW)),
            ..Default::default()
        };
        pair.public_key()
            .verify_token::<jwt_simple::claims::NoCustomClaims>(assertion, Some(options))
            .unwrap();
    }
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn secrets_are_not_shown() {
    let pem = ES256KeyPair::generate().to_pem().unwrap();
    let key = AssertionKey::new(Secret::new(pem.clone()), None).unwrap();
    let line = pem.lines().nth(1).unwrap();
    for way in [
        ClientAuthentication::PrivateKeyJwt(key),
        ClientAuthentication::Basic(Secret::new("p@ss")),
        ClientAuthentication::Post(Secret::new("p@ss")),
    ] {
        let shown = format!("{way:?}");
        assert!(!shown.contains("p@ss") && !shown.contains(line), "{shown}");
    }
    assert!(AssertionKey::new(Secret::new("x"), None).is_err());
}

#[tokio::test]
async fn what_stands_in_for_the_server_is_judged_alike_and_nobody_is_asked() {
    let good = json!({
        "active": true, "iss": "https://idp.test/r1", "aud": "api", "sub": "u1", "exp": NOW + 300,
    });
    for (answer, expected) in [
        (Some(good.clone()), Ok("u1")),
        (Some(changed(&good, &json!({"aud": "other"}))), Err(false)),
        (Some(json!({"active": false})), Err(false)),
        (Some(json!({})), Err(true)),
        (None, Err(true)),
    ] {
        let fixture = plain().await;
        fixture.says(&json!({}));
        fixture.server.stand_in(answer.clone());
        let verdict = fixture.verify("opaque").await;
        let is_down = |failure| matches!(failure, TokenFailure::ServerUnavailable { .. });
        let verdict = verdict.map(|principal| principal.subject.clone()).map_err(is_down);
        assert_eq!(verdict.as_deref().map_err(|down| *down), expected, "{answer:?}");
        assert_eq!(fixture.hits(), 0, "{answer:?}");
    }
}
