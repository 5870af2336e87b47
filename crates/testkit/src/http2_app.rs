//! An app that speaks HTTP/2 in cleartext and sends every body back, with trailers.

use std::net::SocketAddr;
use std::thread;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};

/// The app, on a free port of this machine.
#[derive(Debug)]
pub struct Http2App(SocketAddr);

impl Http2App {
    /// Listens until the test ends.
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("a socket");
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(accept_all(listener));
        });
        Self(address)
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.0.port()
    }
}

async fn accept_all(listener: std::net::TcpListener) {
    let listener = TcpListener::from_std(listener).expect("a socket");
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream));
    }
}

async fn serve(stream: TcpStream) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(request) = connection.accept().await {
        let (request, answer) = request?;
        tokio::spawn(echo(request, answer));
    }
    Ok(())
}

async fn echo(
    request: Request<h2::RecvStream>,
    mut answer: h2::server::SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let mut source = request.into_body();
    let mut body = Vec::new();
    while let Some(data) = source.data().await {
        let data = data?;
        source.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let mut out = answer.send_response(Response::new(()), false)?;
    out.send_data(Bytes::from(body), false)?;
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("x-sum"),
        HeaderValue::from_static("done"),
    )]);
    out.send_trailers(trailers)
}
