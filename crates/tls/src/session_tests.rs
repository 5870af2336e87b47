//! Which sessions are resumed, and for how long.

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::{Clock, Timestamp};
use rcgen::{CertificateParams, KeyPair};
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
    Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, NamedGroup, SignatureScheme, SupportedProtocolVersion};

use crate::acceptor_tests::{TLS12, TLS13, client_of, shake};
use crate::{
    CertificateSources, CertificateStore, CertifiedPair, ClientTrusts, HandshakePolicy, Minimum,
    Protocol, TlsAcceptor, TlsPlan, provider,
};

const HOUR: Duration = Duration::from_hours(1);

fn pair(name: &str, clock: &Clock) -> CertifiedPair {
    let key = KeyPair::generate().unwrap();
    let chain = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    CertifiedPair::from_pem(chain.pem().as_bytes(), key.serialize_pem().as_bytes(), clock.now())
        .unwrap()
}

fn sources() -> CertificateSources {
    let acme = vec!["a.test".to_owned(), "b.test".to_owned()];
    CertificateSources { acme, ..CertificateSources::default() }
}

struct Fixture {
    clock: Clock,
    store: CertificateStore,
}

impl Fixture {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_unix_seconds(1_700_000_000));
        let store = CertificateStore::open(&sources(), None, clock.clone()).unwrap();
        for name in ["a.test", "b.test"] {
            store.install(name, pair(name, &clock)).unwrap();
        }
        Self { clock, store }
    }

    fn acceptor(&self, minimum: Minimum) -> TlsAcceptor {
        TlsAcceptor::new(TlsPlan {
            certificates: self.store.clone(),
            policy: HandshakePolicy { minimum, clients: None },
            by_name: Vec::new(),
            trusts: ClientTrusts::default(),
            without_sni: None,
            protocols: vec![Protocol::Http11],
        })
        .unwrap()
    }
}

fn client(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    client_of(versions, &[], &[SignatureScheme::ECDSA_NISTP256_SHA256], provider())
}

/// Whether the session of the last handshake of `config` goes on.
#[track_caller]
fn resumes(acceptor: &TlsAcceptor, config: &ClientConfig, name: &str) -> bool {
    let (_, server) = shake(acceptor, config.clone(), name).unwrap();
    server.handshake_kind() == Some(HandshakeKind::Resumed)
}

#[test]
fn a_session_is_resumed_by_whoever_has_a_ticket() {
    let fixture = Fixture::new();
    let acceptor = fixture.acceptor(Minimum::Tls12);
    for versions in [TLS12, TLS13] {
        let config = client(versions);
        assert!(!resumes(&acceptor, &config, "a.test"));
        for _ in 0..5 {
            assert!(resumes(&acceptor, &config, "a.test"));
        }
        assert!(!resumes(&acceptor, &client(versions), "a.test"), "others have none");
    }
}

#[test]
fn a_session_goes_on_under_a_new_certificate_and_a_new_plan() {
    let fixture = Fixture::new();
    let acceptor = fixture.acceptor(Minimum::Tls13);
    let config = client(TLS13);
    resumes(&acceptor, &config, "a.test");
    fixture.store.install("a.test", pair("a.test", &fixture.clock)).unwrap();
    assert!(resumes(&acceptor, &config, "a.test"));
    let store = CertificateStore::open(&sources(), Some(&fixture.store), fixture.clock.clone());
    let after = Fixture { store: store.unwrap(), ..fixture };
    assert!(resumes(&after.acceptor(Minimum::Tls13), &config, "a.test"));
}

#[test]
fn another_process_knows_no_session() {
    let config = client(TLS13);
    resumes(&Fixture::new().acceptor(Minimum::Tls13), &config, "a.test");
    assert!(!resumes(&Fixture::new().acceptor(Minimum::Tls13), &config, "a.test"));
}

#[test]
fn a_session_ends_with_the_keys_of_its_ticket() {
    for (versions, minimum) in [(TLS13, Minimum::Tls13), (TLS12, Minimum::Tls12)] {
        let fixture = Fixture::new();
        let acceptor = fixture.acceptor(minimum);
        let config = client(versions);
        let late = config.clone();
        resumes(&acceptor, &config, "a.test");
        fixture.clock.advance(HOUR * 5);
        assert!(resumes(&acceptor, &config, "a.test"));
        fixture.clock.advance(HOUR * 6);
        assert!(resumes(&acceptor, &config, "a.test"), "under the key before");
        fixture.clock.advance(HOUR * 12);
        assert!(!resumes(&acceptor, &late, "a.test"), "{versions:?}");
    }
}

/// Shows everybody the tickets of everybody.
#[derive(Debug)]
struct Careless(ClientSessionMemoryCache);

impl Default for Careless {
    fn default() -> Self {
        Self(ClientSessionMemoryCache::new(8))
    }
}

fn anybody() -> ServerName<'static> {
    ServerName::try_from("anybody.test").unwrap()
}

impl ClientSessionStore for Careless {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(anybody(), group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(&anybody())
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.0.set_tls12_session(anybody(), session);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(&anybody())
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.0.remove_tls12_session(&anybody());
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(anybody(), ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&anybody())
    }
}

#[test]
fn a_session_is_of_one_name() {
    let fixture = Fixture::new();
    let acceptor = fixture.acceptor(Minimum::Tls12);
    for version in [TLS12, TLS13] {
        let mut config = client(version);
        config.resumption = Resumption::store(Arc::new(Careless::default()));
        resumes(&acceptor, &config, "a.test");
        assert!(resumes(&acceptor, &config, "a.test"));
        assert!(!resumes(&acceptor, &config, "b.test"), "{version:?}");
    }
}

#[test]
fn a_session_of_tls_1_2_does_not_pass_where_it_is_not_spoken_any_more() {
    let fixture = Fixture::new();
    let config = client(TLS12);
    assert!(!resumes(&fixture.acceptor(Minimum::Tls12), &config, "a.test"));
    let error = shake(&fixture.acceptor(Minimum::Tls13), config, "a.test").unwrap_err();
    assert!(error.contains("Tls12NotOffered"), "{error}");
}

#[test]
fn a_name_that_lost_its_certificate_is_not_resumed() {
    let fixture = Fixture::new();
    let config = client(TLS13);
    resumes(&fixture.acceptor(Minimum::Tls13), &config, "b.test");
    let fewer = CertificateSources { acme: vec!["a.test".into()], ..Default::default() };
    let store = CertificateStore::open(&fewer, Some(&fixture.store), fixture.clock.clone());
    let after = Fixture { store: store.unwrap(), ..fixture };
    let error = shake(&after.acceptor(Minimum::Tls13), config, "b.test").unwrap_err();
    assert_eq!(error, "unrecognized_name");
}
