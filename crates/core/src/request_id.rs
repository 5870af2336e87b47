//! The id that one request carries through logs, answers and upstreams.

use std::fmt;

use crate::{Timestamp, random};

/// Name of the header that carries it, on answers and forwarded requests alike.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

/// Longest id accepted from a trusted proxy, in bytes.
const MAXIMUM: usize = 128;

/// 1 to 128 bytes of `A-Za-z0-9._-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Box<str>);

impl RequestId {
    /// A new id: a UUID of version 7 (RFC 9562 §5.7), so that ids sort by time.
    pub fn new(now: Timestamp) -> Self {
        let drawn = u128::from_be_bytes(random::bytes().unwrap_or_default());
        let millis = u128::from(now.unix_nanos() / 1_000_000);
        let version = 0x7 << 76;
        let variant = 0b10 << 62;
        let free = drawn & ((0xfff << 64) | ((1 << 62) - 1));
        Self(hyphenated((millis << 80) | version | variant | free))
    }

    /// Accepts an id that a trusted proxy sent, if it has the form above.
    pub fn from_peer(value: &[u8]) -> Option<Self> {
        let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if value.is_empty() || value.len() > MAXIMUM || !value.iter().all(allowed) {
            return None;
        }
        std::str::from_utf8(value).ok().map(|text| Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn hyphenated(value: u128) -> Box<str> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(36);
    for nibble in 0..32_u32 {
        if matches!(nibble, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        let index = usize::try_from((value >> (124 - nibble * 4)) & 0xf).unwrap_or_default();
        text.push(char::from(HEX.get(index).copied().unwrap_or(b'0')));
    }
    text.into_boxed_str()
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_are_uuids_of_version_7_and_sort_by_time() {
        let first = RequestId::new(Timestamp::from_unix_seconds(1_700_000_000));
        let second = RequestId::new(Timestamp::from_unix_seconds(1_700_000_001));
        assert_eq!(first.as_str().len(), 36);
        assert_eq!(first.as_str().as_bytes()[14], b'7');
        assert!(matches!(first.as_str().as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        assert!(first.as_str() < second.as_str());
        assert!(first.as_str().starts_with("018bcfe5-6800-7"), "{first}");
    }

    #[test]
    fn a_peers_id_is_kept_only_in_the_narrow_form() {
        assert!(RequestId::from_peer(b"a-Z0.9_").is_some());
        assert!(RequestId::from_peer(&[b'a'; 128]).is_some());
        for bad in [&b""[..], b"a b", b"a\r\nb", &[b'a'; 129], b"\xff"] {
            assert_eq!(RequestId::from_peer(bad), None, "{bad:?}");
        }
    }
}
