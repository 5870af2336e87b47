//! Fetching, keeping and losing keys, against a server that misbehaves.

use serde_json::json;

use super::*;
use crate::test_server::{Answer, PATIENCE, TestServer};
use crate::testing::{Signer, Warnings, changed, clock, key_set, settings};

fn two_sets() -> (String, String) {
    let k1 = Signer::rsa("k1").jwk();
    (key_set(std::slice::from_ref(&k1)), key_set(&[k1.clone(), Signer::rsa("k3").jwk()]))
}

async fn loaded(server: &TestServer) -> (KeyCache, Clock) {
    let clock = clock();
    let cache = KeyCache::new(&server.settings(), clock.clone()).unwrap();
    cache.load_now().await;
    assert!(cache.status().ready, "{:?}", cache.status());
    (cache, clock)
}

#[tokio::test]
async fn c08_bad_answers_leave_the_old_keys() {
    let server = TestServer::with_keys(&two_sets().0).await;
    let (cache, _) = loaded(&server).await;
    let generation = cache.usable_generation();
    let elsewhere = TestServer::with_keys(&two_sets().1).await;
    let mut failures = 0;
    for (answer, expected) in [
        (Answer::Status(500), "500"),
        (Answer::Status(204), "204"),
        (Answer::Status(404), "404"),
        (Answer::Body("<!doctype html><p>Sorry".to_owned()), "not a key set"),
        (Answer::Body("{}".to_owned()), "not a key set"),
        (Answer::Body("{\"keys\":[]}".to_owned()), "no usable key"),
        (Answer::Body(two_sets().1[..600].to_owned()), "not a key set"),
        (Answer::Body(String::new()), "not a key set"),
        (Answer::Body(" ".repeat(10_000_000)), "more than 262144 bytes"),
        (Answer::Bytes(10_000_000), "more than 262144 bytes"),
        (Answer::Bytes(256 * 1024 + 1), "more than 262144 bytes"),
        (Answer::Redirect(elsewhere.url("/jwks").into()), "another origin"),
        (Answer::Redirect("http://127.0.0.1:1/".to_owned()), "another origin"),
        (Answer::Redirect("/jwks".to_owned()), "one too many"),
    ] {
        server.answer("/jwks", answer.clone());
        cache.load_now().await;
        failures += 1;
        let status = cache.status();
        assert!(status.ready && status.keys == 1, "{status:?}");
        assert_eq!(status.failures, failures);
        let error = status.last_error.unwrap_or_default();
        assert!(error.contains(expected), "{error} should say {expected}");
        assert_eq!(cache.usable_generation(), generation);
    }
    assert_eq!(elsewhere.hits("/jwks"), 0);
    server.answer("/jwks", Answer::Redirect("/moved".to_owned()));
    server.answer("/moved", Answer::Body(two_sets().1));
    cache.load_now().await;
    let status = cache.status();
    assert_eq!(
        (status.keys, status.last_error),
        (2, None),
        "a redirect within the origin is followed"
    );
}

#[tokio::test]
async fn c08_an_answer_that_never_ends_is_cut_off() {
    let server = TestServer::with_keys(&two_sets().0).await;
    let (dripped, _) = loaded(&server).await;
    server.answer("/jwks", Answer::Drip);
    let drip = async {
        dripped.load_now().await;
        dripped.status()
    };
    let silent = TestServer::with_keys(&two_sets().0).await;
    let (ignored, _) = loaded(&silent).await;
    silent.answer("/jwks", Answer::Silence);
    let silence = async {
        ignored.load_now().await;
        ignored.status()
    };
    let (drip, silence) = tokio::join!(drip, silence);
    for status in [drip, silence] {
        assert_eq!(status.last_error.as_deref(), Some("no answer within 5s"));
        assert!(status.ready);
    }
}

#[tokio::test]
async fn c08_without_keys_it_recovers_by_itself() {
    let server = TestServer::start().await;
    let clock = clock();
    let cache = KeyCache::new(&server.settings(), clock.clone()).unwrap();
    assert!(cache.load_if_due().await, "the first fetch is due at once");
    assert!(!cache.status().ready);
    assert!(cache.usable().is_none());
    assert_eq!(cache.retry_after(), Duration::from_secs(1));
    server.answer("/jwks", Answer::Body(two_sets().0));
    assert!(!cache.load_if_due().await, "the retry is not due yet");
    clock.advance(Duration::from_secs(1));
    assert!(cache.load_if_due().await);
    let status = cache.status();
    assert_eq!((status.ready, status.fetches, status.failures), (true, 2, 1));
}

#[tokio::test]
async fn c08_stale_keys_serve_up_to_the_bound() {
    let server = TestServer::with_keys(&two_sets().0).await;
    let (cache, clock) = loaded(&server).await;
    server.answer("/jwks", Answer::Status(503));
    clock.advance(Duration::from_mins(10));
    assert!(cache.load_if_due().await);
    let status = cache.status();
    assert_eq!((status.ready, status.stale), (true, true));
    assert_eq!(status.age, Some(Duration::from_mins(10)));
    clock.advance(Duration::from_secs(24 * 3600 - 600 - 1));
    assert!(cache.usable().is_some(), "a second before the bound");
    clock.advance(Duration::from_secs(1));
    assert!(cache.usable().is_none() && cache.usable_generation().is_none());
    assert!(!cache.status().ready);
    server.answer("/jwks", Answer::Body(two_sets().0));
    assert!(cache.load_if_due().await);
    let status = cache.status();
    assert_eq!((status.ready, status.stale, status.age), (true, false, Some(Duration::ZERO)));
}

#[tokio::test]
async fn the_generation_changes_with_the_content_alone() {
    let (one, two) = two_sets();
    let server = TestServer::with_keys(&one).await;
    let (cache, _) = loaded(&server).await;
    let first = cache.usable_generation().unwrap();
    server.answer("/jwks", Answer::Body(one.replace("{\"keys\"", "{ \"x\": 1, \"keys\"")));
    cache.load_now().await;
    assert_eq!(cache.usable_generation(), Some(first));
    server.answer("/jwks", Answer::Body(two));
    cache.load_now().await;
    assert_eq!(cache.usable_generation(), Some(first + 1));
}

#[tokio::test]
async fn c02_keys_are_refreshed_in_time() {
    let server = TestServer::with_keys(&two_sets().0).await;
    let (cache, clock) = loaded(&server).await;
    clock.advance(Duration::from_secs(539));
    assert!(!cache.load_if_due().await);
    clock.advance(Duration::from_secs(61));
    assert!(cache.load_if_due().await);
    assert_eq!(server.hits("/jwks"), 2);
}

#[tokio::test]
async fn c01_one_fetch_at_a_time_serves_all_who_wait() {
    let (one, two) = two_sets();
    let server = TestServer::with_keys(&one).await;
    let (cache, _) = loaded(&server).await;
    let generation = cache.usable_generation().unwrap();
    server.answer("/jwks", Answer::Held(two));
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(
                async move { cache.newer_than(generation).await.map(|keys| keys.set.len()) },
            )
        })
        .collect();
    server.until_asked("/jwks", 2).await;
    server.release(10);
    for task in waiting {
        assert_eq!(task.await.unwrap(), Some(2));
    }
    assert_eq!(server.hits("/jwks"), 2);
    let newer = cache.newer_than(generation + 1).await;
    assert!(newer.is_none(), "the cooldown allows no other, and nothing is waited for");
    assert_eq!(server.hits("/jwks"), 2);
}

#[tokio::test]
async fn c06_an_issuer_that_calls_itself_otherwise_is_not_ready() {
    let server = TestServer::with_keys(&two_sets().0).await;
    let base = server.url("/r1").to_string();
    let configuration = |issuer: &str, url: &str| {
        Answer::Body(json!({"issuer": issuer, "jwks_uri": url, "x": 1}).to_string())
    };
    let at = "/r1/.well-known/openid-configuration";
    let settings = IssuerSettings { issuer: base.as_str().into(), ..settings() };
    let cache = KeyCache::new(&settings, clock()).unwrap();
    let jwks = server.url("/jwks").to_string();
    let with_slash = format!("{base}/");
    server.answer(at, configuration(&with_slash, &jwks));
    cache.load_now().await;
    let status = cache.status();
    let error = status.last_error.unwrap_or_default();
    assert!(!status.ready && server.hits("/jwks") == 0);
    assert!(
        error.contains(&format!("{with_slash:?}")) && error.contains(&format!("{base:?}")),
        "{error}"
    );
    for (answer, expected) in [
        (configuration(&base, "http://idp.test/jwks"), "https is needed"),
        (configuration(&base, "file:///etc/passwd"), "this is asked over https alone"),
        (configuration(&base, "/jwks"), "not a URL"),
        (Answer::Body("<html>".to_owned()), "not an OpenID configuration"),
        (Answer::Body(json!({"issuer": base}).to_string()), "not an OpenID configuration"),
        (Answer::Status(500), "500"),
    ] {
        server.answer(at, answer);
        cache.load_now().await;
        let status = cache.status();
        assert!(!status.ready);
        assert!(status.last_error.unwrap_or_default().contains(expected), "{expected}");
    }
    server.answer(at, configuration(&base, &jwks));
    cache.load_now().await;
    assert!(cache.status().ready, "{:?}", cache.status());
}

#[tokio::test]
async fn a_key_file_is_read_again_when_it_changes() {
    let (one, two) = two_sets();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    std::fs::write(&path, &one).unwrap();
    let clock = clock();
    let settings = IssuerSettings { keys: KeySource::File(path.clone()), ..settings() };
    let cache = KeyCache::new(&settings, clock.clone()).unwrap();
    cache.load_now().await;
    let generation = cache.usable_generation();
    let tick = async || {
        clock.advance(Duration::from_secs(2));
        assert!(cache.load_if_due().await);
        (cache.status().keys, cache.status().failures)
    };
    assert_eq!(tick().await, (1, 0));
    std::fs::write(&path, &two).unwrap();
    assert_eq!(tick().await, (2, 0));
    assert_ne!(cache.usable_generation(), generation);
    std::fs::write(&path, "{").unwrap();
    assert_eq!(tick().await, (2, 1));
    assert_eq!(tick().await, (2, 2), "a bad file stays bad until it changes");
    std::fs::write(&path, " ".repeat(300_000)).unwrap();
    assert_eq!(tick().await, (2, 3));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(tick().await, (2, 4));
    std::fs::write(&path, &one).unwrap();
    assert_eq!(tick().await, (1, 4));
}

#[tokio::test]
async fn it_fetches_in_the_background_until_the_last_handle_is_gone() {
    let server = TestServer::with_keys(&two_sets().0).await;
    let cache = KeyCache::new(&server.settings(), Clock::system()).unwrap();
    let mut ended = cache.0.ended.subscribe();
    cache.start();
    cache.clone().start();
    ended.changed().await.unwrap();
    assert!(cache.status().ready);
    assert_eq!(server.hits("/jwks"), 1);
    let left = Arc::downgrade(&cache.0);
    drop(cache);
    let gone = async {
        while left.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the task lets go of the cache");
}

#[tokio::test]
async fn skipped_entries_are_counted_and_encryption_keys_are_not() {
    let k1 = Signer::rsa("k1").jwk();
    let encryption = changed(&k1, &json!({"kid": "e1", "use": "enc", "alg": "RSA-OAEP"}));
    let keys = [json!(null), encryption, changed(&k1, &json!({"kid": "b1", "n": null})), k1];
    let server = TestServer::with_keys(&key_set(&keys)).await;
    let (cache, _) = loaded(&server).await;
    let status = cache.status();
    assert_eq!((status.keys, status.skipped), (1, 2));
}

#[tokio::test]
async fn a_reload_keeps_keys_that_come_from_the_same_place() {
    let server = TestServer::with_keys(&two_sets().0).await;
    let (cache, clock) = loaded(&server).await;
    let mut new = server.settings();
    new.audience = vec!["other".to_owned()];
    new.algorithms.clear();
    assert!(cache.same_source(&new));
    new.refresh.every = Duration::from_mins(1);
    assert!(!cache.same_source(&new));
    let renewed = cache.renewed(&new, clock.clone()).unwrap();
    assert_eq!(renewed.usable_generation(), cache.usable_generation());
    assert!(renewed.load_if_due().await, "new times take hold at once");
    clock.advance(Duration::from_mins(1));
    assert!(renewed.load_if_due().await);
    new.refresh.usable_without_issuer = Duration::from_secs(30);
    clock.advance(Duration::from_secs(31));
    assert!(
        !renewed.renewed(&new, clock.clone()).unwrap().status().ready,
        "older than allowed now"
    );
    let moved = IssuerSettings { keys: KeySource::Url(server.url("/other")), ..new.clone() };
    assert!(!cache.same_source(&moved));
    assert!(!cache.renewed(&moved, clock.clone()).unwrap().status().ready);
    new.issuer = "https://idp.test/r2".into();
    assert!(!cache.same_source(&new));
    assert!(!cache.renewed(&new, clock).unwrap().status().ready);
}

#[test]
fn keys_over_plain_http_and_bad_trust_are_refused_at_once() {
    let at =
        |url: &str| IssuerSettings { keys: KeySource::Url(url.parse().unwrap()), ..settings() };
    let refused = KeyCache::new(&at("http://idp.test/jwks"), clock()).map(|_| ());
    assert!(matches!(refused, Err(AuthnError::KeyUrl { .. })), "{refused:?}");
    let settings = IssuerSettings { trust_pem: Some(b"x".to_vec()), ..settings() };
    let refused = KeyCache::new(&settings, clock()).map(|_| ());
    assert!(matches!(refused, Err(AuthnError::Trust { .. })), "{refused:?}");
}

#[tokio::test]
async fn over_https_only_the_configured_trust_counts() {
    let (server, pem) = TestServer::start_tls().await;
    server.answer("/jwks", Answer::Body(two_sets().0));
    let (_, of_another) = TestServer::start_tls().await;
    let status = async |trust: Option<String>| {
        let trust_pem = trust.map(String::into_bytes);
        let settings = IssuerSettings { trust_pem, ..server.settings() };
        let cache = KeyCache::new(&settings, clock()).unwrap();
        cache.load_now().await;
        cache.status()
    };
    let trusted = status(Some(pem)).await;
    assert!(trusted.ready, "{trusted:?}");
    for trust in [None, Some(of_another)] {
        let refused = status(trust).await;
        assert!(!refused.ready && refused.failures == 1, "{refused:?}");
        let error = refused.last_error.unwrap_or_default();
        assert!(error.contains("certificate"), "{error}");
    }
    assert_eq!(server.hits("/jwks"), 1);
}

#[tokio::test]
async fn c04_each_skipped_entry_is_warned_of_once_per_refresh() {
    let k1 = Signer::rsa("k1").jwk();
    let bad = changed(&k1, &json!({"kid": "b1\nforged", "n": "c2VjcmV0"}));
    let encryption = changed(&k1, &json!({"kid": "e1", "use": "enc"}));
    let keys = [json!(null), json!("x"), bad, encryption, k1];
    let server = TestServer::with_keys(&key_set(&keys)).await;
    let (warnings, _guard) = Warnings::listen();
    let (cache, _) = loaded(&server).await;
    let seen = warnings.take();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen[2].contains("modulus") && seen[2].contains("b1\\nforged"), "{seen:?}");
    assert!(seen.iter().all(|line| !line.contains("c2VjcmV0")), "{seen:?}");
    cache.load_now().await;
    assert_eq!(warnings.take().len(), 3);
}

#[tokio::test]
async fn a_bad_key_file_is_warned_of_once_until_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let clock = clock();
    let settings = IssuerSettings { keys: KeySource::File(path.clone()), ..settings() };
    let cache = KeyCache::new(&settings, clock).unwrap();
    let (warnings, _guard) = Warnings::listen();
    for (content, expected) in
        [(None, 1), (None, 0), (Some("{"), 1), (Some("{"), 0), (Some("{}"), 0)]
    {
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        cache.load_now().await;
        assert_eq!(warnings.take().len(), expected, "{content:?}");
    }
}
