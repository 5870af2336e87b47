//! HTTP/2: a preface in time, then the gate's rules for every stream before the proxy sees it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use portcullis_core::{Authority, ConnMeta, Denial, Refusal, RequestId};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::answer::Answer;
use crate::head_gate::{content_length, is_disguised, judge_method, judge_target};
use crate::stream::EdgeStream;
use crate::{ConnectionSettings, Edge, HandshakeFailure, Refused};

/// RFC 9113 §3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a field weighs beside its name and value: what it takes on the wire of HTTP/1, so that one
/// limit means the same in both.
const FIELD_OVERHEAD: usize = ": \r\n".len();

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
    let gated = Arc::new(Gated::new(app, edge.clone(), meta, &settings));
    ServerApp::process_new(&gated, Box::new(stream), stop).await;
    Ok(())
}

/// Reads the preface and leaves it to be read again. Bytes that cannot become one end the wait.
async fn has_preface(stream: &mut EdgeStream) -> bool {
    while stream.ahead().len() < PREFACE.len() {
        let is_wrong = !PREFACE.starts_with(stream.ahead());
        if is_wrong || !matches!(stream.read_ahead().await, Ok(1..)) {
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
}

impl<A> Gated<A> {
    fn new(app: Arc<A>, edge: Edge, meta: Arc<ConnMeta>, settings: &ConnectionSettings) -> Self {
        let mut server_options = HttpServerOptions::default();
        server_options.h2_idle_timeout = Some(settings.idle);
        let mut h2_options = default_h2_options();
        // The h2 library answers a longer list bare; up to twice the limit the answer is ours.
        let list = u32::try_from(settings.head_size.saturating_mul(2)).unwrap_or(u32::MAX);
        h2_options
            .max_concurrent_streams(settings.streams_per_connection)
            .max_header_list_size(list);
        Self { app, edge, meta, server_options, h2_options }
    }

    async fn refuse(
        &self,
        session: &mut ServerSession,
        denial: Denial,
        settings: &ConnectionSettings,
    ) {
        let method = session.req_header().method.clone();
        let id = RequestId::new(self.edge.clock().now());
        let refusal = Refusal::from(denial);
        self.edge.events().refused(&Refused {
            connection: &self.meta,
            id: &id,
            refusal: &refusal,
            protocol: "HTTP/2",
            method: Some(method.as_str()),
            lasted: Duration::ZERO,
        });
        let answer = Answer::new(&refusal, &id, Some(&method), settings, self.meta.tls.is_some());
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
        let settings = self.edge.settings();
        match judge(session.req_header(), &settings) {
            Ok(()) => self.app.process_new_http(session, shutdown).await,
            Err(denial) => {
                self.refuse(&mut session, denial, &settings).await;
                None
            }
        }
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(self.h2_options.clone())
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.server_options)
    }
}

/// The rules of the HTTP/1 gate, as far as HTTP/2 leaves room to break them.
fn judge(head: &RequestHeader, settings: &ConnectionSettings) -> Result<(), Denial> {
    judge_sizes(head, settings)?;
    judge_method(&head.method)?;
    judge_target(head.raw_path(), &head.method, settings.target_size)?;
    if !matches!(head.uri.scheme_str(), Some("http" | "https")) {
        return Err(malformed("the scheme is not http or https"));
    }
    judge_authority(head)?;
    let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
    if let Some(length) = lengths.next() {
        content_length(length.as_bytes())?;
    }
    if lengths.next().is_some() {
        return Err(malformed("more than one content-length field"));
    }
    if head.headers.keys().any(|name| is_disguised(name.as_str().as_bytes())) {
        return Err(malformed("a framing field is spelled with an underscore"));
    }
    Ok(())
}

fn judge_sizes(head: &RequestHeader, settings: &ConnectionSettings) -> Result<(), Denial> {
    let fields: usize = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD)
        .sum();
    let is_too_large = fields + head.raw_path().len() > settings.head_size
        || head.headers.len() > settings.head_fields;
    if is_too_large { Err(Denial::HeadTooLarge) } else { Ok(()) }
}

/// `:authority` must be there: a request that has only `Host` was translated by somebody who was
/// not asked to. A `Host` beside it must say the same (RFC 9113 §8.3.1).
fn judge_authority(head: &RequestHeader) -> Result<(), Denial> {
    let authority =
        head.uri.authority().ok_or_else(|| malformed("there is no :authority"))?.as_str();
    if Authority::parse(authority).is_err() {
        return Err(malformed(":authority is not a host with or without a port"));
    }
    if head.headers.get_all(HOST).iter().any(|host| host.as_bytes() != authority.as_bytes()) {
        return Err(malformed("Host and :authority differ"));
    }
    Ok(())
}

fn malformed(reason: &'static str) -> Denial {
    Denial::Malformed { reason: reason.into() }
}
