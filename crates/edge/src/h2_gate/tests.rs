//! The rules one by one.

use portcullis_core::Denial;

use super::frame::headers;
use super::*;

const LIMITS: FrameLimits =
    FrameLimits { head: HeadLimits { size: 4_000, fields: 10, target: 200 }, streams: 100 };

pub(super) const NOW: Duration = Duration::from_secs(1_000);

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    Head { length: payload.len(), kind, flags, stream }.write(&mut out);
    out.extend_from_slice(payload);
    out.to_vec()
}

pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for (name, value) in fields {
        hpack::encode(name.as_bytes(), value.as_bytes(), false, &mut out);
    }
    out.to_vec()
}

const GOOD: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":path", "/a?b"), (":authority", "a.test")];

const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "https"), (":path", "/"), (":authority", "a.test")];

fn with(more: &[(&str, &str)]) -> Vec<u8> {
    block(&[&GOOD[..], more].concat())
}

/// What a block without tables says.
pub(super) fn read(block: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| bytes.iter().map(|b| char::from(*b)).collect::<String>();
    let mut fields = Vec::new();
    let taken = Decoder::new(1 << 20).decode(block, &mut |found| match found {
        hpack::Found::Field { name, value, .. } => fields.push((text(name), text(value))),
        hpack::Found::TooLong(name) => panic!("{name:?} is too long"),
    });
    assert_eq!(taken, Ok(block.len()));
    fields
}

/// A gate and what came out of it.
pub(super) struct Line {
    pub(super) gate: FrameGate,
    pub(super) input: BytesMut,
    pub(super) output: BytesMut,
}

impl Line {
    pub(super) fn silent() -> Self {
        let gate = FrameGate::new(LIMITS, NOW);
        Self { gate, input: BytesMut::new(), output: BytesMut::new() }
    }

    /// Behind the first SETTINGS.
    pub(super) fn new() -> Self {
        let mut line = Self::silent();
        line.send(&frame(kind::SETTINGS, 0, 0, &[])).unwrap();
        line.output.clear();
        line
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        self.send_at(bytes, NOW)
    }

    fn send_at(&mut self, bytes: &[u8], now: Duration) -> Result<(), Ended> {
        self.input.extend_from_slice(bytes);
        self.gate.advance(&mut self.input, &mut self.output, now)
    }

    fn request(&mut self, stream: u32, block: &[u8]) -> Result<(), Ended> {
        self.send(&frame(kind::HEADERS, flag::END_STREAM | flag::END_HEADERS, stream, block))
    }

    /// The frames that came out since this was last asked.
    pub(super) fn frames(&mut self) -> Vec<(Head, Vec<u8>)> {
        let mut frames = Vec::new();
        while let Some(head) = Head::read(&self.output) {
            let whole = self.output.split_to(HEAD + head.length);
            frames.push((head, whole[HEAD..].to_vec()));
        }
        assert!(self.output.is_empty(), "half a frame");
        frames
    }

    /// The fields of the one head that came out.
    fn head(&mut self) -> Vec<(String, String)> {
        let frames = self.frames();
        assert_eq!(frames.len(), 1, "{frames:?}");
        assert_eq!(frames[0].0.kind, kind::HEADERS);
        read(&frames[0].1)
    }
}

fn verdict(block: &[u8]) -> Option<Denial> {
    let mut line = Line::new();
    line.request(1, block).unwrap();
    let refused = line.gate.take_refused();
    let fields = line.head();
    assert_eq!(fields[0].1 == REFUSED, !refused.is_empty(), "{fields:?}");
    refused.into_iter().next().map(|refused| {
        assert_eq!(refused.stream, 1);
        assert_eq!(fields.len(), 4, "no more than the mark");
        refused.rejected.denial
    })
}

#[track_caller]
fn malformed(block: &[u8], reason: &str) {
    match verdict(block) {
        Some(Denial::Malformed { reason: actual }) => {
            assert!(actual.contains(reason), "{actual}, not {reason}");
        }
        other => panic!("{other:?} for {reason}"),
    }
}

#[track_caller]
fn breach(bytes: &[u8], code: u32) {
    let mut line = Line::new();
    line.send(&frame(kind::HEADERS, flag::END_HEADERS, 1, &block(&POST))).unwrap();
    assert_eq!(line.send(bytes), Err(Ended::Protocol(code)));
}

#[test]
fn a_good_head_is_written_anew() {
    let mut line = Line::new();
    line.request(1, &with(&[("x", "y"), ("te", "trailers"), ("host", "a.test")])).unwrap();
    let expected = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "a.test"),
        (":path", "/a?b"),
        ("x", "y"),
        ("te", "trailers"),
    ];
    let fields = line.head();
    let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(fields, expected);
}

#[test]
fn pieces_of_a_cookie_are_one_field() {
    let mut line = Line::new();
    let mut pieces = vec![("cookie", "a=1"), ("x", "y")];
    pieces.extend([("cookie", "b=2"); 12]);
    line.request(1, &with(&pieces)).unwrap();
    let fields = line.head();
    let joined = format!("a=1{}", "; b=2".repeat(12));
    assert_eq!(fields.last(), Some(&("cookie".to_owned(), joined)));
    assert_eq!(fields.len(), 6);
}

#[test]
fn what_must_not_be_indexed_stays_so() {
    let mut line = Line::new();
    let mut coded = BytesMut::from(&block(&GOOD)[..]);
    hpack::encode(b"authorization", b"Bearer x", true, &mut coded);
    line.request(1, &coded).unwrap();
    let frames = line.frames();
    let at = frames[0].1.windows(13).position(|part| part == b"authorization").unwrap();
    assert_eq!(frames[0].1[at - 2], 0x10);
}

#[test]
fn pseudo_header_fields_have_their_order_and_number() {
    for missing in 0..4 {
        let mut fields = GOOD.to_vec();
        fields.remove(missing);
        malformed(&block(&fields), "there is no");
        let twice = [&GOOD[..], &GOOD[missing..=missing]].concat();
        malformed(&block(&twice), "twice");
    }
    malformed(&with(&[("x", "y"), (":path", "/")]), "behind");
    malformed(&with(&[(":status", "200")]), "no request has");
    malformed(&with(&[(":protocol", "websocket")]), "no request has");
    malformed(&with(&[(":x", "y")]), "no request has");
    malformed(&with(&[(":", "y")]), "no request has");
    malformed(&with(&[(":Path", "/")]), "no request has");
    malformed(&[], "there is no :method");
}

#[test]
fn fields_have_the_grammar_of_http_1() {
    for name in ["X", "x y", "x:", "", "x\u{1}", "é", " x", "x "] {
        malformed(&with(&[(name, "y")]), "not a token");
    }
    for value in [" y", "y ", "\ty", "y\t", " "] {
        malformed(&with(&[("x", value)]), "white space");
    }
    for value in ["y\r\nz", "y\n", "\0", "\u{b}", "\u{7f}"] {
        malformed(&with(&[("x", value)]), "control character");
    }
    for value in ["", "y z", "y\tz", "é"] {
        assert_eq!(verdict(&with(&[("x", value)])), None, "{value:?}");
    }
    for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] {
        malformed(&with(&[(name, "x")]), "of a connection");
    }
    malformed(&with(&[("te", "gzip")]), "te is not");
    malformed(&with(&[("te", "trailers, gzip")]), "te is not");
    malformed(&with(&[("content_length", "0")]), "underscore");
    malformed(&with(&[("transfer_encoding", "chunked")]), "underscore");
}

#[test]
fn the_target_the_scheme_and_the_authority_are_strict() {
    let set = |at: usize, value: &'static str| {
        let mut fields = GOOD.to_vec();
        fields[at].1 = value;
        block(&fields)
    };
    for path in ["", "a", "*", "/a#b", "/a b", "/a\0", "http://a.test/", "/é", "/\\", "?x"] {
        assert!(matches!(verdict(&set(2, path)), Some(Denial::Malformed { .. })), "{path:?}");
    }
    for scheme in ["file", "HTTPS", "ftp", "", "ws", "https "] {
        assert!(matches!(verdict(&set(1, scheme)), Some(Denial::Malformed { .. })), "{scheme:?}");
    }
    for authority in
        ["", "a.test, b.test", "u@a.test", "a.test/x", "a b", "a.test:", "a..test", ":80"]
    {
        malformed(&set(3, authority), ":authority is not");
    }
    malformed(&with(&[("host", "b.test")]), "differ");
    malformed(&with(&[("host", "a.test"), ("host", "a.test")]), "more than one host");
}

#[test]
fn methods_are_those_of_http_1() {
    let set = |method: &'static str| {
        let mut fields = GOOD.to_vec();
        fields[0].1 = method;
        block(&fields)
    };
    for method in ["get", "G T", "", "PRI", "m-x", REFUSED] {
        assert!(matches!(verdict(&set(method)), Some(Denial::Malformed { .. })), "{method:?}");
    }
    assert!(matches!(verdict(&set("TRACE")), Some(Denial::MethodNotAllowed { .. })));
    let star =
        [(":method", "OPTIONS"), (":scheme", "https"), (":path", "*"), (":authority", "a.test")];
    assert!(matches!(verdict(&block(&star)), Some(Denial::MethodNotAllowed { .. })));
    let connect = [(":method", "CONNECT"), (":authority", "a.test:443")];
    assert!(matches!(verdict(&block(&connect)), Some(Denial::MethodNotAllowed { .. })));
    let extended = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":path", "/"),
        (":authority", "a.test"),
    ];
    assert!(matches!(verdict(&block(&extended)), Some(Denial::MethodNotAllowed { .. })));
}

#[test]
fn the_announced_length_is_one_number() {
    for value in ["00", "+1", "-1", "1, 1", "0x1", "", "1 ", "18446744073709551616"] {
        assert!(verdict(&with(&[("content-length", value)])).is_some(), "{value:?}");
    }
    malformed(&with(&[("content-length", "0"), ("content-length", "0")]), "more than one");
    malformed(&with(&[("content-length", "1")]), "ends with the head");
    assert_eq!(verdict(&with(&[("content-length", "0")])), None);
}

#[test]
fn sizes_have_bounds() {
    let many = [("x", "y"); 10];
    assert_eq!(verdict(&with(&many)), None);
    assert_eq!(verdict(&with(&[("x", "y"); 11])), Some(Denial::HeadTooLarge));
    assert_eq!(verdict(&with(&[("x", &"y".repeat(4_000))])), Some(Denial::HeadTooLarge));
    let long = format!("/{}", "x".repeat(200));
    let fields = [GOOD[0], GOOD[1], (":path", &long), GOOD[3]];
    assert_eq!(verdict(&block(&fields)), Some(Denial::TargetTooLong));
}

#[test]
fn a_head_of_a_megabyte_is_refused_and_the_next_one_is_read() {
    for (name, expected) in [("x", Denial::HeadTooLarge), (":path", Denial::TargetTooLong)] {
        let mut line = Line::new();
        // It puts a field into the table first, which is gone afterwards.
        let huge = "y".repeat(1_200_000);
        let mut coded = block(&GOOD[..2]);
        coded.extend([0x40, 1, b'a', 1, b'b']);
        coded.extend(block(&[(name, &huge)]));
        let parts: Vec<&[u8]> = coded.chunks(frame::LONGEST).collect();
        for (at, part) in parts.iter().enumerate() {
            let (kind, first) =
                if at == 0 { (kind::HEADERS, flag::END_STREAM) } else { (kind::CONTINUATION, 0) };
            let end = if at + 1 == parts.len() { flag::END_HEADERS } else { 0 };
            line.send(&frame(kind, first | end, 1, part)).unwrap();
            let held = line.gate.block.as_ref().map_or(0, |block| block.rest.len());
            assert!(held <= 2 * frame::LONGEST, "{held} bytes are kept");
        }
        let refused = line.gate.take_refused();
        let pseudo_behind = name == ":path";
        if !pseudo_behind {
            assert_eq!(refused[0].rejected.denial, expected);
        }
        assert_eq!(refused.len(), 1);
        line.frames();
        line.request(3, &[block(&GOOD), vec![0xbe]].concat()).unwrap();
        assert_eq!(line.head().last().unwrap(), &("a".to_owned(), "b".to_owned()));
    }
}

#[test]
fn an_indexed_field_costs_its_length_each_time() {
    let mut line = Line::new();
    let mut coded = block(&GOOD);
    coded.extend_from_slice(&[0x40, 1, b'a']);
    let mut value = BytesMut::new();
    hpack::encode(b"", "b".repeat(3_000).as_bytes(), false, &mut value);
    coded.extend_from_slice(&value[2..]);
    coded.extend([0xbe; 8_000]);
    line.request(1, &coded).unwrap();
    assert_eq!(line.gate.take_refused()[0].rejected.denial, Denial::HeadTooLarge);
    assert!(line.output.len() < 200);
}

#[test]
fn padding_and_priority_are_taken_off() {
    let mut line = Line::new();
    let mut payload = vec![3, 0, 0, 0, 0, 16];
    payload.extend(block(&GOOD));
    payload.extend([0; 3]);
    let flags = flag::PADDED | flag::PRIORITY | flag::END_HEADERS | flag::END_STREAM;
    line.send(&frame(kind::HEADERS, flags, 1, &payload)).unwrap();
    assert_eq!(line.head().len(), 4);
}

#[test]
fn trailers_end_their_stream_and_have_no_place_for_what_frames_or_routes() {
    let trailers = |fields: &[(&str, &str)], flags: u8| {
        let mut line = Line::new();
        line.send(&frame(kind::HEADERS, flag::END_HEADERS, 1, &block(&POST))).unwrap();
        line.frames();
        let sent = line.send(&frame(kind::HEADERS, flag::END_HEADERS | flags, 1, &block(fields)));
        assert_eq!(sent, Ok(()));
        let frames = line.frames();
        assert_eq!(frames.len(), 1);
        let is_reset = frames[0].0.kind == kind::RST_STREAM;
        let replies = line.gate.take_replies();
        assert_eq!(is_reset, !replies.is_empty(), "both sides hear of it");
        (!is_reset).then(|| read(&frames[0].1))
    };
    let good = trailers(&[("grpc-status", "0")], flag::END_STREAM).unwrap();
    assert_eq!(good, [("grpc-status".to_owned(), "0".to_owned())]);
    assert_eq!(trailers(&[("grpc-status", "0")], 0), None, "it must be the end");
    for name in [
        ":path",
        ":status",
        "X",
        "content-length",
        "transfer-encoding",
        "host",
        "connection",
        "te",
        "trailer",
        "authorization",
        "cookie",
        "transfer_encoding",
    ] {
        assert_eq!(trailers(&[("x", "y"), (name, "0")], flag::END_STREAM), None, "{name}");
    }
    assert_eq!(trailers(&[(":path", "/")], flag::END_STREAM), None, "nor is it left out");
    assert_eq!(trailers(&[("x", " y")], flag::END_STREAM), None);
    assert_eq!(trailers(&[("x", "y"); 11], flag::END_STREAM), None);
}

#[test]
fn frames_that_break_the_protocol_end_the_connection() {
    let (protocol, size) = (code::PROTOCOL_ERROR, code::FRAME_SIZE_ERROR);
    breach(&frame(kind::DATA, 0, 0, b"x"), protocol);
    breach(&frame(kind::DATA, 0, 3, b"x"), protocol);
    breach(&frame(kind::DATA, 0, 2, b"x"), protocol);
    breach(&frame(kind::DATA, flag::PADDED, 1, &[5, 0, 0]), protocol);
    breach(&frame(kind::DATA, flag::PADDED, 1, &[]), protocol);
    breach(&frame(kind::DATA, 0, 1, &vec![0; frame::LONGEST + 1]), size);
    breach(&frame(kind::HEADERS, flag::END_HEADERS, 0, &[]), protocol);
    breach(&frame(kind::HEADERS, flag::END_HEADERS, 2, &[]), protocol);
    breach(&frame(kind::HEADERS, flag::END_HEADERS | flag::PADDED, 3, &[2, 0]), protocol);
    breach(&frame(kind::HEADERS, flag::END_HEADERS | flag::PRIORITY, 3, &[0; 4]), size);
    breach(
        &frame(kind::HEADERS, flag::END_HEADERS | flag::PRIORITY, 3, &[0, 0, 0, 3, 0]),
        protocol,
    );
    breach(&frame(kind::PRIORITY, 0, 0, &[0; 5]), protocol);
    breach(&frame(kind::PRIORITY, 0, 1, &[0; 4]), size);
    breach(&frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 1, 0]), protocol);
    breach(&frame(kind::RST_STREAM, 0, 0, &[0; 4]), protocol);
    breach(&frame(kind::RST_STREAM, 0, 3, &[0; 4]), protocol);
    breach(&frame(kind::RST_STREAM, 0, 1, &[0; 3]), size);
    breach(&frame(kind::SETTINGS, 0, 1, &[]), protocol);
    breach(&frame(kind::SETTINGS, 0, 0, &[0; 5]), size);
    breach(&frame(kind::SETTINGS, flag::ACK, 0, &[0; 6]), size);
    breach(&frame(kind::SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2]), protocol);
    breach(&frame(kind::SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0]), code::FLOW_CONTROL_ERROR);
    breach(&frame(kind::SETTINGS, 0, 0, &[0, 5, 0, 0, 0x3f, 0xff]), protocol);
    breach(&frame(kind::SETTINGS, 0, 0, &[0, 5, 1, 0, 0, 0]), protocol);
    breach(&frame(kind::PUSH_PROMISE, flag::END_HEADERS, 1, &[0, 0, 0, 2]), protocol);
    breach(&frame(kind::PING, 0, 0, &[0; 7]), size);
    breach(&frame(kind::PING, 0, 1, &[0; 8]), protocol);
    breach(&frame(kind::GOAWAY, 0, 1, &[0; 8]), protocol);
    breach(&frame(kind::GOAWAY, 0, 0, &[0; 7]), size);
    breach(&frame(kind::WINDOW_UPDATE, 0, 0, &[0; 4]), protocol);
    breach(&frame(kind::WINDOW_UPDATE, 0, 1, &[0x80, 0, 0, 0]), protocol);
    breach(&frame(kind::WINDOW_UPDATE, 0, 3, &[0, 0, 0, 1]), protocol);
    breach(&frame(kind::WINDOW_UPDATE, 0, 1, &[0; 3]), size);
    breach(&frame(kind::CONTINUATION, flag::END_HEADERS, 1, &[]), protocol);
    breach(&frame(kind::HEADERS, flag::END_HEADERS, 3, &[0x80]), code::COMPRESSION_ERROR);
    breach(&frame(kind::HEADERS, flag::END_HEADERS, 3, &[0x40, 1]), code::COMPRESSION_ERROR);
}

#[test]
fn a_field_block_is_not_interrupted() {
    for next in [
        frame(kind::DATA, 0, 1, b"x"),
        frame(kind::PING, 0, 0, &[0; 8]),
        frame(0xee, 0, 1, &[]),
        frame(kind::CONTINUATION, flag::END_HEADERS, 3, &[]),
        frame(kind::HEADERS, flag::END_HEADERS, 3, &block(&GOOD)),
    ] {
        let mut line = Line::new();
        line.send(&frame(kind::HEADERS, flag::END_STREAM, 1, &block(&GOOD))).unwrap();
        assert_eq!(line.send(&next), Err(Ended::Protocol(code::PROTOCOL_ERROR)));
        assert!(line.output.is_empty(), "nothing of it went through");
    }
}

#[test]
fn settings_come_first() {
    for first in [
        frame(kind::PING, 0, 0, &[0; 8]),
        frame(kind::SETTINGS, flag::ACK, 0, &[]),
        frame(kind::HEADERS, flag::END_HEADERS, 1, &block(&GOOD)),
        frame(0xee, 0, 0, &[]),
    ] {
        assert_eq!(Line::silent().send(&first), Err(Ended::Protocol(code::PROTOCOL_ERROR)));
    }
}

#[test]
fn headers_on_a_stream_that_is_over_are_an_error_unless_we_ended_it() {
    let mut line = Line::new();
    line.request(1, &block(&GOOD)).unwrap();
    assert_eq!(line.request(1, &block(&GOOD)), Err(Ended::Protocol(code::STREAM_CLOSED)));

    let mut line = Line::new();
    line.request(5, &block(&GOOD)).unwrap();
    assert_eq!(line.request(3, &block(&GOOD)), Err(Ended::Protocol(code::STREAM_CLOSED)), "older");

    let data = frame(kind::DATA, 0, 1, b"x");
    let mut line = Line::new();
    line.request(1, &block(&GOOD)).unwrap();
    assert_eq!(line.send(&data), Err(Ended::Protocol(code::STREAM_CLOSED)));
    let mut line = Line::new();
    line.send(&frame(kind::HEADERS, flag::END_HEADERS, 1, &block(&POST))).unwrap();
    line.send(&data).unwrap();
    line.send(&frame(kind::RST_STREAM, 0, 1, &[0; 4])).unwrap();
    assert_eq!(line.send(&data), Err(Ended::Protocol(code::STREAM_CLOSED)), "cancelled");

    // We reset it while data and trailers were on their way.
    let mut line = Line::new();
    line.send(&frame(kind::HEADERS, flag::END_HEADERS, 1, &block(&POST))).unwrap();
    line.gate.sent(&frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 8])).unwrap();
    line.send(&data).unwrap();
    line.frames();
    line.request(1, &[0x40, 1, b'a', 1, b'b']).unwrap();
    assert_eq!(line.frames(), []);
    line.request(3, &[block(&GOOD), vec![0xbe]].concat()).unwrap();
    assert_eq!(line.head().last().unwrap().0, "a", "the tables are in step");
}

#[test]
fn what_nobody_needs_is_left_out() {
    let mut line = Line::new();
    line.send(&frame(0xee, 0xff, 77, b"whatever")).unwrap();
    line.send(&frame(kind::PRIORITY, 0, 7, &[0; 5])).unwrap();
    line.send(&frame(kind::PRIORITY_UPDATE, 0, 0, &[0, 0, 0, 1])).unwrap();
    assert_eq!(line.frames(), []);
    line.send(&frame(kind::PING, 0, 0, &[1; 8])).unwrap();
    line.send(&frame(kind::SETTINGS, 0, 0, &[0xff, 0xff, 0, 0, 0, 0])).unwrap();
    line.send(&frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])).unwrap();
    assert_eq!(line.frames().len(), 3);
}

#[test]
fn a_malformed_request_is_reset_behind_its_answer() {
    let mut line = Line::new();
    line.request(1, &with(&[("X", "y")])).unwrap();
    let answer = frame(kind::HEADERS, flag::END_HEADERS, 1, &[0; 20]);
    line.gate.sent(&answer).unwrap();
    assert!(line.gate.take_replies().is_empty());
    let body = frame(kind::DATA, flag::END_STREAM, 1, &[0; 50]);
    line.gate.sent(&body[..30]).unwrap();
    assert!(line.gate.take_replies().is_empty(), "not in the middle of a frame");
    assert!(line.gate.farewell(Some(Ended::Cancels)).is_empty());
    line.gate.sent(&body[30..]).unwrap();
    assert_eq!(line.gate.take_replies(), frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 1]));
    let goodbye = frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 11]);
    assert_eq!(line.gate.farewell(Some(Ended::Cancels)), goodbye);
    // What is refused for another reason is an answer like others.
    let trace = [(":method", "TRACE"), GOOD[1], GOOD[2], GOOD[3]];
    line.request(3, &block(&trace)).unwrap();
    line.gate.sent(&frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 3, &[])).unwrap();
    assert!(line.gate.take_replies().is_empty());
}

#[test]
fn nothing_is_put_between_the_frames_of_a_field_block() {
    let mut line = Line::new();
    line.request(1, &with(&[("X", "y")])).unwrap();
    line.gate.sent(&frame(kind::HEADERS, flag::END_STREAM, 1, &[0; 20])).unwrap();
    assert!(line.gate.take_replies().is_empty());
    assert!(line.gate.farewell(None).is_empty());
    line.gate.sent(&frame(kind::CONTINUATION, flag::END_HEADERS, 1, &[0; 20])).unwrap();
    assert!(!line.gate.take_replies().is_empty());
}

#[test]
fn goodbye_is_said_once() {
    let code = |gate: &FrameGate, ended| gate.farewell(ended).last().copied();
    let mut line = Line::new();
    line.request(7, &block(&GOOD)).unwrap();
    assert_eq!(line.gate.farewell(None), frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 7, 0, 0, 0, 0]));
    // The engine drains.
    line.gate.sent(&frame(kind::GOAWAY, 0, 0, &[0x7f, 255, 255, 255, 0, 0, 0, 0])).unwrap();
    assert_eq!(code(&line.gate, None), None);
    assert_eq!(code(&line.gate, Some(Ended::Pings)), Some(11));
    // The engine ends the connection.
    let goodbye = frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 7, 0, 0, 0, 3]);
    assert_eq!(line.gate.sent(&goodbye), Err(Ended::Protocol(3)));
    assert_eq!(code(&line.gate, Some(Ended::Protocol(3))), None);
    let calm = frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 7, 0, 0, 0, 11]);
    assert_eq!(line.gate.sent(&calm), Err(Ended::Engine));
}

#[test]
fn small_blocks_that_say_much_wait_for_the_engine() {
    let mut line = Line::new();
    let mut coded = block(&GOOD);
    coded.extend_from_slice(&[0x40, 1, b'a']);
    let mut value = BytesMut::new();
    hpack::encode(b"", "b".repeat(3_000).as_bytes(), false, &mut value);
    coded.extend_from_slice(&value[2..]);
    line.request(1, &coded).unwrap();
    line.output.clear();
    let small = [block(&GOOD), vec![0xbe]].concat();
    let flags = flag::END_STREAM | flag::END_HEADERS;
    let many: Vec<u8> =
        (1..100).flat_map(|n| frame(kind::HEADERS, flags, 2 * n + 1, &small)).collect();
    line.send(&many).unwrap();
    let mut heads = 0;
    while line.gate.is_paused() {
        assert!(line.output.len() < 2 * ENOUGH);
        heads += line.frames().len();
        line.send(&[]).unwrap();
    }
    assert_eq!(heads + line.frames().len(), 99);
    assert!(line.input.is_empty());
}

/// How many times `bytes` of a number pass.
fn endured(bytes: impl Fn(u32) -> Vec<u8>) -> (u32, Ended) {
    let mut line = Line::new();
    for count in 0..10_000 {
        if let Err(ended) = line.send(&bytes(count)) {
            return (count, ended);
        }
        line.output.clear();
    }
    panic!("it is endured");
}

#[test]
fn floods_have_an_end() {
    let post = block(&POST);
    let open = |count: u32| frame(kind::HEADERS, flag::END_HEADERS, 2 * count + 1, &post);
    let reset = |count| [open(count), frame(kind::RST_STREAM, 0, 2 * count + 1, &[0; 4])].concat();
    assert_eq!(endured(reset), (90, Ended::Cancels));
    let empty = |count| if count == 0 { open(0) } else { frame(kind::DATA, 0, 1, &[]) };
    assert_eq!(endured(empty), (91, Ended::EmptyFrames));
    let padded =
        |count| if count == 0 { open(0) } else { frame(kind::DATA, flag::PADDED, 1, &[1, 0]) };
    assert_eq!(endured(padded), (91, Ended::EmptyFrames));
    let trickle = |count| match count {
        0 => frame(kind::HEADERS, 0, 1, &[]),
        _ => frame(kind::CONTINUATION, 0, 1, &[]),
    };
    assert_eq!(endured(trickle), (101, Ended::Continuations));
    assert_eq!(endured(|_| frame(kind::SETTINGS, 0, 0, &[])), (59, Ended::Settings));
    assert_eq!(endured(|_| frame(kind::PING, 0, 0, &[0; 8])), (120, Ended::Pings));
    assert_eq!(endured(|_| frame(kind::PRIORITY, 0, 1, &[0; 5])), (240, Ended::Priorities));
    assert_eq!(endured(|_| frame(kind::PRIORITY_UPDATE, 0, 0, &[0; 5])), (240, Ended::Priorities));
    assert_eq!(endured(|_| frame(0xee, 0, 0, &[])), (240, Ended::UnknownFrames));
    let update = |_| frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]);
    assert_eq!(endured(update), (1_800, Ended::WindowUpdates));
    let bad = |count: u32| frame(kind::HEADERS, flag::END_HEADERS, 2 * count + 1, &[]);
    assert_eq!(endured(bad), (100, Ended::Malformed));
    let trailers = |count: u32| {
        let trailers = frame(kind::HEADERS, flag::END_HEADERS, 2 * count + 1, &[]);
        [open(count), trailers].concat()
    };
    assert_eq!(endured(trailers), (90, Ended::Faults));
    assert_eq!(endured(open), (250, Ended::RefusedStreams));
}

#[test]
fn streams_that_the_engine_resets_count() {
    let resets = |code: u8| {
        let mut line = Line::new();
        (0..2_000_u32).find_map(|count| {
            line.gate.sent(&frame(kind::RST_STREAM, 0, count, &[0, 0, 0, code])).err()
        })
    };
    for code in [1, 3, 5, 6] {
        assert_eq!(resets(code), Some(Ended::Faults));
    }
    for ours in [0, 2, 7, 8] {
        assert_eq!(resets(ours), None);
    }
}

#[test]
fn what_is_earned_is_not_held_against_a_client() {
    let mut line = Line::new();
    for count in 0..2_000_u32 {
        let stream = 4 * count + 1;
        line.request(stream, &block(&GOOD)).unwrap();
        line.request(stream + 2, &block(&GOOD)).unwrap();
        line.gate.sent(&frame(kind::HEADERS, flag::END_HEADERS, stream, &[0; 9])).unwrap();
        line.gate.sent(&frame(kind::DATA, flag::END_STREAM, stream, &[0; 9])).unwrap();
        line.send(&frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 9])).unwrap();
        line.send(&frame(kind::WINDOW_UPDATE, 0, stream, &[0, 0, 0, 9])).unwrap();
        line.send(&frame(kind::PING, 0, 0, &[0; 8])).unwrap();
        line.send(&frame(kind::RST_STREAM, 0, stream + 2, &[0; 4])).unwrap();
        line.output.clear();
    }
    assert!(line.gate.is_idle());
}

#[test]
fn a_minute_later_all_is_forgiven() {
    let mut line = Line::new();
    let ping = frame(kind::PING, 0, 0, &[0; 8]);
    for minute in 0..3 {
        for _ in 0..100 {
            line.send_at(&ping, NOW + Duration::from_secs(60 * minute)).unwrap();
        }
    }
}

#[test]
fn what_is_held_back_has_its_time() {
    let at = |seconds| NOW + Duration::from_secs(seconds);
    let mut line = Line::new();
    assert_eq!(line.gate.held_since(), None);
    let whole = frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &block(&GOOD));
    line.send_at(&whole[..4], at(1)).unwrap();
    assert_eq!(line.gate.held_since(), Some(at(1)));
    line.send_at(&whole[4..20], at(2)).unwrap();
    assert_eq!(line.gate.held_since(), Some(at(1)));
    line.send_at(&whole[20..], at(3)).unwrap();
    assert_eq!(line.gate.held_since(), None);
    // A block, though each of its frames is whole.
    line.send_at(&frame(kind::HEADERS, 0, 3, &[]), at(4)).unwrap();
    line.send_at(&frame(kind::CONTINUATION, 0, 3, &[]), at(5)).unwrap();
    assert_eq!(line.gate.held_since(), Some(at(4)));
    line.send_at(&frame(kind::CONTINUATION, flag::END_HEADERS, 3, &block(&GOOD)), at(6)).unwrap();
    assert_eq!(line.gate.held_since(), None);
    // The begin of the next frame does not inherit the time of the last.
    let ping = frame(kind::PING, 0, 0, &[0; 8]);
    line.send_at(&ping[..9], at(7)).unwrap();
    line.send_at(&[&ping[9..], &ping[..3]].concat(), at(8)).unwrap();
    assert_eq!(line.gate.held_since(), Some(at(8)));
    line.send_at(&ping[3..], at(9)).unwrap();
    // A body is the proxy's to time.
    line.send_at(&frame(kind::HEADERS, flag::END_HEADERS, 5, &block(&POST)), at(9)).unwrap();
    line.send_at(&frame(kind::DATA, 0, 5, &[0; 100])[..50], at(10)).unwrap();
    assert_eq!(line.gate.held_since(), None);
}

#[test]
fn a_large_head_goes_on_in_continuations() {
    let large = "y".repeat(40_000);
    let mut out = BytesMut::new();
    headers(1, true, &block(&[("x", &large)]), &mut out);
    let mut line = Line { output: out, ..Line::new() };
    let frames = line.frames();
    assert_eq!(frames.len(), 3);
    assert_eq!((frames[0].0.kind, frames[0].0.flags), (kind::HEADERS, flag::END_STREAM));
    assert_eq!((frames[1].0.kind, frames[1].0.flags), (kind::CONTINUATION, 0));
    assert_eq!((frames[2].0.kind, frames[2].0.flags), (kind::CONTINUATION, flag::END_HEADERS));
    headers(1, false, &[], &mut line.output);
    assert_eq!(line.frames()[0].0.flags, flag::END_HEADERS, "an empty block is a frame too");
}
