//! For any frames: the gate never panics, the verdict does not depend on how they arrive, and what
//! comes out is a connection that another parser reads as the gate did.

use proptest::prelude::*;

use super::tests::{Line, NOW, block, frame, read};
use super::*;

/// Frames of which connections are made, good ones and bad ones.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let stream = prop::sample::select(vec![0_u32, 1, 2, 3, 5, 7, 0x7fff_ffff]);
    let kinds = prop::sample::select(vec![0_u8, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 16, 99]);
    let flags = prop::sample::select(vec![0_u8, 1, 4, 5, 8, 13, 0x20, 0x25, 0x2d, 0xff]);
    let payload = prop_oneof![
        2 => prop::collection::vec(any::<u8>(), 0..16),
        4 => fields().prop_map(|fields| {
            let fields: Vec<(&str, &str)> =
                fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            block(&fields)
        }),
        1 => prop::collection::vec(prop::sample::select(vec![0x82_u8, 0x86, 0x84, 0xbe, 0x20]), 0..8),
    ];
    (kinds, flags, stream, payload)
        .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload))
}

fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    let good = [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a.test")];
    let good = good.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let names = prop::sample::select(vec![
        "x",
        "X",
        ":path",
        ":x",
        "host",
        "te",
        "cookie",
        "content-length",
        "connection",
        "a b",
        "",
    ]);
    let values =
        prop::sample::select(vec!["", "a.test", "0", "7", " x", "trailers", "x\r\ny", "/#"]);
    let more = (names, values).prop_map(|(name, value)| (name.to_owned(), value.to_owned()));
    (any::<bool>(), prop::collection::vec(more, 0..4)).prop_map(move |(is_good, more)| {
        let mut fields = if is_good { good.clone() } else { Vec::new() };
        fields.extend(more);
        fields
    })
}

/// What came out must be frames that need no table, of heads in the grammar, each on a new stream.
fn check(line: &mut Line) {
    let mut last = 0;
    let mut open = std::collections::HashSet::new();
    for (head, payload) in line.frames() {
        assert!(head.length <= frame::LONGEST);
        assert!(
            ![kind::PRIORITY, kind::PUSH_PROMISE, kind::PRIORITY_UPDATE].contains(&head.kind)
                && head.kind <= kind::CONTINUATION
        );
        if head.kind != kind::HEADERS {
            continue;
        }
        assert_eq!(head.flags & !(flag::END_STREAM | flag::END_HEADERS), 0);
        let fields = read(&payload);
        if head.stream <= last {
            assert!(open.remove(&head.stream), "trailers of nothing");
            assert!(head.has(flag::END_STREAM));
            check_fields(&fields);
            continue;
        }
        last = head.stream;
        if !head.has(flag::END_STREAM) {
            open.insert(head.stream);
        }
        let expected = [":method", ":scheme", ":authority", ":path"];
        assert!(fields.iter().map(|(name, _)| name.as_str()).take(4).eq(expected));
        check_fields(&fields[4..]);
    }
}

fn check_fields(fields: &[(String, String)]) {
    let named = |name: &str| fields.iter().filter(|(n, _)| n == name).count();
    for (name, value) in fields {
        assert!(!name.starts_with(':'));
        assert!(value.trim_matches([' ', '\t']) == value && !value.contains(['\r', '\n', '\0']));
    }
    assert!(named("cookie") <= 1 && named("content-length") <= 1);
    assert_eq!(named("host") + named("connection"), 0);
}

proptest! {
    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let mut line = Line::new();
        line.send(&bytes).ok();
        line.gate.sent(&bytes).ok();
    }

    #[test]
    fn what_comes_out_is_in_the_grammar_however_it_arrives(
        pieces in prop::collection::vec(piece(), 0..24),
        cut in 1_usize..40,
    ) {
        let bytes = pieces.concat();
        let mut whole = Line::new();
        let verdict = whole.send(&bytes);
        let mut parts = Line::new();
        let verdict_of_parts = bytes.chunks(cut).try_for_each(|part| parts.send(part));
        prop_assert_eq!(verdict, verdict_of_parts);
        prop_assert_eq!(whole.gate.take_refused(), parts.gate.take_refused());
        prop_assert_eq!(&whole.output, &parts.output);
        if verdict.is_ok() && parts.gate.passing == 0 {
            check(&mut whole);
        }
    }

    #[test]
    fn what_is_sent_is_watched_however_it_is_cut(
        pieces in prop::collection::vec(piece(), 0..24),
        cut in 1_usize..40,
    ) {
        let bytes = pieces.concat();
        let gate = || FrameGate::new(
            FrameLimits { head: HeadLimits { size: 1, fields: 1, target: 1 }, streams: 1 },
            NOW,
        );
        let (mut whole, mut parts) = (gate(), gate());
        prop_assert_eq!(whole.sent(&bytes), bytes.chunks(cut).try_for_each(|part| parts.sent(part)));
        let goodbye = |gate: &FrameGate| gate.farewell(Some(Ended::Pings));
        prop_assert_eq!(goodbye(&whole), goodbye(&parts));
    }
}
