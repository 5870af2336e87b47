//! Clients that take their time: every way of holding a connection has an end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use portcullis_core::clock::Clock;
use portcullis_testkit::poll::until_true;
use portcullis_testkit::scripted::frame;
use portcullis_testkit::{Reply, Request, marker};

use crate::world::{BASE, HOSTS, UPSTREAMS, World};

const CONFIG: &str = r#"
connections:
  tls_handshake: 1s
  request_head: {time: 1s}
  write: 1s
  idle: 1s
defaults: {request: {body: {maximum: 10MiB}}, timeouts: {total: 60s}}
routes: [{name: all, path: "/{*rest}", access: public, forward: {upstream: u}}]
"#;

/// Far above every time of [`CONFIG`].
const SOON: Duration = Duration::from_secs(8);

fn world() -> World {
    World::start(&[BASE, HOSTS, UPSTREAMS, CONFIG])
}

fn connect(world: &World, listener: &str) -> TcpStream {
    let stream = TcpStream::connect(world.gateway.address(listener)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// All that comes until the gateway closes, which must be soon.
#[track_caller]
fn rest(mut stream: TcpStream) -> String {
    let clock = Clock::system();
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes);
    let kind = ended.err().map(|error| error.kind());
    assert!(matches!(kind, None | Some(std::io::ErrorKind::ConnectionReset)), "{kind:?}");
    assert!(clock.monotonic() < SOON, "{:?}", clock.monotonic());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes `bytes` one by one, so many milliseconds apart, until the gateway answers or closes.
#[track_caller]
fn drip(mut stream: TcpStream, bytes: &[u8], pause: u64, limit: Duration) -> String {
    let clock = Clock::system();
    let mut answer = vec![0; 16 * 1024];
    stream.set_read_timeout(Some(Duration::from_millis(pause))).unwrap();
    for byte in bytes.iter().cycle() {
        assert!(clock.monotonic() < limit, "it goes on for {:?}", clock.monotonic());
        match stream.read(&mut answer) {
            Ok(read) => return String::from_utf8_lossy(&answer[..read]).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error} instead of an answer"),
        }
        stream.write_all(&[*byte]).ok();
    }
    unreachable!("a cycle has no end");
}

#[test]
fn c31_who_says_nothing_is_closed() {
    let world = world();
    let tls = connect(&world, "https");
    let plain = connect(&world, "plain");
    let mut half = connect(&world, "https");
    // A record that says it holds more than comes.
    half.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).unwrap();
    for stream in [tls, plain, half] {
        let said = rest(stream);
        assert!(said.is_empty() || said.contains("408"), "{said}");
    }
    until_true(Duration::from_secs(5), "both handshakes are counted", || {
        world.gateway.metric(&["gateway_handshake_failures_total", "\"https\"", "timed_out"]) == 2
    });
}

#[test]
fn c31_a_head_has_one_deadline_for_all_of_it() {
    let world = world();
    let said = drip(connect(&world, "plain"), b"GET /aaaaaaaaaaaaaaaa", 100, SOON);
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408 "), "{said}");
}

#[test]
fn c31_an_idle_connection_is_closed() {
    let world = world();
    let mut connection = world.plain().connect();
    connection.send(&Request::get("/x")).expect(200);
    let clock = Clock::system();
    assert!(connection.is_closed());
    assert!(clock.monotonic() < SOON);
}

/// Both a body that is read whole before the app is contacted and one that is streamed to it.
#[test]
fn c31_a_body_that_trickles_is_ended() {
    let config =
        CONFIG.replace("  idle: 1s\n", "  idle: 1s\n  request_body: {minimum_rate: 1KiB/s}\n");
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, &config]);
    std::thread::scope(|scope| {
        for length in [100, 1_000_000] {
            let mut stream = connect(&world, "plain");
            scope.spawn(move || {
                let head = format!(
                    "POST /x HTTP/1.1\r\nHost: api.test\r\nContent-Length: {length}\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).unwrap();
                let said = drip(stream, b"x", 500, Duration::from_secs(18));
                assert!(said.starts_with("HTTP/1.1 408 "), "{length}: {said}");
            });
        }
    });
}

/// What a client reads once in a while does not keep it alive.
#[test]
fn c31_a_client_that_hardly_reads_is_cut_off() {
    let world = world();
    let mark = marker("m");
    world.upstream.answer(&mark, Reply::new(200, vec![b'x'; 32 << 20]));
    let mut stream = connect(&world, "plain");
    let head = format!("GET /{mark} HTTP/1.1\r\nHost: api.test\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut byte = [0];
    until_true(Duration::from_secs(15), "the gateway gives it up", || {
        stream.read_exact(&mut byte).ok();
        world.gateway.metric(&["gateway_connections{", "\"plain\""]) == 0
    });
    let mut left = Vec::new();
    stream.read_to_end(&mut left).ok();
    assert!(left.len() < 32 << 20, "it was written whole");
}

/// Over HTTP/2 a client can hold an answer back in two ways: it opens no window for it, or it opens all
/// of it and reads nothing.
#[test]
fn c31_a_client_of_http2_that_does_not_take_its_answer_is_cut_off() {
    const SETTINGS: u8 = 4;
    const WINDOW_UPDATE: u8 = 8;
    const HEADERS: u8 = 1;
    const END: u8 = 5;
    let world = world();
    let mark = marker("m");
    world.upstream.answer(&mark, Reply::new(200, vec![b'x'; 32 << 20]));
    let target = format!("/{mark}");
    let length = u8::try_from(target.len()).unwrap();
    // GET, http, the path and the authority, by the static table of RFC 7541.
    let head = [&[0x82, 0x86, 0x04, length], target.as_bytes(), b"\x01\x08api.test"].concat();
    let under_way = || world.gateway.metric(&["gateway_upstream_requests{"]);
    for window in [0_u32, 0x7fff_ffff] {
        let mut stream = connect(&world, "plain");
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
        stream.write_all(&frame(SETTINGS, 0, 0, &settings)).unwrap();
        stream.write_all(&frame(WINDOW_UPDATE, 0, 0, &0x7ffe_ffff_u32.to_be_bytes())).unwrap();
        stream.write_all(&frame(HEADERS, END, 1, &head)).unwrap();
        until_true(SOON, "the app is asked", || under_way() == 1);
        until_true(Duration::from_secs(15), "the app is let go", || under_way() == 0);
        // Who reads nothing at all has no connection any more; the other may go on with it.
        let open = || world.gateway.metric(&["gateway_connections{", "\"plain\""]);
        if window > 0 {
            until_true(Duration::from_secs(15), "the connection ends", || open() == 0);
        }
        drop(stream);
        until_true(SOON, "the connection ends", || open() == 0);
    }
}

#[test]
fn c31_the_process_has_room_for_so_many_connections() {
    let config = CONFIG
        .replace("connections:\n", "connections:\n  maximum: 3\n")
        .replace("idle: 1s", "idle: 30s");
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, &config]);
    let from = |address: &str| world.plain().from(address);
    let mut held: Vec<_> = (1..=3).map(|n| from(&format!("127.0.0.{n}")).connect()).collect();
    for connection in &mut held {
        connection.send(&Request::get("/x")).expect(200);
    }
    assert!(from("127.0.0.9").connect().is_closed());
    let counted = ["gateway_connections_refused_total", "\"maximum\""];
    until_true(Duration::from_secs(5), "it is counted", || world.gateway.metric(&counted) == 1);
    drop(held);
    until_true(Duration::from_secs(5), "there is room again", || {
        let mut connection = from("127.0.0.9").connect();
        connection.write(Request::get("/x").to_bytes());
        connection.read().is_ok_and(|answer| answer.status == 200)
    });
}
