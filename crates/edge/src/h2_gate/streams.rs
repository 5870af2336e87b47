//! The streams that are open, as far as the gate must know them.

use std::collections::{HashMap, VecDeque};

use super::section::Place;
use super::{Ended, code};

/// Streams that we ended before the client did, and that are remembered: what the client sent
/// before it knew is no error.
const REMEMBERED: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Streams {
    last: u32,
    open: HashMap<u32, Stream>,
    unfinished: VecDeque<u32>,
}

#[derive(Debug, Default)]
struct Stream {
    client_ended: bool,
    we_ended: bool,
    is_malformed: bool,
}

impl Streams {
    pub(super) const fn last(&self) -> u32 {
        self.last
    }

    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// A frame about a stream that the client never opened is an error (RFC 9113 §5.1).
    pub(super) const fn judge_known(&self, stream: u32) -> Result<(), Ended> {
        if stream > self.last || stream.is_multiple_of(2) {
            return Err(Ended::Protocol(code::PROTOCOL_ERROR));
        }
        Ok(())
    }

    /// A stream takes data until its client has ended it. What comes behind our own end is the
    /// engine's to pass over.
    pub(super) fn judge_open(&self, stream: u32) -> Result<(), Ended> {
        let is_late = || self.unfinished.contains(&stream);
        match self.open.get(&stream) {
            Some(open) if !open.client_ended => Ok(()),
            None if is_late() => Ok(()),
            _ => Err(Ended::Protocol(code::STREAM_CLOSED)),
        }
    }

    /// What HEADERS on `stream` are: a head opens it, trailers end it. `None` where they come too
    /// late, for no fault of the client.
    pub(super) fn headers(&mut self, stream: u32, is_end: bool) -> Result<Option<Place>, Ended> {
        if stream.is_multiple_of(2) {
            return Err(Ended::Protocol(code::PROTOCOL_ERROR));
        }
        if stream > self.last {
            self.last = stream;
            self.open.insert(stream, Stream { client_ended: is_end, ..Stream::default() });
            return Ok(Some(Place::Head));
        }
        match self.open.get(&stream) {
            Some(open) if !open.client_ended => {
                self.client_ended(stream);
                Ok(Some(Place::Trailers))
            }
            None if self.unfinished.contains(&stream) => Ok(None),
            _ => Err(Ended::Protocol(code::STREAM_CLOSED)),
        }
    }

    pub(super) fn is_malformed(&mut self, stream: u32) {
        if let Some(stream) = self.open.get_mut(&stream) {
            stream.is_malformed = true;
        }
    }

    /// The client sends no more on the stream.
    pub(super) fn client_ended(&mut self, stream: u32) {
        if let Some(open) = self.open.get_mut(&stream) {
            open.client_ended = true;
            if open.we_ended {
                self.open.remove(&stream);
            }
        }
    }

    /// The client ended the stream with an error.
    pub(super) fn client_reset(&mut self, stream: u32) {
        self.open.remove(&stream);
    }

    /// We send no more on the stream; `true` where its request was malformed, which the client is
    /// to be told once.
    pub(super) fn we_ended(&mut self, stream: u32) -> bool {
        let Some(open) = self.open.get_mut(&stream) else { return false };
        open.we_ended = true;
        let is_malformed = std::mem::take(&mut open.is_malformed);
        if open.client_ended || is_malformed {
            self.forget(stream);
        }
        is_malformed
    }

    /// We ended the stream with an error, or with an answer that did not wait for the request.
    pub(super) fn forget(&mut self, stream: u32) {
        if self.open.remove(&stream).is_some_and(|stream| !stream.client_ended) {
            if self.unfinished.len() == REMEMBERED {
                self.unfinished.pop_front();
            }
            self.unfinished.push_back(stream);
        }
    }
}
