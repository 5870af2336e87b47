//! Request bodies before an upstream is contacted: small ones are read whole.
//!
//! A body that breaks its framing, is too large or comes too slowly is answered before a byte of the
//! request went to the app. What is read stands in pingora's retry buffer, which drops all of it
//! without a word when more than [`WHOLE`] bytes come; so that this module knows when that happens.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Version, header};
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use portcullis_core::{Denial, Refusal};
use tokio::time::timeout;

use crate::ctx::Ctx;

/// Bodies up to this size are read whole: what pingora's retry buffer holds.
const WHOLE: u64 = 64 * 1024;

/// Most bytes that one read of an HTTP/2 body gives: a frame of the default size (RFC 9113 §4.2).
const FRAME: u64 = 16 * 1024;

/// How long a body that does not say its length may take to be read whole. Whoever sends one in
/// pieces may be waiting for an answer to the first.
const PATIENCE: Duration = Duration::from_secs(1);

/// Nobody's body is slow before this.
pub const BODY_GRACE: Duration = Duration::from_secs(10);

/// When more than `received` bytes must have come, at `rate` bytes a second.
pub(crate) fn due(received: u64, rate: u64) -> Duration {
    BODY_GRACE.saturating_add(Duration::from_secs(received.checked_div(rate).unwrap_or(u64::MAX)))
}

/// Asks for the body where the client waits to be asked, and reads it whole if it is small.
pub(crate) async fn take_in(session: &mut Session, ctx: &mut Ctx) -> Result<()> {
    if let Err(denial) = invite(session).await? {
        return refused(ctx, denial, ErrorType::HTTPStatus(417));
    }
    let request = ctx.request.as_ref();
    let has_body = request.is_some_and(|request| request.has_body);
    let declared = request.and_then(|request| request.content_length);
    let is_large = declared.is_some_and(|length| length > WHOLE);
    // A stream may go on after it said that nothing comes.
    let is_empty = declared == Some(0) && session.req_header().version == Version::HTTP_2;
    if !has_body && !is_empty || is_large || !ctx.manner.waits_for_body() {
        return Ok(());
    }
    session.as_downstream_mut().enable_retry_buffering();
    let mut taken = Taken { chunks: Vec::new(), size: 0, declared };
    let is_whole = taken.read(session, ctx).await?;
    if is_whole && has_body {
        ctx.whole = Some(taken.size);
    } else if session.as_downstream().retry_buffer_truncated() {
        ctx.held = Some(joined(&taken.chunks));
    }
    Ok(())
}

/// What was read of a body.
struct Taken {
    chunks: Vec<Bytes>,
    size: u64,
    declared: Option<u64>,
}

enum Read {
    Chunk(Bytes),
    End,
    NotNow,
}

impl Taken {
    /// Reads until the end (`true`), or until it has to go on as a stream.
    async fn read(&mut self, session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
        let since = ctx.serving.clock.monotonic();
        let is_http2 = session.req_header().version == Version::HTTP_2;
        let is_empty = self.declared == Some(0);
        while is_empty || !session.as_downstream_mut().is_body_done() {
            // A frame that overflows the buffer and ends the body would be lost.
            let could_overflow = is_http2 && self.size + FRAME > WHOLE;
            if self.size > WHOLE || could_overflow && self.declared.is_none() {
                return Ok(false);
            }
            match self.next(session, ctx, since).await? {
                Read::Chunk(chunk) => self.keep(chunk),
                Read::End => break,
                Read::NotNow => return Ok(false),
            }
            ctx.body_in = self.size;
            if let Err(denial) = ctx.judge_size(self.size) {
                refused(ctx, denial, ErrorType::HTTPStatus(413))?;
            }
        }
        Ok(true)
    }

    fn keep(&mut self, chunk: Bytes) {
        self.size += chunk.len() as u64;
        self.chunks.push(chunk);
    }

    /// Waits for more, as long as the client may take.
    async fn next(&self, session: &mut Session, ctx: &mut Ctx, since: Duration) -> Result<Read> {
        let spent = ctx.serving.clock.monotonic().saturating_sub(since);
        let rate = ctx.serving.minimum_body_rate;
        let rate = rate.map_or(Duration::MAX, |rate| due(self.size, rate).saturating_sub(spent));
        let allowed = ctx.remaining().min(rate);
        let patience = match self.declared {
            Some(_) => Duration::MAX,
            None => PATIENCE.saturating_sub(spent),
        };
        let read = session.as_downstream_mut().read_request_body();
        match timeout(allowed.min(patience), read).await {
            Ok(Ok(Some(chunk))) => Ok(Read::Chunk(chunk)),
            Ok(Ok(None)) => Ok(Read::End),
            Ok(Err(error)) => Err(error.into_down()),
            Err(_) if patience < allowed => Ok(Read::NotNow),
            Err(_) => {
                refused(ctx, Denial::RequestTimeout, ErrorType::HTTPStatus(408))?;
                Ok(Read::NotNow)
            }
        }
    }
}

/// Puts what was read before in front of the next piece of the body.
pub(crate) fn prepend(ctx: &mut Ctx, body: &mut Option<Bytes>) {
    let Some(held) = ctx.held.take() else { return };
    *body = Some(match body.take() {
        Some(next) => joined(&[held, next]),
        None => held,
    });
}

fn joined(chunks: &[Bytes]) -> Bytes {
    let mut all = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
    for chunk in chunks {
        all.extend_from_slice(chunk);
    }
    all.freeze()
}

/// The error that makes pingora write `denial`.
fn refused(ctx: &mut Ctx, denial: impl Into<Refusal>, kind: ErrorType) -> Result<()> {
    ctx.pending = Some(denial.into());
    Error::e_explain(kind, "the body is refused")
}

/// Sends `100 Continue` to a client that waits for it (RFC 9110 §10.1.1): here the head was judged
/// and the declared length allowed.
async fn invite(session: &mut Session) -> Result<Result<(), Denial>> {
    let req = session.req_header();
    let expects = match expects_continue(&req.headers) {
        Ok(expects) => expects,
        Err(denial) => return Ok(Err(denial)),
    };
    if expects && req.version == Version::HTTP_11 && !session.as_downstream_mut().is_body_empty() {
        session.as_downstream_mut().write_continue_response().await?;
        // From here on a 100 of the app is one too many.
        session.req_header_mut().remove_header(&header::EXPECT);
    }
    Ok(Ok(()))
}

/// Whether `Expect` asks for a 100; anything else it may ask for is not met here.
fn expects_continue(headers: &HeaderMap) -> Result<bool, Denial> {
    let mut expects = false;
    for value in headers.get_all(header::EXPECT) {
        if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            return Err(Denial::ExpectationUnknown);
        }
        expects = true;
    }
    Ok(expects)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(values: &[&'static str], expected: &Result<bool, Denial>) {
        let named = |value: &&'static str| (header::EXPECT, HeaderValue::from_static(value));
        assert_eq!(&expects_continue(&values.iter().map(named).collect()), expected, "{values:?}");
    }

    #[test]
    fn only_one_expectation_is_known() {
        check(&[], &Ok(false));
        check(&["100-continue"], &Ok(true));
        check(&["100-Continue", "100-continue"], &Ok(true));
        for other in ["", "200-ok", "100-continue, x", "100-continue;x", "100"] {
            check(&[other], &Err(Denial::ExpectationUnknown));
        }
        check(&["100-continue", "x"], &Err(Denial::ExpectationUnknown));
    }

    #[test]
    fn a_rate_is_asked_for_after_the_grace() {
        assert_eq!(due(0, 500), BODY_GRACE);
        assert_eq!(due(1000, 500), BODY_GRACE + Duration::from_secs(2));
        assert_eq!(due(499, 500), BODY_GRACE);
    }
}
