//! Integers with a prefix (RFC 7541 §5.1).

use bytes::BytesMut;

use super::HpackError;

pub(super) enum Integer {
    /// The number, and how many bytes say it.
    Whole(usize, usize),
    Incomplete,
}

/// Bytes behind the prefix that are read: no length or index of ours needs more.
const LONGEST: usize = 4;

/// Reads the integer whose first byte leaves `prefix` bits for it.
pub(super) fn decode(bytes: &[u8], prefix: u8) -> Result<Integer, HpackError> {
    let Some((first, rest)) = bytes.split_first() else { return Ok(Integer::Incomplete) };
    let mask = mask(prefix);
    let mut value = usize::from(*first) & mask;
    if value < mask {
        return Ok(Integer::Whole(value, 1));
    }
    for (at, byte) in rest.iter().take(LONGEST).enumerate() {
        value += usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Integer::Whole(value, at + 2));
        }
    }
    if rest.len() < LONGEST { Ok(Integer::Incomplete) } else { Err(HpackError::Integer) }
}

/// Writes an integer behind a prefix whose other bits are zero.
pub(super) fn encode(value: usize, prefix: u8, out: &mut BytesMut) {
    let mask = mask(prefix);
    if value < mask {
        out.extend_from_slice(&[low(value)]);
        return;
    }
    out.extend_from_slice(&[low(mask)]);
    let mut left = value - mask;
    while left >= 0x80 {
        out.extend_from_slice(&[low(left & 0x7f) | 0x80]);
        left >>= 7;
    }
    out.extend_from_slice(&[low(left)]);
}

const fn mask(prefix: u8) -> usize {
    (1 << prefix) - 1
}

fn low(value: usize) -> u8 {
    value.to_le_bytes().first().copied().unwrap_or_default()
}
