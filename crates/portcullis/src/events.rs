//! What happens at the edge, counted and recorded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::{Clock, ConnMeta};
use portcullis_edge::{Cap, EdgeEvents, Ended, HandshakeFailure, Refused};
use portcullis_proxy::{Record, Recorder};

/// Hears the edge.
#[derive(Debug)]
pub(crate) struct Events {
    recorder: Arc<Recorder>,
    clock: Clock,
}

impl Events {
    /// Writes to `recorder`.
    pub(crate) fn new(recorder: Arc<Recorder>, clock: Clock) -> Self {
        Self { recorder, clock }
    }
}

impl EdgeEvents for Events {
    fn opened(&self, connection: &ConnMeta) {
        let connections = &self.recorder.metrics.edge.connections;
        connections.with_label_values(&[&*connection.listener]).inc();
    }

    fn closed(&self, connection: &ConnMeta, _: Duration) {
        let connections = &self.recorder.metrics.edge.connections;
        connections.with_label_values(&[&*connection.listener]).dec();
    }

    fn turned_away(&self, listener: &str, _: Option<SocketAddr>, cap: Cap) {
        self.recorder.metrics.edge.refused.with_label_values(&[listener, cap.as_str()]).inc();
    }

    fn handshake_failed(
        &self,
        listener: &str,
        peer: Option<SocketAddr>,
        failure: &HandshakeFailure,
    ) {
        let failures = &self.recorder.metrics.edge.handshake_failures;
        failures.with_label_values(&[listener, failure.kind()]).inc();
        tracing::debug!(listener, ?peer, %failure, "connection ended before a request");
    }

    fn ended(&self, connection: &ConnMeta, ended: Ended) {
        let listener = &*connection.listener;
        self.recorder.metrics.edge.ended.with_label_values(&[listener, ended.as_str()]).inc();
        tracing::debug!(listener, peer = ?connection.peer, %ended, "HTTP/2 connection ended");
    }

    fn refused(&self, refused: &Refused<'_>) {
        self.recorder.record(&Record::of_edge(refused, self.clock.now()));
    }
}
