//! What happens at the edge, counted and recorded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderMap;
use portcullis_core::{Clock, ConnMeta, Denial, Refusal};
use portcullis_edge::{Cap, EdgeEvents, Ended, HandshakeFailure, Refused};
use portcullis_policy::NoTrace;
use portcullis_proxy::{Record, Recorder, Serving};

/// Hears the edge.
#[derive(Debug)]
pub(crate) struct Events {
    serving: Arc<ArcSwap<Serving>>,
    recorder: Arc<Recorder>,
    clock: Clock,
}

impl Events {
    /// Writes to `recorder`, and knows from `serving` who may come.
    pub(crate) fn new(
        serving: Arc<ArcSwap<Serving>>,
        recorder: Arc<Recorder>,
        clock: Clock,
    ) -> Self {
        Self { serving, recorder, clock }
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

    fn proved(&self, listener: &str, peer: Option<SocketAddr>) {
        let challenges = &self.recorder.metrics.edge.challenges;
        challenges.with_label_values(&["tls-alpn-01"]).inc();
        tracing::debug!(listener, ?peer, "a name was proved");
    }

    fn ended(&self, connection: &ConnMeta, ended: Ended) {
        let listener = &*connection.listener;
        self.recorder.metrics.edge.ended.with_label_values(&[listener, ended.as_str()]).inc();
        tracing::debug!(listener, peer = ?connection.peer, %ended, "HTTP/2 connection ended");
    }

    /// The deny list and the flood guard hold those too who cannot be understood. Behind a trusted
    /// proxy nobody can say whose request it was.
    fn refusal(&self, connection: &ConnMeta, denial: Denial) -> Refusal {
        let serving = self.serving.load();
        let proxies = &serving.pipeline.clients.trusted_proxies;
        let client = proxies.view(connection.address(), &HeaderMap::new());
        if client.by_trusted_proxy {
            return denial.into();
        }
        serving.pipeline.admit_unread(&client, &mut NoTrace).err().unwrap_or_else(|| denial.into())
    }

    fn refused(&self, refused: &Refused<'_>) {
        let pipeline = &self.serving.load().pipeline;
        self.recorder.record(&Record::of_edge(refused, self.clock.now(), pipeline));
    }
}
