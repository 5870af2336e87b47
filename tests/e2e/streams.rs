//! Streams stay streams: unbuffered, bounded in memory, ended by either side. C54.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_testkit::{Reply, Request, marker, until_true};

use crate::world::{BASE, HOSTS, UPSTREAMS, World, raw_app};

const ROUTES: &str = r#"
routes:
  - {name: r, path: "/{*rest}", access: public, timeouts: {total: 1s}, forward: {upstream: u}}
  - {name: long, path: "/long/{*rest}", access: public, forward: {upstream: u}}
"#;

fn world(app: SocketAddr) -> World {
    let upstreams = format!("upstreams: [{{name: u, endpoints: [\"http://{app}\"]}}]\n");
    World::start(&[BASE, HOSTS, &upstreams, ROUTES])
}

fn head_of(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0; 1];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

const EVENTS: [&str; 6] = [
    "event: a\nid: 1\ndata: one\n\n",
    ": keep-alive\n\n",
    "data: two\ndata: lines\n\n",
    ":\n\n",
    "id: 9\r\nevent: crlf\r\ndata: \u{e4}\r\n\r\n",
    "data: last\n\n",
];

#[test]
fn c54_events_pass_one_by_one_as_they_are() {
    // The next event is sent once the one before has arrived.
    let wanted = Arc::new(AtomicUsize::new(0));
    let heads = Arc::new(Mutex::new(Vec::new()));
    let (asked, seen) = (Arc::clone(&wanted), Arc::clone(&heads));
    let app = raw_app(move |stream| {
        seen.lock().push(head_of(stream));
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        for (n, event) in EVENTS.iter().enumerate() {
            until_true(Duration::from_secs(10), "it is asked for", || {
                asked.load(Ordering::SeqCst) > n
            });
            write!(stream, "{:x}\r\n{event}\r\n", event.len()).unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
    });
    let world = world(app);
    let request = Request::get("/x")
        .field("accept", "text/event-stream")
        .field("accept-encoding", "gzip, br");
    let next = |n: usize| {
        // Longer in all than the total time of the route.
        std::thread::sleep(Duration::from_millis(250));
        wanted.store(n + 1, Ordering::SeqCst);
    };
    for client in [world.plain(), world.https()] {
        wanted.store(0, Ordering::SeqCst);
        let mut connection = client.connect();
        connection.write(request.to_bytes());
        let mut all = String::new();
        for n in 0..EVENTS.len() {
            next(n);
            let so_far = EVENTS[..=n].concat();
            while unchunked(&all) != so_far {
                let some = connection.read_some();
                assert!(!some.is_empty(), "it ended after {all}");
                all += &String::from_utf8_lossy(&some);
            }
        }
        assert!(!all.to_ascii_lowercase().contains("content-encoding"), "{all}");
    }
    wanted.store(0, Ordering::SeqCst);
    let mut http2 = world.https().open_http2();
    let mut incoming = http2.start(&request, true).head().expect("an answer");
    let mut all = Vec::new();
    for (n, event) in EVENTS.iter().enumerate() {
        next(n);
        while !all.ends_with(event.as_bytes()) {
            all.extend(incoming.piece().expect("more").expect("no error"));
        }
    }
    assert_eq!(all, EVENTS.concat().as_bytes());
    assert!(incoming.rest().0.complete);
    for head in heads.lock().iter() {
        assert!(head.contains("accept-encoding: gzip, br\r\n"), "{head}");
    }
}

/// What stands in the chunks of an answer, as far as they came.
fn unchunked(answer: &str) -> String {
    let mut rest = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let mut all = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        let Some(data) = after.get(..size) else { break };
        all += data;
        rest = after.get(size + 2..).unwrap_or_default();
    }
    all
}

#[test]
fn c54_a_download_waits_for_a_slow_client() {
    const SIZE: usize = 50 << 20;
    static WRITTEN: AtomicUsize = AtomicUsize::new(0);
    let app = raw_app(|stream| {
        head_of(stream);
        WRITTEN.store(0, Ordering::SeqCst);
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n").unwrap();
        let block: Vec<u8> = (0..64 * 1024).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let mut left = SIZE;
        while left > 0 {
            let part = &block[..left.min(block.len())];
            if stream.write_all(part).is_err() {
                return;
            }
            left -= part.len();
            WRITTEN.fetch_add(part.len(), Ordering::SeqCst);
        }
    });
    let world = world(app);
    let memory = || world.gateway.metric(&["process_resident_memory_bytes"]);
    let settled = || {
        let mut before = usize::MAX;
        until_true(Duration::from_secs(10), "the app waits", || {
            let now = WRITTEN.load(Ordering::SeqCst);
            std::mem::replace(&mut before, now) == now && now > 0
        });
        WRITTEN.load(Ordering::SeqCst)
    };
    let is_right = |body: &[u8]| {
        body.len() == SIZE
            && body
                .chunks(64 * 1024)
                .all(|block| block.iter().enumerate().all(|(n, b)| usize::from(*b) == n % 251))
    };
    world.plain().send(&Request::get("/none-of-it")).expect(200);
    let before = memory();
    let mut connection = world.plain().connect();
    connection.write(Request::get("/long/x").to_bytes());
    std::thread::sleep(Duration::from_millis(300));
    let ahead = settled();
    assert!(ahead < 20 << 20, "{ahead} bytes ahead of a client that reads nothing");
    assert!(memory() - before < 16 << 20, "{} bytes more", memory() - before);
    let answer = connection.read().expect("an answer");
    assert!(is_right(&answer.body));
    let mut http2 = world.https().open_http2();
    let incoming = http2.start(&Request::get("/long/x"), true).head().expect("an answer");
    std::thread::sleep(Duration::from_millis(300));
    assert!(settled() < 20 << 20);
    assert!(memory() - before < 16 << 20, "{} bytes more", memory() - before);
    assert!(is_right(&incoming.rest().0.body));
}

#[test]
fn c54_the_app_hears_that_nobody_listens_any_more() {
    static GONE: AtomicBool = AtomicBool::new(false);
    // An event stream on which nothing happens.
    let app = raw_app(|stream| {
        head_of(stream);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: x\n\n";
        stream.write_all(head.as_bytes()).unwrap();
        while stream.read(&mut [0; 10]).unwrap_or(0) > 0 {}
        GONE.store(true, Ordering::SeqCst);
    });
    let world = world(app);
    let gone = || {
        until_true(Duration::from_secs(2), "the app hears of it", || GONE.load(Ordering::SeqCst));
        GONE.store(false, Ordering::SeqCst);
    };
    let request = Request::get("/x");
    // Nothing, or the begin of another request, behind it.
    for (client, behind) in
        [(world.plain(), ""), (world.https(), ""), (world.plain(), "G"), (world.https(), "GET /")]
    {
        let mut connection = client.connect();
        connection.write([&request.to_bytes()[..], behind.as_bytes()].concat());
        while !connection.read_some().ends_with(b"data: x\n\n\r\n") {}
        drop(connection);
        gone();
    }
    let mut http2 = world.https().open_http2();
    let mut call = http2.start(&request, true);
    let mut incoming = call.head().expect("an answer");
    assert!(incoming.piece().is_some_and(|piece| piece.is_ok()));
    drop(incoming);
    call.reset();
    gone();
}

#[test]
fn c54_an_answer_that_is_cut_does_not_look_whole() {
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, ROUTES]);
    let large = "x".repeat(200_000);
    for reply in [
        Reply::new(200, "hello world").cut_after(5),
        Reply::new(200, &large).cut_after(150_000),
        Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nwo"),
        Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"),
    ] {
        let mark = marker("cut");
        world.upstream.answer(&mark, reply);
        let request = Request::get(format!("/x?{mark}"));
        for client in [world.plain(), world.https()] {
            let answer = client.send(&request);
            assert!(answer.status == 502 || answer.status == 200 && !answer.complete, "{answer:?}");
        }
        let mut http2 = world.https().open_http2();
        let mut call = http2.start(&request, true);
        let is_whole = call.answer().is_ok_and(|answer| answer.status == 200 && answer.complete);
        assert!(!is_whole);
        assert!(http2.is_open(), "other streams go on");
    }
    let line = world.gateway.access_line("\"aborted\":true");
    assert_eq!(line["status"], 200, "{line}");
}
