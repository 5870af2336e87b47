//! The head of a frame (RFC 9113 §4.1), and the two frames that the gate writes itself.

use bytes::{BufMut, BytesMut};

/// Bytes of a frame's head.
pub(super) const HEAD: usize = 9;

/// Longest payload: `SETTINGS_MAX_FRAME_SIZE` is never raised.
pub(super) const LONGEST: usize = 16_384;

/// Types of frames (RFC 9113 §6, RFC 9218 §7.1).
pub(super) mod kind {
    pub(crate) const DATA: u8 = 0x0;
    pub(crate) const HEADERS: u8 = 0x1;
    pub(crate) const PRIORITY: u8 = 0x2;
    pub(crate) const RST_STREAM: u8 = 0x3;
    pub(crate) const SETTINGS: u8 = 0x4;
    pub(crate) const PUSH_PROMISE: u8 = 0x5;
    pub(crate) const PING: u8 = 0x6;
    pub(crate) const GOAWAY: u8 = 0x7;
    pub(crate) const WINDOW_UPDATE: u8 = 0x8;
    pub(crate) const CONTINUATION: u8 = 0x9;
    pub(crate) const PRIORITY_UPDATE: u8 = 0x10;
}

/// Flags of frames.
pub(super) mod flag {
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// What every frame begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    /// Reads the head at the begin of `bytes`, if it is there.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [high, middle, low, kind, flags, stream @ ..] = bytes.first_chunk::<HEAD>()?;
        Some(Self {
            length: usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low),
            kind: *kind,
            flags: *flags,
            stream: u32::from_be_bytes(*stream) & 0x7fff_ffff,
        })
    }

    /// Writes it.
    pub(super) fn write(self, out: &mut BytesMut) {
        out.put_uint(self.length as u64, 3);
        out.put_u8(self.kind);
        out.put_u8(self.flags);
        out.put_u32(self.stream);
    }

    pub(super) const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The number at the begin of a payload.
pub(super) fn number(payload: &[u8]) -> Option<u32> {
    payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Writes a `RST_STREAM` frame.
pub(super) fn reset(stream: u32, code: u32, out: &mut BytesMut) {
    Head { length: 4, kind: kind::RST_STREAM, flags: 0, stream }.write(out);
    out.put_u32(code);
}

/// Writes a `GOAWAY` frame.
pub(super) fn go_away(last_stream: u32, code: u32, out: &mut BytesMut) {
    Head { length: 8, kind: kind::GOAWAY, flags: 0, stream: 0 }.write(out);
    out.put_u32(last_stream);
    out.put_u32(code);
}

/// Writes a field block as one `HEADERS` frame and as many `CONTINUATION` frames as it needs.
pub(super) fn headers(stream: u32, end_stream: bool, block: &[u8], out: &mut BytesMut) {
    let mut left = block;
    let mut kind = kind::HEADERS;
    let mut flags = if end_stream { flag::END_STREAM } else { 0 };
    loop {
        let (part, behind) = left.split_at_checked(LONGEST).unwrap_or((left, &[]));
        let end = if behind.is_empty() { flag::END_HEADERS } else { 0 };
        Head { length: part.len(), kind, flags: flags | end, stream }.write(out);
        out.extend_from_slice(part);
        if behind.is_empty() {
            return;
        }
        (left, kind, flags) = (behind, kind::CONTINUATION, 0);
    }
}
