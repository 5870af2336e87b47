//! The Huffman code of RFC 7541 §5.2 and appendix B.
//!
//! It is canonical: codes of one length follow each other in the order of their symbols, and longer
//! ones follow shorter ones. So the lengths say all of it.

use std::sync::LazyLock;

use super::HpackError;

/// Bits of the code of each byte, and last of the end of a string.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// The symbol that must not be met: the end of a string.
const END: u16 = 256;

/// A symbol and the bits of its code.
type Code = (u16, u32);

/// All codes of one length.
#[derive(Clone, Copy, Debug)]
struct Group {
    bits: u32,
    /// The first code, at the left of 32 bits, and the first number behind the last.
    first: u64,
    behind: u64,
    /// Where its symbols begin.
    at: usize,
}

#[derive(Debug)]
struct Tables {
    /// By the first 8 bits, where these are enough.
    short: Vec<Option<Code>>,
    groups: Vec<Group>,
    /// In the order of their codes.
    symbols: Vec<u16>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::new);

impl Tables {
    fn new() -> Self {
        let mut tables = Self { short: Vec::new(), groups: Vec::new(), symbols: Vec::new() };
        let mut next: u64 = 0;
        for bits in 5..=30_u8 {
            let at = tables.symbols.len();
            let same = (0_u16..).zip(LENGTHS).filter(|(_, length)| *length == bits);
            tables.symbols.extend(same.map(|(symbol, _)| symbol));
            let count = tables.symbols.len() - at;
            let behind = next + ((count as u64) << (32 - u32::from(bits)));
            tables.groups.push(Group { bits: bits.into(), first: next, behind, at });
            next = behind;
        }
        let short = |first: u32| tables.search(first << 24).filter(|(_, bits)| *bits <= 8);
        tables.short = (0..=255).map(short).collect();
        tables
    }

    /// The code at the left of `window`.
    fn find(&self, window: u32) -> Option<Code> {
        let first = usize::try_from(window >> 24).unwrap_or_default();
        self.short.get(first).copied().flatten().or_else(|| self.search(window))
    }

    fn search(&self, window: u32) -> Option<Code> {
        let window = u64::from(window);
        let group = self.groups.iter().find(|group| window < group.behind)?;
        let nth = usize::try_from((window - group.first) >> (32 - group.bits)).ok()?;
        Some((*self.symbols.get(group.at + nth)?, group.bits))
    }
}

/// Appends what `bytes` say. Padding is the begin of the end symbol, and shorter than a byte.
pub(super) fn decode(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), HpackError> {
    let tables = &*TABLES;
    let mut bytes = bytes.iter();
    let mut held: u64 = 0;
    let mut bits: u32 = 0;
    loop {
        while bits <= 56
            && let Some(byte) = bytes.next()
        {
            held = held << 8 | u64::from(*byte);
            bits += 8;
        }
        let window = window(held, bits);
        let (symbol, used) = tables.find(window).ok_or(HpackError::Huffman)?;
        if used > bits {
            let is_padding = bits < 8 && window == u32::MAX;
            return if is_padding { Ok(()) } else { Err(HpackError::Huffman) };
        }
        if symbol == END {
            return Err(HpackError::Huffman);
        }
        out.push(u8::try_from(symbol).unwrap_or_default());
        bits -= used;
    }
}

/// The next 32 bits; ones behind the end.
fn window(held: u64, bits: u32) -> u32 {
    let window = if bits >= 32 {
        held >> (bits - 32)
    } else {
        held << (32 - bits) | u64::from(u32::MAX >> bits)
    };
    u32::try_from(window & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}
