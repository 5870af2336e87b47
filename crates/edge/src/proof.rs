//! An authority's handshake: it proves a name, and no request follows it (RFC 8737 §3).

use portcullis_tls::{Alert, TlsAcceptor};
use tokio_rustls::StartHandshake;

use crate::HandshakeFailure;
use crate::handshake::turn_down;
use crate::socket::Socket;
use crate::transport::Transport;

/// Runs the handshake that `start` has begun, with the certificate that proves its name.
pub(crate) async fn accept(
    start: StartHandshake<Socket>,
    acceptor: &TlsAcceptor,
) -> Result<Transport, HandshakeFailure> {
    let name = start.client_hello().server_name().map(str::to_owned);
    let config = match (acceptor.challenges(), name) {
        (Some(challenges), Some(name)) => challenges.proof(&name).await,
        _ => Err(Alert::NoApplicationProtocol),
    };
    match config {
        Ok(config) => {
            let stream = start.into_stream(config).await.map_err(HandshakeFailure::Tls)?;
            Ok(Transport::Tls(Box::new(stream)))
        }
        Err(alert) => Err(turn_down(start, alert).await),
    }
}
