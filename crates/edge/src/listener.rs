//! Listeners: what was bound, served until it stops.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use pingora::apps::HttpServerApp;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::bound::{BoundListener, Kind};
use crate::connection::{Connection, Origin, canonical};
use crate::socket::Socket;
use crate::{Edge, ListenerSettings};

/// How long to wait after a failed accept: out of descriptors, mostly, which time may heal.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

impl BoundListener {
    /// Accepts connections until the edge drains or [`Listener::stop`] is called, and gives their
    /// requests, well formed, to `app`. The file of a unix socket is removed then, unless the socket
    /// was handed over.
    pub fn serve<A>(self, edge: &Edge, settings: ListenerSettings, app: Arc<A>) -> Listener
    where
        A: HttpServerApp + Send + Sync + 'static,
    {
        let (stop, _) = watch::channel(false);
        let stop = Arc::new(stop);
        let socket = Arc::new(self.kind);
        let served = Arc::clone(&socket);
        let loop_stop = Arc::clone(&stop);
        let (edge, settings) = (edge.clone(), Arc::new(settings));
        // Held to the end, by which the edge knows that the socket is closed.
        let mut draining = edge.draining();
        let task = tokio::spawn(async move {
            accept_loop(&served, &edge, &settings, &app, &loop_stop).await;
            let is_handed_over = *edge.handed_over().borrow();
            if is_handed_over {
                drop(served);
                draining.wait_for(|draining| *draining).await.ok();
            } else {
                served.remove_file();
                drop(served);
            }
            loop_stop.send_replace(true);
            drop(draining);
        });
        Listener { socket: Arc::downgrade(&socket), local: socket.local_addr(), stop, task }
    }
}

/// A listener that is served. Dropping it does not stop it.
#[derive(Debug)]
pub struct Listener {
    socket: Weak<Kind>,
    local: Option<SocketAddr>,
    stop: Arc<watch::Sender<bool>>,
    task: JoinHandle<()>,
}

impl Listener {
    /// The address, with the port that was taken; `None` for a unix socket.
    pub const fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }

    /// The listening socket once more, for another process; `None` once it is closed.
    pub fn descriptor(&self) -> Option<OwnedFd> {
        self.socket.upgrade()?.descriptor().ok()
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
    socket: &Kind,
    edge: &Edge,
    settings: &Arc<ListenerSettings>,
    app: &Arc<A>,
    stop: &Arc<watch::Sender<bool>>,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    let mut over = pin!(over(edge, stop));
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut over => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((io, peer)) => admit(edge, settings, app, stop, io, peer),
            Err(error) => {
                tracing::warn!(listener = %settings.name, %error, "cannot accept a connection");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

/// Ends when nothing is to be accepted any more.
async fn over(edge: &Edge, stop: &watch::Sender<bool>) {
    let (mut draining, mut handed_over) = (edge.draining(), edge.handed_over());
    let mut stopped = stop.subscribe();
    tokio::select! {
        _ = draining.wait_for(|draining| *draining) => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
        _ = handed_over.wait_for(|over| *over) => {}
    }
}

fn admit<A>(
    edge: &Edge,
    settings: &Arc<ListenerSettings>,
    app: &Arc<A>,
    stop: &Arc<watch::Sender<bool>>,
    io: Socket,
    peer: Option<SocketAddr>,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    let peer = peer.map(canonical);
    let proxies = settings.proxies.load();
    let must_announce = peer.is_some_and(|peer| proxies.iter().any(|net| net.contains(&peer.ip())));
    let client = peer.filter(|_| !must_announce).map(|peer| peer.ip());
    match edge.caps().admit(client, &edge.settings()) {
        Ok(permit) => {
            let connection = Connection {
                edge: edge.clone(),
                listener: Arc::clone(settings),
                app: Arc::clone(app),
                stop: stop.subscribe(),
                origin: Origin { peer, must_announce, ..Origin::default() },
            };
            tokio::spawn(connection.run(io, permit));
        }
        Err(cap) => edge.events().turned_away(&settings.name, peer, cap),
    }
}
