//! From pingora's errors to our refusals: who failed decides between 4xx, 502 and 504.

use std::time::Duration;

use pingora::{Error, ErrorSource, ErrorType};
use portcullis_core::{Denial, Fault, Refusal};
use portcullis_edge::{MalformedBody, SlowBody};

/// What an error means for the client; `None` where the client is gone and nothing can be said.
pub(crate) fn refusal(error: &Error) -> Option<Refusal> {
    use ErrorType as T;
    let reason = || error.etype().as_str().to_owned().into();
    if has_cause::<SlowBody>(error) {
        return Some(Denial::RequestTimeout.into());
    }
    if has_cause::<MalformedBody>(error) {
        let reason = "the body breaks its framing".into();
        return Some(Denial::Malformed { reason }.into());
    }
    match (error.etype(), error.esource()) {
        (T::ConnectTimedout, _)
        | (T::ReadTimedout | T::TLSHandshakeTimedout | T::WriteTimedout, ErrorSource::Upstream) => {
            Some(Fault::UpstreamTimeout.into())
        }
        (T::ReadTimedout, ErrorSource::Downstream) => Some(Denial::RequestTimeout.into()),
        (
            T::ReadError | T::WriteError | T::ConnectionClosed | T::WriteTimedout,
            ErrorSource::Downstream,
        ) => None,
        (_, ErrorSource::Downstream) => Some(Denial::Malformed { reason: reason() }.into()),
        (_, ErrorSource::Upstream) if is_connect(error) => {
            let retry_after = Duration::from_secs(1);
            Some(Fault::UpstreamUnavailable { reason: reason(), retry_after }.into())
        }
        (_, ErrorSource::Upstream) => Some(Fault::UpstreamFailed { reason: reason() }.into()),
        (_, ErrorSource::Internal | ErrorSource::Unset) => {
            Some(Fault::Internal { reason: reason() }.into())
        }
    }
}

/// The edge ends a body that it gives up with a cause of its own.
fn has_cause<E: std::error::Error + 'static>(error: &Error) -> bool {
    let io = error.root_cause().downcast_ref::<std::io::Error>();
    io.and_then(std::io::Error::get_ref).and_then(|inner| inner.downcast_ref::<E>()).is_some()
}

fn is_connect(error: &Error) -> bool {
    use ErrorType as T;
    matches!(
        error.etype(),
        T::ConnectError
            | T::ConnectNoRoute
            | T::ConnectRefused
            | T::InvalidCert
            | T::SocketError
            | T::TLSHandshakeFailure
    )
}

/// The `kind` label of a failed attempt.
pub(crate) fn kind(error: &Error) -> &'static str {
    use ErrorType as T;
    if matches!(error.etype(), T::InvalidCert | T::TLSHandshakeFailure) {
        "tls"
    } else if matches!(
        error.etype(),
        T::ConnectTimedout | T::ReadTimedout | T::TLSHandshakeTimedout | T::WriteTimedout
    ) {
        "timeout"
    } else if is_connect(error) {
        "connect"
    } else {
        "response"
    }
}
