//! One accepted connection on its way to its first request.

use std::net::SocketAddr;
use std::sync::Arc;

use pingora::apps::HttpServerApp;
use portcullis_core::ConnMeta;
use portcullis_tls::Protocol;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::caps::Permit;
use crate::digests::Facts;
use crate::handshake::{self, Secured};
use crate::lease::Lease;
use crate::stream::EdgeStream;
use crate::transport::Transport;
use crate::{Edge, HandshakeFailure, ListenerSettings, h1, h2};

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
                let is_h2 = protocol == Protocol::H2;
                let now = self.edge.clock().now();
                let facts = Facts::new(transport.raw_fd(), &meta, is_h2, now);
                let lease = Lease::new(self.edge.clone(), meta, permit);
                self.serve(EdgeStream::new(transport, facts, lease), is_h2).await;
            }
            Err(failure) => self.report(&failure),
        }
    }

    async fn secure(
        &self,
        io: TcpStream,
    ) -> Result<(Transport, Option<portcullis_core::TlsMeta>, Protocol), HandshakeFailure> {
        let Some(tls) = &self.listener.tls else {
            return Ok((Transport::Plain(io), None, Protocol::Http11));
        };
        let acceptor = tls.load_full();
        let deadline = self.edge.settings().tls_handshake;
        let Secured { stream, meta, protocol } =
            timeout(deadline, handshake::accept(io, &acceptor))
                .await
                .map_err(|_| HandshakeFailure::TimedOut)??;
        Ok((Transport::Tls(stream), Some(meta), protocol))
    }

    async fn serve(self, stream: EdgeStream, is_h2: bool) {
        if is_h2 {
            let Self { edge, listener, app, stop, peer } = self;
            if let Err(failure) = h2::serve(stream, &edge, app, &stop).await {
                edge.events().handshake_failed(&listener.name, canonical(peer), &failure);
            }
        } else {
            h1::serve(stream, &self.edge, &self.app, self.stop).await;
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
