//! What a revocation means, how long it is kept, and that others see it.

use portcullis_core::{CredentialKind, Derived, Secret, Timestamp};
use portcullis_state::{Kind, MemoryDurable};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::IssuerSettings;
use crate::testing::{NOW, clock, settings};

const LEEWAY: Duration = Duration::from_secs(30);

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

fn principal(claims: &Value) -> Principal {
    let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
    Principal {
        subject: text("sub"),
        issuer_name: "main".into(),
        issuer: text("iss").into(),
        scopes: vec![],
        roles: vec![],
        claims: Arc::new(claims.as_object().unwrap().clone()),
        expires: at(NOW + 300),
        credential: CredentialKind::Token,
        derived: Derived::default(),
    }
}

struct World {
    clock: Clock,
    durable: Arc<MemoryDurable>,
    here: Arc<Revocations>,
    there: Arc<Revocations>,
}

async fn world() -> World {
    let clock = clock();
    let durable = Arc::new(MemoryDurable::new(clock.clone()));
    let [here, there] = [(); 2].map(|()| Revocations::new(clock.clone()));
    for one in [&here, &there] {
        one.bind(Arc::clone(&durable) as _);
        one.refresh().await.unwrap();
    }
    World { clock, durable, here, there }
}

impl World {
    async fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.here.refresh().await.unwrap();
    }

    async fn revoke(&self, revoked: Revoked, expires: Option<u64>) -> Revocation {
        let settings = IssuerSettings { maximum_lifetime: None, ..settings() };
        let issuer = "https://a.test".to_owned();
        let new = NewRevocation { issuer, revoked, expires: expires.map(at) };
        self.here.revoke(new, Some(&settings)).await.unwrap()
    }

    fn is_good(&self, claims: &Value) -> bool {
        self.here.judge(&principal(claims), LEEWAY).is_ok()
    }
}

#[tokio::test]
async fn by_jti_one_token_of_one_issuer() {
    let world = world().await;
    let token = json!({"iss": "https://a.test", "jti": "1", "sub": "u", "iat": NOW});
    assert!(world.is_good(&token));
    world.revoke(Revoked::Jti("1".to_owned()), None).await;
    assert!(!world.is_good(&token));
    for other in [
        json!({"iss": "https://b.test", "jti": "1", "sub": "u", "iat": NOW}),
        json!({"iss": "https://a.test", "jti": "2", "sub": "u", "iat": NOW}),
        json!({"iss": "https://a.test", "sub": "1", "iat": NOW}),
        json!({"iss": "https://a.test", "jti": 1, "sub": "u", "iat": NOW}),
    ] {
        assert!(world.is_good(&other), "{other}");
    }
}

#[tokio::test]
async fn by_subject_what_was_issued_until_now() {
    let world = world().await;
    world.revoke(Revoked::Subject("u".to_owned()), None).await;
    let with = |iat: Value| json!({"iss": "https://a.test", "sub": "u", "iat": iat});
    for revoked in [json!(NOW - 100), json!(NOW), json!(NOW + 20), json!(NOW + 30), json!(1e30)] {
        assert!(!world.is_good(&with(revoked.clone())), "{revoked}");
    }
    assert!(!world.is_good(&with(json!(NOW + 31))), "from the future");
    assert!(!world.is_good(&json!({"iss": "https://a.test", "sub": "u"})));
    world.pass(31).await;
    // The issuer's clock may be ahead by the leeway: those of its last seconds stay revoked.
    assert!(!world.is_good(&with(json!(NOW + 30))));
    assert!(!world.is_good(&with(json!(30.9 + f64::from(u32::try_from(NOW).unwrap())))));
    assert!(world.is_good(&with(json!(NOW + 31))));
    assert!(world.is_good(&json!({"iss": "https://a.test", "sub": "v", "iat": NOW})));
    assert!(world.is_good(&json!({"iss": "https://b.test", "sub": "u", "iat": NOW})));
    assert!(world.is_good(&json!({"iss": "https://a.test", "iat": NOW})));
    // A second time means the tokens issued since as well.
    world.revoke(Revoked::Subject("u".to_owned()), None).await;
    assert!(!world.is_good(&with(json!(NOW + 31))));
}

#[tokio::test]
async fn by_time_the_whole_issuer() {
    let world = world().await;
    world.revoke(Revoked::IssuedBefore(at(NOW)), None).await;
    let with = |iss: &str, iat: u64| json!({"iss": iss, "sub": "u", "iat": iat});
    assert!(!world.is_good(&with("https://a.test", NOW - 1)));
    assert!(!world.is_good(&with("https://a.test", NOW + 29)), "by a clock that is ahead");
    assert!(world.is_good(&with("https://a.test", NOW + 30)));
    assert!(world.is_good(&with("https://b.test", NOW - 1)));
    assert!(!world.is_good(&json!({"iss": "https://a.test", "jti": "x"})), "no iat");
    assert!(!world.is_good(&with("https://a.test", NOW + 1_000)), "from the future");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Of the tokens that an issuer can have made before, by a clock that is ahead by the leeway at
    /// most, none passes, then or ever, whatever the leeway is later.
    #[test]
    fn no_token_that_was_there_passes_or_comes_back(
        (leeway, part) in (0_u32..90, 0.0..1.0_f64),
        later in 0_u64..90,
        fraction in 0_u32..1_000_000_000,
        whole in any::<bool>(),
        waits in prop::collection::vec(0_u64..40, 1..8),
        by_time in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = world().await;
            world.clock.advance(Duration::from_nanos(u64::from(fraction)));
            world.here.refresh().await.unwrap();
            let now = world.clock.now();
            let what = || Revoked::Subject("u".to_owned());
            let revoked = if by_time { Revoked::IssuedBefore(now) } else { what() };
            let of = Duration::from_secs(u64::from(leeway));
            let settings = IssuerSettings { maximum_lifetime: None, leeway: of, ..settings() };
            let issuer = "https://a.test".to_owned();
            let new = NewRevocation { issuer, revoked, expires: None };
            world.here.revoke(new, Some(&settings)).await.unwrap();
            let seconds = f64::from(u32::try_from(NOW).unwrap()) + f64::from(fraction) / 1e9;
            let issued = (seconds - 60.0) + (60.0 + f64::from(leeway)) * part;
            let iat = if whole { json!(issued.floor()) } else { json!(issued) };
            let token = principal(&json!({"iss": "https://a.test", "sub": "u", "iat": iat}));
            for wait in std::iter::once(0).chain(waits) {
                world.pass(wait).await;
                for leeway in [of, Duration::from_secs(later)] {
                    assert!(world.here.judge(&token, leeway).is_err(), "{iat} after {wait}");
                }
            }
        });
    }
}

#[tokio::test]
async fn it_is_kept_until_the_tokens_have_ended() {
    let world = world().await;
    let settings = IssuerSettings {
        maximum_lifetime: Some(Duration::from_secs(100)),
        leeway: LEEWAY,
        ..settings()
    };
    let new = |revoked, expires: Option<u64>| NewRevocation {
        issuer: "https://a.test".to_owned(),
        revoked,
        expires: expires.map(at),
    };
    let until = async |new, settings| world.here.revoke(new, settings).await.unwrap().term.until;
    let jti = |name: &str| Revoked::Jti(name.to_owned());
    assert_eq!(until(new(jti("a"), Some(NOW + 5)), None).await, Some(at(NOW + 5)));
    assert_eq!(until(new(jti("b"), Some(NOW + 5)), Some(&settings)).await, Some(at(NOW + 5)));
    assert_eq!(until(new(jti("c"), None), Some(&settings)).await, Some(at(NOW + 100)));
    assert_eq!(until(new(jti("d"), None), None).await, None);
    let ahead = Revoked::IssuedBefore(at(NOW + 1_000));
    let ahead = NewRevocation { issuer: "https://b.test".to_owned(), ..new(ahead, None) };
    assert_eq!(until(ahead, Some(&settings)).await, Some(at(NOW + 1_100)));
    // The longer of two stays.
    assert_eq!(until(new(jti("d"), Some(NOW + 5)), None).await, None);
    assert_eq!(until(new(jti("c"), Some(NOW + 5)), None).await, Some(at(NOW + 100)));
    let over = world.here.revoke(new(jti("e"), Some(NOW)), None).await.unwrap_err();
    assert!(matches!(over, RevocationError::Invalid(_)), "{over}");

    assert_eq!(world.here.count(), Some(5));
    let token = json!({"iss": "https://a.test", "jti": "a"});
    let good_by = |leeway: Duration| world.here.judge(&principal(&token), leeway).is_ok();
    world.pass(4).await;
    world.here.sweep(Duration::ZERO).await.unwrap();
    world.here.refresh().await.unwrap();
    assert_eq!((world.here.count(), good_by(Duration::ZERO)), (Some(5), false));
    world.pass(1).await;
    assert_eq!(world.here.list().await.unwrap().len(), 4);
    assert_eq!((world.here.count(), good_by(Duration::ZERO)), (Some(5), true));
    // A leeway that is longer since the file was changed makes it longer.
    assert!(!good_by(LEEWAY));
    world.here.sweep(LEEWAY).await.unwrap();
    world.pass(59).await;
    assert_eq!((world.here.count(), good_by(LEEWAY)), (Some(5), false));
    world.pass(1).await;
    assert!(good_by(LEEWAY));
    world.here.sweep(LEEWAY).await.unwrap();
    world.here.refresh().await.unwrap();
    assert_eq!(world.here.count(), Some(3), "the other that ended with it is over as well");
}

#[tokio::test]
async fn others_see_it_and_it_can_be_taken_back() {
    let world = world().await;
    let made = world.revoke(Revoked::Jti("1".to_owned()), None).await;
    let again = world.revoke(Revoked::Jti("1".to_owned()), None).await;
    assert_eq!(made, again);
    let token = principal(&json!({"iss": "https://a.test", "jti": "1"}));
    assert!(world.there.judge(&token, LEEWAY).is_ok());
    world.there.refresh().await.unwrap();
    assert!(world.there.judge(&token, LEEWAY).is_err());
    assert_eq!(world.there.list().await.unwrap(), std::slice::from_ref(&made));
    assert_eq!(world.there.restore("none").await.unwrap(), None);
    assert_eq!(world.there.restore(&made.id).await.unwrap(), Some(made));
    assert!(world.there.judge(&token, LEEWAY).is_ok());
    world.here.refresh().await.unwrap();
    assert!(world.is_good(&json!({"iss": "https://a.test", "jti": "1"})));
}

#[tokio::test]
async fn where_it_is_not_known_nobody_decides() {
    let token = principal(&json!({"iss": "https://a.test", "jti": "1"}));
    let unbound = Revocations::new(clock());
    assert_eq!(unbound.judge(&token, LEEWAY), Err(TokenFailure::StateUnavailable));
    let world = world().await;
    world.clock.advance(Duration::from_secs(6));
    assert_eq!(world.here.judge(&token, LEEWAY), Err(TokenFailure::StateUnavailable));
    world.here.refresh().await.unwrap();
    assert_eq!(world.here.judge(&token, LEEWAY), Ok(()));
    for record in ["{}", r#"{"issuer":"a","jti":"1","created":1,"until":null,"new":1}"#] {
        world.durable.put(Kind::Revocation, "x", &Secret::new(record)).await.unwrap();
        world.here.refresh().await.unwrap();
        assert_eq!(world.here.judge(&token, LEEWAY), Err(TokenFailure::StateUnavailable));
        assert_eq!(world.here.count(), None);
    }
}
