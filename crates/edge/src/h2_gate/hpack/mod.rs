//! Field compression of HTTP/2 (RFC 7541), as a server reads it.
//!
//! Made for a gate: it takes a field block in pieces, keeps of each string no more than it may, and
//! goes on past a string that is too long, so that the tables of both ends stay in step while the
//! request is refused.

mod huffman;
mod integer;
mod table;

use thiserror::Error;

use self::integer::Integer;
use self::table::Table;

/// Why a field block cannot be read. The tables are out of step from there on: the connection ends
/// with `COMPRESSION_ERROR` (RFC 9113 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum HpackError {
    #[error("an index that is in no table")]
    Index,
    #[error("an integer that is too large")]
    Integer,
    #[error("a string that is not Huffman code")]
    Huffman,
    #[error("a table size beyond the limit, or not at the begin of a block")]
    TableSize,
}

/// What a block says, field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Field {
        name: &'a [u8],
        value: &'a [u8],
        /// Never to be put into a table, by us neither (RFC 7541 §6.2.3).
        never_indexed: bool,
    },
    /// A field with a string that is longer than the decoder keeps; its name where that was read.
    TooLong(&'a [u8]),
}

/// Strings shorter than this may decode to something that fits into the table: 5 bits a byte at
/// best, but an entry of 4,096 bytes may be coded in 30 bits a byte.
const MAY_BE_IN_TABLE: usize = table::SIZE * 30 / 8;

/// Where a string that is not kept ends, and what comes after it.
#[derive(Clone, Copy, Debug, Default)]
struct Skip {
    left: usize,
    then_value: bool,
}

/// The decoder of one connection.
#[derive(Debug)]
pub(super) struct Decoder {
    table: Table,
    /// Longest string that is kept, in bytes as coded.
    longest: usize,
    skip: Skip,
    /// Whether a change of the table's size may still come in this block.
    is_start: bool,
    name: Vec<u8>,
    value: Vec<u8>,
}

/// What became of one representation.
enum Step {
    Taken(usize),
    /// More bytes are needed.
    Incomplete,
}

/// A string as coded.
struct Coded<'a> {
    bytes: &'a [u8],
    is_huffman: bool,
}

enum Text<'a> {
    Whole(Coded<'a>, usize),
    /// Bytes to pass over, behind so many of its length.
    TooLong {
        length: usize,
        used: usize,
    },
    Incomplete,
}

impl Decoder {
    /// A decoder that keeps strings of at least `longest` bytes.
    pub(super) fn new(longest: usize) -> Self {
        Self {
            table: Table::default(),
            longest: longest.max(MAY_BE_IN_TABLE),
            skip: Skip::default(),
            is_start: true,
            name: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Reads what is complete at the begin of `bytes`, which go on where the last call stopped, and
    /// says how much that is. At the end of a block nothing may be left over.
    pub(super) fn decode(
        &mut self,
        bytes: &[u8],
        sink: &mut impl FnMut(Found<'_>),
    ) -> Result<usize, HpackError> {
        let mut taken = 0;
        loop {
            let rest = bytes.get(taken..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(taken);
            }
            match self.step(rest, sink)? {
                Step::Taken(length) => taken += length,
                Step::Incomplete => return Ok(taken),
            }
        }
    }

    /// Ends a block. `false` where it stops in the middle of a field.
    pub(super) fn end_block(&mut self) -> bool {
        self.is_start = true;
        self.skip.left == 0 && !self.skip.then_value
    }

    fn step(&mut self, bytes: &[u8], sink: &mut impl FnMut(Found<'_>)) -> Result<Step, HpackError> {
        if self.skip.left > 0 {
            let passed = self.skip.left.min(bytes.len());
            self.skip.left -= passed;
            return Ok(Step::Taken(passed));
        }
        if self.skip.then_value {
            return self.pass_value(bytes);
        }
        let first = bytes.first().copied().unwrap_or_default();
        let (prefix, is_indexed) = match first {
            0x80.. => return self.indexed(bytes, sink),
            0x40.. => (6, true),
            0x20.. => return self.resize(bytes),
            _ => (4, false),
        };
        self.is_start = false;
        let kind = Literal { prefix, is_indexed, never_indexed: first & 0xf0 == 0x10 };
        self.literal(bytes, &kind, sink)
    }

    fn indexed(
        &mut self,
        bytes: &[u8],
        sink: &mut impl FnMut(Found<'_>),
    ) -> Result<Step, HpackError> {
        self.is_start = false;
        let Integer::Whole(index, used) = integer::decode(bytes, 7)? else {
            return Ok(Step::Incomplete);
        };
        let (name, value) = self.table.get(index).ok_or(HpackError::Index)?;
        sink(Found::Field { name, value, never_indexed: false });
        Ok(Step::Taken(used))
    }

    fn resize(&mut self, bytes: &[u8]) -> Result<Step, HpackError> {
        if !self.is_start {
            return Err(HpackError::TableSize);
        }
        let Integer::Whole(size, used) = integer::decode(bytes, 5)? else {
            return Ok(Step::Incomplete);
        };
        if size > table::SIZE {
            return Err(HpackError::TableSize);
        }
        self.table.resize(size);
        Ok(Step::Taken(used))
    }

    fn literal(
        &mut self,
        bytes: &[u8],
        kind: &Literal,
        sink: &mut impl FnMut(Found<'_>),
    ) -> Result<Step, HpackError> {
        let Integer::Whole(index, mut used) = integer::decode(bytes, kind.prefix)? else {
            return Ok(Step::Incomplete);
        };
        self.name.clear();
        if index == 0 {
            match self.text(bytes.get(used..).unwrap_or_default())? {
                Text::Whole(coded, length) => {
                    coded.decode_into(&mut self.name)?;
                    used += length;
                }
                Text::TooLong { length, used: head } => {
                    sink(Found::TooLong(&[]));
                    return Ok(self.pass(kind, used + head, length, true));
                }
                Text::Incomplete => return Ok(Step::Incomplete),
            }
        } else {
            let (name, _) = self.table.get(index).ok_or(HpackError::Index)?;
            self.name.extend_from_slice(name);
        }
        match self.text(bytes.get(used..).unwrap_or_default())? {
            Text::Whole(coded, length) => {
                self.value.clear();
                coded.decode_into(&mut self.value)?;
                used += length;
            }
            Text::TooLong { length, used: head } => {
                sink(Found::TooLong(&self.name));
                return Ok(self.pass(kind, used + head, length, false));
            }
            Text::Incomplete => return Ok(Step::Incomplete),
        }
        let (name, value) = (self.name.as_slice(), self.value.as_slice());
        sink(Found::Field { name, value, never_indexed: kind.never_indexed });
        if kind.is_indexed {
            self.table.insert(&self.name, &self.value);
        }
        Ok(Step::Taken(used))
    }

    /// Passes over a string. A field with one is larger than the table, and empties it where it was
    /// to be put there (RFC 7541 §4.4).
    fn pass(&mut self, kind: &Literal, used: usize, left: usize, then_value: bool) -> Step {
        if kind.is_indexed {
            self.table.clear();
        }
        self.skip = Skip { left, then_value };
        Step::Taken(used)
    }

    /// The value behind a name that was passed over.
    fn pass_value(&mut self, bytes: &[u8]) -> Result<Step, HpackError> {
        let Integer::Whole(length, used) = integer::decode(bytes, 7)? else {
            return Ok(Step::Incomplete);
        };
        self.skip = Skip { left: length, then_value: false };
        Ok(Step::Taken(used))
    }

    fn text<'a>(&self, bytes: &'a [u8]) -> Result<Text<'a>, HpackError> {
        let Some(first) = bytes.first() else { return Ok(Text::Incomplete) };
        let Integer::Whole(length, used) = integer::decode(bytes, 7)? else {
            return Ok(Text::Incomplete);
        };
        if length > self.longest {
            return Ok(Text::TooLong { length, used });
        }
        Ok(match bytes.get(used..used + length) {
            Some(bytes) => {
                Text::Whole(Coded { bytes, is_huffman: first & 0x80 != 0 }, used + length)
            }
            None => Text::Incomplete,
        })
    }
}

/// The three kinds of literal fields (RFC 7541 §6.2).
struct Literal {
    prefix: u8,
    is_indexed: bool,
    never_indexed: bool,
}

impl Coded<'_> {
    fn decode_into(&self, out: &mut Vec<u8>) -> Result<(), HpackError> {
        if self.is_huffman {
            huffman::decode(self.bytes, out)
        } else {
            out.extend_from_slice(self.bytes);
            Ok(())
        }
    }
}

/// Writes a field that touches no table.
pub(super) fn encode(name: &[u8], value: &[u8], never_indexed: bool, out: &mut bytes::BytesMut) {
    out.extend_from_slice(&[if never_indexed { 0x10 } else { 0 }]);
    for text in [name, value] {
        integer::encode(text.len(), 7, out);
        out.extend_from_slice(text);
    }
}

#[cfg(test)]
mod tests;
