//! The TLS handshake: the listener's policy sees the `ClientHello`, then answers or ends it.

use std::io;

use portcullis_core::{ClientPolicy, ShownCertificate, TlsMeta};
use portcullis_tls::acme::asks_for_proof;
use portcullis_tls::{Alert, Chosen, ClientTrust, Protocol, TlsAcceptor};
use rustls::server::Acceptor;
use rustls::{HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection, SupportedCipherSuite};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use crate::HandshakeFailure;
use crate::linger;
use crate::proof;
use crate::socket::Socket;
use crate::transport::Transport;

/// What became of a handshake.
pub(crate) enum Accepted {
    /// Requests may follow.
    Secured(Secured),
    /// A name was proved to an authority, and that is all.
    Proved(Transport),
}

/// A handshake that came to its end.
pub(crate) struct Secured {
    pub(crate) stream: Box<TlsStream<Socket>>,
    pub(crate) meta: TlsMeta,
    pub(crate) protocol: Protocol,
}

/// Runs the handshake. Has no deadline of its own.
pub(crate) async fn accept(
    io: Socket,
    acceptor: &TlsAcceptor,
) -> Result<Accepted, HandshakeFailure> {
    let start =
        LazyConfigAcceptor::new(Acceptor::default(), io).await.map_err(HandshakeFailure::Tls)?;
    if asks_for_proof(&start.client_hello()) {
        return proof::accept(start, acceptor).await.map(Accepted::Proved);
    }
    let Chosen { config, policy, trust } = match acceptor.choose(&start.client_hello()) {
        Ok(chosen) => chosen,
        Err(alert) => return Err(turn_down(start, alert).await),
    };
    let stream = match start.into_stream(config).into_fallible().await {
        Ok(stream) => stream,
        Err((error, io)) => {
            // A client of TLS 1.3 may have sent a request already, and would lose the alert that
            // tells it what is wrong with its certificate.
            linger::close(Transport::Plain(io), &[]).await;
            return Err(HandshakeFailure::Tls(error));
        }
    };
    let (_, session) = stream.get_ref();
    let protocol = agreed_protocol(session, acceptor).ok_or(HandshakeFailure::NoProtocol)?;
    let meta = meta(session).ok_or_else(|| HandshakeFailure::Tls(io::ErrorKind::Other.into()))?;
    let client = shown(session, trust.as_ref())?;
    let meta = TlsMeta { policy, client, ..meta };
    Ok(Accepted::Secured(Secured { stream: Box::new(stream), meta, protocol }))
}

/// The certificate that the client showed, now or in the session that goes on.
fn shown(
    session: &ServerConnection,
    trust: Option<&ClientTrust>,
) -> Result<Option<ShownCertificate>, HandshakeFailure> {
    let (Some(trust), Some(sent)) = (trust, session.peer_certificates()) else { return Ok(None) };
    trust.shown(sent).map(Some).map_err(HandshakeFailure::Certificate)
}

/// rustls can only be told to accept, so the alert is written as it stands in the RFC.
pub(crate) async fn turn_down(start: StartHandshake<Socket>, alert: Alert) -> HandshakeFailure {
    linger::close(Transport::Plain(start.io), &alert.record()).await;
    HandshakeFailure::Alert(alert)
}

/// What ALPN settled. A client that knows no ALPN speaks HTTP/1.1.
fn agreed_protocol(session: &ServerConnection, acceptor: &TlsAcceptor) -> Option<Protocol> {
    let wanted = session.alpn_protocol().unwrap_or_else(|| Protocol::Http11.as_str().as_bytes());
    acceptor.protocols().iter().copied().find(|protocol| protocol.as_str().as_bytes() == wanted)
}

fn meta(session: &ServerConnection) -> Option<TlsMeta> {
    Some(TlsMeta {
        server_name: session.server_name().map(str::to_ascii_lowercase),
        version: version(session.protocol_version()?),
        cipher_suite: session.negotiated_cipher_suite().map_or("", cipher_suite),
        group: session.negotiated_key_exchange_group().map(|group| named_group(group.name())),
        resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        policy: ClientPolicy::NONE,
        client: None,
    })
}

fn version(version: ProtocolVersion) -> &'static str {
    if version == ProtocolVersion::TLSv1_3 { "TLSv1.3" } else { "TLSv1.2" }
}

/// rustls has names of its own for the suites of TLS 1.3.
fn cipher_suite(suite: SupportedCipherSuite) -> &'static str {
    match suite.suite().as_str().unwrap_or_default() {
        "TLS13_AES_128_GCM_SHA256" => "TLS_AES_128_GCM_SHA256",
        "TLS13_AES_256_GCM_SHA384" => "TLS_AES_256_GCM_SHA384",
        "TLS13_CHACHA20_POLY1305_SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
        other => other,
    }
}

fn named_group(group: NamedGroup) -> &'static str {
    match group.as_str().unwrap_or_default() {
        "X25519" => "x25519",
        other => other,
    }
}
