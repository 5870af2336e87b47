//! Handshakes in memory: what a client meets at a listener.

use std::sync::Arc;

use portcullis_core::{Clock, Timestamp};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::Acceptor;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, NamedGroup,
    ProtocolVersion, ServerConnection, SignatureScheme,
};

use crate::{
    CertificateSources, CertificateStore, ClientTrusts, HandshakePolicy, Minimum, NamePolicy,
    Protocol, TlsAcceptor, TlsError, TlsPlan, provider,
};

/// The handshakes here are about the server's choice, not about trust: what is believed are
/// signatures of these schemes.
#[derive(Debug)]
struct Trusting(Vec<SignatureScheme>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

fn client(versions: &[&'static rustls::SupportedProtocolVersion], alpn: &[&str]) -> ClientConfig {
    let schemes = [SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256];
    client_of(versions, alpn, &schemes, provider())
}

/// A client that can verify `schemes` and do what `provider` can.
pub(crate) fn client_of(
    versions: &[&'static rustls::SupportedProtocolVersion],
    alpn: &[&str],
    schemes: &[SignatureScheme],
    provider: Arc<CryptoProvider>,
) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting(schemes.to_vec())))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

pub(crate) const TLS12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
pub(crate) const TLS13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

fn store() -> CertificateStore {
    let names = ["a.test", "old.test", "*.wild.test", "127.0.0.1"];
    let sources = CertificateSources {
        self_signed: names.iter().map(ToString::to_string).collect(),
        ..CertificateSources::default()
    };
    let clock = Clock::manual(Timestamp::from_unix_seconds(1_700_000_000));
    CertificateStore::open(&sources, None, clock).unwrap()
}

fn minimum(minimum: Minimum) -> NamePolicy {
    NamePolicy { minimum: Some(minimum), clients: None }
}

fn plan() -> TlsPlan {
    TlsPlan {
        certificates: store(),
        policy: HandshakePolicy { minimum: Minimum::Tls13, clients: None },
        by_name: vec![("old.test".to_owned(), minimum(Minimum::Tls12))],
        trusts: ClientTrusts::default(),
        without_sni: None,
        protocols: vec![Protocol::H2, Protocol::Http11],
    }
}

/// Runs a handshake to its end: both ends, or what ended it.
pub(crate) fn shake(
    acceptor: &TlsAcceptor,
    config: ClientConfig,
    name: &str,
) -> Result<(ClientConnection, ServerConnection), String> {
    let mut client =
        ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_owned()).unwrap())
            .unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let mut lazy = Acceptor::default();
    lazy.read_tls(&mut hello.as_slice()).unwrap();
    let accepted = lazy.accept().map_err(|(error, _)| error.to_string())?.unwrap();
    let chosen =
        acceptor.choose(&accepted.client_hello()).map_err(|alert| alert.as_str().to_owned())?;
    let mut server = accepted.into_connection(chosen.config).map_err(|(error, mut alert)| {
        let mut wire = Vec::new();
        alert.write(&mut wire).unwrap();
        shown_nothing(&mut client, &wire);
        error.to_string()
    })?;
    while client.is_handshaking() || server.is_handshaking() || server.wants_write() {
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().map_err(|error| format!("client: {error}"))?;
        }
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            if let Err(error) = server.process_new_packets() {
                let mut wire = Vec::new();
                server.write_tls(&mut wire).unwrap();
                learns_at_most(&mut client, &error, &wire);
                return Err(format!("server: {error}"));
            }
        }
    }
    Ok((client, server))
}

/// What is wrong with its own certificate a client learns at the end, anything else before it is
/// shown one.
#[track_caller]
fn learns_at_most(client: &mut ClientConnection, error: &rustls::Error, wire: &[u8]) {
    let own = rustls::Error::NoCertificatesPresented;
    if *error != own && !matches!(error, rustls::Error::InvalidCertificate(_)) {
        shown_nothing(client, wire);
    }
}

/// A client that is refused with `wire` learns of no certificate.
#[track_caller]
fn shown_nothing(client: &mut ClientConnection, mut wire: &[u8]) {
    while !wire.is_empty() {
        client.read_tls(&mut wire).unwrap();
        client.process_new_packets().ok();
    }
    assert!(client.peer_certificates().is_none());
}

/// A handshake that succeeds gives version and protocol; one that fails, a part of its error.
#[track_caller]
fn check(
    plan: TlsPlan,
    config: ClientConfig,
    name: &str,
    expected: Result<(ProtocolVersion, Option<&str>), &str>,
) {
    let acceptor = TlsAcceptor::new(plan).unwrap();
    match (shake(&acceptor, config, name), expected) {
        (Ok((_, server)), Ok((version, protocol))) => {
            assert_eq!(server.protocol_version(), Some(version), "{name}");
            assert_eq!(server.alpn_protocol(), protocol.map(str::as_bytes), "{name}");
        }
        (Err(error), Err(part)) => assert!(error.contains(part), "{name}: {error}"),
        (actual, expected) => {
            let actual = actual.map(|(_, server)| server.protocol_version());
            panic!("{name}: {actual:?}, not {expected:?}")
        }
    }
}

#[test]
fn tls_1_3_is_all_there_is_by_default() {
    check(plan(), client(TLS13, &[]), "a.test", Ok((ProtocolVersion::TLSv1_3, None)));
    check(plan(), client(TLS12, &[]), "a.test", Err("Tls12NotOffered"));
}

#[test]
fn tls_1_2_is_allowed_by_name_or_by_listener() {
    check(plan(), client(TLS12, &[]), "old.test", Ok((ProtocolVersion::TLSv1_2, None)));
    check(plan(), client(TLS13, &[]), "old.test", Ok((ProtocolVersion::TLSv1_3, None)));
    let tls12 = HandshakePolicy { minimum: Minimum::Tls12, clients: None };
    let by_listener = TlsPlan { policy: tls12.clone(), by_name: Vec::new(), ..plan() };
    check(by_listener, client(TLS12, &[]), "a.test", Ok((ProtocolVersion::TLSv1_2, None)));
    let stricter = TlsPlan {
        policy: tls12,
        by_name: vec![("*.wild.test".to_owned(), minimum(Minimum::Tls13))],
        ..plan()
    };
    check(stricter, client(TLS12, &[]), "x.wild.test", Err("Tls12NotOffered"));
}

#[test]
fn unknown_names_are_refused() {
    check(plan(), client(TLS13, &[]), "x.wild.test", Ok((ProtocolVersion::TLSv1_3, None)));
    for name in ["b.test", "x.y.wild.test", "wild.test", "a.test.evil"] {
        check(plan(), client(TLS13, &[]), name, Err("unrecognized_name"));
    }
}

#[test]
fn a_missing_name_is_refused_unless_one_stands_in() {
    check(plan(), client(TLS13, &[]), "127.0.0.1", Err("no_server_name"));
    let named = TlsPlan { without_sni: Some("a.test".into()), ..plan() };
    check(named, client(TLS13, &[]), "127.0.0.1", Ok((ProtocolVersion::TLSv1_3, None)));
    let old = TlsPlan { without_sni: Some("old.test".into()), ..plan() };
    check(old, client(TLS12, &[]), "127.0.0.1", Ok((ProtocolVersion::TLSv1_2, None)));
    let awaiting = CertificateSources { acme: vec!["new.test".into()], ..Default::default() };
    let clock = Clock::manual(Timestamp::from_unix_seconds(1_700_000_000));
    let awaited = TlsPlan {
        certificates: CertificateStore::open(&awaiting, None, clock).unwrap(),
        without_sni: Some("new.test".into()),
        ..plan()
    };
    check(awaited.clone(), client(TLS13, &[]), "127.0.0.1", Err("unrecognized_name"));
    check(awaited, client(TLS13, &[]), "new.test", Err("unrecognized_name"));
    let unknown = TlsPlan { without_sni: Some("b.test".into()), ..plan() };
    assert_eq!(
        TlsAcceptor::new(unknown).unwrap_err(),
        TlsError::WithoutSniUnknown { name: "b.test".into() }
    );
}

#[test]
fn the_protocol_is_one_of_the_listeners() {
    let version = ProtocolVersion::TLSv1_3;
    check(plan(), client(TLS13, &["http/1.1", "h2"]), "a.test", Ok((version, Some("h2"))));
    check(plan(), client(TLS13, &["http/1.1"]), "a.test", Ok((version, Some("http/1.1"))));
    check(plan(), client(TLS13, &["acme-tls/1"]), "a.test", Err("protocol"));
    let h1 = TlsPlan { protocols: vec![Protocol::Http11], ..plan() };
    check(h1.clone(), client(TLS13, &["h2"]), "a.test", Err("protocol"));
    check(h1, client(TLS13, &["h2", "http/1.1"]), "a.test", Ok((version, Some("http/1.1"))));
}

#[test]
fn the_key_exchange_is_post_quantum() {
    let acceptor = TlsAcceptor::new(plan()).unwrap();
    let (_, server) = shake(&acceptor, client(TLS13, &[]), "a.test").unwrap();
    let group = server.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
}

#[test]
fn sessions_resume_and_outlive_a_new_plan_over_the_store_before() {
    let first = plan();
    let sources =
        CertificateSources { self_signed: vec!["a.test".into()], ..CertificateSources::default() };
    let clock = Clock::manual(Timestamp::from_unix_seconds(1_700_000_000));
    let after = CertificateStore::open(&sources, Some(&first.certificates), clock).unwrap();
    let config = client(TLS13, &[]);
    let acceptor = TlsAcceptor::new(first).unwrap();
    let (_, server) = shake(&acceptor, config.clone(), "a.test").unwrap();
    assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
    let acceptor = TlsAcceptor::new(TlsPlan { certificates: after, ..plan() }).unwrap();
    let (_, server) = shake(&acceptor, config, "a.test").unwrap();
    assert_eq!(server.handshake_kind(), Some(HandshakeKind::Resumed));
}

#[test]
fn early_data_is_not_offered() {
    let acceptor = TlsAcceptor::new(plan()).unwrap();
    let mut config = client(TLS13, &[]);
    config.enable_early_data = true;
    shake(&acceptor, config.clone(), "a.test").unwrap();
    let name = ServerName::try_from("a.test").unwrap();
    let mut again = ClientConnection::new(Arc::new(config), name).unwrap();
    assert!(again.early_data().is_none());
}
