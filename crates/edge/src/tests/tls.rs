//! Handshakes over real sockets.

use portcullis_tls::{
    CertificateSources, CertificateStore, ClientTrusts, HandshakePolicy, Minimum, NamePolicy,
    Protocol, TlsPlan, provider,
};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

pub(super) fn store() -> CertificateStore {
    let self_signed = vec!["a.test".to_owned(), "old.test".to_owned()];
    let sources = CertificateSources { self_signed, ..CertificateSources::default() };
    CertificateStore::open(&sources, None, Clock::system()).unwrap()
}

fn acceptor(certificates: &CertificateStore, protocols: &[Protocol]) -> TlsAcceptor {
    let old = NamePolicy { minimum: Some(Minimum::Tls12), clients: None };
    TlsAcceptor::new(TlsPlan {
        certificates: certificates.clone(),
        policy: HandshakePolicy { minimum: Minimum::Tls13, clients: None },
        by_name: vec![("old.test".to_owned(), old)],
        trusts: ClientTrusts::default(),
        without_sni: None,
        protocols: protocols.to_vec(),
    })
    .unwrap()
}

pub(super) fn start(
    settings: ConnectionSettings,
    protocols: &[Protocol],
) -> (Gateway, CertificateStore) {
    let store = store();
    let acceptor = Arc::new(ArcSwap::from_pointee(acceptor(&store, protocols)));
    (Gateway::start_with(settings, Some(acceptor)), store)
}

pub(super) const BOTH: &[Protocol] = &[Protocol::H2, Protocol::Http11];

fn client(store: &CertificateStore, alpn: &[&str]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(store.find("a.test").unwrap().cert[0].clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

pub(super) async fn connect(
    gateway: &Gateway,
    store: &CertificateStore,
    name: &str,
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let io = TcpStream::connect(gateway.address()).await.unwrap();
    let connector = TlsConnector::from(Arc::new(client(store, alpn)));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    tokio::time::timeout(HANGS, connector.connect(name, io)).await.expect("no handshake")
}

#[track_caller]
pub(super) fn check_alert(error: &std::io::Error, expected: AlertDescription) {
    let error = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    assert_eq!(error, Some(&rustls::Error::AlertReceived(expected)));
}

#[tokio::test]
async fn http_1_over_tls_with_all_that_is_known() {
    let (gateway, store) = start(ConnectionSettings::default(), BOTH);
    for alpn in [&["http/1.1"][..], &[]] {
        let mut stream = connect(&gateway, &store, "a.test", alpn).await.unwrap();
        let request = wire("GET /1 HTTP/1.1⏎Host: a.test⏎Connection: close⏎⏎");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // An end without close_notify would be an error here.
        let read = stream.read_to_string(&mut answer);
        tokio::time::timeout(HANGS, read).await.unwrap().unwrap();
        assert_eq!(body(&answer), "GET /1 a.test [] main TLSv1.3 X25519MLKEM768 a.test");
    }
}

#[tokio::test]
async fn an_unknown_name_is_told_so() {
    let (gateway, store) = start(ConnectionSettings::default(), BOTH);
    let error = connect(&gateway, &store, "b.test", &[]).await.unwrap_err();
    check_alert(&error, AlertDescription::UnrecognisedName);
    gateway.recorder.saw("handshake main unrecognized_name").await;
    let error = connect(&gateway, &store, "127.0.0.1", &[]).await.unwrap_err();
    check_alert(&error, AlertDescription::UnrecognisedName);
    gateway.recorder.saw("handshake main no_server_name").await;
}

#[tokio::test]
async fn no_common_protocol_is_told_so() {
    let (gateway, store) = start(ConnectionSettings::default(), &[Protocol::Http11]);
    let error = connect(&gateway, &store, "a.test", &["h2"]).await.unwrap_err();
    check_alert(&error, AlertDescription::NoApplicationProtocol);
    gateway.recorder.saw("handshake main tls").await;
    let (gateway, store) = start(ConnectionSettings::default(), &[Protocol::H2]);
    // Without ALPN it is HTTP/1.1, which this listener has not.
    connect(&gateway, &store, "a.test", &[]).await.ok();
    gateway.recorder.saw("handshake main no_protocol").await;
}

#[tokio::test]
async fn a_handshake_has_a_deadline() {
    let settings = ConnectionSettings { tls_handshake: SHORT, ..Default::default() };
    let (gateway, _) = start(settings, BOTH);
    assert_eq!(gateway.exchange("").await, "");
    gateway.recorder.saw("handshake main timed_out").await;
    // Half a ClientHello.
    assert_eq!(gateway.exchange([22, 3, 1, 2, 0, 1, 0]).await, "");
    assert_eq!(gateway.recorder.lines().len(), 2);
    assert_eq!(gateway.edge.connections(), 0);
}

#[tokio::test]
async fn cleartext_on_a_tls_listener_reaches_nobody() {
    let (gateway, _) = start(ConnectionSettings::default(), BOTH);
    gateway.exchange(wire("GET / HTTP/1.1⏎Host: a.test⏎⏎")).await;
    gateway.recorder.saw("handshake main tls").await;
    assert_eq!(gateway.echo.count(), 0);
}

#[tokio::test]
async fn an_http_2_preface_has_a_deadline_and_one_form() {
    let settings = ConnectionSettings { head_time: SHORT, ..Default::default() };
    let (gateway, store) = start(settings, BOTH);
    let mut silent = connect(&gateway, &store, "a.test", &["h2"]).await.unwrap();
    let mut bytes = Vec::new();
    tokio::time::timeout(HANGS, silent.read_to_end(&mut bytes)).await.unwrap().unwrap();
    gateway.recorder.saw("handshake main timed_out").await;
    let (gateway, store) = start(ConnectionSettings::default(), BOTH);
    let mut wrong = connect(&gateway, &store, "a.test", &["h2"]).await.unwrap();
    wrong.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    tokio::time::timeout(HANGS, wrong.read_to_end(&mut bytes)).await.unwrap().unwrap();
    gateway.recorder.saw("handshake main no_preface").await;
}

#[tokio::test]
async fn the_policy_of_a_listener_is_replaced_while_it_runs() {
    let store = store();
    let swap = Arc::new(ArcSwap::from_pointee(acceptor(&store, BOTH)));
    let gateway = Gateway::start_with(ConnectionSettings::default(), Some(Arc::clone(&swap)));
    assert!(connect(&gateway, &store, "a.test", &["h2"]).await.is_ok());
    swap.store(Arc::new(acceptor(&store, &[Protocol::Http11])));
    assert!(connect(&gateway, &store, "a.test", &["h2"]).await.is_err());
}
