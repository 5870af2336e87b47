//! Names proved to an authority in a handshake (RFC 8737), on the listener that serves requests.

use portcullis_core::Secret;
use portcullis_state::MemoryDurable;
use portcullis_tls::acme::{Challenge, ChallengeType, Challenges, Published, Solver};
use portcullis_tls::{ClientTrusts, HandshakePolicy, Minimum, TlsPlan, provider};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, HandshakeKind, ProtocolVersion,
    SignatureScheme, SupportedProtocolVersion,
};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::tls::{check_alert, store};
use super::*;

const ACME: &[&str] = &["acme-tls/1"];

/// An authority looks at what it is shown, and trusts nobody.
#[derive(Debug)]
struct Authority;

impl ServerCertVerifier for Authority {
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
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

fn client(version: &'static SupportedProtocolVersion, alpn: &[&str]) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Authority))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

fn challenge(name: &str) -> Challenge {
    Challenge {
        kind: ChallengeType::TlsAlpn01,
        name: name.to_owned(),
        token: "token".to_owned(),
        key_authorization: Secret::new("token.thumbprint"),
    }
}

/// A listener that speaks TLS 1.3 alone and has certificates for `a.test` and `old.test`, and
/// what is published there. Certificates are ordered for `a.test` and `new.test`.
fn start(orders: bool) -> (Gateway, Published) {
    let durable = Arc::new(MemoryDurable::new(Clock::system()));
    let published = Published::new(Arc::clone(&durable) as _);
    let plan = TlsPlan {
        certificates: store(),
        policy: HandshakePolicy { minimum: Minimum::Tls13, clients: None },
        by_name: Vec::new(),
        trusts: ClientTrusts::default(),
        without_sni: Some("a.test".to_owned()),
        protocols: tls::BOTH.to_vec(),
    };
    let challenges = orders.then(|| Challenges::new(durable, ["a.test", "new.test"]));
    let acceptor = TlsAcceptor::new(plan).unwrap().with_challenges(challenges);
    let settings = ConnectionSettings::default();
    (Gateway::start_with(settings, Some(Arc::new(ArcSwap::from_pointee(acceptor)))), published)
}

async fn connect(
    gateway: &Gateway,
    config: &Arc<ClientConfig>,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let io = TcpStream::connect(gateway.address()).await.unwrap();
    let connector = TlsConnector::from(Arc::clone(config));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    tokio::time::timeout(HANGS, connector.connect(name, io)).await.expect("no handshake")
}

/// A whole handshake with the proof, and an end without an answer.
async fn is_proved_once(
    gateway: &Gateway,
    config: &Arc<ClientConfig>,
    name: &str,
    agreed: ProtocolVersion,
) {
    let mut stream = connect(gateway, config, name).await.unwrap();
    let (_, session) = stream.get_ref();
    assert_eq!(session.protocol_version(), Some(agreed));
    assert_eq!(session.alpn_protocol(), Some(&b"acme-tls/1"[..]));
    assert_eq!(session.handshake_kind(), Some(HandshakeKind::Full));
    let leaf = session.peer_certificates().unwrap()[0].to_vec();
    // id-pe-acmeIdentifier, critical.
    let extension = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x1f\x01\x01\xff";
    assert!(leaf.windows(extension.len()).any(|window| window == extension));
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.ok();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(HANGS, read).await.expect("it stays open").ok();
    assert!(answer.is_empty());
}

#[tokio::test]
async fn a_pending_name_is_proved_by_either_version_and_no_request_follows() {
    let (gateway, published) = start(true);
    for (round, name) in ["a.test", "new.test"].into_iter().enumerate() {
        published.present(&challenge(name)).await.unwrap();
        for (version, agreed) in [
            (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
            (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
        ] {
            let config = client(version, ACME);
            // The second would resume the first, if it could.
            is_proved_once(&gateway, &config, name, agreed).await;
            is_proved_once(&gateway, &config, name, agreed).await;
        }
        gateway.recorder.saw_times("proved main", 4 * (round + 1)).await;
    }
    assert_eq!(gateway.echo.count(), 0);
    assert!(gateway.recorder.lines().iter().all(|line| line == "proved main"));
}

#[tokio::test]
async fn without_a_pending_proof_nothing_is_shown() {
    for orders in [true, false] {
        let (gateway, published) = start(orders);
        published.present(&challenge("old.test")).await.unwrap();
        for (number, name) in
            ["a.test", "new.test", "old.test", "b.test", "127.0.0.1"].iter().enumerate()
        {
            let config = client(&rustls::version::TLS13, ACME);
            let error = connect(&gateway, &config, name).await.unwrap_err();
            check_alert(&error, AlertDescription::NoApplicationProtocol);
            gateway.recorder.saw_times("handshake main no_application_protocol", number + 1).await;
        }
    }
}

#[tokio::test]
async fn a_proof_is_for_those_who_ask_for_nothing_else() {
    let (gateway, published) = start(true);
    published.present(&challenge("a.test")).await.unwrap();
    for (alpn, agreed) in [
        (&["acme-tls/1", "h2"][..], Some(&b"h2"[..])),
        (&["http/1.1", "acme-tls/1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let config = client(&rustls::version::TLS13, alpn);
        let stream = connect(&gateway, &config, "a.test").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed);
    }
    let twice = client(&rustls::version::TLS13, &["acme-tls/1", "acme-tls/1"]);
    let error = connect(&gateway, &twice, "a.test").await.unwrap_err();
    check_alert(&error, AlertDescription::NoApplicationProtocol);
    // A host that TLS 1.3 alone is spoken for stays so beside its proof.
    let old = client(&rustls::version::TLS12, &["h2"]);
    assert!(connect(&gateway, &old, "a.test").await.is_err());
    assert!(gateway.recorder.lines().iter().all(|line| line != "proved main"));
}

#[tokio::test]
async fn a_proof_is_gone_when_it_is_withdrawn() {
    let (gateway, published) = start(true);
    published.present(&challenge("a.test")).await.unwrap();
    let config = client(&rustls::version::TLS13, ACME);
    connect(&gateway, &config, "A.TEST").await.unwrap();
    published.withdraw(&challenge("a.test")).await;
    let error = connect(&gateway, &config, "a.test").await.unwrap_err();
    check_alert(&error, AlertDescription::NoApplicationProtocol);
}
