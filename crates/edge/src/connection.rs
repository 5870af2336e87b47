//! One accepted connection on its way to its first request.

use std::net::SocketAddr;
use std::sync::Arc;

use pingora::apps::HttpServerApp;
use portcullis_core::{ConnMeta, TlsMeta};
use portcullis_tls::Protocol;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::caps::Permit;
use crate::digests::Facts;
use crate::handshake::{self, Accepted, Secured};
use crate::lease::Lease;
use crate::socket::Socket;
use crate::stream::EdgeStream;
use crate::transport::Transport;
use crate::{Cap, Edge, HandshakeFailure, ListenerSettings, h1, h2, linger, proxy_protocol};

/// A transport, and what was agreed on in its handshake. In cleartext nothing is.
type Secure = (Transport, Option<TlsMeta>, Option<Protocol>);

pub(crate) struct Connection<A> {
    pub(crate) edge: Edge,
    pub(crate) listener: Arc<ListenerSettings>,
    pub(crate) app: Arc<A>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) origin: Origin,
}

/// Where a connection comes from. What is not known is `None`: a unix socket has no addresses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Origin {
    /// The client, announced or connected.
    pub(crate) peer: Option<SocketAddr>,
    /// What the client connected to.
    pub(crate) local: Option<SocketAddr>,
    /// Who announced it.
    pub(crate) proxy: Option<SocketAddr>,
    /// Whether the peer is one that must announce.
    pub(crate) must_announce: bool,
}

/// Why a connection carries no request.
enum Ended {
    Failed(HandshakeFailure),
    Proved(Transport),
    TurnedAway(Cap),
}

impl From<HandshakeFailure> for Ended {
    fn from(failure: HandshakeFailure) -> Self {
        Self::Failed(failure)
    }
}

impl<A> Connection<A>
where
    A: HttpServerApp + Send + Sync + 'static,
{
    pub(crate) async fn run(mut self, io: Socket, mut permit: Permit) {
        io.set_nodelay();
        self.origin.local = io.local_addr().map(canonical);
        let deadline = Instant::now() + self.edge.settings().tls_handshake;
        // Boxed, so that its memory is gone when it is over.
        match Box::pin(self.prepare(io, &mut permit, deadline)).await {
            Ok((transport, tls, protocol)) => {
                let Origin { peer, local, proxy, .. } = self.origin;
                let listener = Arc::clone(&self.listener.name);
                let meta = Arc::new(ConnMeta { listener, peer, proxy, local, tls });
                let now = self.edge.clock().now();
                let facts = Facts::new(transport.raw_fd(), &meta, now);
                let lease = Lease::new(self.edge.clone(), meta, permit);
                let write = self.edge.settings().write;
                let stream = EdgeStream::new(transport, facts, lease, write);
                self.serve(stream, protocol).await;
            }
            Err(Ended::Failed(failure)) => self.report(&failure),
            Err(Ended::Proved(transport)) => {
                self.edge.events().proved(&self.listener.name, self.origin.peer);
                linger::close(transport, &[]).await;
            }
            Err(Ended::TurnedAway(cap)) => {
                self.edge.events().turned_away(&self.listener.name, self.origin.peer, cap);
            }
        }
    }

    /// All that comes before a request.
    async fn prepare(
        &mut self,
        mut io: Socket,
        permit: &mut Permit,
        deadline: Instant,
    ) -> Result<Secure, Ended> {
        if self.origin.must_announce {
            self.hear(&mut io, deadline).await?;
            // Whoever announces nobody speaks for itself, and is no client.
            if let (Some(client), Some(_)) = (self.origin.peer, self.origin.proxy) {
                let settings = self.edge.settings();
                permit.count_client(client.ip(), &settings).map_err(Ended::TurnedAway)?;
            }
        }
        self.secure(io, deadline).await
    }

    /// Reads whose connection it is.
    async fn hear(&mut self, io: &mut Socket, deadline: Instant) -> Result<(), HandshakeFailure> {
        let Socket::Tcp(io) = io else { return Err(HandshakeFailure::ProxyProtocol) };
        let heard = timeout_at(deadline, proxy_protocol::take(io)).await;
        let Ok(Ok(announcement)) = heard else { return Err(HandshakeFailure::ProxyProtocol) };
        if let Some((client, destination)) = announcement.addresses {
            self.origin.proxy = self.origin.peer.replace(canonical(client));
            self.origin.local = Some(canonical(destination));
        }
        Ok(())
    }

    async fn secure(&self, io: Socket, deadline: Instant) -> Result<Secure, Ended> {
        let Some(tls) = &self.listener.tls else {
            return Ok((Transport::Plain(io), None, None));
        };
        let acceptor = tls.load_full();
        let accepted = timeout_at(deadline, handshake::accept(io, &acceptor))
            .await
            .map_err(|_| HandshakeFailure::TimedOut)??;
        match accepted {
            Accepted::Secured(Secured { stream, meta, protocol }) => {
                Ok((Transport::Tls(stream), Some(meta), Some(protocol)))
            }
            Accepted::Proved(transport) => Err(Ended::Proved(transport)),
        }
    }

    async fn serve(self, mut stream: EdgeStream, agreed: Option<Protocol>) {
        let Self { edge, listener, app, mut stop, origin } = self;
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
                    edge.events().handshake_failed(&listener.name, origin.peer, &failure);
                }
            }
            Protocol::Http11 => h1::serve(stream, &edge, &app, stop, first).await,
        }
    }

    fn report(&self, failure: &HandshakeFailure) {
        self.edge.events().handshake_failed(&self.listener.name, self.origin.peer, failure);
    }
}

/// A dual-stack socket shows IPv4 clients as mapped IPv6 addresses; rules are written in IPv4.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
