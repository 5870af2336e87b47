//! Where a chunked body ends, by the strict grammar of RFC 9112 §7.1.
//!
//! Decodes nothing: the proxy does. It only keeps the proxy from reading past the end, and ends the
//! connection where a lenient reader could see another end than a strict one.

use super::fields::is_token_byte;

/// Hex digits of a size; 15 are 2^60 bytes.
const DIGITS: u8 = 15;

/// Bytes of all extensions of one chunk.
const EXTENSION: u16 = 256;

/// Bytes of all trailer fields.
const TRAILERS: u16 = 8 * 1024;

/// Where in a chunked body the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// In the digits of a size: how many there were, and what they say.
    Size { digits: u8, size: u64 },
    /// In the extensions after a size: how many bytes there may still be.
    Extension { room: u16, part: Part, size: u64 },
    /// Before the LF of a size line.
    SizeEnd { size: u64 },
    /// In the content of a chunk: how many bytes are left.
    Data { left: u64 },
    /// Before the CR after the content.
    DataCr,
    /// Before the LF after the content.
    DataLf,
    /// At the start of a trailer line, or of the last, empty one.
    Line { room: u16 },
    /// In the name of a trailer line.
    TrailerName { room: u16 },
    /// In the value of a trailer line.
    Trailer { room: u16 },
    /// Before the LF of a trailer line.
    TrailerEnd { room: u16 },
    /// Before the last LF.
    LastLf,
    /// After it.
    Done,
}

/// A byte that the grammar has no place for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Chunks {
    /// Before the first chunk.
    pub(crate) const START: Self = Self::Size { digits: 0, size: 0 };

    /// Goes over `bytes`; how many of them belong to the body. Fewer than all only at its end.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut at = 0;
        while *self != Self::Done {
            let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else { break };
            at += self.step(rest)?;
        }
        Ok(at)
    }

    /// Takes the content that is there, or one byte of the rest.
    fn step(&mut self, rest: &[u8]) -> Result<usize, Malformed> {
        if let Self::Data { left } = self {
            let taken = (*left).min(rest.len() as u64);
            let left = *left - taken;
            *self = if left == 0 { Self::DataCr } else { Self::Data { left } };
            return usize::try_from(taken).map_err(|_| Malformed);
        }
        let byte = rest.first().copied().ok_or(Malformed)?;
        *self = self.after(byte).ok_or(Malformed)?;
        Ok(1)
    }

    fn after(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Size { digits: 1.., size }, b'\r') => Some(Self::SizeEnd { size }),
            (Self::Size { digits: 1.., size }, b';') => {
                Some(Self::Extension { room: EXTENSION, part: Part::Start, size })
            }
            (Self::Size { digits, size }, digit) if digits < DIGITS => {
                let value = u64::from(char::from(digit).to_digit(16)?);
                Some(Self::Size { digits: digits + 1, size: size * 16 + value })
            }
            (Self::Extension { part, size, .. }, b'\r') if part.may_end() => {
                Some(Self::SizeEnd { size })
            }
            (Self::Extension { room: room @ 1.., part, size }, text) => {
                Some(Self::Extension { room: room - 1, part: part.after(text)?, size })
            }
            (Self::SizeEnd { size: 0 }, b'\n') => Some(Self::Line { room: TRAILERS }),
            (Self::SizeEnd { size }, b'\n') => Some(Self::Data { left: size }),
            (Self::DataCr, b'\r') => Some(Self::DataLf),
            (Self::DataLf, b'\n') => Some(Self::START),
            (Self::Line { .. }, b'\r') => Some(Self::LastLf),
            (Self::Line { room: room @ 1.. } | Self::TrailerName { room: room @ 1.. }, name)
                if is_token_byte(name) =>
            {
                Some(Self::TrailerName { room: room - 1 })
            }
            (Self::TrailerName { room: room @ 1.. }, b':') => {
                Some(Self::Trailer { room: room - 1 })
            }
            (Self::Trailer { room }, b'\r') => Some(Self::TrailerEnd { room }),
            (Self::Trailer { room: room @ 1.. }, text) if is_text(text) => {
                Some(Self::Trailer { room: room - 1 })
            }
            (Self::TrailerEnd { room }, b'\n') => Some(Self::Line { room }),
            (Self::LastLf, b'\n') => Some(Self::Done),
            _ => None,
        }
    }
}

/// Where in the extensions of a chunk the next byte stands (RFC 9112 §7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Before a name.
    Start,
    /// In a name.
    Name,
    /// In blanks after a name.
    NameEnd,
    /// Before a value.
    Equals,
    /// In a value that is a token.
    Token,
    /// In a value in quotes.
    Quoted,
    /// After a backslash in quotes.
    Escaped,
    /// After a value in quotes, or in blanks after any value.
    ValueEnd,
}

impl Part {
    const fn may_end(self) -> bool {
        matches!(self, Self::Name | Self::Token | Self::ValueEnd)
    }

    const fn after(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Start, b' ' | b'\t') => Some(Self::Start),
            (Self::Start | Self::Name, name) if is_token_byte(name) => Some(Self::Name),
            (Self::Name | Self::NameEnd, b' ' | b'\t') => Some(Self::NameEnd),
            (Self::Name | Self::NameEnd, b'=') | (Self::Equals, b' ' | b'\t') => Some(Self::Equals),
            (Self::Name | Self::NameEnd | Self::Token | Self::ValueEnd, b';') => Some(Self::Start),
            (Self::Equals | Self::Token, value) if is_token_byte(value) => Some(Self::Token),
            (Self::Equals, b'"') => Some(Self::Quoted),
            (Self::Quoted, b'"') | (Self::Token | Self::ValueEnd, b' ' | b'\t') => {
                Some(Self::ValueEnd)
            }
            (Self::Quoted, b'\\') => Some(Self::Escaped),
            (Self::Quoted | Self::Escaped, text) if is_text(text) => Some(Self::Quoted),
            _ => None,
        }
    }
}

const fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Checks where the body ends, with all bytes at once and one by one.
    #[track_caller]
    fn check(text: &str, expected: Result<usize, Malformed>) {
        let bytes = text.as_bytes();
        let mut chunks = Chunks::START;
        assert_eq!(chunks.advance(bytes), expected, "{text:?}");
        let mut slow = Chunks::START;
        let mut end = Ok(0);
        for byte in bytes {
            end = end.and_then(|end| slow.advance(&[*byte]).map(|taken| end + taken));
        }
        assert_eq!(end, expected, "{text:?} byte by byte");
        if expected.is_ok() {
            assert_eq!(slow, chunks, "{text:?}");
        }
    }

    #[test]
    fn a_body_ends_after_its_last_chunk() {
        for body in [
            "0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "00a\r\n0123456789\r\nA;x=\"y z\"\r\n0123456789\r\n000;z\r\n\r\n",
            "1; a = b ;c=\"\\\"\\\\;\" ; d\r\nx\r\n0\r\n\r\n",
            "1\r\n\n\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n",
        ] {
            check(body, Ok(body.len()));
            check(&format!("{body}GET / HTTP/1.1\r\n"), Ok(body.len()));
            check(&body[..body.len() - 1], Ok(body.len() - 1));
        }
    }

    #[test]
    fn other_grammar_is_refused() {
        for body in [
            "\r\n",
            ";x\r\n",
            " 3\r\nabc\r\n",
            "3 \r\nabc\r\n",
            "3 ;x\r\nabc\r\n",
            "+3\r\nabc\r\n",
            "0x3\r\nabc\r\n",
            "-1\r\n",
            "3\nabc\r\n",
            "3\r\rabc",
            "3;a\nb\r\n",
            "3;\r\nabc\r\n",
            "3; \r\nabc\r\n",
            "3;a \r\nabc\r\n",
            "3;a=\r\nabc\r\n",
            "3;a=b c\r\nabc\r\n",
            "3;a=\"b\r\nabc\r\n",
            "3;a=\"b\\\r\n",
            "3;a=\"b\"c\r\nabc\r\n",
            "3;a b\r\nabc\r\n",
            "3;=b\r\nabc\r\n",
            "3;a\r;b",
            "3;\0\r\n",
            "3\r\nabcd\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "3\r\nabc0\r\n\r\n",
            "0\r\n\n",
            "0\r\n\rX",
            "0\r\n X: y\r\n\r\n",
            "0\r\nX: y\nZ: w\r\n\r\n",
            "0\r\nX\r\n\r\n",
            "0\r\nX : y\r\n\r\n",
            "0\r\n: y\r\n\r\n",
            "0\r\nX: y\r\n z\r\n\r\n",
            "0\r\nX: \u{1}\r\n\r\n",
            "1000000000000000\r\n",
            "ffffffffffffffff1\r\n",
        ] {
            check(body, Err(Malformed));
        }
    }

    #[test]
    fn extensions_and_trailers_have_bounds() {
        let extension = |length: usize| format!("0;{}\r\n\r\n", "x".repeat(length));
        check(&extension(256), Ok(262));
        check(&extension(257), Err(Malformed));
        let trailers = |length: usize| format!("0\r\nX:{}\r\n\r\n", "x".repeat(length - 2));
        check(&trailers(8192), Ok(8199));
        check(&trailers(8193), Err(Malformed));
        check(&format!("0\r\n{}\r\n", "x: y\r\n".repeat(3_000)), Err(Malformed));
    }

    proptest! {
        #[test]
        fn what_was_written_in_chunks_is_found_whole(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8),
            tail in prop::collection::vec(any::<u8>(), 0..20),
            cut in 1_usize..30,
        ) {
            let mut body = Vec::new();
            for part in &parts {
                body.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                body.extend_from_slice(part);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            let length = body.len();
            body.extend_from_slice(&tail);
            let mut chunks = Chunks::START;
            let mut taken = 0;
            for piece in body.chunks(cut) {
                taken += chunks.advance(piece).unwrap();
            }
            prop_assert_eq!((taken, chunks), (length, Chunks::Done));
        }

        #[test]
        fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut chunks = Chunks::START;
            if let Ok(taken) = chunks.advance(&bytes) {
                prop_assert!(taken == bytes.len() || chunks == Chunks::Done);
            }
        }
    }
}
