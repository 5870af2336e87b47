//! What all listeners share: limits, counters, the ear of events, and the end.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use portcullis_core::Clock;
use tokio::sync::watch;

use crate::caps::Caps;
use crate::{ConnectionSettings, EdgeEvents};

/// The edge of one process. Clones share it.
#[derive(Clone)]
pub struct Edge(Arc<Shared>);

struct Shared {
    settings: Arc<ArcSwap<ConnectionSettings>>,
    events: Arc<dyn EdgeEvents>,
    clock: Clock,
    caps: Arc<Caps>,
    draining: watch::Sender<bool>,
    handed_over: watch::Sender<bool>,
}

impl Edge {
    /// An edge without listeners. `settings` may be replaced at any time.
    pub fn new(
        settings: Arc<ArcSwap<ConnectionSettings>>,
        events: Arc<dyn EdgeEvents>,
        clock: Clock,
    ) -> Self {
        let (draining, _) = watch::channel(false);
        let caps = Arc::default();
        let (handed_over, _) = watch::channel(false);
        Self(Arc::new(Shared { settings, events, clock, caps, draining, handed_over }))
    }

    /// Connections there are, those in their handshake and those about to close included.
    pub fn connections(&self) -> usize {
        self.0.caps.total()
    }

    /// Begins the end: listeners close, idle connections close, busy ones close with their next
    /// answer, HTTP/2 clients are told to go away. There is no way back.
    pub fn drain(&self) {
        self.0.draining.send_replace(true);
    }

    /// Whether [`Edge::drain`] was called: answers should carry `Connection: close`.
    pub fn is_draining(&self) -> bool {
        *self.0.draining.borrow()
    }

    /// Another process serves the listening sockets now: none is accepted from here any more, the
    /// files of unix sockets stay. Connections go on until [`Edge::drain`].
    pub fn hand_over(&self) {
        self.0.handed_over.send_replace(true);
    }

    pub(crate) fn handed_over(&self) -> watch::Receiver<bool> {
        self.0.handed_over.subscribe()
    }

    /// Ends when no connection is left and, while draining, no listening socket. Has no deadline of
    /// its own: wrap it in one.
    pub async fn drained(&self) {
        self.0.caps.emptied().await;
        if self.is_draining() {
            self.0.draining.closed().await;
        }
    }

    pub(crate) fn settings(&self) -> Arc<ConnectionSettings> {
        self.0.settings.load_full()
    }

    pub(crate) fn events(&self) -> &Arc<dyn EdgeEvents> {
        &self.0.events
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn caps(&self) -> &Arc<Caps> {
        &self.0.caps
    }

    pub(crate) fn draining(&self) -> watch::Receiver<bool> {
        self.0.draining.subscribe()
    }
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").field("connections", &self.connections()).finish_non_exhaustive()
    }
}
