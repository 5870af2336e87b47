//! One accepted connection on its way to its first request.

use std::net::SocketAddr;
use std::sync::Arc;

use pingora::apps::HttpServerApp;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::caps::Permit;
use crate::{Edge, ListenerSettings};

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
        drop((io, permit, self.edge, self.listener, self.app, self.stop, self.peer));
    }
}
