//! What is published is found by every process that shares the store, and by nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use portcullis_core::{Clock, Secret, Timestamp};
use portcullis_state::{Durable, DurableError, Kind, MemoryDurable};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{Challenge, ChallengeType, Challenges, Published, Solver};

const TOKEN: &str = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
/// SHA-256 of `TOKEN.thumbprint`.
const DIGEST: &str = "c98d7204c62576f9374422f3b4841ffb22039b412a4520f693d3a476cb24aeae";

fn store() -> Arc<MemoryDurable> {
    Arc::new(MemoryDurable::new(Clock::manual(Timestamp::from_unix_seconds(1_700_000_000))))
}

fn challenge(kind: ChallengeType, name: &str, token: &str) -> Challenge {
    Challenge {
        kind,
        name: name.to_owned(),
        token: token.to_owned(),
        key_authorization: Secret::new(format!("{token}.thumbprint")),
    }
}

#[tokio::test]
async fn http_01_is_found_by_host_and_token() {
    let store = store();
    let published = Published::new(Arc::clone(&store) as _);
    let challenges = Challenges::new(store, ["a.test", "B.test."]);
    let asked = challenge(ChallengeType::Http01, "a.test", TOKEN);
    published.present(&asked).await.unwrap();
    for host in ["a.test", "A.TEST", "a.test."] {
        let found = challenges.http_01(host, TOKEN).await.unwrap();
        assert_eq!(found, Some(asked.key_authorization.clone()), "{host}");
    }
    for (host, token) in
        [("b.test", TOKEN), ("c.test", TOKEN), ("a.test", "other"), ("a.test", ""), ("", TOKEN)]
    {
        assert_eq!(challenges.http_01(host, token).await.unwrap(), None, "{host} {token}");
    }
    published.withdraw(&asked).await;
    assert_eq!(challenges.http_01("a.test", TOKEN).await.unwrap(), None);
}

#[tokio::test]
async fn a_withdrawal_takes_its_own_answer_alone() {
    let store = store();
    let published = Published::new(Arc::clone(&store) as _);
    let challenges = Challenges::new(store, ["a.test"]);
    let (first, second) = (
        challenge(ChallengeType::TlsAlpn01, "a.test", "first"),
        challenge(ChallengeType::TlsAlpn01, "a.test", "second"),
    );
    published.present(&first).await.unwrap();
    published.present(&second).await.unwrap();
    published.withdraw(&first).await;
    assert!(challenges.tls_alpn_01("a.test").await.unwrap().is_some());
    published.withdraw(&second).await;
    assert!(challenges.tls_alpn_01("a.test").await.unwrap().is_none());
}

#[tokio::test]
async fn the_certificate_proves_one_name_by_a_critical_digest() {
    let store = store();
    let published = Published::new(Arc::clone(&store) as _);
    let challenges = Challenges::new(store, ["a.test", "b.test"]);
    published.present(&challenge(ChallengeType::TlsAlpn01, "a.test", TOKEN)).await.unwrap();
    assert!(challenges.tls_alpn_01("b.test").await.unwrap().is_none());
    let proof = challenges.tls_alpn_01("A.test").await.unwrap().unwrap();
    let (_, leaf) = X509Certificate::from_der(&proof.cert[0]).unwrap();
    let names = &leaf.subject_alternative_name().unwrap().unwrap().value.general_names;
    assert_eq!(names, &[GeneralName::DNSName("a.test")]);
    let identifier = leaf
        .extensions()
        .iter()
        .find(|extension| extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.31")
        .unwrap();
    assert!(identifier.critical);
    // An OCTET STRING of 32 bytes.
    assert_eq!(identifier.value[..2], [0x04, 0x20]);
    let hex =
        identifier.value[2..].iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    assert_eq!(hex, DIGEST);
    assert_eq!(leaf.subject(), leaf.issuer());
    leaf.verify_signature(None).unwrap();
}

#[tokio::test]
async fn what_cannot_be_served_is_not_published() {
    let published = Published::new(store() as _);
    let dns = published.present(&challenge(ChallengeType::Dns01, "a.test", TOKEN)).await;
    assert_eq!(dns.unwrap_err().to_string(), "dns-01 for a.test: the gateway serves no DNS");
    for token in ["", "a/b", "../x", "a b"] {
        let error = published.present(&challenge(ChallengeType::Http01, "a.test", token)).await;
        assert!(error.unwrap_err().reason.contains("token"), "{token}");
    }
}

/// Counts look-ups, and how many there were at once.
#[derive(Debug, Default)]
struct Counting {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
    fails: bool,
}

#[async_trait]
impl Durable for Counting {
    async fn get(&self, _: Kind, _: &str) -> Result<Option<Secret>, DurableError> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.all.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        if self.fails {
            return Err(DurableError::Unavailable { reason: "gone".into() });
        }
        Ok(None)
    }

    async fn put(&self, _: Kind, _: &str, _: &Secret) -> Result<(), DurableError> {
        Err(DurableError::Unavailable { reason: "full".into() })
    }

    async fn put_first(&self, _: Kind, _: &str, value: &Secret) -> Result<Secret, DurableError> {
        Ok(value.clone())
    }

    async fn remove(&self, _: Kind, _: &str) -> Result<(), DurableError> {
        Ok(())
    }

    async fn list(&self, _: Kind) -> Result<Vec<(String, Secret)>, DurableError> {
        Ok(Vec::new())
    }

    async fn version(&self, _: Kind) -> Result<u64, DurableError> {
        Ok(0)
    }

    async fn lease(&self, _: &str, _: &str, _: Duration) -> Result<bool, DurableError> {
        Ok(true)
    }

    async fn release(&self, _: &str, _: &str) -> Result<(), DurableError> {
        Ok(())
    }
}

#[tokio::test]
async fn strangers_cause_few_look_ups_at_once_and_none_for_other_names() {
    let store = Arc::new(Counting::default());
    let challenges = Challenges::new(Arc::clone(&store) as _, ["a.test", "*.a.test"]);
    for (host, token) in [("b.test", TOKEN), ("x.a.test", TOKEN), ("*.a.test", TOKEN)] {
        assert_eq!(challenges.http_01(host, token).await, Ok(None));
        assert!(challenges.tls_alpn_01(host).await.unwrap().is_none());
    }
    for token in ["", "..", "a/b", "%2e", &"a".repeat(257)] {
        assert_eq!(challenges.http_01("a.test", token).await, Ok(None));
    }
    assert_eq!(store.all.load(Ordering::SeqCst), 0);
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..64 {
        let challenges = challenges.clone();
        asking.spawn(async move { challenges.http_01("a.test", &format!("t{number}")).await });
    }
    while let Some(found) = asking.join_next().await {
        assert_eq!(found.unwrap(), Ok(None));
    }
    assert_eq!(store.all.load(Ordering::SeqCst), 64);
    assert!(store.most.load(Ordering::SeqCst) <= 8);
}

#[tokio::test]
async fn a_store_that_fails_is_not_a_store_without_an_answer() {
    let store = Arc::new(Counting { fails: true, ..Counting::default() });
    let challenges = Challenges::new(Arc::clone(&store) as _, ["a.test"]);
    assert!(challenges.http_01("a.test", TOKEN).await.is_err());
    assert!(challenges.tls_alpn_01("a.test").await.is_err());
    let published = Published::new(store as _);
    let error = published.present(&challenge(ChallengeType::Http01, "a.test", TOKEN)).await;
    assert!(error.unwrap_err().to_string().starts_with("http-01 for a.test: the durable store"));
}
