//! HTTP/1: head by head through the gate, one request at a time to the proxy.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pingora::apps::HttpServerApp;
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use portcullis_core::{Denial, Refusal, RequestId};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::answer::Answer;
use crate::fence::Fence;
use crate::head_gate::{Accepted, Body, HeadGate, HeadLimits, Rejected};
use crate::pace::Terms;
use crate::stream::EdgeStream;
use crate::{ConnectionSettings, Edge, Refused};

/// Serves requests until either side ends the connection; the head of the first is due at `first`.
/// The stream closes itself when dropped.
pub(crate) async fn serve<A>(
    stream: EdgeStream,
    edge: &Edge,
    app: &Arc<A>,
    mut stop: watch::Receiver<bool>,
    first: Instant,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    let mut stream = stream;
    let mut first = Some(first);
    loop {
        let settings = edge.settings();
        let patience = first.unwrap_or_else(|| Instant::now() + settings.idle);
        if stream.ahead().is_empty() && !wait(&mut stream, patience, &mut stop).await {
            return;
        }
        let deadline = first.take().unwrap_or_else(|| Instant::now() + settings.head_time);
        let since = edge.clock().monotonic();
        match read_head(&mut stream, &settings, deadline).await {
            Outcome::Accepted(accepted) => {
                let terms = Terms { rate: settings.minimum_body_rate, grace: settings.body_grace };
                let passed = pass(stream, accepted, terms, app, &stop).await;
                let Some(next) = passed else { return };
                stream = next;
            }
            Outcome::Ended => return,
            Outcome::Rejected(rejected) => {
                let lasted = edge.clock().monotonic().saturating_sub(since);
                return refuse(stream, rejected, edge, &settings, lasted).await;
            }
        }
    }
}

enum Outcome {
    Accepted(Accepted),
    Ended,
    Rejected(Rejected),
}

/// Waits for the first bytes of a request; `false` where the connection is to be closed.
async fn wait(
    stream: &mut EdgeStream,
    patience: Instant,
    stop: &mut watch::Receiver<bool>,
) -> bool {
    stream.rest();
    tokio::select! {
        biased;
        read = timeout_at(patience, stream.read_first()) => matches!(read, Ok(Ok(1..))),
        _ = stop.wait_for(|stop| *stop) => false,
    }
}

async fn read_head(
    stream: &mut EdgeStream,
    settings: &ConnectionSettings,
    deadline: Instant,
) -> Outcome {
    match timeout_at(deadline, judge(stream, settings)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Outcome::Ended,
        Err(_) => Outcome::Rejected(Denial::RequestTimeout.into()),
    }
}

async fn judge(stream: &mut EdgeStream, settings: &ConnectionSettings) -> io::Result<Outcome> {
    let mut gate = HeadGate::new(HeadLimits {
        size: settings.head_size,
        fields: settings.head_fields,
        target: settings.target_size,
    });
    loop {
        match gate.judge(stream.ahead()) {
            Ok(Some(accepted)) => return Ok(Outcome::Accepted(accepted)),
            Err(rejected) => return Ok(Outcome::Rejected(rejected)),
            Ok(None) => {}
        }
        if stream.read_ahead().await? == 0 {
            return Ok(Outcome::Ended);
        }
    }
}

/// Gives one request to the proxy: the very bytes that the gate judged, its target in origin form,
/// and a stream that ends where the gate says the request does. The stream comes back if it can carry another request.
async fn pass<A>(
    mut stream: EdgeStream,
    accepted: Accepted,
    terms: Terms,
    app: &Arc<A>,
    stop: &watch::Receiver<bool>,
) -> Option<EdgeStream>
where
    A: HttpServerApp + Send + Sync + 'static,
{
    let mut head = stream.take_ahead(accepted.length);
    if let Some(absolute) = &accepted.absolute {
        head = absolute.to_origin(&head);
    }
    // One with a body is asked to send it first, and keeps its fence.
    let may_upgrade = accepted.upgrade && accepted.body == Body::Length(0);
    stream.set_fence(if may_upgrade { Fence::Upgrade } else { accepted.body.into() }, terms);
    let mut session = ServerSession::new_http1(Box::new(stream));
    session.set_pipelined_prefix(head);
    let (stream, _) = app.process_new_http(session, stop).await?.consume();
    reclaim(stream).filter(EdgeStream::is_at_fence)
}

fn reclaim(stream: Stream) -> Option<EdgeStream> {
    stream.into_any().downcast().ok().map(|stream| *stream)
}

async fn refuse(
    mut stream: EdgeStream,
    rejected: Rejected,
    edge: &Edge,
    settings: &ConnectionSettings,
    lasted: Duration,
) {
    let Rejected { denial, method } = rejected;
    let now = edge.clock().now();
    let id = RequestId::new(now);
    let refusal = match stream.lease() {
        Some(lease) => edge.events().refusal(lease.meta(), denial),
        None => Refusal::from(denial),
    };
    let tls = stream.lease().is_some_and(|lease| lease.meta().tls.is_some());
    if let Some(lease) = stream.lease() {
        edge.events().refused(&Refused {
            connection: lease.meta(),
            id: &id,
            refusal: &refusal,
            protocol: "HTTP/1.1",
            method: method.as_ref().map(http::Method::as_str),
            lasted,
        });
    }
    let message = Answer::new(&refusal, &id, method.as_ref(), settings, tls).into_h1(now);
    let write = async {
        stream.write_all(&message).await?;
        stream.flush().await
    };
    timeout(settings.write, write).await.ok();
}
