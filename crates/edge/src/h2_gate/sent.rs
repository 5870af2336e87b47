//! What the engine sends, watched: where frames end, and which streams it ends.

use bytes::BytesMut;

use super::frame::{self, HEAD, Head, flag, kind};
use super::{Ended, FrameGate, code};

/// Bytes of a payload that say something: the codes of `RST_STREAM` and GOAWAY.
const READ: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Sent {
    /// The head of the frame, and the begin of its payload, as far as they have come.
    held: Vec<u8>,
    /// Bytes of its payload behind that.
    left: usize,
    /// The frame is one of a field block that is not complete.
    is_in_block: bool,
    /// The code of the last GOAWAY.
    farewell: Option<u32>,
}

impl Sent {
    /// Whether another frame may stand behind the last one.
    fn is_whole(&self) -> bool {
        self.held.is_empty() && self.left == 0 && !self.is_in_block
    }

    /// Takes from `bytes` up to the end of the next frame; the frame, once it is whole or its rest
    /// says nothing.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<(Head, [u8; READ])> {
        let passed = self.left.min(bytes.len());
        self.left -= passed;
        *bytes = bytes.get(passed..).unwrap_or_default();
        self.hold(HEAD, bytes);
        let head = Head::read(&self.held)?;
        let read = head.length.min(READ);
        self.hold(HEAD + read, bytes);
        let payload = self.held.get(HEAD..HEAD + read)?;
        let mut begin = [0; READ];
        begin.iter_mut().zip(payload).for_each(|(to, from)| *to = *from);
        self.held.clear();
        self.left = head.length - read;
        Some((head, begin))
    }

    /// Takes from `bytes` until so many are held.
    fn hold(&mut self, wanted: usize, bytes: &mut &[u8]) {
        let length = wanted.saturating_sub(self.held.len()).min(bytes.len());
        let (part, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
        self.held.extend_from_slice(part);
        *bytes = rest;
    }
}

impl FrameGate {
    /// Watches what the engine sends. An error is the end of the connection, as in
    /// [`FrameGate::advance`]; where the engine itself ends it, with GOAWAY, the reason is told.
    pub fn sent(&mut self, mut bytes: &[u8]) -> Result<(), Ended> {
        while !bytes.is_empty() {
            if let Some((head, payload)) = self.sent.next(&mut bytes) {
                self.sent_frame(head, payload)?;
            }
        }
        Ok(())
    }

    /// What is to be sent to the client beside what the engine sends. Empty where the engine is in
    /// the middle of a frame.
    pub fn take_replies(&mut self) -> BytesMut {
        if self.sent.is_whole() { std::mem::take(&mut self.replies) } else { BytesMut::new() }
    }

    /// The GOAWAY frame that the connection ends with, for a reason or because it was idle. Empty
    /// where the engine has sent one that says as much, or is in the middle of a frame.
    pub fn farewell(&self, ended: Option<Ended>) -> BytesMut {
        let code = ended.map_or(0, Ended::code);
        let mut farewell = BytesMut::new();
        let is_said = self.sent.farewell.is_some_and(|said| said != 0 || code == 0);
        if self.sent.is_whole() && !is_said {
            farewell.extend_from_slice(&self.replies);
            frame::go_away(self.last_stream(), code, &mut farewell);
        }
        farewell
    }

    /// The end of an answer. A malformed request has its error behind that.
    fn sent_end(&mut self, stream: u32) {
        self.meters.answered();
        if self.streams.we_ended(stream) {
            frame::reset(stream, code::PROTOCOL_ERROR, &mut self.replies);
        }
    }

    fn sent_frame(&mut self, head: Head, payload: [u8; READ]) -> Result<(), Ended> {
        if matches!(head.kind, kind::HEADERS | kind::CONTINUATION) {
            self.sent.is_in_block = !head.has(flag::END_HEADERS);
        }
        match head.kind {
            kind::DATA | kind::HEADERS => {
                self.meters.sent();
                if head.has(flag::END_STREAM) {
                    self.sent_end(head.stream);
                }
            }
            kind::RST_STREAM => {
                self.streams.forget(head.stream);
                match frame::number(&payload).unwrap_or_default() {
                    // The engine's verdicts on what the client sent. The gateway's own are others.
                    code::PROTOCOL_ERROR
                    | code::FLOW_CONTROL_ERROR
                    | code::STREAM_CLOSED
                    | code::FRAME_SIZE_ERROR => self.meters.faults.take()?,
                    _ => {}
                }
            }
            kind::GOAWAY => {
                let [_, _, _, _, code @ ..] = payload;
                let code = u32::from_be_bytes(code);
                self.sent.farewell = Some(code);
                match code {
                    0 => {}
                    code::ENHANCE_YOUR_CALM => return Err(Ended::Engine),
                    _ => return Err(Ended::Protocol(code)),
                }
            }
            _ => {}
        }
        Ok(())
    }
}
