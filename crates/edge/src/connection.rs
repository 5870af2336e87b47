//! One accepted connection on its way to its first request.

use std::net::SocketAddr;
use std::sync::Arc;

use pingora::apps::HttpServerApp;
use portcullis_core::{ConnMeta, TlsMeta};
use portcullis_tls::Protocol;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::caps::Permit;
use crate::digests::Facts;
use crate::handshake::{self, Secured};
use crate::lease::Lease;
use crate::stream::EdgeStream;
use crate::transport::Transport;
use crate::{Edge, HandshakeFailure, ListenerSettings, h1, h2};

/// A transport, and what was agreed on in its handshake. In cleartext nothing is.
type Secure = (Transport, Option<TlsMeta>, Option<Protocol>);

pub(crate) struct Connection<A> {
    pub(crate) edge: Edge,
    pub(crate) listener: Arc<ListenerSettings>,
    pub(crate) app: Arc<A>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) peer: SocketAddr,
}

impl<A> Connection<A>
where
    A: HttpServerApp + Send + Sync + 'static,
{
    pub(crate) async fn run(self, io: TcpStream, permit: Permit) {
        io.set_nodelay(true).ok();
        let local = io.local_addr().ok().map(canonical);
        // Boxed, so that its memory is gone when it is over.
        match Box::pin(self.secure(io)).await {
            Ok((transport, tls, protocol)) => {
                let meta = Arc::new(ConnMeta {
                    listener: Arc::clone(&self.listener.name),
                    peer: Some(canonical(self.peer)),
                    local,
                    tls,
                });
                let now = self.edge.clock().now();
                let facts = Facts::new(transport.raw_fd(), &meta, now);
                let lease = Lease::new(self.edge.clone(), meta, permit);
                self.serve(EdgeStream::new(transport, facts, lease), protocol).await;
            }
            Err(failure) => self.report(&failure),
        }
    }

    async fn secure(&self, io: TcpStream) -> Result<Secure, HandshakeFailure> {
        let Some(tls) = &self.listener.tls else {
            return Ok((Transport::Plain(io), None, None));
        };
        let acceptor = tls.load_full();
        let deadline = self.edge.settings().tls_handshake;
        let Secured { stream, meta, protocol } =
            timeout(deadline, handshake::accept(io, &acceptor))
                .await
                .map_err(|_| HandshakeFailure::TimedOut)??;
        Ok((Transport::Tls(stream), Some(meta), Some(protocol)))
    }

    async fn serve(self, mut stream: EdgeStream, agreed: Option<Protocol>) {
        let Self { edge, listener, app, mut stop, peer } = self;
        // Whoever connects has something to say: no idle time before the first request.
        let first = Instant::now() + edge.settings().head_time;
        let spoken = listener.protocols.load_full();
        let protocol = match (agreed, spoken.as_slice()) {
            (Some(agreed), _) => agreed,
            (None, [only]) => *only,
            (None, _) if h2::is_spoken(&mut stream, first, &mut stop).await => Protocol::H2,
            (None, _) => Protocol::Http11,
        };
        match protocol {
            Protocol::H2 => {
                if let Err(failure) = h2::serve(stream, &edge, app, &stop).await {
                    edge.events().handshake_failed(&listener.name, canonical(peer), &failure);
                }
            }
            Protocol::Http11 => h1::serve(stream, &edge, &app, stop, first).await,
        }
    }

    fn report(&self, failure: &HandshakeFailure) {
        let peer = canonical(self.peer);
        self.edge.events().handshake_failed(&self.listener.name, peer, failure);
    }
}

/// A dual-stack socket shows IPv4 clients as mapped IPv6 addresses; rules are written in IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
