//! Pairs on disk: what is taken, what is refused, and what is served meanwhile.

use std::fs;
use std::path::Path;
use std::time::Duration;

use portcullis_core::{Clock, Timestamp};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::{
    CertificateOrigin, CertificateSources, CertificateStore, CertifiedPair, FilePair, TlsError,
};

const NOW: u64 = 1_700_000_000;
const DAY: u64 = 86_400;

/// Chain and key in PEM for `names`, good from a day before [`NOW`] for `days` after it.
fn pair(names: &[&str], days: u64) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    let date = |at: u64| OffsetDateTime::from_unix_timestamp(i64::try_from(at).unwrap()).unwrap();
    params.not_before = date(NOW - DAY);
    params.not_after = date(NOW + days * DAY);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

struct Fixture {
    folder: TempDir,
    clock: Clock,
}

impl Fixture {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_unix_seconds(NOW));
        Self { folder: TempDir::new().unwrap(), clock }
    }

    fn files(&self, stem: &str) -> FilePair {
        let path = |end: &str| self.folder.path().join(format!("{stem}.{end}"));
        FilePair { certificate: path("crt"), key: path("key") }
    }

    fn write(&self, stem: &str, (chain, key): &(String, String)) -> FilePair {
        let files = self.files(stem);
        fs::write(&files.certificate, chain).unwrap();
        fs::write(&files.key, key).unwrap();
        files
    }

    fn open(&self, files: &[FilePair]) -> Result<CertificateStore, TlsError> {
        let sources = CertificateSources { files: files.to_vec(), ..CertificateSources::default() };
        CertificateStore::open(&sources, None, self.clock.clone())
            .map_err(|mistakes| mistakes.into_iter().next().unwrap().1)
    }
}

fn leaf(store: &CertificateStore, name: &str) -> Option<Vec<u8>> {
    Some(store.find(name)?.cert.first()?.to_vec())
}

#[test]
fn names_are_read_from_the_certificate() {
    let fixture = Fixture::new();
    let files = fixture.write("a", &pair(&["API.test", "*.app.test", "10.0.0.1"], 30));
    let store = fixture.open(&[files]).unwrap();
    for name in ["api.test", "API.TEST", "x.app.test", "10.0.0.1"] {
        assert!(store.find(name).is_some(), "{name}");
    }
    for name in ["b.test", "app.test", "a.b.app.test"] {
        assert!(store.find(name).is_none(), "{name}");
    }
    let status = store.status();
    assert_eq!(status[0].names, ["api.test", "*.app.test", "10.0.0.1"]);
    assert_eq!(status[0].days_left, Some(30));
}

#[test]
fn the_first_of_two_pairs_for_a_name_serves_it() {
    let fixture = Fixture::new();
    let first = fixture.write("a", &pair(&["a.test"], 30));
    let second = fixture.write("b", &pair(&["a.test", "b.test"], 30));
    let alone = fixture.open(std::slice::from_ref(&first)).unwrap();
    let both = fixture.open(&[first, second]).unwrap();
    assert_eq!(leaf(&both, "a.test"), leaf(&alone, "a.test"));
    assert_ne!(leaf(&both, "b.test"), leaf(&alone, "a.test"));
}

#[test]
fn bad_pairs_are_refused_at_start() {
    let fixture = Fixture::new();
    let (chain, key) = pair(&["a.test"], 30);
    let (_, other_key) = pair(&["a.test"], 30);
    let half = chain[..chain.len() / 2].to_owned();
    let check = |stem: &str, pair: (String, String), part: &str| {
        let error = fixture.open(&[fixture.write(stem, &pair)]).unwrap_err().to_string();
        assert!(error.contains(part), "{stem}: {error}");
    };
    check("mismatch", (chain.clone(), other_key), "does not belong");
    check("half", (half, key.clone()), "PEM certificate chain");
    check("empty", (String::new(), key.clone()), "there is no certificate");
    check("no-key", (chain.clone(), String::new()), "private key");
    check("swapped", (key, chain), "PEM");
    check("nameless", pair(&[], 30), "no DNS name");
    let missing = fixture.open(&[fixture.files("missing")]).unwrap_err().to_string();
    assert!(missing.contains("missing.crt"), "{missing}");
    fixture.clock.advance(Duration::from_secs(31 * DAY));
    check("expired", pair(&["a.test"], 30), "expired on 2023-12-14");
    let early = Fixture { clock: Clock::manual(Timestamp::from_unix_seconds(1)), ..fixture };
    let files = early.write("early", &pair(&["a.test"], 30));
    let error = early.open(&[files]).unwrap_err().to_string();
    assert!(error.contains("not valid before 2023-11-13"), "{error}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let fixture = Fixture::new();
    let sources = CertificateSources {
        files: vec![fixture.files("x"), fixture.files("y")],
        ..CertificateSources::default()
    };
    let mistakes = CertificateStore::open(&sources, None, fixture.clock.clone()).unwrap_err();
    assert_eq!(mistakes.len(), 2);
}

#[test]
fn a_good_replacement_is_served_and_a_bad_one_is_not() {
    let fixture = Fixture::new();
    let files = fixture.write("a", &pair(&["a.test"], 30));
    let store = fixture.open(std::slice::from_ref(&files)).unwrap();
    let before = leaf(&store, "a.test");
    assert_eq!(store.reload_files().unchanged, 1);

    let (chain, key) = pair(&["a.test", "new.test"], 60);
    fs::write(&files.certificate, &chain).unwrap();
    refused(&store, "does not belong");
    assert_eq!(leaf(&store, "a.test"), before);
    assert!(store.find("new.test").is_none());

    fs::write(&files.certificate, &chain[..100]).unwrap();
    fs::write(&files.key, &key).unwrap();
    refused(&store, "PEM");
    remove(&files.certificate);
    refused(&store, "cannot read");
    assert_eq!(leaf(&store, "a.test"), before);

    fs::write(&files.certificate, &chain).unwrap();
    assert_eq!(store.reload_files().replaced, 1);
    assert_ne!(leaf(&store, "a.test"), before);
    assert!(store.find("new.test").is_some());
    let status = &store.status()[0];
    assert_eq!((status.last_error.as_deref(), status.days_left), (None, Some(60)));
}

#[test]
fn an_expired_replacement_is_refused_and_the_old_pair_goes_on() {
    let fixture = Fixture::new();
    let files = fixture.write("a", &pair(&["a.test"], 30));
    let store = fixture.open(&[files]).unwrap();
    let before = leaf(&store, "a.test");
    fixture.write("a", &pair(&["a.test"], 10));
    fixture.clock.advance(Duration::from_secs(11 * DAY));
    refused(&store, "expired");
    assert_eq!(leaf(&store, "a.test"), before);
}

#[test]
fn the_self_signed_certificate_is_made_anew_in_time() {
    let fixture = Fixture::new();
    let sources = CertificateSources {
        self_signed: vec!["localhost".into(), "127.0.0.1".into(), "::1".into()],
        ..CertificateSources::default()
    };
    let store = CertificateStore::open(&sources, None, fixture.clock.clone()).unwrap();
    let before = leaf(&store, "localhost");
    assert_eq!(leaf(&store, "::1"), before);
    fixture.clock.advance(Duration::from_secs(59 * DAY));
    assert_eq!(store.reload_files().unchanged, 1);
    let kept = CertificateStore::open(&sources, Some(&store), fixture.clock.clone()).unwrap();
    assert_eq!(leaf(&kept, "localhost"), before);
    fixture.clock.advance(Duration::from_secs(2 * DAY));
    assert_eq!(store.reload_files().replaced, 1);
    assert_ne!(leaf(&store, "localhost"), before);
    assert_eq!(store.status()[0].origin, CertificateOrigin::SelfSigned);
}

/// A pair for `names`, good for `days`, as an authority would issue it.
fn issued(fixture: &Fixture, names: &[&str], days: u64) -> CertifiedPair {
    let (chain, key) = pair(names, days);
    CertifiedPair::from_pem(chain.as_bytes(), key.as_bytes(), fixture.clock.now()).unwrap()
}

fn ordering(names: &[&str]) -> CertificateSources {
    let acme = names.iter().map(ToString::to_string).collect();
    CertificateSources { acme, ..CertificateSources::default() }
}

#[test]
fn an_ordered_certificate_is_served_once_it_is_there() {
    let fixture = Fixture::new();
    let sources = ordering(&["New.test", "*.wild.test"]);
    let store = CertificateStore::open(&sources, None, fixture.clock.clone()).unwrap();
    for name in ["new.test", "NEW.test.", "a.wild.test"] {
        assert!(store.expects(name) && store.find(name).is_none(), "{name}");
    }
    for name in ["other.test", "wild.test", "a.b.wild.test"] {
        assert!(!store.expects(name), "{name}");
    }
    let awaited = &store.status()[0];
    assert_eq!(awaited.origin, CertificateOrigin::Acme("new.test".into()));
    assert_eq!(awaited.names, ["new.test"]);
    assert_eq!((awaited.not_after, awaited.days_left), (None, None));

    store.install("new.TEST", issued(&fixture, &["new.test", "more.test"], 30)).unwrap();
    assert!(store.find("new.test").is_some());
    assert!(store.find("more.test").is_none(), "only what was ordered is served");
    assert_eq!(store.status()[0].days_left, Some(30));
    store.install("*.wild.test", issued(&fixture, &["*.wild.test"], 30)).unwrap();
    assert!(store.find("a.wild.test").is_some());
    let before = leaf(&store, "new.test");
    store.install("new.test", issued(&fixture, &["new.test"], 60)).unwrap();
    assert_ne!(leaf(&store, "new.test"), before);
    assert_eq!(store.reload_files().unchanged, 2);
}

#[test]
fn a_certificate_that_does_not_fit_its_order_is_refused() {
    let fixture = Fixture::new();
    let sources = ordering(&["a.test", "b.test"]);
    let store = CertificateStore::open(&sources, None, fixture.clock.clone()).unwrap();
    store.install("a.test", issued(&fixture, &["a.test"], 30)).unwrap();
    let before = leaf(&store, "a.test");
    let name = || "a.test".to_owned();
    let other = store.install("a.test", issued(&fixture, &["b.test"], 30));
    assert_eq!(other, Err(TlsError::OtherName { name: name() }));
    let wild = store.install("a.test", issued(&fixture, &["*.test"], 30));
    assert_eq!(wild, Err(TlsError::OtherName { name: name() }));
    let unknown = store.install("c.test", issued(&fixture, &["c.test"], 30));
    assert_eq!(unknown, Err(TlsError::NotOrdered { name: "c.test".into() }));
    let short = issued(&fixture, &["a.test"], 10);
    fixture.clock.advance(Duration::from_secs(11 * DAY));
    let expired = store.install("a.test", short).unwrap_err();
    assert!(matches!(expired, TlsError::Expired { .. }), "{expired}");
    assert_eq!(leaf(&store, "a.test"), before);
}

#[test]
fn ordered_certificates_outlive_a_reload_while_they_are_asked_for() {
    let fixture = Fixture::new();
    let (both, one) = (ordering(&["a.test", "b.test"]), ordering(&["b.test", "c.test"]));
    let store = CertificateStore::open(&both, None, fixture.clock.clone()).unwrap();
    store.install("a.test", issued(&fixture, &["a.test"], 30)).unwrap();
    store.install("b.test", issued(&fixture, &["b.test"], 30)).unwrap();
    let after = CertificateStore::open(&one, Some(&store), fixture.clock.clone()).unwrap();
    assert_eq!(leaf(&after, "b.test"), leaf(&store, "b.test"));
    assert!(after.find("a.test").is_none() && !after.expects("a.test"));
    assert!(after.find("c.test").is_none() && after.expects("c.test"));
}

#[test]
fn files_come_before_acme_and_acme_before_self_signed() {
    let fixture = Fixture::new();
    let files = fixture.write("a", &pair(&["a.test"], 30));
    let names = || vec!["a.test".to_owned(), "b.test".to_owned(), "c.test".to_owned()];
    let sources = CertificateSources {
        files: vec![files],
        acme: vec!["a.test".into(), "b.test".into()],
        self_signed: names(),
    };
    let store = CertificateStore::open(&sources, None, fixture.clock.clone()).unwrap();
    let own = leaf(&store, "c.test");
    let from_file = leaf(&store, "a.test");
    assert_eq!(leaf(&store, "b.test"), own, "self-signed until it is issued");
    assert_ne!(from_file, own);
    let ordered = issued(&fixture, &["b.test"], 30);
    store.install("b.test", ordered.clone()).unwrap();
    store.install("a.test", issued(&fixture, &["a.test"], 30)).unwrap();
    assert_eq!(leaf(&store, "b.test"), Some(ordered.certified_key().cert[0].to_vec()));
    assert_eq!(leaf(&store, "a.test"), from_file);
}

#[track_caller]
fn refused(store: &CertificateStore, part: &str) {
    let report = store.reload_files();
    let (_, error) = report.failed.first().expect("it was taken");
    assert!(error.contains(part), "{error}");
    assert_eq!(store.status()[0].last_error.as_ref(), Some(error));
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}
