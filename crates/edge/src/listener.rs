//! Listeners: bound first, so that a taken port is an error at start, then served.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pingora::apps::HttpServerApp;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::connection::Connection;
use crate::{Edge, ListenerSettings};

/// Connections the system may hold before they are accepted.
const BACKLOG: u32 = 1024;

/// How long to wait after a failed accept: out of descriptors, mostly, which time may heal.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// An address that is ours; connections wait in the system's queue until it is served.
#[derive(Debug)]
pub struct BoundListener {
    socket: TcpListener,
    local: SocketAddr,
}

impl BoundListener {
    /// Binds `address`; port 0 takes a free one. `[::]` takes IPv4 too, and falls back to
    /// `0.0.0.0` where the system has no IPv6. Needs a tokio runtime.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = match listen(address) {
            Err(error) if is_without_ipv6(&error) && address.ip().is_unspecified() => {
                listen(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()))?
            }
            other => other?,
        };
        let local = socket.local_addr()?;
        Ok(Self { socket, local })
    }

    /// The address, with the port that was taken.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Accepts connections until the edge drains or [`Listener::stop`] is called, and gives their
    /// requests, well formed, to `app`.
    pub fn serve<A>(self, edge: &Edge, settings: ListenerSettings, app: Arc<A>) -> Listener
    where
        A: HttpServerApp + Send + Sync + 'static,
    {
        let (stop, _) = watch::channel(false);
        let stop = Arc::new(stop);
        let local = self.local;
        let loop_stop = Arc::clone(&stop);
        let task = tokio::spawn(accept_loop(self.socket, edge.clone(), settings, app, loop_stop));
        Listener { local, stop, task }
    }
}

/// A listener that is served. Dropping it does not stop it.
#[derive(Debug)]
pub struct Listener {
    local: SocketAddr,
    stop: Arc<watch::Sender<bool>>,
    task: JoinHandle<()>,
}

impl Listener {
    /// The address, with the port that was taken.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Closes the listening socket and drains its connections, as [`Edge::drain`] does for all.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Ends when the listening socket is closed; connections may go on.
    pub async fn stopped(self) {
        self.task.await.ok();
    }
}

async fn accept_loop<A>(
    socket: TcpListener,
    edge: Edge,
    settings: ListenerSettings,
    app: Arc<A>,
    stop: Arc<watch::Sender<bool>>,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    let mut draining = edge.draining();
    let mut stopped = stop.subscribe();
    let settings = Arc::new(settings);
    loop {
        let accepted = tokio::select! {
            biased;
            _ = draining.wait_for(|draining| *draining) => break,
            _ = stopped.wait_for(|stopped| *stopped) => break,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((io, peer)) => admit(&edge, &settings, &app, &stop, io, peer),
            Err(error) => {
                tracing::warn!(listener = %settings.name, %error, "cannot accept a connection");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
    stop.send_replace(true);
}

fn admit<A>(
    edge: &Edge,
    settings: &Arc<ListenerSettings>,
    app: &Arc<A>,
    stop: &Arc<watch::Sender<bool>>,
    io: TcpStream,
    peer: SocketAddr,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    match edge.caps().admit(peer.ip(), &edge.settings()) {
        Ok(permit) => {
            let connection = Connection {
                edge: edge.clone(),
                listener: Arc::clone(settings),
                app: Arc::clone(app),
                stop: stop.subscribe(),
                peer,
            };
            tokio::spawn(connection.run(io, permit));
        }
        Err(cap) => edge.events().turned_away(&settings.name, peer, cap),
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// `EAFNOSUPPORT` or `EADDRNOTAVAIL`: IPv6 is not built in, or switched off.
fn is_without_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.raw_os_error() == Some(EAFNOSUPPORT) || error.kind() == io::ErrorKind::AddrNotAvailable
}
