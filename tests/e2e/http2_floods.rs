//! Floods of HTTP/2 frames: the connection is ended soon, little reaches the app, and others are
//! served throughout.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis_core::Clock;
use portcullis_testkit::scripted::frame;
use portcullis_testkit::{Connection, Request, marker, until_true};

use crate::world::{BASE, HOSTS, UPSTREAMS, World};

const CONFIG: &str = r#"
limits: [{name: few, key: address, rate: 20/h}]
routes:
  - {name: open, path: "/open/{*rest}", access: public, forward: {upstream: u}}
  - {name: limited, path: "/limited/{*rest}", access: public, limits: [few], forward: {upstream: u}}
"#;

/// Frames that a client of a flood sends, many more than it may.
const MANY: u32 = 5_000;

/// More requests than this never come of one flood: the streams that may be open at once, and a few.
const AT_ONCE: usize = 128 + 8;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const ENHANCE_YOUR_CALM: u32 = 11;

/// Who is first to count streams that the engine resets: the gate, the engine, or the gate again, for
/// which they are open until it sees their end.
const RESETS: &str = "faults engine refused_streams";

fn world() -> World {
    World::start(&[BASE, HOSTS, UPSTREAMS, CONFIG])
}

/// A field block without tables.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).expect("a short text");
        assert!(length < 127);
        [&[length], text.as_bytes()].concat()
    };
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// A client that sends what a test tells it, in cleartext.
struct Flood {
    connection: Connection,
    mark: String,
    path: &'static str,
}

impl Flood {
    fn start(world: &World) -> Self {
        let mut connection = world.plain().connect();
        connection.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        connection.write(frame(SETTINGS, 0, 0, &[]));
        Self { connection, mark: marker("flood"), path: "/open/x" }
    }

    fn head(&self, method: &str) -> Vec<u8> {
        block(&[
            (":method", method),
            (":scheme", "http"),
            (":path", self.path),
            (":authority", "api.test"),
            ("x-marker", &self.mark),
        ])
    }

    /// HEADERS of the `count`th request.
    fn request(&self, count: u32, method: &str, flags: u8) -> Vec<u8> {
        frame(HEADERS, END_HEADERS | flags, 2 * count + 1, &self.head(method))
    }

    /// Sends what `bytes` says for each number, whether anybody takes it or not.
    fn send(&mut self, bytes: impl Fn(&Self, u32) -> Vec<u8>) {
        for first in (0..MANY).step_by(50) {
            let part: Vec<u8> = (first..first + 50).flat_map(|count| bytes(self, count)).collect();
            self.connection.write(part);
        }
    }

    /// The error code that the connection ends with, if it was told.
    fn goodbye(&mut self) -> Option<u32> {
        let bytes = self.connection.read_all();
        let mut left = bytes.as_slice();
        let mut code = None;
        while let [high, middle, low, kind, _, _, _, _, _, rest @ ..] = left {
            let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
            let payload = rest.get(..length)?;
            if *kind == 7 {
                code = payload.get(4..8)?.try_into().ok().map(u32::from_be_bytes);
            }
            left = &rest[length..];
        }
        code
    }
}

/// Runs a flood while another client goes on, and says how many of its requests reached the app.
#[track_caller]
fn flooded(world: &World, reasons: &str, bytes: impl Fn(&Flood, u32) -> Vec<u8>) -> usize {
    let over = AtomicBool::new(false);
    let endings = || -> i64 {
        let of =
            |reason| world.gateway.metric(&["gateway_connections_ended_total", "plain", reason]);
        reasons.split(' ').map(of).sum()
    };
    let before = endings();
    let mut flood = Flood::start(world);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let clock = Clock::system();
            let mut times = Vec::new();
            let mut connection = world.plain().connect();
            while times.is_empty() || !over.load(Ordering::SeqCst) {
                let sent = clock.monotonic();
                connection.send(&Request::get("/open/other")).expect(200);
                times.push(clock.monotonic().saturating_sub(sent));
            }
            times.sort_unstable();
            times
        });
        flood.send(bytes);
        let code = flood.goodbye();
        let code_is_told = code.is_none_or(|code| code == ENHANCE_YOUR_CALM);
        let breach = reasons == "protocol_error";
        over.store(true, Ordering::SeqCst);
        let times = other.join().expect("the other client is served");
        let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
        // For whoever asks with --nocapture; nothing is held to a clock.
        writeln!(std::io::stderr(), "{reasons}: others waited {median:?}, at most {longest:?}")
            .expect("standard error");
        assert!(code_is_told || breach, "{reasons}: {code:?}");
    });
    assert_eq!(endings(), before + 1, "{reasons}: {}", page(world));
    // What is on its way arrives, or does not.
    std::thread::sleep(Duration::from_millis(100));
    let seen = world.upstream.seen(&flood.mark).len();
    assert!(seen <= AT_ONCE, "{reasons}: {seen} requests reached the app");
    seen
}

fn page(world: &World) -> String {
    let page = world.gateway.metrics();
    let lines = page.lines().filter(|line| line.starts_with("gateway_connections_ended_total"));
    lines.collect::<Vec<_>>().join(" ")
}

#[test]
fn cve_2023_44487_rapid_reset_c33() {
    let world = world();
    let seen = flooded(&world, "cancels", |flood, count| {
        let reset = frame(RST_STREAM, 0, 2 * count + 1, &[0, 0, 0, 8]);
        [flood.request(count, "GET", END_STREAM), reset].concat()
    });
    // Within 200 frames: 100 requests, of which each was decided on.
    assert!(seen <= 100, "{seen} requests");
    let decided = |world: &World| world.gateway.metric(&["gateway_requests_total", "open"]);
    assert!(decided(&world) >= 1);
}

#[test]
fn cve_2023_44487_cancelled_requests_count_for_limits() {
    let world = world();
    let mut flood = Flood { path: "/limited/x", ..Flood::start(&world) };
    for count in 0..40 {
        let reset = frame(RST_STREAM, 0, 2 * count + 1, &[0, 0, 0, 8]);
        let request = flood.request(count, "GET", END_STREAM);
        flood.connection.write([request, reset].concat());
    }
    let limited = || world.plain().send(&Request::get("/limited/x")).status == 429;
    until_true(Duration::from_secs(5), "cancelled requests are counted", limited);
    assert!(world.upstream.seen(&flood.mark).len() <= 20);
}

#[test]
fn cve_2024_27316_continuation_flood_c33() {
    let world = world();
    for piece in [&b""[..], b"\x00\x01x\x01y"] {
        let seen = flooded(&world, "continuations", |flood, count| match count {
            0 => frame(HEADERS, END_STREAM, 1, &flood.head("GET")),
            _ => frame(CONTINUATION, 0, 1, piece),
        });
        assert_eq!(seen, 0);
    }
}

#[test]
fn cve_2025_8671_made_you_reset_c33() {
    let world = world();
    let open = |flood: &Flood, count| flood.request(count, "POST", 0);
    let complete = |flood: &Flood, count| flood.request(count, "GET", END_STREAM);
    // Windows beyond 2^31 - 1, which the engine resets the stream for.
    let seen = flooded(&world, RESETS, |flood, count| {
        let beyond = frame(WINDOW_UPDATE, 0, 2 * count + 1, &[0x7f, 0xff, 0xff, 0xff]);
        [complete(flood, count), beyond].concat()
    });
    assert!(seen <= 100, "{seen} requests");
    // Less data than announced.
    let seen = flooded(&world, RESETS, |flood, count| {
        let mut head = flood.head("POST");
        head.extend(block(&[("content-length", "9")]));
        let stream = 2 * count + 1;
        let data = frame(DATA, END_STREAM, stream, b"x");
        [frame(HEADERS, END_HEADERS, stream, &head), data].concat()
    });
    assert!(seen <= 100, "{seen} requests");
    // Trailers that are none.
    let seen = flooded(&world, "faults", |flood, count| {
        let trailers =
            frame(HEADERS, END_HEADERS | END_STREAM, 2 * count + 1, &block(&[(":path", "/")]));
        [open(flood, count), trailers].concat()
    });
    assert_eq!(seen, 0);
    // What is a breach at once.
    for bad in [
        |stream| frame(WINDOW_UPDATE, 0, stream, &[0; 4]),
        |stream| frame(PRIORITY, 0, stream, &[0; 4]),
        |stream| frame(DATA, END_STREAM, stream, b"x"),
        |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &[0x82]),
    ] {
        let seen = flooded(&world, "protocol_error", |flood, count| {
            [complete(flood, count), bad(2 * count + 1)].concat()
        });
        assert!(seen <= 1, "{seen} requests");
    }
}

#[test]
fn c33_empty_data_frames() {
    let world = world();
    let seen = flooded(&world, "empty_frames", |flood, count| match count {
        0 => flood.request(0, "POST", 0),
        _ => frame(DATA, 0, 1, &[]),
    });
    assert_eq!(seen, 0);
}

#[test]
fn c33_frames_that_cost_a_client_nothing() {
    let world = world();
    flooded(&world, "settings", |_, _| frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]));
    flooded(&world, "pings", |_, _| frame(PING, 0, 0, &[0; 8]));
    flooded(&world, "priorities", |_, count| {
        frame(PRIORITY, 0, 2 * count + 1, &[0x7f, 0, 0, 0, 9])
    });
    flooded(&world, "priorities", |_, _| frame(0x10, 0, 0, b"\0\0\0\x01u=1"));
    flooded(&world, "unknown_frames", |_, _| frame(0xbe, 0, 0, b"?"));
    flooded(&world, "window_updates", |_, _| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]));
    let seen = flooded(&world, "malformed", |flood, count| {
        let head = [flood.head("GET"), block(&[("X", "y")])].concat();
        frame(HEADERS, END_HEADERS | END_STREAM, 2 * count + 1, &head)
    });
    assert_eq!(seen, 0);
}

#[test]
fn c33_streams_beyond_the_limit() {
    let world = world();
    // All open, none complete: 128 are taken, the others refused until there were too many.
    flooded(&world, "refused_streams", |flood, count| flood.request(count, "POST", 0));
}

#[test]
fn c33_heads_and_frames_that_never_end() {
    const SHORT: &str = "connections: {request_head: {time: 300ms}, idle: 500ms}\n";
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, CONFIG, SHORT]);
    let ended = ["gateway_connections_ended_total", "head_time"];
    let mut first = Flood::start(&world);
    let head = first.head("GET");
    first.connection.write(frame(HEADERS, END_STREAM, 1, &head));
    let mut second = Flood::start(&world);
    second.connection.write(&frame(PING, 0, 0, &[0; 8])[..5]);
    assert_eq!(first.goodbye(), Some(ENHANCE_YOUR_CALM));
    assert_eq!(second.goodbye(), Some(ENHANCE_YOUR_CALM));
    assert_eq!(world.gateway.metric(&ended), 2);
    assert_eq!(world.upstream.seen(&first.mark).len(), 0);
    // One that says nothing is closed when its time is over, and no fault of it is counted.
    Flood::start(&world).goodbye();
    assert_eq!(world.gateway.metric(&["gateway_connections_ended_total"]), 2);
}
