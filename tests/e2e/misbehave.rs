//! Ways for an upstream to misbehave: each is answered in bounded time, and nothing is left behind.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use portcullis_core::Clock;
use portcullis_testkit::poll::until_true;
use portcullis_testkit::scripted::read_request;
use portcullis_testkit::{Answer, Request, Scripted};

use crate::world::{BASE, HOSTS, World};

/// Longest time for any of them. The route has 2 s in all; the rest is for a busy machine.
const BOUND: Duration = Duration::from_secs(12);

const TERMS: &str = "retries: 0, timeouts: {connect: 500ms, response_head: 700ms, between_reads: 700ms, write: 700ms}";

/// A gateway before one scripted app.
fn before(scheme: &str, app: &Scripted) -> World {
    let address = app.address();
    let config = format!(
        "upstreams: [{{name: u, endpoints: [\"{scheme}://{address}\"], {TERMS}}}]\n\
         routes:\n  - {{name: app, path: \"/{{*rest}}\", access: public, timeouts: {{total: 2s}}, forward: {{upstream: u}}}}\n"
    );
    World::start(&[BASE, HOSTS, &config])
}

fn in_flight(world: &World) -> i64 {
    world.gateway.metric(&["gateway_upstream_requests{"])
}

/// Tells how long something took.
fn stopwatch() -> impl Fn() -> Duration {
    let clock = Clock::system();
    let started = clock.monotonic();
    move || clock.monotonic().saturating_sub(started)
}

/// Sends a GET, and asserts that it ended in time and left no slot.
#[track_caller]
fn get(world: &World) -> Answer {
    let elapsed = stopwatch();
    let answer = world.plain().send(&Request::get("/x"));
    assert!(elapsed() < BOUND, "{:?}: {answer:?}", elapsed());
    until_true(Duration::from_secs(5), "no request is left at the endpoint", || {
        in_flight(world) == 0
    });
    answer
}

/// An app that reads a request and then does `what`.
fn app(what: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Scripted {
    let what = Arc::new(what);
    Scripted::start(move |mut stream, _| {
        if read_request(&mut stream).is_some() {
            what(&mut stream);
        }
    })
}

/// An app that says these bytes and waits for the other side to go.
fn says(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Scripted {
    app(move |stream| {
        stream.write_all(bytes.as_ref()).ok();
        read_request(stream);
    })
}

#[track_caller]
fn refused(app: &Scripted, status: u16, code: &str) {
    get(&before("http", app)).expect_refusal(status, code);
}

/// The client must see that an answer is not whole.
#[track_caller]
fn cut(app: &Scripted) {
    let world = before("http", app);
    let answer = get(&world);
    assert!(answer.status == 200 && !answer.complete, "{answer:?}");
    let streams = world.https().try_http2(&[Request::get("/x")]);
    let whole = streams.is_ok_and(|answers| answers.iter().all(|answer| answer.complete));
    assert!(!whole, "over HTTP/2 the stream is reset");
}

#[test]
fn apps_that_hang_or_go() {
    refused(&app(|_| sleep(Duration::from_secs(20))), 504, "upstream-timeout");
    refused(&app(|stream| drop(stream.shutdown(Shutdown::Both))), 502, "upstream-failed");
    // Closed with the request unread: a reset.
    refused(&Scripted::start(|stream, _| drop(stream)), 502, "upstream-failed");
    refused(
        &app(|stream| drop(stream.write_all(b"HTTP/1.1 200 OK\r\nconte"))),
        502,
        "upstream-failed",
    );
    // Plain HTTP where TLS is expected.
    let plain = Scripted::start(|mut stream, _| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok();
        read_request(&mut stream);
    });
    get(&before("https", &plain)).expect_refusal(503, "upstream-unavailable");
    let answer = get(&before(
        "http",
        &app(|stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").ok();
            stream.shutdown(Shutdown::Write).ok();
            sleep(Duration::from_secs(1));
        }),
    ));
    assert_eq!((answer.status, answer.text().as_str(), answer.complete), (200, "ok", true));
}

#[test]
fn heads_without_end_or_sense() {
    refused(
        &app(|stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").ok();
            while stream.write_all(&b"x-field: 0123456789\r\n".repeat(1000)).is_ok() {}
        }),
        502,
        "upstream-failed",
    );
    let many = ["HTTP/1.1 200 OK\r\n", &"x-a: b\r\n".repeat(100_000), "\r\n"].concat();
    refused(&says(many), 502, "upstream-failed");
    let many = ["HTTP/1.1 200 OK\r\n", &"x-a: b\r\n".repeat(201), "\r\n"].concat();
    refused(&says(many), 502, "upstream-failed");
    refused(&says("\0\u{1}\u{2} no HTTP at all\r\n\r\n"), 502, "upstream-failed");
    refused(&says("<html>hello</html>\n\n"), 502, "upstream-failed");
    let flood =
        app(
            |stream| {
                while stream.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n").is_ok() {}
            },
        );
    let world = before("http", &flood);
    let mut connection = world.plain().connect();
    connection.write(Request::get("/x").field("connection", "close").to_bytes());
    let all = String::from_utf8_lossy(&connection.read_all()).into_owned();
    assert!(all.contains("HTTP/1.1 502 ") && all.matches("HTTP/1.1 103").count() <= 16, "{all}");
}

#[test]
fn a_head_that_trickles_ends_with_the_total_time() {
    let world = before(
        "http",
        &app(|stream| {
            for byte in b"HTTP/1.1 200 OK\r\nx-slow: ".iter().chain([b'a'; 200].iter()) {
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
                sleep(Duration::from_millis(100));
            }
        }),
    );
    let elapsed = stopwatch();
    let mut connection = world.plain().connect();
    connection.write(Request::get("/x").to_bytes());
    // An answer, or the end of the connection.
    if let Ok(answer) = connection.read() {
        assert!(answer.status == 504 || !answer.complete, "{answer:?}");
    }
    assert!(elapsed() < BOUND);
    until_true(Duration::from_secs(5), "no slot is left", || in_flight(&world) == 0);
}

#[test]
fn answers_with_two_readings() {
    for head in [
        "101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n",
        "204 None\r\ncontent-length: 4\r\n",
        "204 None\r\ntransfer-encoding: chunked\r\n",
        "600 Odd\r\ncontent-length: 0\r\n",
        "999 Odd\r\ncontent-length: 0\r\n",
        "200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n",
        "200 OK\r\ncontent-length: 4\r\ncontent-length: 4\r\n",
        "200 OK\r\ncontent-length: 4, 4\r\n",
        "200 OK\r\ncontent-length: +4\r\n",
        "200 OK\r\ncontent-length: 0x4\r\n",
        "200 OK\r\ncontent-length: 99999999999999999999\r\n",
        "200 OK\r\ntransfer-encoding: gzip, chunked\r\n",
        "200 OK\r\ntransfer-encoding: chunked, chunked\r\n",
        "200 OK\r\ntransfer-encoding: identity\r\ncontent-length: 4\r\n",
        "200 OK\r\nx-nul: a\0b\r\ncontent-length: 4\r\n",
        "200 OK\r\nx-cr: a\rb\r\ncontent-length: 4\r\n",
    ] {
        let whole = format!("HTTP/1.1 {head}\r\nbody");
        let answer = get(&before("http", &says(whole)));
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream-failed"), "{head}");
    }
    // A folded line is made one (RFC 9112 §5.2): it names no field of its own.
    let folded = "HTTP/1.1 200 OK\r\nx-folded: a\r\n b: c\r\ncontent-length: 4\r\n\r\nbody";
    let answer = get(&before("http", &says(folded)));
    assert_eq!((answer.status, answer.field("x-folded")), (200, Some("a b: c")));
    // Both framings: the coding counts, and the client gets no length beside it.
    let both = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let answer = get(&before("http", &says(both)));
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    assert_eq!(answer.field("content-length"), None);
}

#[test]
fn bodies_that_are_not_whole_end_as_errors() {
    cut(&app(|stream| {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nten bytes.."));
    }));
    cut(&says("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nXYZ\r\nabc\r\n"));
    cut(&says("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nand then nothing"));
}

#[test]
fn bodies_without_end_or_speed_end_with_the_total_time() {
    cut(&app(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").ok();
        while stream.write_all(b".").is_ok() {
            sleep(Duration::from_millis(100));
        }
    }));
}

#[test]
fn what_nobody_asked_for_reaches_nobody() {
    // More than the length says, at once or a moment later: the next request gets its own answer.
    for pause in [0, 150] {
        let app = Scripted::start(move |mut stream, number| {
            while read_request(&mut stream).is_some() {
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
                stream.write_all(answer.as_bytes()).ok();
                sleep(Duration::from_millis(pause));
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nEVIL").ok();
            }
        });
        let world = before("http", &app);
        let mut connection = world.plain().connect();
        for number in 0..3 {
            let answer = connection.send(&Request::get("/x"));
            assert_eq!((answer.status, answer.text()), (200, number.to_string()));
            sleep(Duration::from_millis(300));
        }
        assert_eq!(app.connections(), 3, "a connection with surplus bytes is not used again");
    }
}

#[test]
fn an_answer_before_the_body_was_read_leaves_nothing_behind() {
    let app = Scripted::start(|mut stream, _| {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if !matches!(std::io::Read::read(&mut stream, &mut byte), Ok(1)) {
                return;
            }
            head.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno").ok();
        sleep(Duration::from_secs(1));
    });
    let config = format!(
        "upstreams: [{{name: u, endpoints: [\"{}\"], {TERMS}}}]\n\
         routes:\n  - {{name: app, path: \"/{{*rest}}\", access: public, request: {{body: {{maximum: 64MiB}}}}, forward: {{upstream: u}}}}\n",
        app.url()
    );
    let world = World::start(&[BASE, HOSTS, &config]);
    let elapsed = stopwatch();
    // More than the buffers of two sockets hold.
    let body = vec![b'a'; 32 << 20];
    let answer = world.plain().send(&Request::post("/x", &body));
    assert!([403, 502, 504].contains(&answer.status), "{answer:?}");
    assert!(elapsed() < BOUND);
    // Half a body lies on that connection: the next request must not follow it.
    let answer = get(&world);
    assert_eq!(answer.status, 403);
    assert!(app.connections() >= 2);
}

#[test]
fn an_upstream_that_takes_no_connection_is_unavailable() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "upstreams: [{{name: u, endpoints: [\"http://{gone}\"], {TERMS}}}]\n\
         routes:\n  - {{name: app, path: \"/{{*rest}}\", access: public, forward: {{upstream: u}}}}\n"
    );
    let world = World::start(&[BASE, HOSTS, &config]);
    let answer = get(&world);
    answer.expect_refusal(503, "upstream-unavailable");
    assert_eq!(answer.field("retry-after"), Some("1"));
}

#[test]
fn an_app_of_http_1_0_is_answered_for_in_http_1_1() {
    let closes = app(|stream| {
        stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello").ok();
        stream.shutdown(Shutdown::Both).ok();
    });
    let counts = says("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    for app in [&closes, &counts] {
        let world = before("http", app);
        let mut connection = world.plain().connect();
        connection.write("GET /x HTTP/1.1\r\nHost: api.test\r\n\r\n");
        let raw = connection.read_some();
        assert!(raw.starts_with(b"HTTP/1.1 200 OK\r\n"), "{:?}", String::from_utf8_lossy(&raw));
        assert_eq!(get(&world).expect(200).body, b"hello");
    }
    refused(
        &says("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        502,
        "upstream-failed",
    );
}
