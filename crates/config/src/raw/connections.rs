//! `connections`: bounds and deadlines of one process.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{ByteRate, Duration, Size};

/// Bounds and deadlines of connections.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// Most connections at once. Default: 20000.
    pub maximum: NonZeroU32,
    /// Most connections of one client at once; trusted proxies have no such bound. Default: 256.
    pub per_client: NonZeroU32,
    /// Time for a TLS handshake. Default: 10s.
    pub tls_handshake: Duration,
    /// Bounds of a request's head.
    pub request_head: RequestHead,
    /// Bounds of a request's body.
    pub request_body: RequestBody,
    /// Time for one write to the client. Default: 30s.
    pub write: Duration,
    /// Time between two requests of a connection. Default: 75s.
    pub idle: Duration,
    /// Most HTTP/2 streams of a connection at once. Default: 128.
    pub streams_per_connection: NonZeroU32,
    /// How the process ends.
    pub drain: Drain,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            maximum: at_least_one(20_000),
            per_client: at_least_one(256),
            tls_handshake: Duration::seconds(10),
            request_head: RequestHead::default(),
            request_body: RequestBody::default(),
            write: Duration::seconds(30),
            idle: Duration::seconds(75),
            streams_per_connection: at_least_one(128),
            drain: Drain::default(),
        }
    }
}

/// Bounds of a request's head.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestHead {
    /// Time for the whole head. Default: 10s.
    pub time: Duration,
    /// Most bytes of the head. Default: 32KiB.
    pub size: Size,
    /// Most fields. Default: 100.
    pub fields: NonZeroU32,
    /// Most bytes of the request target. Default: 8KiB.
    pub target: Size,
}

impl Default for RequestHead {
    fn default() -> Self {
        Self {
            time: Duration::seconds(10),
            size: Size::kib(32),
            fields: at_least_one(100),
            target: Size::kib(8),
        }
    }
}

/// Bounds of a request's body on its way in.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestBody {
    /// Least average rate of a body, after ten seconds in which any will do; not for upgraded
    /// connections and gRPC streams. Default: 500B/s.
    pub minimum_rate: ByteRate,
}

impl Default for RequestBody {
    fn default() -> Self {
        Self { minimum_rate: ByteRate::of(at_least_one(500)) }
    }
}

/// How the process ends after SIGTERM.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Drain {
    /// Time in which it says that it is not ready, but still accepts. Default: 5s.
    pub delay: Duration,
    /// Time for what is under way to end. Default: 30s.
    pub grace: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { delay: Duration::seconds(5), grace: Duration::seconds(30) }
    }
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}
