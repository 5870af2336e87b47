//! Everything the end-to-end tests need around the gateway: an issuer, an upstream, certificates,
//! clients that speak raw bytes, real third parties, and the gateway itself as a fixture.
//!
//! Blocking on purpose: a test reads from top to bottom. Nothing here is part of the product.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::print_stderr,
    reason = "a fixture that fails must end its test, and says so"
)]

pub mod answer;
pub mod authority;
pub mod browser;
pub mod calls;
pub mod client;
pub mod client_certificates;
pub mod conformance;
pub mod connection;
pub mod dns;
pub mod dpop;
pub mod fake_ca;
pub mod gateway;
pub mod http2;
pub mod http2_app;
pub mod issuer;
pub mod judge;
mod judge_chunks;
mod judge_fields;
mod judge_host;
pub mod jwt;
pub mod keys;
pub mod marker;
pub mod message;
pub mod named;
pub mod pebble;
pub mod poll;
pub mod ports;
pub mod process;
pub mod reply;
pub mod request;
pub mod scratch;
pub mod scripted;
pub mod sockets;
pub mod tools;
pub mod upstream;

pub use answer::Answer;
pub use authority::CertificateAuthority;
pub use calls::{Call, Http2, Incoming};
pub use client::Client;
pub use client_certificates::Bearer;
pub use connection::Connection;
pub use dns::NameServer;
pub use fake_ca::{FakeCa, Refusal, Validation};
pub use gateway::{Gateway, Launch};
pub use http2_app::Http2App;
pub use issuer::Issuer;
pub use jwt::Token;
pub use keys::Key;
pub use marker::marker;
pub use message::Seen;
pub use named::Named;
pub use pebble::{Pebble, PebbleOptions};
pub use poll::{until, until_true};
pub use ports::free_address;
pub use process::Process;
pub use reply::Reply;
pub use request::Request;
pub use scratch::Scratch;
pub use scripted::Scripted;
pub use sockets::{EchoApp, Socket};
pub use upstream::Upstream;

#[cfg(test)]
mod tests;
