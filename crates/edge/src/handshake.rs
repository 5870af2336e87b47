//! The TLS handshake: the listener's policy sees the `ClientHello`, then answers or ends it.

use std::io;

use portcullis_core::{ClientPolicy, ShownCertificate, TlsMeta};
use portcullis_tls::{Accepted, ClientTrust, Protocol, TlsAcceptor};
use rustls::server::Acceptor;
use rustls::{HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection, SupportedCipherSuite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::HandshakeFailure;
use crate::linger;
use crate::socket::Socket;
use crate::transport::Transport;

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
) -> Result<Secured, HandshakeFailure> {
    let start =
        LazyConfigAcceptor::new(Acceptor::default(), io).await.map_err(HandshakeFailure::Tls)?;
    let Accepted { config, policy, trust } = match acceptor.accept(&start.client_hello()) {
        Ok(accepted) => accepted,
        Err(alert) => {
            // rustls can only be told to accept, so the alert is written as it stands in the RFC.
            linger::close(Transport::Plain(start.io), &alert.record()).await;
            return Err(HandshakeFailure::Alert(alert));
        }
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
    Ok(Secured { stream: Box::new(stream), meta: TlsMeta { policy, client, ..meta }, protocol })
}

/// The certificate that the client showed, now or in the session that goes on.
fn shown(
    session: &ServerConnection,
    trust: Option<&ClientTrust>,
) -> Result<Option<ShownCertificate>, HandshakeFailure> {
    let (Some(trust), Some(sent)) = (trust, session.peer_certificates()) else { return Ok(None) };
    trust.shown(sent).map(Some).map_err(HandshakeFailure::Certificate)
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
