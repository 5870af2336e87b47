//! Which of several certificates a client is shown.

use std::fs;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use portcullis_core::{Clock, Timestamp};
use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    PKCS_RSA_SHA256,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, SignatureScheme, SupportedProtocolVersion};
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::acceptor_tests::{TLS12, TLS13, client_of, shake};
use crate::{
    CertificateSources, CertificateStore, ClientTrusts, FilePair, HandshakePolicy, Minimum,
    Protocol, TlsAcceptor, TlsPlan, provider,
};

const NOW: u64 = 1_700_000_000;
const DAY: u64 = 86_400;

/// What a pair is made of: the kind of its key, its name, and for how many days it is good.
type Made<'a> = (&'a str, &'a str, u64);

/// A key of RSA takes long to make.
static RSA: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap());

fn write(
    folder: &TempDir,
    place: usize,
    (kind, name, days): Made<'_>,
) -> (FilePair, CertificateDer<'static>) {
    let of = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    let key = match kind {
        "P-256" => of(&PKCS_ECDSA_P256_SHA256),
        "P-384" => of(&PKCS_ECDSA_P384_SHA384),
        "Ed25519" => of(&PKCS_ED25519),
        _ => KeyPair::try_from(RSA.serialized_der()).unwrap(),
    };
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let date = |at: u64| OffsetDateTime::from_unix_timestamp(i64::try_from(at).unwrap()).unwrap();
    (params.not_before, params.not_after) = (date(NOW - DAY), date(NOW + days * DAY));
    let path = |end: &str| folder.path().join(format!("{place}.{end}"));
    let files = FilePair { certificate: path("crt"), key: path("key") };
    let certificate = params.self_signed(&key).unwrap();
    fs::write(&files.certificate, certificate.pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    (files, certificate.der().clone())
}

/// A listener on a clock of its own.
struct Listener {
    acceptor: TlsAcceptor,
    leaves: Vec<CertificateDer<'static>>,
    clock: Clock,
}

impl Listener {
    /// With these pairs, in this order.
    fn new(pairs: &[Made<'_>], minimum: Minimum) -> Self {
        let folder = TempDir::new().unwrap();
        let written = pairs.iter().enumerate().map(|(place, made)| write(&folder, place, *made));
        let (files, leaves) = written.unzip();
        // One that would be more wanted, were it not from a source that is less.
        let self_signed = vec!["a.test".to_owned()];
        let sources = CertificateSources { files, self_signed, ..Default::default() };
        let clock = Clock::manual(Timestamp::from_unix_seconds(NOW));
        let acceptor = TlsAcceptor::new(TlsPlan {
            certificates: CertificateStore::open(&sources, None, clock.clone()).unwrap(),
            policy: HandshakePolicy { minimum, clients: None },
            by_name: Vec::new(),
            trusts: ClientTrusts::default(),
            without_sni: None,
            protocols: vec![Protocol::Http11],
        });
        Self { acceptor: acceptor.unwrap(), leaves, clock }
    }

    /// The place of the pair that a client is shown, or a part of the error.
    fn shows(&self, asks: &Asks<'_>) -> Result<usize, String> {
        let mut provider = CryptoProvider::clone(&provider());
        // rustls would offer suites of TLS 1.3 where it does not speak it.
        let is_old = asks.versions == TLS12;
        provider.cipher_suites.retain(|suite| match suite.tls13() {
            Some(_) => !is_old,
            None => suite.suite().as_str().unwrap_or_default().contains(asks.suites),
        });
        self.shown(client_of(asks.versions, &[], asks.schemes, Arc::new(provider)), asks.name)
    }

    fn shown(&self, config: ClientConfig, name: &str) -> Result<usize, String> {
        let (client, _) = shake(&self.acceptor, config, name)?;
        let shown = &client.peer_certificates().unwrap()[0];
        Ok(self.leaves.iter().position(|leaf| leaf == shown).unwrap())
    }
}

const EC: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;
const EC384: SignatureScheme = SignatureScheme::ECDSA_NISTP384_SHA384;
const ED: SignatureScheme = SignatureScheme::ED25519;
const PSS: SignatureScheme = SignatureScheme::RSA_PSS_SHA256;
const PKCS1: SignatureScheme = SignatureScheme::RSA_PKCS1_SHA256;

struct Asks<'a> {
    versions: &'a [&'static SupportedProtocolVersion],
    schemes: &'a [SignatureScheme],
    /// Suites of TLS 1.2, by a part of their name.
    suites: &'a str,
    name: &'a str,
}

impl Default for Asks<'_> {
    fn default() -> Self {
        Self { versions: TLS13, schemes: &[EC, PSS], suites: "", name: "a.test" }
    }
}

#[track_caller]
fn check(pairs: &[Made<'_>], minimum: Minimum, asks: &Asks<'_>, expected: Result<usize, &str>) {
    let shown = Listener::new(pairs, minimum).shows(asks);
    match expected {
        Ok(place) => assert_eq!(shown, Ok(place), "{pairs:?}"),
        Err(part) => {
            let error = shown.expect_err("it was shown a certificate");
            assert!(error.contains(part), "{error}");
        }
    }
}

const BOTH: &[Made<'_>] = &[("RSA", "a.test", 30), ("P-256", "a.test", 30)];

#[test]
fn elliptic_curves_come_first_and_rsa_is_for_those_that_need_it() {
    for (schemes, place) in [
        (&[EC, PSS][..], 1),
        (&[PSS, EC], 1),
        (&[EC], 1),
        (&[PSS], 0),
        (&[PSS, PKCS1], 0),
        (&[ED, PSS], 0),
    ] {
        check(BOTH, Minimum::Tls13, &Asks { schemes, ..Asks::default() }, Ok(place));
    }
}

#[test]
fn tls_1_2_looks_at_cipher_suites_too() {
    let versions = TLS12;
    for (schemes, suites, place) in [
        (&[EC, PKCS1][..], "", 1),
        (&[EC, PKCS1], "ECDHE_RSA", 0),
        (&[EC, PKCS1], "ECDHE_ECDSA", 1),
        (&[PKCS1], "", 0),
        (&[PSS], "", 0),
        (&[EC], "", 1),
    ] {
        let asks = Asks { versions, schemes, suites, ..Asks::default() };
        check(BOTH, Minimum::Tls12, &asks, Ok(place));
    }
}

#[test]
fn a_client_that_names_suites_of_another_version_is_shown_what_it_can_verify() {
    let listener = Listener::new(BOTH, Minimum::Tls12);
    for (schemes, place) in [(&[EC, PKCS1][..], 1), (&[PKCS1], 0), (&[EC], 1), (&[PSS], 0)] {
        let config = client_of(TLS12, &[], schemes, provider());
        assert_eq!(listener.shown(config, "a.test"), Ok(place), "{schemes:?}");
    }
}

#[test]
fn whoever_can_verify_none_is_refused_and_shown_none() {
    let by_rustls = "NoSignatureSchemesInCommon";
    for (kind, schemes, part) in [
        ("RSA", &[EC, EC384, ED][..], "handshake_failure"),
        ("P-256", &[PSS], "handshake_failure"),
        ("P-256", &[EC384], "handshake_failure"),
        // It might have meant TLS 1.2.
        ("RSA", &[PKCS1], by_rustls),
    ] {
        let asks = Asks { schemes, ..Asks::default() };
        check(&[(kind, "a.test", 30)], Minimum::Tls13, &asks, Err(part));
        check(&[(kind, "a.test", 30)], Minimum::Tls12, &asks, Err(part));
    }
    let versions = TLS12;
    for (kind, schemes, suites, part) in [
        ("RSA", &[EC][..], "", by_rustls),
        ("RSA", &[EC, PSS], "ECDHE_ECDSA", "NoCipherSuitesInCommon"),
        ("P-256", &[PSS], "", by_rustls),
        ("P-256", &[EC], "ECDHE_RSA", "NoCipherSuitesInCommon"),
    ] {
        let asks = Asks { versions, schemes, suites, ..Asks::default() };
        check(&[(kind, "a.test", 30)], Minimum::Tls12, &asks, Err(part));
        // Its version is what is wrong first.
        check(&[(kind, "a.test", 30)], Minimum::Tls13, &asks, Err("Tls12NotOffered"));
    }
}

#[test]
fn the_first_of_a_kind_serves() {
    let twice = &[("P-256", "a.test", 30), ("P-256", "a.test", 90), ("RSA", "a.test", 30)];
    check(twice, Minimum::Tls13, &Asks::default(), Ok(0));
    let curves = &[("P-384", "a.test", 30), ("P-256", "a.test", 30)];
    check(curves, Minimum::Tls13, &Asks { schemes: &[EC, EC384], ..Asks::default() }, Ok(0));
    check(curves, Minimum::Tls13, &Asks { schemes: &[EC], ..Asks::default() }, Ok(1));
}

#[test]
fn ed25519_stands_between() {
    let three = &[("RSA", "a.test", 30), ("Ed25519", "a.test", 30), ("P-256", "a.test", 30)];
    for (schemes, place) in [(&[ED, PSS, EC][..], 2), (&[ED, PSS], 1), (&[PSS], 0)] {
        check(three, Minimum::Tls13, &Asks { schemes, ..Asks::default() }, Ok(place));
    }
    let asks = Asks { versions: TLS12, schemes: &[ED], ..Asks::default() };
    check(&[("Ed25519", "a.test", 30)], Minimum::Tls12, &asks, Ok(0));
}

#[test]
fn an_exact_name_is_not_helped_out_by_a_wildcard() {
    // The wildcard may be another tenant's.
    let pairs = &[("P-256", "a.test", 30), ("RSA", "*.test", 30)];
    let asks = |name| Asks { schemes: &[PSS], name, ..Asks::default() };
    check(pairs, Minimum::Tls13, &asks("a.test"), Err("handshake_failure"));
    check(pairs, Minimum::Tls13, &asks("b.test"), Ok(1));
}

#[test]
fn what_is_past_its_end_serves_only_where_there_is_no_other() {
    let pairs = &[("P-256", "a.test", 10), ("P-256", "a.test", 30), ("RSA", "a.test", 20)];
    let listener = Listener::new(pairs, Minimum::Tls13);
    let shown = |schemes| listener.shows(&Asks { schemes, ..Asks::default() });
    assert_eq!((shown(&[EC, PSS]), shown(&[PSS])), (Ok(0), Ok(2)));
    listener.clock.advance(Duration::from_secs(11 * DAY));
    assert_eq!((shown(&[EC, PSS]), shown(&[PSS])), (Ok(1), Ok(2)));
    listener.clock.advance(Duration::from_secs(10 * DAY));
    assert_eq!((shown(&[EC, PSS]), shown(&[PSS])), (Ok(1), Ok(2)));
    listener.clock.advance(Duration::from_secs(10 * DAY));
    assert_eq!((shown(&[EC, PSS]), shown(&[PSS])), (Ok(0), Ok(2)));
}
