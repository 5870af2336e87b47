//! The transfer codings of a request: exactly `chunked`, or a refusal (RFC 9112 §6.1, §7).
//!
//! Other codings that end in `chunked` are good grammar and could be read by somebody: 501. What no
//! two readers need take alike is a 400.

use portcullis_core::Denial;

use super::fields::{is_token, trim_ows};

/// What all `Transfer-Encoding` fields of a head say, in their order.
#[derive(Debug, Default)]
pub(super) struct Codings {
    chunked: bool,
    others: bool,
}

impl Codings {
    /// Reads one field value.
    pub(super) fn read(&mut self, value: &[u8]) -> Result<(), Denial> {
        value.split(|b| *b == b',').try_for_each(|coding| self.add(trim_ows(coding)))
    }

    fn add(&mut self, coding: &[u8]) -> Result<(), Denial> {
        if self.chunked {
            return Err(malformed("a transfer coding after chunked"));
        }
        let end = coding.iter().position(|b| *b == b';').unwrap_or(coding.len());
        let (name, parameters) = coding.split_at(end);
        if !is_token(trim_ows(name)) {
            return Err(malformed("a transfer coding is not a token"));
        }
        if parameters.is_empty() && name.eq_ignore_ascii_case(b"chunked") {
            self.chunked = true;
        } else {
            self.others = true;
        }
        Ok(())
    }

    /// Whether the body is chunked and nothing else.
    pub(super) const fn judge(&self) -> Result<(), Denial> {
        if self.others { Err(Denial::TransferCodingUnknown) } else { Ok(()) }
    }
}

fn malformed(reason: &'static str) -> Denial {
    Denial::Malformed { reason: reason.into() }
}
