//! Which failed attempts are made again (RFC 9110 §9.2.2).

use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType};

use crate::ctx::Ctx;
use crate::tunnel;

/// Whether the request is sent once more. Only a request that provably had no effect, or one that
/// may have it twice, and only as long as the client has seen nothing.
pub(crate) fn is_due(session: &Session, ctx: &mut Ctx, error: &Error, reused: bool) -> bool {
    let downstream = session.as_downstream();
    let can_repeat = error.esource() == &ErrorSource::Upstream
        && !ctx.answer_begun
        && ctx.pending.is_none()
        && downstream.response_written().is_none_or(|said| said.status.is_informational())
        && !downstream.retry_buffer_truncated()
        && !ctx.remaining().is_zero();
    let is_idempotent = session.req_header().method.is_idempotent();
    if !can_repeat || !(is_unprocessed(error) || is_idempotent && is_lost(error)) {
        return false;
    }
    // A connection that stood unused may have been closed meanwhile: that counts for no attempt.
    // What follows goes over a new one, so that this happens once.
    if reused && ctx.stale == 0 {
        ctx.stale = 1;
    }
    ctx.on_new_connection = true;
    ctx.tries <= allowed(ctx)
}

/// Attempts that may fail before the last.
pub(crate) fn allowed(ctx: &Ctx) -> u32 {
    let configured = ctx.grant.as_ref().map_or(0, |grant| grant.route().forward.upstream.retries);
    configured.saturating_add(ctx.stale)
}

/// The connection broke. A time-out is none: the app may still be at work.
fn is_lost(error: &Error) -> bool {
    if tunnel::is_late(error) {
        return false;
    }
    let etype = error.etype();
    let broke = [ErrorType::ConnectionClosed, ErrorType::ReadError, ErrorType::WriteError];
    broke.contains(etype)
        || *etype == ErrorType::H2Error && cause(error).is_none_or(h2::Error::is_io)
}

/// The app said that it did nothing for the request: `REFUSED_STREAM`, or `GOAWAY` for streams
/// beyond the last it took (RFC 9113 §8.7). Streams it took see the connection end, not this.
fn is_unprocessed(error: &Error) -> bool {
    cause(error).is_some_and(|cause| {
        let refused = cause.is_reset() && cause.reason() == Some(h2::Reason::REFUSED_STREAM);
        cause.is_remote() && (refused || cause.is_go_away())
    })
}

fn cause(error: &Error) -> Option<&h2::Error> {
    error.root_cause().downcast_ref::<h2::Error>()
}
