//! Opaque tokens: what they say is asked of their issuer's server (RFC 7662).
//!
//! An answer is remembered by the digest of its token for a short time, and never longer than the
//! token lives. What the server said is judged like the claims of a signed token on every request.

mod answer;
mod client;
mod remembered;
mod server;
mod settings;
#[cfg(test)]
mod tests;

pub(crate) use remembered::Remembered;
pub use server::{IntrospectionServer, IntrospectionStatus};
pub use settings::{AssertionKey, ClientAuthentication, IntrospectionSettings};
