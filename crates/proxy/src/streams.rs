//! Answers that go on for as long as both sides like: event streams and gRPC calls.
//!
//! `timeouts.total` bounds them up to the head of the answer; then only gaps count.

use std::time::Duration;

use http::header;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use portcullis_policy::Grant;

use crate::answer::{is_call, is_grpc};
use crate::ctx::{Ctx, Manner};

const EVENTS: &[u8] = b"text/event-stream";

/// How a request is to be passed on.
pub(crate) fn manner(session: &Session, grant: &Grant) -> Manner {
    // RFC 9110 §7.8: an upgrade of HTTP/1.0 is ignored; HTTP/2 has none.
    let is_http11 = session.req_header().version == http::Version::HTTP_11;
    if let Some(token) = grant.upgrade().filter(|_| is_http11) {
        return Manner::Upgrade(token);
    }
    let headers = &session.req_header().headers;
    let accepts = headers.get(header::ACCEPT);
    if is_call(session.req_header()) {
        Manner::Grpc
    } else if accepts.is_some_and(|value| value.as_bytes().starts_with(EVENTS)) {
        Manner::Events
    } else {
        Manner::Ordinary
    }
}

/// Tells the guard when the request is to be over.
pub(crate) fn watch(session: &Session, ctx: &Ctx) {
    ctx.watch.set_end(Some(ctx.remaining()));
    // The edge knows the rate of an HTTP/1.1 connection, and what of the wait is the client's.
    let is_http2 = session.req_header().version == http::Version::HTTP_2;
    let has_body = ctx.request.as_ref().is_some_and(|request| request.has_body);
    if is_http2 && has_body && ctx.manner != Manner::Grpc {
        ctx.watch.set_rate(ctx.serving.minimum_body_rate);
    }
}

/// Longest wait for bytes of the upstream. pingora has one time-out for the head and for gaps in
/// the body: the shorter of the two, but for streams, whose gaps are what a client asked for.
pub(crate) fn read_timeout(ctx: &Ctx, grant: &Grant) -> Duration {
    let timeouts = &grant.route().forward.upstream.timeouts;
    let wait = match ctx.manner {
        Manner::Events | Manner::Grpc => timeouts.between_reads,
        // For an upgrade it bounds the head alone.
        Manner::Ordinary | Manner::Upgrade(_) => {
            timeouts.response_head.min(timeouts.between_reads).min(ctx.remaining())
        }
    };
    wait.max(Duration::from_millis(1))
}

/// Takes the bound off an answer that is a stream. A client's word alone does not do it: the app
/// answered with one.
pub(crate) fn note_answer(session: &mut Session, ctx: &mut Ctx, answer: &ResponseHeader) {
    let kind = answer.headers.get(header::CONTENT_TYPE);
    let is_events = kind.is_some_and(|kind| kind.as_bytes().starts_with(EVENTS));
    let is_call = ctx.manner == Manner::Grpc && is_grpc(&answer.headers);
    if is_events || is_call {
        ctx.streaming = true;
        ctx.watch.set_end(None);
        // Of a stream without an end the app must hear that nobody listens any more.
        session.as_downstream_mut().set_abort_on_close(true);
    }
}
