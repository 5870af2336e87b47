//! HTTP/2: a preface in time, then the gate before the engine; what it refused is answered here.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use portcullis_core::{ConnMeta, RequestId};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::answer::Answer;
use crate::h2_gate::{self, FrameLimits, RefusedStream};
use crate::h2_stream::{H2Stream, Verdicts};
use crate::head_gate::{HeadLimits, Rejected};
use crate::stream::EdgeStream;
use crate::{ConnectionSettings, Edge, HandshakeFailure, Refused};

/// RFC 9113 §3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of an answer that the engine holds for a stream whose client does not take them.
const SEND_BUFFER: usize = 64 * 1024;

/// Resets that the engine itself puts up with.
const ENGINE_RESETS: usize = 200;

/// Serves streams until either side ends the connection.
pub(crate) async fn serve<A>(
    mut stream: EdgeStream,
    edge: &Edge,
    app: Arc<A>,
    stop: &watch::Receiver<bool>,
) -> Result<(), HandshakeFailure>
where
    A: HttpServerApp + Send + Sync + 'static,
{
    let settings = edge.settings();
    // pingora waits for it without end.
    match timeout(settings.head_time, has_preface(&mut stream)).await {
        Ok(true) => {}
        Ok(false) => return Err(HandshakeFailure::NoPreface),
        Err(_) => return Err(HandshakeFailure::TimedOut),
    }
    let Some(meta) = stream.lease().map(|lease| Arc::clone(lease.meta())) else { return Ok(()) };
    if *stop.borrow() {
        return Ok(());
    }
    let limits = FrameLimits {
        head: HeadLimits {
            size: settings.head_size,
            fields: settings.head_fields,
            target: settings.target_size,
        },
        streams: settings.streams_per_connection,
    };
    let preface = stream.take_ahead(PREFACE.len());
    let stream = H2Stream::new(
        stream,
        edge.clone(),
        Arc::clone(&meta),
        limits,
        settings.head_time,
        &preface,
    );
    let gated = Gated::new(app, edge.clone(), meta, &settings, stream.verdicts());
    ServerApp::process_new(&Arc::new(gated), Box::new(stream), stop).await;
    Ok(())
}

/// Whether the client of a cleartext connection begins as HTTP/2 does, which it need not ask for
/// (RFC 9113 §3.3). Ends as soon as that is clear, at the deadline, or when nobody waits any more.
pub(crate) async fn is_spoken(
    stream: &mut EdgeStream,
    deadline: Instant,
    stop: &mut watch::Receiver<bool>,
) -> bool {
    tokio::select! {
        biased;
        is_spoken = timeout_at(deadline, has_preface(stream)) => is_spoken == Ok(true),
        _ = stop.wait_for(|stop| *stop) => false,
    }
}

/// Reads the preface and leaves it to be read again. Bytes that cannot become one end the wait.
async fn has_preface(stream: &mut EdgeStream) -> bool {
    while stream.ahead().len() < PREFACE.len() {
        if !PREFACE.starts_with(stream.ahead()) {
            return false;
        }
        let is_first = stream.ahead().is_empty();
        let read = if is_first { stream.read_first().await } else { stream.read_ahead().await };
        if !matches!(read, Ok(1..)) {
            return false;
        }
    }
    stream.ahead().starts_with(PREFACE)
}

/// The proxy behind the gate, for one connection.
struct Gated<A> {
    app: Arc<A>,
    edge: Edge,
    meta: Arc<ConnMeta>,
    server_options: HttpServerOptions,
    h2_options: H2Options,
    verdicts: Verdicts,
}

impl<A> Gated<A> {
    fn new(
        app: Arc<A>,
        edge: Edge,
        meta: Arc<ConnMeta>,
        settings: &ConnectionSettings,
        verdicts: Verdicts,
    ) -> Self {
        let mut server_options = HttpServerOptions::default();
        server_options.h2_idle_timeout = Some(settings.idle);
        let mut h2_options = default_h2_options();
        // The engine weighs fields in its own way. What the gate lets through is never too much.
        let list = settings.head_size.saturating_add(settings.head_fields.saturating_mul(32));
        let list = u32::try_from(list.saturating_add(1_024)).unwrap_or(u32::MAX);
        h2_options
            .max_concurrent_streams(settings.streams_per_connection)
            .max_header_list_size(list)
            .max_send_buffer_size(SEND_BUFFER)
            // The gate counts these, and sooner.
            .max_pending_accept_reset_streams(ENGINE_RESETS)
            .max_local_error_reset_streams(Some(ENGINE_RESETS));
        Self { app, edge, meta, server_options, h2_options, verdicts }
    }

    async fn refuse(&self, session: &mut ServerSession, refused: RefusedStream) {
        let settings = self.edge.settings();
        let Rejected { denial, method } = refused.rejected;
        let id = RequestId::new(self.edge.clock().now());
        let refusal = self.edge.events().refusal(&self.meta, denial);
        self.edge.events().refused(&Refused {
            connection: &self.meta,
            id: &id,
            refusal: &refusal,
            protocol: "HTTP/2",
            method: method.as_ref().map(http::Method::as_str),
            lasted: refused.lasted,
        });
        let answer =
            Answer::new(&refusal, &id, method.as_ref(), &settings, self.meta.tls.is_some());
        timeout(settings.write, write(session, answer)).await.ok();
    }
}

async fn write(session: &mut ServerSession, answer: Answer) -> pingora::Result<()> {
    let (head, body): (_, Bytes) = answer.into_h2()?;
    session.write_error_response(head, body).await
}

#[async_trait]
impl<A> HttpServerApp for Gated<A>
where
    A: HttpServerApp + Send + Sync + 'static,
{
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &watch::Receiver<bool>,
    ) -> Option<ReusedHttpStream> {
        let Some(stream) = stand_in(session.req_header()) else {
            return self.app.process_new_http(session, shutdown).await;
        };
        let refused = self.verdicts.take(stream).unwrap_or_else(|| RefusedStream {
            stream,
            rejected: Rejected::malformed("the request was refused"),
            lasted: Duration::ZERO,
        });
        self.refuse(&mut session, refused).await;
        None
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(self.h2_options.clone())
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.server_options)
    }
}

/// The stream whose request was refused, if this head stands for one: no other has its method.
fn stand_in(head: &RequestHeader) -> Option<u32> {
    if head.method.as_str() != h2_gate::REFUSED {
        return None;
    }
    // 0 is no stream of a request; it has no verdict.
    let stream = std::str::from_utf8(head.raw_path()).ok().and_then(|path| path.get(1..));
    Some(stream.and_then(|stream| stream.parse().ok()).unwrap_or_default())
}
