//! Why the gate ends a connection.

use thiserror::Error;

use super::code;

/// Why an HTTP/2 connection was ended: a client broke the protocol, or used it to make work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Ended {
    /// Too many requests were cancelled (CVE-2023-44487).
    #[error("too many cancelled requests")]
    Cancels,
    /// A head in too many pieces (CVE-2024-27316).
    #[error("too many CONTINUATION frames in one head")]
    Continuations,
    /// Too many DATA frames without data.
    #[error("too many empty DATA frames")]
    EmptyFrames,
    /// A bound of the engine itself: on streams that it had to reset, and on small DATA frames that
    /// nobody has read yet.
    #[error("a bound of the HTTP engine")]
    Engine,
    /// Too many streams that had to be reset for what the client sent on them (CVE-2025-8671).
    #[error("too many streams with an error")]
    Faults,
    /// A head, or another frame, was not complete in time.
    #[error("a frame or head was not complete in time")]
    HeadTime,
    /// Too many requests that are malformed.
    #[error("too many malformed requests")]
    Malformed,
    /// Too many PING frames.
    #[error("too many PING frames")]
    Pings,
    /// Too many frames that set priorities.
    #[error("too many PRIORITY frames")]
    Priorities,
    /// The protocol was broken; the number is the error code of RFC 9113 §7.
    #[error("protocol error {0}")]
    Protocol(u32),
    /// Too many streams beyond those that may be open at once.
    #[error("too many streams beyond the limit")]
    RefusedStreams,
    /// Too many SETTINGS frames.
    #[error("too many SETTINGS frames")]
    Settings,
    /// Too many frames of unknown types.
    #[error("too many frames of unknown types")]
    UnknownFrames,
    /// Too many `WINDOW_UPDATE` frames.
    #[error("too many WINDOW_UPDATE frames")]
    WindowUpdates,
}

impl Ended {
    /// A stable word for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancels => "cancels",
            Self::Continuations => "continuations",
            Self::EmptyFrames => "empty_frames",
            Self::Engine => "engine",
            Self::Faults => "faults",
            Self::HeadTime => "head_time",
            Self::Malformed => "malformed",
            Self::Pings => "pings",
            Self::Priorities => "priorities",
            Self::Protocol(_) => "protocol_error",
            Self::RefusedStreams => "refused_streams",
            Self::Settings => "settings",
            Self::UnknownFrames => "unknown_frames",
            Self::WindowUpdates => "window_updates",
        }
    }

    /// The error code that the client is told (RFC 9113 §7).
    pub(crate) const fn code(self) -> u32 {
        match self {
            Self::Protocol(code) => code,
            Self::Cancels
            | Self::Continuations
            | Self::EmptyFrames
            | Self::Engine
            | Self::Faults
            | Self::HeadTime
            | Self::Malformed
            | Self::Pings
            | Self::Priorities
            | Self::RefusedStreams
            | Self::Settings
            | Self::UnknownFrames
            | Self::WindowUpdates => code::ENHANCE_YOUR_CALM,
        }
    }
}
