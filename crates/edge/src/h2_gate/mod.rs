//! The gate of HTTP/2: frames in, a verdict out.
//!
//! Pure: no I/O, no clock. It stands before the HTTP/2 engine and lets through only what it has
//! read and understood itself (RFC 9113):
//!
//! * A field block is gathered, decoded, held against the grammar of the HTTP/1 gate and **written
//!   anew**. What is refused is replaced by a head that says so, and answered on its stream.
//! * Trailers that are malformed end their stream, on both sides of the gate.
//! * Any other breach of the protocol ends the connection, and so does a client that makes work
//!   with frames that cost it nothing. What is sent to it is watched too: a stream that the engine
//!   resets for what the client sent counts.

mod block;
mod ended;
mod frame;
mod hpack;
mod meters;
mod payload;
mod section;
mod sent;
mod streams;

use std::time::Duration;

use bytes::{Buf, BytesMut};

use self::block::Block;
pub use self::ended::Ended;
use self::frame::{HEAD, Head, flag, kind};
use self::hpack::Decoder;
use self::meters::Meters;
use self::payload::{has_length, judge_priority, judge_settings, protocol_error};
use self::sent::Sent;
use self::streams::Streams;
use crate::head_gate::{HeadLimits, Rejected};

/// Error codes (RFC 9113 §7).
mod code {
    pub(crate) const PROTOCOL_ERROR: u32 = 0x1;
    pub(crate) const FLOW_CONTROL_ERROR: u32 = 0x3;
    pub(crate) const STREAM_CLOSED: u32 = 0x5;
    pub(crate) const FRAME_SIZE_ERROR: u32 = 0x6;
    pub(crate) const COMPRESSION_ERROR: u32 = 0x9;
    pub(crate) const ENHANCE_YOUR_CALM: u32 = 0xb;
}

/// Bytes for the engine after which it is left to read: a head written anew may be far larger than
/// the indices that it came as.
const ENOUGH: usize = 64 * 1024;

/// The method of the head that stands in for a refused one. The grammar refuses lower case.
pub const REFUSED: &str = "refused";

/// What a connection is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// Each request head, and each trailer section.
    pub head: HeadLimits,
    /// Streams open at once, as they are advertised.
    pub streams: u32,
}

/// A request that was refused. Its answer is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedStream {
    /// The stream it came on.
    pub stream: u32,
    /// Why.
    pub rejected: Rejected,
    /// From its first byte to the verdict.
    pub lasted: Duration,
}

/// The gate of one connection, behind the preface.
#[derive(Debug)]
pub struct FrameGate {
    limits: FrameLimits,
    decoder: Decoder,
    meters: Meters,
    streams: Streams,
    sent: Sent,
    /// The field block that is being gathered.
    block: Option<Block>,
    /// Bytes of a DATA payload that go through as they come.
    passing: usize,
    /// SETTINGS came, which must be the first frame.
    is_begun: bool,
    held_since: Option<Duration>,
    is_paused: bool,
    refused: Vec<RefusedStream>,
    replies: BytesMut,
}

impl FrameGate {
    /// The gate of a connection that begins `now`, on a clock of its own.
    pub fn new(limits: FrameLimits, now: Duration) -> Self {
        Self {
            limits,
            decoder: Decoder::new(limits.head.size),
            meters: Meters::new(now),
            streams: Streams::default(),
            sent: Sent::default(),
            block: None,
            passing: 0,
            is_begun: false,
            held_since: None,
            is_paused: false,
            refused: Vec::new(),
            replies: BytesMut::new(),
        }
    }

    /// Takes from `input` what is complete, and puts what the engine may read behind `output`.
    /// After an error nothing more may be given to the engine.
    pub fn advance(
        &mut self,
        input: &mut BytesMut,
        output: &mut BytesMut,
        now: Duration,
    ) -> Result<(), Ended> {
        self.meters.tick(now);
        self.is_paused = false;
        while self.take(input, output, now)? {
            if self.block.is_none() {
                self.held_since = None;
            }
            if output.len() > ENOUGH {
                self.is_paused = true;
                return Ok(());
            }
        }
        let is_holding = self.block.is_some() || (!input.is_empty() && self.passing == 0);
        self.held_since = is_holding.then(|| self.held_since.unwrap_or(now));
        Ok(())
    }

    /// Takes the next frame, or the begin of one that carries data. `false` where that is not there.
    fn take(
        &mut self,
        input: &mut BytesMut,
        output: &mut BytesMut,
        now: Duration,
    ) -> Result<bool, Ended> {
        if self.passing > 0 {
            let part = input.split_to(self.passing.min(input.len()));
            self.passing -= part.len();
            output.extend_from_slice(&part);
        }
        let Some(head) = Head::read(input) else { return Ok(false) };
        self.judge_head(head)?;
        if head.kind == kind::DATA {
            let prefix = usize::from(head.has(flag::PADDED)).min(head.length);
            let Some(begin) = input.get(..HEAD + prefix) else { return Ok(false) };
            self.data(head, begin.get(HEAD).copied())?;
            output.extend_from_slice(begin);
            input.advance(HEAD + prefix);
            self.passing = head.length - prefix;
            return Ok(true);
        }
        if input.len() < HEAD + head.length {
            return Ok(false);
        }
        let whole = input.split_to(HEAD + head.length);
        self.frame(head, &whole, output, now)?;
        Ok(true)
    }

    /// Since when something is held back that is not complete: a frame, or a field block.
    pub const fn held_since(&self) -> Option<Duration> {
        self.held_since
    }

    /// Whether there may be more in the input that is complete: to be taken once the engine has read
    /// what there is for it.
    pub const fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Whether no request is open.
    pub fn is_idle(&self) -> bool {
        self.streams.is_empty()
    }

    /// The last stream that reached the engine.
    pub const fn last_stream(&self) -> u32 {
        self.streams.last()
    }

    /// The requests refused since this was last asked.
    pub fn take_refused(&mut self) -> Vec<RefusedStream> {
        std::mem::take(&mut self.refused)
    }

    /// What rules hold for every frame of this type, before its payload is there.
    fn judge_head(&mut self, head: Head) -> Result<(), Ended> {
        if head.length > frame::LONGEST {
            return Err(Ended::Protocol(code::FRAME_SIZE_ERROR));
        }
        if !self.is_begun && (head.kind != kind::SETTINGS || head.has(flag::ACK)) {
            return Err(protocol_error());
        }
        let goes_on = self.block.as_ref().map(|block| block.stream);
        let is_continuation = head.kind == kind::CONTINUATION;
        if goes_on.is_some_and(|stream| !is_continuation || stream != head.stream)
            || (goes_on.is_none() && is_continuation)
        {
            return Err(protocol_error());
        }
        let is_of_stream = match head.kind {
            kind::DATA | kind::HEADERS | kind::PRIORITY | kind::RST_STREAM => true,
            kind::SETTINGS | kind::PING | kind::GOAWAY | kind::PRIORITY_UPDATE => false,
            // PUSH_PROMISE is for servers alone.
            kind::PUSH_PROMISE => return Err(protocol_error()),
            _ => return Ok(()),
        };
        if is_of_stream == (head.stream == 0) { Err(protocol_error()) } else { Ok(()) }
    }

    fn data(&mut self, head: Head, padding: Option<u8>) -> Result<(), Ended> {
        let content = match (head.has(flag::PADDED), padding) {
            (true, Some(padding)) => head.length.checked_sub(1 + usize::from(padding)),
            (true, None) => None,
            (false, _) => Some(head.length),
        };
        let content = content.ok_or_else(protocol_error)?;
        self.streams.judge_known(head.stream)?;
        self.streams.judge_open(head.stream)?;
        let is_end = head.has(flag::END_STREAM);
        if content == 0 && !is_end {
            self.meters.empty_frames.take()?;
        }
        if is_end {
            self.streams.client_ended(head.stream);
        }
        Ok(())
    }

    /// Takes one whole frame.
    fn frame(
        &mut self,
        head: Head,
        whole: &BytesMut,
        output: &mut BytesMut,
        now: Duration,
    ) -> Result<(), Ended> {
        let payload = whole.get(HEAD..).unwrap_or_default();
        match head.kind {
            kind::HEADERS => return self.headers(head, payload, output, now),
            kind::CONTINUATION => return self.continuation(head, payload, output, now),
            kind::PRIORITY => {
                self.meters.priorities.take()?;
                return judge_priority(head.stream, payload, head.length == 5);
            }
            kind::PRIORITY_UPDATE => return self.meters.priorities.take(),
            kind::RST_STREAM => self.reset(head)?,
            kind::SETTINGS => {
                self.meters.settings.take()?;
                judge_settings(head, payload)?;
                self.is_begun = true;
            }
            kind::PING => {
                self.meters.pings.take()?;
                has_length(head, 8)?;
            }
            kind::GOAWAY => {
                self.meters.unknown_frames.take()?;
                if head.length < 8 {
                    return Err(Ended::Protocol(code::FRAME_SIZE_ERROR));
                }
            }
            kind::WINDOW_UPDATE => self.window_update(head, payload)?,
            // RFC 9113 §4.1: to be ignored. The engine never sees them.
            _ => return self.meters.unknown_frames.take(),
        }
        output.extend_from_slice(whole);
        Ok(())
    }

    fn reset(&mut self, head: Head) -> Result<(), Ended> {
        has_length(head, 4)?;
        self.streams.judge_known(head.stream)?;
        self.meters.cancels.take()?;
        self.streams.client_reset(head.stream);
        Ok(())
    }

    fn window_update(&mut self, head: Head, payload: &[u8]) -> Result<(), Ended> {
        has_length(head, 4)?;
        self.meters.window_updates.take()?;
        if head.stream != 0 {
            self.streams.judge_known(head.stream)?;
        }
        let increment = frame::number(payload).unwrap_or_default() & 0x7fff_ffff;
        if increment == 0 { Err(protocol_error()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vector_tests;
