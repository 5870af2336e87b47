//! What comes through the gate of HTTP/2 is in its grammar and needs no table to be read, and the
//! verdict does not depend on how the bytes arrived.
#![no_main]

use std::time::Duration;

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use portcullis_core::Authority;
use portcullis_edge::Ended;
use portcullis_edge::h2_gate::{FrameGate, FrameLimits, REFUSED};
use portcullis_edge::head_gate::HeadLimits;

const LIMITS: FrameLimits =
    FrameLimits { head: HeadLimits { size: 2048, fields: 16, target: 512 }, streams: 10 };

const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// What came out, in pieces of `cut` bytes.
fn judged(bytes: &[u8], cut: usize) -> (Result<(), Ended>, Vec<u8>, usize) {
    let mut gate = FrameGate::new(LIMITS, Duration::ZERO);
    let (mut input, mut output, mut all) = (BytesMut::new(), BytesMut::new(), Vec::new());
    let mut refused = 0;
    for piece in [SETTINGS].into_iter().chain(bytes.chunks(cut)) {
        input.extend_from_slice(piece);
        loop {
            let verdict = gate.advance(&mut input, &mut output, Duration::ZERO);
            all.extend_from_slice(&output.split());
            refused += gate.take_refused().len();
            if verdict.is_err() {
                return (verdict, all, refused);
            }
            if !gate.is_paused() {
                break;
            }
        }
    }
    (Ok(()), all, refused)
}

fuzz_target!(|bytes: &[u8]| {
    let whole = judged(bytes, bytes.len().max(1));
    for cut in [1, 7] {
        assert_eq!(judged(bytes, cut), whole, "the verdict depends on the pieces");
    }
    let (_, output, refused) = whole;
    assert_eq!(check(&output), refused, "a verdict without its mark");
    let mut gate = FrameGate::new(LIMITS, Duration::ZERO);
    gate.sent(bytes).ok();
});

/// Asserts that `frames` are in the grammar; how many heads stand for a refusal.
fn check(mut frames: &[u8]) -> usize {
    let (mut last, mut refused) = (0, 0);
    while let [a, b, c, kind, flags, s @ ..] = frames {
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        let stream = u32::from_be_bytes([s[0], s[1], s[2], s[3]]) & 0x7fff_ffff;
        // The payload of DATA goes through as it comes; it may be on its way.
        let payload = &s[4..s.len().min(4 + length)];
        frames = &s[4 + payload.len()..];
        assert!(length <= 16_384 && ![2, 5, 9].contains(kind) && *kind < 10);
        assert!(payload.len() == length || *kind == 0 || frames.is_empty());
        if *kind != 1 {
            continue;
        }
        assert!(flags & !5 == 0 && flags & 4 != 0);
        let fields = fields(payload);
        let is_head = stream > last;
        last = last.max(stream);
        let pseudo = if is_head { 4 } else { 0 };
        refused += usize::from(check_fields(&fields, pseudo, stream));
    }
    refused
}

/// Whether they stand for a refusal.
fn check_fields(fields: &[(&[u8], &[u8])], pseudo: usize, stream: u32) -> bool {
    for (at, (name, value)) in fields.iter().enumerate() {
        assert_eq!(name.starts_with(b":"), at < pseudo);
        assert!(!name.is_empty() && !name.iter().any(u8::is_ascii_uppercase));
        assert!(!value.iter().any(|b| (*b < 0x20 && *b != b'\t') || *b == 0x7f));
        assert!(!matches!(value, [b' ' | b'\t', ..] | [.., b' ' | b'\t']));
        assert!(!["host", "connection", "transfer-encoding"].iter().any(|n| n.as_bytes() == *name));
    }
    if pseudo == 0 {
        return false;
    }
    let [(_, method), (_, scheme), (_, authority), (_, path), ..] = fields else {
        panic!("no whole head");
    };
    if *method == REFUSED.as_bytes() {
        assert_eq!(*path, format!("/{stream}").as_bytes());
        return true;
    }
    assert!(method.iter().all(u8::is_ascii_uppercase) && *method != b"CONNECT");
    assert!(*scheme == b"http" || *scheme == b"https");
    assert!(std::str::from_utf8(authority).is_ok_and(|text| Authority::parse(text).is_ok()));
    assert!(path.starts_with(b"/") && path.len() <= 512 && !path.contains(&b'#'));
    false
}

/// Literal fields without Huffman code: nothing else is written.
fn fields(mut block: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut found = Vec::new();
    while let [kind, rest @ ..] = block {
        assert!(*kind == 0 || *kind == 0x10, "not a literal");
        let (name, rest) = text(rest);
        let (value, rest) = text(rest);
        found.push((name, value));
        block = rest;
    }
    found
}

fn text(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut length = usize::from(bytes[0]);
    let mut used = 1;
    assert!(length < 128, "Huffman code");
    if length == 127 {
        loop {
            let byte = bytes[used];
            length += usize::from(byte & 127) << (7 * (used - 1));
            used += 1;
            if byte < 128 {
                break;
            }
        }
    }
    bytes[used..].split_at(length)
}
