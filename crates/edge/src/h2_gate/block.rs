//! Field blocks: HEADERS and the CONTINUATION frames behind them, gathered, judged, written anew.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use portcullis_core::Denial;

use super::frame::{self, Head, flag};
use super::payload::{fragment, protocol_error};
use super::section::{Place, Section};
use super::{Ended, FrameGate, REFUSED, RefusedStream, code, hpack};

/// CONTINUATION frames of one field block: of full ones, far more than any limit on heads.
const CONTINUATIONS: usize = 100;

#[derive(Debug)]
pub(super) struct Block {
    pub(super) stream: u32,
    pub(super) is_end: bool,
    pub(super) section: Section,
    /// Of the last field, which is not complete yet.
    pub(super) rest: BytesMut,
    pub(super) continuations: usize,
    /// `None`: its fields are read, for the tables, and go nowhere, for the stream is over.
    pub(super) place: Option<Place>,
    pub(super) since: Duration,
}

impl FrameGate {
    pub(super) fn headers(
        &mut self,
        head: Head,
        payload: &[u8],
        output: &mut BytesMut,
        now: Duration,
    ) -> Result<(), Ended> {
        let fragment = fragment(head, payload)?;
        let is_end = head.has(flag::END_STREAM);
        let place = self.streams.headers(head.stream, is_end)?;
        if place == Some(Place::Head) {
            self.meters.requested();
            // The engine refuses it.
            if self.streams.open() > self.limits.streams as usize {
                self.meters.refused_streams.take()?;
            }
        }
        let since = self.held_since.unwrap_or(now);
        self.block = Some(Block {
            stream: head.stream,
            is_end,
            section: Section::new(place.unwrap_or(Place::Trailers), self.limits.head),
            rest: BytesMut::new(),
            continuations: 0,
            place,
            since,
        });
        self.held_since = Some(since);
        self.gather(fragment, head, output, now)
    }

    pub(super) fn continuation(
        &mut self,
        head: Head,
        payload: &[u8],
        output: &mut BytesMut,
        now: Duration,
    ) -> Result<(), Ended> {
        if let Some(block) = &mut self.block {
            block.continuations += 1;
            if block.continuations > CONTINUATIONS {
                return Err(Ended::Continuations);
            }
        }
        self.gather(payload, head, output, now)
    }

    /// Decodes a piece of a field block, and judges the block with its last one.
    fn gather(
        &mut self,
        fragment: &[u8],
        head: Head,
        output: &mut BytesMut,
        now: Duration,
    ) -> Result<(), Ended> {
        let Some(block) = &mut self.block else { return Err(protocol_error()) };
        block.rest.extend_from_slice(fragment);
        let section = &mut block.section;
        let taken = self
            .decoder
            .decode(&block.rest, &mut |found| section.take(found))
            .map_err(|_| Ended::Protocol(code::COMPRESSION_ERROR))?;
        block.rest.advance(taken);
        if !head.has(flag::END_HEADERS) {
            return Ok(());
        }
        let is_whole = self.decoder.end_block() && block.rest.is_empty();
        match self.block.take() {
            Some(block) if is_whole => self.judge_block(block, output, now),
            _ => Err(Ended::Protocol(code::COMPRESSION_ERROR)),
        }
    }

    fn judge_block(
        &mut self,
        block: Block,
        output: &mut BytesMut,
        now: Duration,
    ) -> Result<(), Ended> {
        let Block { stream, is_end, section, place, since, .. } = block;
        match place {
            None => return Ok(()),
            Some(Place::Trailers) => match section.into_trailers() {
                Ok(fields) if is_end => frame::headers(stream, true, &fields, output),
                // The stream ends with its trailers.
                Ok(_) | Err(_) => return self.end_stream(stream, output),
            },
            Some(Place::Head) => match section.into_head(is_end) {
                Ok(fields) => frame::headers(stream, is_end, &fields, output),
                Err(rejected) => {
                    let lasted = now.saturating_sub(since);
                    return self.refuse(RefusedStream { stream, rejected, lasted }, is_end, output);
                }
            },
        }
        Ok(())
    }

    /// Puts a head that stands for the refusal in the place of the refused one.
    fn refuse(
        &mut self,
        refused: RefusedStream,
        is_end: bool,
        output: &mut BytesMut,
    ) -> Result<(), Ended> {
        if matches!(refused.rejected.denial, Denial::Malformed { .. }) {
            self.meters.malformed.take()?;
            self.streams.is_malformed(refused.stream);
        }
        let path = format!("/{}", refused.stream);
        let mut block = BytesMut::new();
        for (name, value) in [
            (":method", REFUSED),
            (":scheme", "https"),
            (":authority", "refused.invalid"),
            (":path", &path),
        ] {
            hpack::encode(name.as_bytes(), value.as_bytes(), false, &mut block);
        }
        frame::headers(refused.stream, is_end, &block, output);
        self.refused.push(refused);
        Ok(())
    }

    /// Ends a stream with an error, for the engine and for the client.
    fn end_stream(&mut self, stream: u32, output: &mut BytesMut) -> Result<(), Ended> {
        self.meters.faults.take()?;
        self.streams.client_reset(stream);
        frame::reset(stream, code::PROTOCOL_ERROR, output);
        frame::reset(stream, code::PROTOCOL_ERROR, &mut self.replies);
        Ok(())
    }
}
