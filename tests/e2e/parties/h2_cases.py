"""Frame-level HTTP/2 cases against a gateway, on the packages h2, hyperframe and hpack.

    h2_cases.py ADDRESS HOST TOKEN [CA]

One connection a case, over TLS where the file CA is named, else in cleartext. A line of JSON each:
what was expected, what was wrong, and the marker that the upstream must have seen `once`, or
`nothing` of, or `no end` of.
"""

import itertools
import json
import socket
import ssl
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

import h2.connection
import h2.events
import h2.settings
import hpack
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END, HEADS, PADDED, PRIO = 1, 4, 8, 32
PROTOCOL, FLOW, CLOSED, SIZE, COMPRESSION, CALM = 1, 3, 5, 6, 9, 11

# How long the gateway may take for anything, in seconds.
PATIENCE = 10

# What the upstream may see of a request whose body is cut off.
PART = "nothing"

CASES = []
MARKS = itertools.count(1)


def frame(kind, flags, stream, payload=b""):
    """A frame, right or wrong."""
    length = struct.pack(">I", len(payload))[1:]
    return length + struct.pack(">BBI", kind, flags, stream) + payload


def number(value, prefix):
    """An integer of field compression."""
    most = (1 << prefix) - 1
    if value < most:
        return bytes([value])
    out, value = [most], value - most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + [value])


def literal(fields, kind=0):
    """A field block without tables and Huffman code: any bytes may be in it."""
    out = b""
    for name, value in fields:
        name = name if isinstance(name, bytes) else name.encode()
        value = value if isinstance(value, bytes) else value.encode()
        out += bytes([kind]) + number(len(name), 7) + name + number(len(value), 7) + value
    return out


class Case:
    """A connection and what came on it."""

    def __init__(self, target):
        self.target = target
        self.mark = f"h2case-{target['scheme']}-{next(MARKS)}-x"
        self.decoder = hpack.Decoder()
        self.buffer = b""
        self.status, self.finished, self.resets = {}, set(), {}
        self.fields, self.bodies = {}, {}
        self.goaway, self.closed, self.acks, self.pongs = None, False, 0, 0
        self.socket = socket.create_connection(target["address"], PATIENCE)
        if target["tls"]:
            self.socket = target["tls"].wrap_socket(self.socket, server_hostname=target["host"])
            assert self.socket.selected_alpn_protocol() == "h2"

    def start(self, settings=b"", preface=PREFACE):
        self.send(preface + frame(SETTINGS, 0, 0, settings) if settings is not None else preface)

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass

    def head(self, method="GET", path="/api/x", scheme=None, authority=None):
        """The good head that cases change."""
        return [
            (":method", method),
            (":scheme", scheme or self.target["scheme"]),
            (":path", path),
            (":authority", authority or self.target["host"]),
            ("x-marker", self.mark),
            ("authorization", "Bearer " + self.target["token"]),
        ]

    def with_(self, **changed):
        """The good head with pseudo-header fields changed; `None` leaves one out."""
        fields = []
        for name, value in self.head():
            if name[0] == ":" and name[1:] in changed:
                value = changed[name[1:]]
            if value is not None:
                fields.append((name, value))
        return fields

    def request(self, fields, stream=1, end=True, body=None):
        self.send(frame(HEADERS, HEADS | (END if end and body is None else 0), stream, literal(fields)))
        if body is not None:
            self.send(frame(DATA, END, stream, body))

    def read(self):
        """Takes what comes; `False` where nothing more will."""
        try:
            data = self.socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.closed = True
            return False
        self.buffer += data
        while len(self.buffer) >= 9:
            length = int.from_bytes(self.buffer[:3], "big")
            if len(self.buffer) < 9 + length:
                break
            kind, flags, stream = struct.unpack(">BBI", self.buffer[3:9])
            payload, self.buffer = self.buffer[9 : 9 + length], self.buffer[9 + length :]
            self.take(kind, flags, stream, payload)
        return True

    def take(self, kind, flags, stream, payload):
        if kind == HEADERS:
            fields = self.decoder.decode(payload)
            self.fields.setdefault(stream, []).extend(fields)
            for name, value in fields:
                if name == ":status":
                    self.status[stream] = int(value)
        elif kind == DATA:
            self.bodies[stream] = self.bodies.get(stream, b"") + payload
        elif kind == RST:
            self.resets[stream] = struct.unpack(">I", payload)[0]
        elif kind == GOAWAY:
            code = struct.unpack(">I", payload[4:8])[0]
            if self.goaway is None or code:
                self.goaway = code
        elif kind == SETTINGS and flags & 1:
            self.acks += 1
        elif kind == SETTINGS:
            self.send(frame(SETTINGS, 1, 0))
        elif kind == PING and flags & 1:
            self.pongs += 1
        if kind in (HEADERS, DATA) and flags & END:
            self.finished.add(stream)

    def until(self, done):
        while not done() and self.read():
            pass
        return done()

    def is_ended(self):
        return self.closed or bool(self.goaway)

    def answer(self, stream=1):
        """The status of a whole answer, or what came in its place."""
        self.until(lambda: stream in self.finished or stream in self.resets or self.is_ended())
        if stream in self.finished:
            return self.status[stream]
        if stream in self.resets:
            return f"reset {self.resets[stream]}"
        return f"ended {self.goaway}"

    def still_serves(self, stream=3):
        """Whether the connection carries another request."""
        self.request([(n, v) for n, v in self.head() if n != "x-marker"], stream)
        return self.answer(stream) == 200


def case(name, sees="nothing", as_seen=None):
    """Registers a case that returns `None` where all was right, else what was not."""

    def register(function):
        CASES.append((name, sees, as_seen, function))
        return function

    return register


def refused(name, change, status=400, stream=1, reset=None):
    """A head that is answered with `status`, after which the connection goes on."""

    def run(c):
        c.start()
        change(c)
        came = c.answer(stream)
        if status is None and not (isinstance(came, int) and 400 <= came < 500):
            return f"{came}, not refused"
        if status is not None and came != status:
            return f"{came}, not {status}"
        if came == 400:
            c.until(lambda: stream in c.resets or c.is_ended())
            if stream not in c.resets:
                return "no stream error behind the answer"
        names = [n for n, _ in c.fields[stream]]
        if "x-request-id" not in names or "server" in names:
            return f"not our answer: {names}"
        return None if c.still_serves(stream + 2) else "the connection is out of step"

    case(name)(run)


def with_field(name, field, value, status=400):
    refused(name, lambda c: c.request(c.head() + [(field, value)]), status)


def with_pseudo(name, status=400, **changed):
    refused(name, lambda c: c.request(c.with_(**changed)), status)


def ended(name, change, code=PROTOCOL, sees="nothing"):
    """What ends the connection, with a code."""

    def run(c):
        c.start()
        change(c)
        c.until(c.is_ended)
        codes = code if isinstance(code, tuple) else (code,)
        return None if c.goaway in codes else f"GOAWAY {c.goaway}, not {codes}"

    case(name, sees)(run)


def with_frame(name, data, code=PROTOCOL):
    """A frame behind an open request that is not complete."""

    def change(c):
        c.request(c.head("POST"), end=False)
        c.send(data)

    ended(name, change, code, PART)


def stream_error(name, change, code=PROTOCOL, sees="nothing", stream=1):
    """What ends a stream with an error; the connection goes on."""

    def run(c):
        c.start()
        change(c)
        c.until(lambda: stream in c.resets or c.is_ended())
        codes = code if isinstance(code, tuple) else (code,)
        if c.resets.get(stream) not in codes:
            return f"reset {c.resets}, GOAWAY {c.goaway}, not {codes}"
        return None if c.still_serves(stream + 2) else "the connection is out of step"

    case(name, sees)(run)


def served(name, change, stream=1, check=None, **as_seen):
    """What is to be forwarded, and how the upstream is to see it: `target`, and fields."""

    def run(c):
        c.start()
        change(c)
        came = c.answer(stream)
        if came != 200:
            return f"{came}, not served"
        return check(c) if check else None

    case(name, "once", as_seen)(run)


# --- Fields (RFC 9113 §8.2) ---------------------------------------------------------------------

for bad in (
    b"X-Upper", b"x-uppeR", b"", b"x y", b" x", b"x ", b"x:y", b"x\0", b"x\r", b"x\n", b"x\t",
    b"x\x01", b"x\x7f", b"x\xe9", b"x\"y", b"x(y", b"x,y", b"x/y", b"x;y", b"x=y", b"x@y", b"x[y",
    b"x{y", b"x\\y",
):
    with_field(f"field name {bad!r}", bad, "y")
for bad in (
    b" y", b"y ", b"\ty", b"y\t", b" ", b"\t", b"y\r", b"\ny", b"y\r\nx-injected: z", b"y\0z",
    b"y\x0bz", b"y\x01z", b"y\x1fz", b"y\x7fz",
):
    with_field(f"field value {bad!r}", "x-y", bad)
for field, value in (
    ("connection", "close"), ("connection", "x-auth-subject"), ("connection", ""),
    ("keep-alive", "timeout=5"), ("proxy-connection", "keep-alive"),
    ("transfer-encoding", "chunked"), ("transfer-encoding", "identity"), ("transfer-encoding", ""),
    ("upgrade", "h2c"), ("upgrade", "websocket"), ("te", "gzip"), ("te", "trailers, deflate"),
    ("te", ""), ("te", "trailers;q=1"),
):
    with_field(f"c25 c27 {field}: {value}", field, value)
for field in ("content_length", "transfer_encoding", "content-length"):
    with_field(f"c27 disguised {field}", field, "00")

# --- Pseudo-header fields (§8.3) ----------------------------------------------------------------

for missing in ("method", "scheme", "path", "authority"):
    with_pseudo(f"no :{missing}", **{missing: None})
    refused(
        f":{missing} twice",
        lambda c, name=":" + missing: c.request(
            [f for f in c.head() if f[0] == name] + c.head()
        ),
    )
    refused(
        f":{missing} behind a field",
        lambda c, name=":" + missing: c.request(
            [f for f in c.head() if f[0] != name] + [f for f in c.head() if f[0] == name]
        ),
    )
for unknown in (":x", ":status", ":protocol", ":", ":Method", ":path ", ":authority\0", "::path"):
    refused(
        f"pseudo-header field {unknown!r}",
        lambda c, name=unknown: c.request([(name, "200")] + c.head()),
    )
for bad in (
    "", "api/x", "http://api.test/api/x", "https://api.test/api/x", "/api/x#y", "/api/x#", "/api x",
    "/api\0x", "/api\tx", b"/api/x\r\nx: y", b"/api/\xe9", "/api\\x", "/api/<x>", "/api/\"x", "*",
    "?x", "api.test:443", b"/api/\x7f", " /api/x", "/api/x ", "/api/`x`", "#",
):
    with_pseudo(f"c22 path {bad!r}", path=bad)
for bad in (
    "file", "ftp", "HTTPS", "Http", "", "javascript", "ws", "wss", "data", "https ", " https",
    "http,https", "https://",
):
    with_pseudo(f"scheme {bad!r}", scheme=bad)
for bad in (
    "", ",", "api.test, evil.test", "api.test,evil.test", "u@api.test", "u:p@api.test", "@api.test",
    "api.test/x", "api.test ", " api.test", "api test", "api.test:", "api.test:x", "api.test:70000",
    "api.test:443:443", "api.test:-1", ":443", ".api.test", "api..test", "api.test..", "[::1",
    "::1", "api.test?x", "api.test#x", "api.test\\x", b"api.test\0", b"api\xe9.test", "api%2etest",
    b"api.test\r\nx: y", "api_.test\t",
):
    with_pseudo(f"c26 authority {bad!r}", authority=bad)
with_field("c26 host differs", "host", "app.test")
with_field("host has a port", "host", "api.test:443")
with_field("host is empty", "host", "")
refused("host twice", lambda c: c.request(c.head() + [("host", "api.test")] * 2))
refused("host alone", lambda c: c.request(c.with_(authority=None) + [("host", "api.test")]))
for bad in ("get", "Get", "", "G T", "GET ", b"G\0T", "G/T", b"\xe9", "PRI", "m-x", "GET\r\n", "refused"):
    with_pseudo(f"method {bad!r}", method=bad)
with_pseudo("method TRACE", 405, method="TRACE")
with_pseudo("CONNECT with a path", 405, method="CONNECT")
with_pseudo("CONNECT", 405, method="CONNECT", scheme=None, path=None)
with_pseudo("c22 OPTIONS *", 405, method="OPTIONS", path="*")
refused(
    "extended CONNECT",
    lambda c: c.request([(":method", "CONNECT"), (":protocol", "websocket")] + c.head()[1:]),
    405,
)

# --- Lengths and sizes --------------------------------------------------------------------------

for bad in (
    "00", "01", "+1", "-1", "1, 1", "1,1", "1 1", "0x1", "", "1.0", "1e0", "a",
    "18446744073709551616", "99999999999999999999999999",
):
    refused(
        f"c27 content-length {bad!r}",
        lambda c, bad=bad: c.request(c.head("POST") + [("content-length", bad)], body=b"x"),
    )
for pair in (("1", "1"), ("1", "2")):
    refused(
        f"c27 content-length twice {pair}",
        lambda c, pair=pair: c.request(
            c.head("POST") + [("content-length", value) for value in pair], body=b"x"
        ),
    )
with_field("content-length and no body", "content-length", "3")
stream_error(
    "more data than announced",
    lambda c: c.request(c.head("POST") + [("content-length", "1")], body=b"xx"),
    sees=PART,
)
stream_error(
    "less data than announced",
    lambda c: c.request(c.head("POST") + [("content-length", "3")], body=b"xx"),
    sees=PART,
)
refused("101 fields", lambda c: c.request(c.head() + [("x", "y")] * 99), 431)
refused("c30 300 fields", lambda c: c.request(c.head() + [("x", "y")] * 300), 431)
refused("1,000 fields", lambda c: c.request(c.head() + [("x", "y")] * 1000), 431)


def split(c, block, stream=1, size=16_384):
    """A block in as many frames as it needs."""
    parts = [block[at : at + size] for at in range(0, len(block), size)] or [b""]
    for at, part in enumerate(parts):
        last = HEADS if at + 1 == len(parts) else 0
        kind, flags = (HEADERS, END) if at == 0 else (CONTINUATION, 0)
        c.send(frame(kind, flags | last, stream, part))


refused(
    "c30 a target of 20 KB",
    lambda c: split(c, literal(c.with_(path="/api/" + "x" * 20_000))),
    414,
)
refused("c30 a field of 100 KB", lambda c: split(c, literal(c.head() + [("x", "y" * 100_000)])), 431)
refused("c30 1.2 MB", lambda c: split(c, literal(c.head() + [("x", "y" * 1_200_000)])), 431)
refused(
    "c30 1.2 MB of fields",
    lambda c: split(c, literal(c.head() + [("x" * 100, "y" * 1_000)] * 1_200)),
    431,
)
refused(
    "a bomb of field compression",
    lambda c: split(
        c, literal(c.head()) + literal([("x", "y" * 4_000)], 0x40) + b"\xbe" * 16_000
    ),
    431,
)

# --- Trailers (§8.1) ----------------------------------------------------------------------------


def trailers(name, fields, flags=END):
    def change(c):
        c.request(c.head("POST"), end=False)
        c.send(frame(DATA, 0, 1, b"body"))
        c.send(frame(HEADERS, HEADS | flags, 1, literal(fields)))

    stream_error(f"trailers: {name}", change, sees=PART)


trailers("no end of the stream", [("x", "y")], 0)
for field, value in (
    (":path", "/"), (":method", "GET"), (":status", "200"), (":x", "y"), ("X", "y"), ("x", " y"),
    ("x", "y "), ("x", "y\r\nz: 1"), ("x", "y\0"), ("", "y"), ("x y", "z"), ("content-length", "4"),
    ("transfer-encoding", "chunked"), ("host", "api.test"), ("connection", "close"), ("te", "trailers"),
    ("trailer", "x"), ("authorization", "Bearer x"), ("cookie", "a=b"), ("content-type", "text/plain"),
    ("upgrade", "h2c"), ("content_length", "4"),
):
    trailers(f"{field!r}: {value!r}", [("grpc-x", "y"), (field, value)])
trailers("101 fields", [("x", "y")] * 101)

# --- Frames (§4, §6) ----------------------------------------------------------------------------

with_frame("DATA on stream 0", frame(DATA, 0, 0, b"x"))
with_frame("DATA on an idle stream", frame(DATA, 0, 3, b"x"))
with_frame("DATA on a stream of the server", frame(DATA, 0, 2, b"x"))
with_frame("DATA with more padding than payload", frame(DATA, PADDED | END, 1, b"\x05xx"))
with_frame("DATA padded without a length", frame(DATA, PADDED | END, 1))
with_frame("DATA too large", frame(DATA, END, 1, bytes(16_385)), SIZE)
with_frame("HEADERS on stream 0", frame(HEADERS, HEADS | END, 0, b"\x82"))
with_frame("HEADERS on a stream of the server", frame(HEADERS, HEADS | END, 2, b"\x82"))
with_frame("HEADERS with more padding than payload", frame(HEADERS, HEADS | PADDED, 3, b"\x05xx"))
with_frame("HEADERS padded without a length", frame(HEADERS, HEADS | PADDED, 3), SIZE)
with_frame("HEADERS with half a priority", frame(HEADERS, HEADS | PRIO, 3, bytes(4)), SIZE)
with_frame("HEADERS that depend on themselves", frame(HEADERS, HEADS | PRIO, 3, b"\0\0\0\3\0\x82"))
with_frame("HEADERS too large", frame(HEADERS, HEADS, 3, bytes(16_385)), SIZE)
with_frame("PRIORITY on stream 0", frame(PRIORITY, 0, 0, bytes(5)))
with_frame("PRIORITY of 4 bytes", frame(PRIORITY, 0, 1, bytes(4)), SIZE)
with_frame("PRIORITY of 6 bytes", frame(PRIORITY, 0, 1, bytes(6)), SIZE)
with_frame("PRIORITY that depends on itself", frame(PRIORITY, 0, 1, b"\0\0\0\1\0"))
with_frame("RST_STREAM on stream 0", frame(RST, 0, 0, bytes(4)))
with_frame("RST_STREAM on an idle stream", frame(RST, 0, 3, bytes(4)))
with_frame("RST_STREAM of 3 bytes", frame(RST, 0, 1, bytes(3)), SIZE)
with_frame("RST_STREAM of 5 bytes", frame(RST, 0, 1, bytes(5)), SIZE)
with_frame("SETTINGS on a stream", frame(SETTINGS, 0, 1))
with_frame("SETTINGS of 5 bytes", frame(SETTINGS, 0, 0, bytes(5)), SIZE)
with_frame("SETTINGS acknowledged with a payload", frame(SETTINGS, 1, 0, bytes(6)), SIZE)
with_frame("ENABLE_PUSH 2", frame(SETTINGS, 0, 0, struct.pack(">HI", 2, 2)))
with_frame("INITIAL_WINDOW_SIZE 2^31", frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 31)), FLOW)
with_frame("MAX_FRAME_SIZE 16383", frame(SETTINGS, 0, 0, struct.pack(">HI", 5, 16_383)))
with_frame("MAX_FRAME_SIZE 2^24", frame(SETTINGS, 0, 0, struct.pack(">HI", 5, 1 << 24)))
with_frame("PUSH_PROMISE", frame(PUSH, HEADS, 1, b"\0\0\0\2\x82"))
with_frame("PING of 7 bytes", frame(PING, 0, 0, bytes(7)), SIZE)
with_frame("PING on a stream", frame(PING, 0, 1, bytes(8)))
with_frame("GOAWAY on a stream", frame(GOAWAY, 0, 1, bytes(8)))
with_frame("GOAWAY of 7 bytes", frame(GOAWAY, 0, 0, bytes(7)), SIZE)
with_frame("WINDOW_UPDATE of 0", frame(WINDOW, 0, 0, bytes(4)))
with_frame("WINDOW_UPDATE of 0 on a stream", frame(WINDOW, 0, 1, bytes(4)))
with_frame("WINDOW_UPDATE of 3 bytes", frame(WINDOW, 0, 0, bytes(3)), SIZE)
with_frame("WINDOW_UPDATE on an idle stream", frame(WINDOW, 0, 3, b"\0\0\0\1"))
with_frame("WINDOW_UPDATE beyond 2^31-1", frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff"), FLOW)
with_frame("CONTINUATION without HEADERS", frame(CONTINUATION, HEADS, 1, b"\x82"))
with_frame("CONTINUATION on stream 0", frame(CONTINUATION, HEADS, 0, b"\x82"))
stream_error(
    "WINDOW_UPDATE beyond 2^31-1 on a stream",
    lambda c: (c.request(c.head("POST"), end=False), c.send(frame(WINDOW, 0, 1, b"\x7f\xff\xff\xff"))),
    FLOW,
    PART,
)


def interrupted(name, data, code=PROTOCOL):
    def change(c):
        c.send(frame(HEADERS, END, 1, literal(c.head())))
        c.send(data)

    ended(f"a head interrupted by {name}", change, code)


interrupted("DATA", frame(DATA, END, 1, b"x"))
interrupted("PING", frame(PING, 0, 0, bytes(8)))
interrupted("SETTINGS", frame(SETTINGS, 0, 0))
interrupted("HEADERS", frame(HEADERS, HEADS | END, 3, b"\x82"))
interrupted("RST_STREAM", frame(RST, 0, 1, bytes(4)))
interrupted("PRIORITY", frame(PRIORITY, 0, 3, bytes(5)))
interrupted("WINDOW_UPDATE", frame(WINDOW, 0, 0, b"\0\0\0\1"))
interrupted("GOAWAY", frame(GOAWAY, 0, 0, bytes(8)))
interrupted("an unknown frame", frame(0xBE, 0, 1))
interrupted("CONTINUATION of another stream", frame(CONTINUATION, HEADS, 3, b"\x82"))
interrupted("CONTINUATION too large", frame(CONTINUATION, HEADS, 1, bytes(16_385)), SIZE)

# --- Field compression (RFC 7541) ---------------------------------------------------------------


def compressed(name, end):
    ended(
        f"field compression: {name}",
        lambda c: c.send(frame(HEADERS, HEADS | END, 1, literal(c.head()) + end)),
        COMPRESSION,
    )


compressed("index 0", b"\x80")
compressed("an index that is not there", b"\xbe")
compressed("a name that is not there", b"\x7e\x01x")
compressed("an endless number", b"\xff" * 12)
compressed("a number of 6 bytes", b"\xff\x80\x80\x80\x80\x80\x00")
compressed("a table too large", b"\x3f\xe2\x1f")
compressed("a table size behind a field", b"\x20")
compressed("a string that is cut off", b"\x00\x05abc")
compressed("a field that is cut off", b"\x40")
compressed("the end of a string in a string", b"\x00\x84\xff\xff\xff\xff\x00")
compressed("padding of 8 bits", b"\x00\x82\x1f\xff\x00")
compressed("padding of zeros", b"\x00\x81\x18\x00")
ended(
    "a table too large at the start",
    lambda c: c.send(frame(HEADERS, HEADS | END, 1, b"\x3f\xe2\x1f" + literal(c.head()))),
    COMPRESSION,
)

# --- States of streams (§5.1) -------------------------------------------------------------------

ended(
    "HEADERS behind the end of the stream",
    lambda c: (c.request(c.head()), c.request(c.head())),
    CLOSED,
    "anything",
)
ended(
    "HEADERS on an older stream",
    lambda c: (c.request(c.head(), 5), c.request(c.head(), 3)),
    (PROTOCOL, CLOSED),
    "anything",
)
ended(
    "HEADERS behind RST_STREAM",
    lambda c: (
        c.request(c.head("POST"), end=False),
        c.send(frame(RST, 0, 1, struct.pack(">I", 8))),
        c.request(c.head()),
    ),
    CLOSED,
    PART,
)


def or_reset(name, change, codes, sees):
    """A stream error or an error of the connection."""

    def run(c):
        c.start()
        change(c)
        c.until(lambda: 1 in c.resets or c.is_ended())
        came = c.resets.get(1, c.goaway)
        return None if came in codes else f"{came}, not {codes}"

    case(name, sees)(run)


or_reset(
    "DATA behind the end of the stream",
    lambda c: (c.request(c.head()), c.send(frame(DATA, END, 1, b"x"))),
    (CLOSED,),
    "anything",
)
or_reset(
    "DATA behind RST_STREAM",
    lambda c: (
        c.request(c.head("POST"), end=False),
        c.send(frame(RST, 0, 1, struct.pack(">I", 8))),
        c.send(frame(DATA, END, 1, b"x")),
    ),
    (CLOSED,),
    PART,
)


@case("a stream too many")
def too_many(c):
    c.start()
    c.read()
    for at in range(129):
        c.request([f for f in c.head("POST") if f[0] != "x-marker" or at == 128], 2 * at + 1, end=False)
    c.until(lambda: 257 in c.resets or c.is_ended())
    return None if c.resets.get(257) == 7 else f"{c.resets}, {c.goaway}"


def opened(name, data, codes):
    """What a connection begins with."""

    def run(c):
        c.send(data)
        c.until(c.is_ended)
        return None if c.goaway in codes else f"GOAWAY {c.goaway}, not {codes}"

    case(name)(run)


opened("PING before SETTINGS", PREFACE + frame(PING, 0, 0, bytes(8)), (PROTOCOL,))
opened("HEADERS before SETTINGS", PREFACE + frame(HEADERS, HEADS | END, 1, b"\x82"), (PROTOCOL,))
opened("SETTINGS acknowledged first", PREFACE + frame(SETTINGS, 1, 0), (PROTOCOL,))


@case("a preface that is none")
def no_preface(c):
    c.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + frame(SETTINGS, 0, 0))
    # In cleartext it is a bad request of HTTP/1.
    c.until(lambda: c.closed)
    return None if c.closed and not c.status else f"{c.status}"


# --- What must be served ------------------------------------------------------------------------

served("a request", lambda c: c.request(c.head()))
served("HEAD", lambda c: c.request(c.head("HEAD")))
served("POST with a body", lambda c: c.request(c.head("POST"), body=b"hello"))
served("POST with an empty body", lambda c: c.request(c.head("POST"), body=b""))
served(
    "a length that is right",
    lambda c: c.request(c.head("POST") + [("content-length", "5")], body=b"hello"),
)
served("te: trailers", lambda c: c.request(c.head() + [("te", "trailers")]))
served(
    "host says the same",
    lambda c: c.request(c.head() + [("host", "api.test")]),
    target="/api/x",
    host="api.test",
)
served("a value that is empty", lambda c: c.request(c.head() + [("x", "")]))
served("a value with blanks inside", lambda c: c.request(c.head() + [("x", "a \t b")]))
served("a value beyond ASCII", lambda c: c.request(c.head() + [("x", b"\xc3\xa9")]))
served("all characters of a token", lambda c: c.request(c.head() + [("x!#$%&'*+-.^_`|~0", "y")]))
served(
    "the pieces of a cookie",
    lambda c: c.request(c.head() + [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]),
    cookie="a=1; b=2",
    x="y",
)
served(
    "c30 64 pieces of a cookie, 20 KB",
    lambda c: split(c, literal(c.head() + [("cookie", f"c{at}=" + "x" * 300) for at in range(64)])),
)
served("200 pieces of a cookie", lambda c: c.request(c.head() + [("cookie", "a=b")] * 200))
served("a query of brackets", lambda c: c.request(c.with_(path="/api/x?a[]={b}|c^d")))
served("pseudo-header fields in another order", lambda c: c.request(c.head()[3::-1] + c.head()[4:]))


def by_hyperframe(*frames):
    return b"".join(frame.serialize() for frame in frames)


def headers_frame(c, stream=1, flags=("END_HEADERS", "END_STREAM"), block=None, **more):
    made = HeadersFrame(stream, literal(c.head()) if block is None else block, flags=flags, **more)
    return made


served(
    "padded HEADERS",
    lambda c: c.send(
        by_hyperframe(headers_frame(c, flags=("END_HEADERS", "END_STREAM", "PADDED"), pad_length=255))
    ),
)
served(
    "HEADERS with a priority",
    lambda c: c.send(
        by_hyperframe(
            headers_frame(
                c,
                flags=("END_HEADERS", "END_STREAM", "PRIORITY"),
                depends_on=7,
                stream_weight=200,
                exclusive=True,
            )
        )
    ),
)
served(
    "padded DATA",
    lambda c: c.send(
        by_hyperframe(
            headers_frame(c, flags=("END_HEADERS",), block=literal(c.head("POST"))),
            DataFrame(1, b"he", flags=("PADDED",), pad_length=100),
            DataFrame(1, b"llo", flags=("END_STREAM", "PADDED"), pad_length=0),
        )
    ),
)
served(
    "PRIORITY of idle streams",
    lambda c: c.send(
        by_hyperframe(
            *(PriorityFrame(stream, depends_on=0, stream_weight=9) for stream in (3, 5, 7, 9, 11)),
            headers_frame(c),
            PriorityFrame(1, depends_on=3),
        )
    ),
)
served(
    "frames of unknown types",
    lambda c: c.send(
        frame(0xBE, 255, 0, b"x" * 1000)
        + frame(0x0A, 0, 1, b"alt-svc")
        + frame(0x10, 0, 0, b"\0\0\0\1u=1")
        + by_hyperframe(headers_frame(c))
    ),
)
served(
    "settings that are unknown",
    lambda c: c.send(
        by_hyperframe(SettingsFrame(0, settings={0xFFFF: 1, 0x8: 1, 0x9: 1}), headers_frame(c))
    ),
)
served(
    "flags that are unknown",
    lambda c: c.send(frame(HEADERS, HEADS | END | 0xD2 & ~PRIO & ~PADDED, 1, literal(c.head()))),
)
served(
    "PING, SETTINGS and WINDOW_UPDATE between",
    lambda c: c.send(
        by_hyperframe(
            headers_frame(c, flags=("END_HEADERS",), block=literal(c.head("POST"))),
            PingFrame(0, b"12345678"),
            SettingsFrame(0, settings={SettingsFrame.MAX_FRAME_SIZE: 20_000}),
            WindowUpdateFrame(0, 1_000),
            WindowUpdateFrame(1, 1_000),
            DataFrame(1, b"x", flags=("END_STREAM",)),
        )
    ),
    check=lambda c: None if c.until(lambda: c.pongs == 1 and c.acks == 2) else "no acknowledgement",
)
served(
    "a head in pieces",
    lambda c: c.send(
        by_hyperframe(
            HeadersFrame(1, literal(c.head())[:7], flags=("END_STREAM",)),
            ContinuationFrame(1, literal(c.head())[7:8]),
            ContinuationFrame(1, b""),
            ContinuationFrame(1, literal(c.head())[8:], flags=("END_HEADERS",)),
        )
    ),
)
served("byte by byte", lambda c: [c.send(bytes([byte])) for byte in frame(HEADERS, 5, 1, literal(c.head()))])
served("fields never to be indexed", lambda c: c.send(frame(HEADERS, 5, 1, literal(c.head(), 0x10))))
served("fields put into the table", lambda c: c.send(frame(HEADERS, 5, 1, literal(c.head(), 0x40))))
served(
    "a size of the table",
    lambda c: c.send(frame(HEADERS, 5, 1, b"\x20\x3f\xe1\x1f" + literal(c.head(), 0x40))),
)
served(
    "Huffman code",
    lambda c: c.send(frame(HEADERS, 5, 1, hpack.Encoder().encode(c.head(), huffman=True))),
)


# --- Paths, hosts and fields, as over HTTP/1 ----------------------------------------------------


def without_token(c, path, more=()):
    c.request([f for f in c.with_(path=path) if f[0] != "authorization"] + list(more))


def judged(name, status, path, more=()):
    """A request without a token that the pipeline refuses."""

    def run(c):
        c.start()
        without_token(c, path, more)
        came = c.answer()
        return None if came == status else f"{came}, not {status}"

    case(name)(run)


for path in ("/public/../admin/x", "/public/%2e%2e/admin/x", "/public/.%2E/admin/x", "/./admin/x"):
    judged(f"c21 {path}", 401, path)
for path in (
    "/public//../admin/x", "//admin/x", "/....//admin", "/../../x", "/public/..;/admin/x",
    "/public/..%2fadmin/x", "/public/%252e%252e/admin/x", "/public/a%2Fb",
):
    judged(f"c21 {path}", 400, path)
for path, target in (
    ("/public/a/./b/%7Euser", "/public/a/b/~user"),
    ("/admin/../public/a", "/public/a"),
    ("/public/%c3%a9%20x", "/public/%C3%A9%20x"),
    ("/public/a?x=%2e%2e/%2F&y=//z", "/public/a?x=%2e%2e/%2F&y=//z"),
    ("/raw/a%2Fb", "/raw/a%2Fb"),
):
    served(f"c21 {path}", lambda c, path=path: without_token(c, path), target=target)
judged("c23 a path in the query", 401, "/admin/x?y=/public/")
for name in ("x-forwarded-uri", "x-original-url", "x-rewrite-url"):
    judged(f"c23 {name}", 401, "/admin/x", [(name, "/public/")])
    served(
        f"c23 {name} is taken out",
        lambda c, name=name: without_token(c, "/public/x", [(name, "/admin/x")]),
        **{name: None},
    )
served(
    "c23 x-http-method-override is taken out",
    lambda c: without_token(c, "/public/x", [("x-http-method-override", "DELETE")]),
    **{"x-http-method-override": None},
)
for name in ("x-auth-subject", "x_auth_subject", "x-auth_subject"):
    served(
        f"c24 {name} on an open route",
        lambda c, name=name: without_token(c, "/public/x", [(name, "admin")] * 2),
        **{name: None},
    )
    served(
        f"c24 {name} with a token",
        lambda c, name=name: c.request(c.head() + [(name, "admin")]),
        **{"x-auth-subject": "u1"},
    )
for authority in ("API.TEST", "api.test."):
    served(
        f"c26 {authority}",
        lambda c, authority=authority: c.request(c.with_(authority=authority)),
        host="api.test",
    )
for authority in ("evil.test", "api.test.evil.test", "evilapi.test", "[::1]", "127.0.0.1"):

    def elsewhere(c, authority=authority):
        c.start()
        c.request(c.with_(authority=authority))
        came = c.answer()
        return None if came == 421 else f"{came}, not 421"

    case(f"c26 {authority}")(elsewhere)


@case("the table is kept from request to request", "once")
def table(c):
    c.start()
    encoder = hpack.Encoder()
    for at in range(5):
        fields = [f for f in c.head(path=f"/api/{at}") if f[0] != "x-marker"] + [("x-n", str(at))]
        c.send(frame(HEADERS, 5, 2 * at + 1, encoder.encode(fields)))
        if c.answer(2 * at + 1) != 200:
            return f"{at}: {c.status}"
        if at == 2:
            encoder.header_table_size = 100
    c.send(frame(HEADERS, 5, 21, encoder.encode(c.head())))
    return None if c.answer(21) == 200 else f"{c.status}"


@case("trailers", "once")
def good_trailers(c):
    c.start()
    c.request(c.head("POST"), end=False)
    c.send(frame(DATA, 0, 1, b"body"))
    c.send(frame(HEADERS, HEADS | END, 1, literal([("x-sum", "1"), ("grpc-status", "0")])))
    return None if c.answer() == 200 else f"{c.status}, {c.resets}, {c.goaway}"


@case("trailers of nothing", "once")
def empty_trailers(c):
    c.start()
    c.request(c.head("POST"), end=False)
    c.send(frame(HEADERS, HEADS | END, 1))
    return None if c.answer() == 200 else f"{c.status}, {c.resets}, {c.goaway}"


@case("100 streams at once", "once")
def hundred(c):
    c.start()
    for at in range(100):
        c.request([f for f in c.head() if f[0] != "x-marker" or at == 99], 2 * at + 1)
    answers = [c.answer(2 * at + 1) for at in range(100)]
    return None if answers == [200] * 100 else f"{answers}"


@case("one stream is cancelled and another served", "once")
def cancelled(c):
    c.start()
    c.request([f for f in c.head("POST") if f[0] != "x-marker"], end=False)
    c.send(RstStreamFrame(1, 8).serialize())
    c.request(c.head(), 3)
    return None if c.answer(3) == 200 else f"{c.status}, {c.goaway}"


@case("a window of one byte", "once")
def small_window(c):
    c.start(struct.pack(">HI", 4, 1))
    c.request(c.head())
    c.until(lambda: c.bodies.get(1))
    if c.bodies.get(1) != b"o":
        return f"{c.bodies}"
    c.send(WindowUpdateFrame(1, 100).serialize())
    return None if c.answer() == 200 and c.bodies[1] == b"ok" else f"{c.bodies}"


@case("a table of no size at the client", "once")
def no_table(c):
    c.start(struct.pack(">HI", 1, 0))
    c.decoder.max_allowed_table_size = 0
    c.decoder.header_table_size = 0
    c.request(c.head())
    return None if c.answer() == 200 else f"{c.status}"


@case("a client that goes away waits for its answer", "once")
def goes_away(c):
    c.start()
    c.request(c.head())
    c.send(frame(GOAWAY, 0, 0, bytes(8)))
    return None if c.answer() == 200 else f"{c.status}"


def with_h2(c, send):
    """A client of the package h2: sends with `send`, and reads all answers."""
    client = h2.connection.H2Connection()
    client.initiate_connection()
    left = send(client)
    c.send(client.data_to_send())
    bodies, ended = {}, 0
    while ended < left:
        data = c.socket.recv(65536)
        if not data:
            return "closed"
        for event in client.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                ended += 1
            elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                return str(event)
        c.send(client.data_to_send())
    client.close_connection()
    c.send(client.data_to_send())
    return None if set(bodies.values()) == {b"ok"} else str(bodies)


@case("the client of h2", "once")
def h2_client(c):
    def send(client):
        client.send_headers(1, c.head(), end_stream=True)
        return 1

    return with_h2(c, send)


@case("the client of h2 with a body and trailers", "once")
def h2_body(c):
    def send(client):
        client.send_headers(1, c.head("POST") + [("content-length", "40000")])
        for _ in range(4):
            client.send_data(1, b"x" * 10_000, pad_length=10)
        client.send_headers(1, [("x-sum", "1")], end_stream=True)
        return 1

    return with_h2(c, send)


@case("the client of h2 with 30 requests", "once")
def h2_many(c):
    def send(client):
        for at in range(30):
            fields = c.head() if at == 7 else [f for f in c.head() if f[0] != "x-marker"]
            client.send_headers(2 * at + 1, fields, end_stream=True)
            client.ping(struct.pack(">Q", at))
        return 30

    return with_h2(c, send)


def run(target, one):
    name, sees, as_seen, function = one
    c = Case(target)
    try:
        wrong = function(c)
    except Exception as error:  # A case that fails in any way has failed.
        wrong = repr(error)
    c.socket.close()
    return {"name": name, "sees": sees, "as_seen": as_seen, "mark": c.mark, "wrong": wrong}


def main():
    address, host, token, *authority = sys.argv[1:]
    name, port = address.rsplit(":", 1)
    tls = None
    if authority:
        tls = ssl.create_default_context(cafile=authority[0])
        tls.set_alpn_protocols(["h2"])
    target = {
        "address": (name, int(port)),
        "host": host,
        "token": token,
        "tls": tls,
        "scheme": "https" if tls else "http",
    }
    with ThreadPoolExecutor(8) as pool:
        for result in pool.map(lambda one: run(target, one), CASES):
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
