//! From socket to a well-formed request: accept, caps, handshake, head gate, drain.
//!
//! ```text
//! BoundListener::bind → serve(Edge, ListenerSettings, Arc<HttpProxy<_>>) → Listener
//! ```
//!
//! An HTTP/1 head reaches the proxy only after the gate has read all of it and found it strict;
//! an HTTP/2 request only after the same rules were applied to its fields. Whatever is refused here
//! is answered here and told to [`EdgeEvents`].

mod caps;
mod connection;
mod edge;
mod events;
mod listener;
mod settings;

pub use edge::Edge;
pub use events::{Cap, EdgeEvents, HandshakeFailure, Refused, Unwatched};
pub use listener::{BoundListener, Listener};
pub use settings::{ConnectionSettings, ListenerSettings};

use std::sync::Arc;

use pingora::protocols::Digest;
use portcullis_core::ConnMeta;

/// What is known of the connection that a session's digest belongs to. `None` only for sessions
/// that did not come through this crate.
pub fn connection_of(digest: &Digest) -> Option<&Arc<ConnMeta>> {
    digest.proxy_digest.as_ref()?.user_data.as_ref()?.downcast_ref()
}
