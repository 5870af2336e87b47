//! How far the proxy may read of what a client sends: to the end of the request that was let through.

use std::io;

use thiserror::Error;

use crate::head_gate::{Body, Chunks};

/// How far the proxy may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// The body was given up: where the request ends is not known, and never will be.
    Broken(Break),
    /// To the end of the chunked body; after it as after a length.
    Chunks(Chunks),
    /// This many bytes of the body are left; after them reads wait, and only see the client go.
    Length(u64),
    /// Without bound: what follows is no HTTP/1.
    Open,
    /// As at the end of a request, until the answer's first line says whether the connection is
    /// turned into another protocol (RFC 9110 §7.8): before a 101 nothing behind the request is
    /// anybody's but the gate's.
    Upgrade,
}

impl Fence {
    /// Where it stands once `bytes` were written, which begin with the head of an answer.
    pub(crate) fn after_writing(self, bytes: &[u8]) -> Self {
        if self != Self::Upgrade {
            self
        } else if bytes.starts_with(b"HTTP/1.1 101") {
            Self::Open
        } else if bytes.starts_with(b"HTTP/1.1 1") {
            // Another interim answer decides nothing.
            self
        } else {
            Self::Length(0)
        }
    }
}

impl From<Body> for Fence {
    fn from(body: Body) -> Self {
        match body {
            Body::Chunked => Self::Chunks(Chunks::START),
            Body::Length(length) => Self::Length(length),
        }
    }
}

/// Why a body was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    Malformed,
    Slow,
}

/// The chunked body of a request broke the grammar. It is the cause of the read error that the proxy
/// then meets, so that it can answer 400 and not take it for a lost connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the chunked body is malformed")]
pub struct MalformedBody;

/// The body of a request did not keep up with the least rate. It is the cause of the read error that
/// the proxy then meets, so that it can answer 408.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the body comes too slowly")]
pub struct SlowBody;

pub(crate) fn broken(why: Break) -> io::Error {
    match why {
        Break::Malformed => io::Error::new(io::ErrorKind::InvalidData, MalformedBody),
        Break::Slow => io::Error::new(io::ErrorKind::TimedOut, SlowBody),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fence: Fence, written: &str, after: Fence) {
        assert_eq!(fence.after_writing(written.as_bytes()), after, "{written}");
    }

    #[test]
    fn only_a_101_to_an_upgrade_opens_the_fence() {
        check(Fence::Upgrade, "HTTP/1.1 101 Switching Protocols\r\n", Fence::Open);
        check(Fence::Upgrade, "HTTP/1.1 103 Early Hints\r\n", Fence::Upgrade);
        check(Fence::Upgrade, "HTTP/1.1 200 OK\r\n", Fence::Length(0));
        check(Fence::Upgrade, "HTTP/1.1 426 Upgrade Required\r\n", Fence::Length(0));
        check(Fence::Length(0), "HTTP/1.1 101 said in a body", Fence::Length(0));
        check(Fence::Length(5), "HTTP/1.1 101 Switching Protocols\r\n", Fence::Length(5));
        check(Fence::Open, "anything", Fence::Open);
    }
}
