//! The first look: where the head ends, and that every line ends in CRLF and nothing else.
//!
//! It works on what has arrived, so that a head that cannot become good is refused at once, not at
//! the deadline, and a head that comes byte by byte costs no more than one that comes whole.

use portcullis_core::Denial;

use super::{HeadLimits, Rejected};

/// Longest method, the two spaces and the version: what a request line has beside its target.
const LINE_OVERHEAD: usize = super::request_line::LONGEST_METHOD + 2 + 8;

#[derive(Debug, Default)]
pub(super) struct Scan {
    scanned: usize,
    line_start: usize,
    line_ends: usize,
    previous: u8,
}

impl Scan {
    /// Goes on where it stopped. The length of the head once it is complete.
    pub(super) fn advance(
        &mut self,
        bytes: &[u8],
        limits: &HeadLimits,
    ) -> Result<Option<usize>, Rejected> {
        for (at, &byte) in bytes.iter().enumerate().skip(self.scanned) {
            self.scanned = at + 1;
            if self.step(at, byte)? {
                return Ok(Some(self.scanned));
            }
            self.hold(limits)?;
        }
        Ok(None)
    }

    /// Takes one byte; `true` where it ends the head.
    fn step(&mut self, at: usize, byte: u8) -> Result<bool, Rejected> {
        let previous = std::mem::replace(&mut self.previous, byte);
        match (previous, byte) {
            (b'\r', b'\n') => {
                let is_empty = at == self.line_start + 1;
                if is_empty && self.line_ends == 0 {
                    return Err(Rejected::malformed("an empty line before the request line"));
                }
                self.line_ends += 1;
                self.line_start = at + 1;
                Ok(is_empty)
            }
            (_, b'\n') => Err(Rejected::malformed("a line ends in a bare LF")),
            (b'\r', _) => Err(Rejected::malformed("a CR that no LF follows")),
            (_, 0) => Err(Rejected::malformed("a NUL")),
            _ => Ok(false),
        }
    }

    /// The sizes, as far as they can be told already.
    fn hold(&self, limits: &HeadLimits) -> Result<(), Rejected> {
        if self.line_ends == 0 && self.scanned > limits.target.saturating_add(LINE_OVERHEAD) {
            return Err(Denial::TargetTooLong.into());
        }
        // The request line and `fields` lines may have ended; a byte of one more may not come,
        // unless it is the CR of the empty line.
        let in_line = self.scanned > self.line_start && self.previous != b'\r';
        if self.scanned >= limits.size || (in_line && self.line_ends > limits.fields) {
            return Err(Denial::HeadTooLarge.into());
        }
        Ok(())
    }
}
