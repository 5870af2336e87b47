//! From socket to a well-formed request: accept, caps, handshake, head gate, drain.
//!
//! ```text
//! BoundListener::bind → serve(Edge, ListenerSettings, Arc<HttpProxy<_>>) → Listener
//! ```
//!
//! An HTTP/1 head reaches the proxy only after the gate has read all of it and found it strict;
//! an HTTP/2 request only after the same rules were applied to its fields. Whatever is refused here
//! is answered here and told to [`EdgeEvents`].

mod answer;
mod bound;
mod caps;
mod connection;
mod digests;
mod edge;
mod events;
mod fence;
mod h1;
mod h2;
pub mod h2_gate;
mod h2_stream;
mod handshake;
pub mod head_gate;
mod lease;
mod linger;
mod listener;
mod pace;
mod proof;
pub mod proxy_protocol;
mod settings;
mod socket;
mod stream;
mod transport;

pub use bound::BoundListener;
pub use digests::connection_of;
pub use edge::Edge;
pub use events::{Cap, EdgeEvents, HandshakeFailure, Refused, Unwatched};
pub use fence::{MalformedBody, SlowBody};
pub use h2_gate::Ended;
pub use listener::Listener;
pub use settings::{ConnectionSettings, ListenerSettings};

#[cfg(test)]
mod tests;
