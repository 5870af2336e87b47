//! Keys as requests and operators meet them.

use std::time::Duration;

use portcullis_core::{CredentialKind, Timestamp};
use portcullis_state::{Durable as _, Kind, MemoryDurable};
use serde_json::json;

use super::*;

const NOW: u64 = 1_700_000_000;

struct World {
    clock: Clock,
    durable: Arc<MemoryDurable>,
    keys: Arc<ApiKeys>,
}

async fn world() -> World {
    let clock = Clock::manual(Timestamp::from_unix_seconds(NOW));
    let durable = Arc::new(MemoryDurable::new(clock.clone()));
    let keys = ApiKeys::new(clock.clone());
    keys.bind(Arc::clone(&durable) as _);
    keys.refresh().await.unwrap();
    World { clock, durable, keys }
}

impl World {
    /// Time passes, and the store is looked at.
    async fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.keys.refresh().await.unwrap();
    }

    fn subject(&self, key: &str) -> Result<String, KeyFailure> {
        self.from(key, "203.0.113.9")
    }

    fn from(&self, key: &str, address: &str) -> Result<String, KeyFailure> {
        let principal = self.keys.verify(key, address.parse().unwrap())?;
        Ok(principal.subject.clone())
    }

    async fn create(&self, new: NewKey) -> (String, String) {
        let Issued { key, view } = self.keys.create(new).await.unwrap();
        (view.id, key.expose_str().unwrap().to_owned())
    }
}

fn of(owner: &str) -> NewKey {
    NewKey { owner: owner.to_owned(), ..NewKey::default() }
}

const WRONG: Result<String, KeyFailure> =
    Err(KeyFailure::Wrong("there is no such key, or its secret is another"));

fn ended(reason: &'static str) -> Result<String, KeyFailure> {
    Err(KeyFailure::Ended(reason))
}

fn ok(owner: &str) -> Result<String, KeyFailure> {
    Some(owner.to_owned()).ok_or(KeyFailure::Unavailable)
}

#[tokio::test]
async fn a_key_stands_for_its_owner_and_its_principal_is_shared() {
    let world = world().await;
    let scopes = vec!["orders:read".to_owned(), "orders:write".to_owned()];
    let expires = Some(Timestamp::from_unix_seconds(NOW + 60));
    let new = NewKey { scopes: scopes.clone(), expires, ..of("billing") };
    let (id, key) = world.create(new).await;
    let address = "203.0.113.9".parse().unwrap();
    let principal = world.keys.verify(&key, address).unwrap();
    assert_eq!(principal.subject, "billing");
    assert_eq!((&*principal.issuer_name, &*principal.issuer), ("api_key", "api_key"));
    assert_eq!(principal.scopes, scopes);
    assert_eq!(principal.credential, CredentialKind::ApiKey);
    assert_eq!(principal.expires.unix_seconds(), NOW + 60);
    let claims = json!({
        "key_id": id,
        "owner": "billing",
        "scopes": ["orders:read", "orders:write"],
        "created": NOW,
        "expires": NOW + 60,
    });
    assert_eq!(serde_json::Value::Object((*principal.claims).clone()), claims);
    assert!(Arc::ptr_eq(&principal, &world.keys.verify(&key, address).unwrap()));
}

#[tokio::test]
async fn another_id_another_secret_and_other_spellings_are_wrong() {
    let world = world().await;
    let (id, key) = world.create(of("billing")).await;
    let (_, other) = world.create(of("other")).await;
    assert_eq!(world.subject(&key), ok("billing"));
    let secret = key.split_once('.').unwrap().1;
    let others = other.split_once('.').unwrap().1;
    assert_eq!(world.subject(&format!("pck_{id}.{others}")), WRONG);
    assert_eq!(world.subject(&format!("pck_aaaaaaaaaaaa.{secret}")), WRONG);
    // The last character of 43 has two bits that are none of the secret's.
    let mut sisters = 0;
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
        let spelt = format!("{}{last}", &key[..key.len() - 1]);
        sisters += usize::from(world.subject(&spelt) != WRONG);
    }
    assert_eq!(sisters, 1);
    assert!(matches!(world.subject(""), Err(KeyFailure::Wrong("the key is empty"))));
    assert!(matches!(world.subject("a.b.c"), Err(KeyFailure::Wrong(_))));
}

#[tokio::test]
async fn a_key_has_an_end_and_a_place() {
    let world = world().await;
    let expires = Some(Timestamp::from_unix_seconds(NOW + 60));
    let allow = vec!["203.0.113.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    let (_, key) = world.create(NewKey { expires, allow, ..of("billing") }).await;
    assert_eq!(world.subject(&key), ok("billing"));
    assert_eq!(world.from(&key, "::ffff:203.0.113.7"), ok("billing"));
    assert_eq!(world.from(&key, "2001:db8::7"), ok("billing"));
    let elsewhere = ended("the key may not be used from this address");
    assert_eq!(world.from(&key, "203.0.114.9"), elsewhere);
    assert_eq!(world.from(&key, "::1"), elsewhere);
    world.pass(59).await;
    assert_eq!(world.subject(&key), ok("billing"));
    world.pass(1).await;
    assert_eq!(world.subject(&key), ended("the key has expired"));
    let (_, forever) = world.create(of("billing")).await;
    world.pass(100 * 365 * 24 * 60 * 60).await;
    assert_eq!(world.subject(&forever), ok("billing"));
}

#[tokio::test]
async fn networks_of_ipv4_may_be_written_as_those_of_ipv6() {
    let world = world().await;
    let networks = ["::ffff:10.1.2.3/128", "::ffff:10.2.0.0/112", "2001:db8::/32"];
    let allow = networks.map(|network| network.parse().unwrap()).to_vec();
    let Issued { key, view } = world.keys.create(NewKey { allow, ..of("billing") }).await.unwrap();
    assert_eq!(view.allow, ["10.1.2.3/32", "10.2.0.0/16", "2001:db8::/32"]);
    let key = key.expose_str().unwrap();
    for address in ["10.1.2.3", "::ffff:10.1.2.3", "10.2.250.1", "2001:db8::7"] {
        assert_eq!(world.from(key, address), ok("billing"), "{address}");
    }
    for address in ["10.1.2.4", "10.3.0.1", "2001:db9::7"] {
        assert!(world.from(key, address).is_err(), "{address}");
    }
}

#[tokio::test]
async fn of_two_that_rotate_a_key_at_once_one_is_told_so() {
    let world = world().await;
    let (id, first) = world.create(of("billing")).await;
    let holder = "somebody";
    let lease = format!("api-key/{id}");
    let term = Duration::from_secs(10);
    assert!(world.durable.lease(&lease, holder, term).await.unwrap());
    // Both have seen the key as it is, and wait for the turn.
    let rotate = || world.keys.rotate(&id, Duration::from_mins(1));
    let (one, other, ()) = tokio::join!(rotate(), rotate(), async {
        world.durable.release(&lease, holder).await.unwrap();
    });
    let (issued, busy) = if one.is_ok() { (one, other) } else { (other, one) };
    assert_eq!(busy.unwrap_err(), ManageError::Busy(id));
    let second = issued.unwrap().key;
    let second = second.expose_str().unwrap();
    assert_eq!((world.subject(&first), world.subject(second)), (ok("billing"), ok("billing")));
}

#[tokio::test]
async fn two_secrets_are_good_while_a_key_is_rotated() {
    let world = world().await;
    let (id, first) = world.create(of("billing")).await;
    let rotate = async |overlap| {
        let issued = world.keys.rotate(&id, Duration::from_secs(overlap)).await.unwrap();
        assert!(issued.view.secrets.len() <= 2);
        issued.key.expose_str().unwrap().to_owned()
    };
    let second = rotate(60).await;
    assert_ne!(first, second);
    assert_eq!((world.subject(&first), world.subject(&second)), (ok("billing"), ok("billing")));
    world.pass(60).await;
    let replaced = || ended("this secret of the key was replaced, and has expired");
    assert_eq!((world.subject(&first), world.subject(&second)), (replaced(), ok("billing")));
    let third = rotate(60).await;
    assert_eq!((world.subject(&first), world.subject(&third)), (WRONG, ok("billing")));
    // Two are live: the oldest gives its place up at once.
    let fourth = rotate(60).await;
    assert_eq!((world.subject(&second), world.subject(&third)), (WRONG, ok("billing")));
    let fifth = rotate(0).await;
    assert_eq!((world.subject(&fourth), world.subject(&fifth)), (replaced(), ok("billing")));
    let principal = world.keys.verify(&fifth, "203.0.113.9".parse().unwrap()).unwrap();
    assert_eq!(principal.claim(&["key_id"]), Some(&json!(id)));
}

#[tokio::test]
async fn a_revoked_key_is_over_for_good_and_in_every_process() {
    let world = world().await;
    let (id, key) = world.create(of("billing")).await;
    let other = ApiKeys::new(world.clock.clone());
    other.bind(Arc::clone(&world.durable) as _);
    other.refresh().await.unwrap();
    let address = "203.0.113.9".parse().unwrap();
    assert!(other.verify(&key, address).is_ok());
    let view = world.keys.revoke(&id).await.unwrap();
    assert_eq!(view.state, KeyState::Revoked);
    let revoked = KeyFailure::Ended("the key was revoked");
    assert_eq!(world.subject(&key), Err(revoked));
    other.refresh().await.unwrap();
    assert_eq!(other.verify(&key, address), Err(revoked));
    assert!(matches!(other.rotate(&id, Duration::ZERO).await, Err(ManageError::Invalid(_))));
    let again = world.keys.revoke(&id).await.unwrap();
    assert_eq!(again.revoked, view.revoked);
}

#[tokio::test]
async fn nobody_decides_without_the_store() {
    let clock = Clock::manual(Timestamp::from_unix_seconds(NOW));
    let unbound = ApiKeys::new(clock.clone());
    let key = format!("pck_aaaaaaaaaaaa.{}", "A".repeat(43));
    let address = "203.0.113.9".parse().unwrap();
    assert_eq!(unbound.verify(&key, address), Err(KeyFailure::Unavailable));
    assert_eq!(unbound.numbers(), None);
    assert!(matches!(unbound.create(of("a")).await, Err(ManageError::Durable(_))));
    let world = world().await;
    let (_, key) = world.create(of("billing")).await;
    assert_eq!(world.subject(&key), ok("billing"));
    world.clock.advance(Duration::from_secs(6));
    assert_eq!(world.subject(&key), Err(KeyFailure::Unavailable));
}

#[tokio::test]
async fn records_that_make_no_sense_let_nobody_in() {
    let world = world().await;
    let (id, key) = world.create(of("billing")).await;
    let good = world.durable.get(Kind::ApiKey, &id).await.unwrap().unwrap();
    let good: serde_json::Value = serde_json::from_slice(good.expose()).unwrap();
    let kept = good.to_string();
    assert!(!kept.contains(key.split_once('.').unwrap().1), "the secret is not kept");
    let changed = |name: &str, value: serde_json::Value| {
        let mut record = good.clone();
        record[name] = value;
        record.to_string()
    };
    let secret = |digest: &str| json!([{"digest": digest, "created": 1, "expires": null}]);
    for odd in [
        changed("only_on_tuesdays", json!(true)),
        changed("secrets", json!([])),
        changed("secrets", secret("")),
        changed("secrets", secret(&"0".repeat(64))),
        changed("secrets", secret(&"é".repeat(32))),
        changed("allow", json!(["everywhere"])),
        "no record".to_owned(),
    ] {
        let record = portcullis_core::Secret::new(odd.clone());
        world.durable.put(Kind::ApiKey, &id, &record).await.unwrap();
        world.keys.refresh().await.unwrap();
        assert_eq!(world.subject(&key), WRONG, "{odd}");
    }
    let record = portcullis_core::Secret::new(kept);
    world.durable.put(Kind::ApiKey, &id, &record).await.unwrap();
    world.keys.refresh().await.unwrap();
    assert_eq!(world.subject(&key), ok("billing"));
}

#[tokio::test]
async fn what_makes_no_sense_is_not_made() {
    let world = world().await;
    let invalid = async |new: NewKey| {
        assert!(
            matches!(world.keys.create(new.clone()).await, Err(ManageError::Invalid(_))),
            "{new:?}"
        );
    };
    invalid(of("")).await;
    invalid(of(" a")).await;
    invalid(of("a\nb")).await;
    invalid(of(&"a".repeat(257))).await;
    for scope in ["", "a b", "a\"b", "a\\b", "é"] {
        invalid(NewKey { scopes: vec![scope.to_owned()], ..of("a") }).await;
    }
    let expires = Some(Timestamp::from_unix_seconds(NOW));
    invalid(NewKey { expires, ..of("a") }).await;
    invalid(NewKey { scopes: vec!["a".to_owned(); 101], ..of("a") }).await;
    for id in ["", "aaaaaaaaaaaa", "../../x"] {
        let unknown = ManageError::Unknown(id.to_owned());
        assert_eq!(world.keys.revoke(id).await.unwrap_err(), unknown);
        assert_eq!(world.keys.rotate(id, Duration::ZERO).await.unwrap_err(), unknown);
    }
    assert_eq!(world.keys.list().await.unwrap().len(), 0);
}

#[tokio::test]
async fn the_list_tells_uses_and_states_and_no_secret() {
    let world = world().await;
    let (used, key) = world.create(of("billing")).await;
    let (revoked, _) = world.create(of("billing")).await;
    let expires = Some(Timestamp::from_unix_seconds(NOW + 1));
    let (over, _) = world.create(NewKey { expires, ..of("billing") }).await;
    for _ in 0..3 {
        assert!(world.subject(&key).is_ok());
    }
    assert!(world.from(&format!("pck_{used}.{}", "A".repeat(43)), "::1").is_err());
    world.keys.revoke(&revoked).await.unwrap();
    world.pass(2).await;
    let list = world.keys.list().await.unwrap();
    let find = |id: &str| list.iter().find(|view| view.id == id).unwrap();
    let states = [&used, &revoked, &over].map(|id| find(id).state);
    assert_eq!(states, [KeyState::Live, KeyState::Revoked, KeyState::Expired]);
    assert_eq!([&used, &revoked, &over].map(|id| find(id).uses), [3, 0, 0]);
    assert_eq!(find(&used).last_used.as_deref(), Some("2023-11-14T22:13:20Z"));
    let text = serde_json::to_string(&list).unwrap();
    assert!(!text.contains(key.split_once('.').unwrap().1) && !text.contains("digest"), "{text}");
    assert_eq!(world.keys.numbers(), Some(Numbers { expired: 1, live: 1, revoked: 1 }));
    assert_eq!(world.keys.total_uses(), 3);
    let day = 24 * 60 * 60;
    world.pass(90 * day - 10).await;
    world.keys.forget_ended().await.unwrap();
    assert_eq!(world.keys.list().await.unwrap().len(), 3);
    world.pass(20).await;
    world.keys.forget_ended().await.unwrap();
    let left: Vec<String> =
        world.keys.list().await.unwrap().into_iter().map(|view| view.id).collect();
    assert_eq!(left, [used]);
}
