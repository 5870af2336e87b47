//! What is tried again and what is not (RFC 9110 §9.2.2): a GET survives a closed connection, a
//! POST is never sent twice.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_testkit::scripted::{frame, greet, read_request, read_stream};
use portcullis_testkit::{Request, Scripted};

use crate::world::{BASE, HOSTS, World};

/// `:status: 200` as HPACK has it, and `END_HEADERS | END_STREAM`.
const WELL: (&[u8], u8) = (&[0x88], 5);

fn before(endpoint: &str, retries: u32) -> World {
    let config = format!(
        "upstreams: [{{name: u, endpoints: [\"{endpoint}\"], retries: {retries}}}]\n\
         routes:\n  - {{name: app, path: \"/{{*rest}}\", access: public, forward: {{upstream: u}}}}\n"
    );
    World::start(&[BASE, HOSTS, &config])
}

#[test]
fn c49_an_app_that_closes_idle_connections_costs_no_get() {
    const IDLE: Duration = Duration::from_secs(1);
    /// Around the moment at which the app closes, in milliseconds.
    const AROUND: std::ops::Range<u64> = 985..1_015;
    const WORKERS: u64 = 125;
    const TURNS: u64 = 4;
    let executed: Arc<Mutex<HashMap<Vec<u8>, usize>>> = Arc::default();
    let counted = Arc::clone(&executed);
    let app = Scripted::start(move |mut stream, _| {
        stream.set_read_timeout(Some(IDLE)).ok();
        while let Some(request) = read_request(&mut stream) {
            if request.starts_with(b"POST") {
                let line = request.split(|byte| *byte == b'\r').next().unwrap().to_vec();
                *counted.lock().entry(line).or_default() += 1;
            }
            if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_err() {
                return;
            }
        }
    });
    let world = Arc::new(before(&app.url(), 0));
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let span = AROUND.end - AROUND.start;
                let mut answered = 0;
                for turn in 0..TURNS {
                    let client = world.plain();
                    sleep(Duration::from_millis(AROUND.start + (worker * 7 + turn) % span));
                    let answer = client.send(&Request::get("/x"));
                    assert_eq!(answer.status, 200, "a GET is never lost: {answer:?}");
                    sleep(Duration::from_millis(AROUND.start + (worker * 5 + turn) % span));
                    let answer = client.send(&Request::post(format!("/{worker}-{turn}"), "once"));
                    assert!([200, 502].contains(&answer.status), "{answer:?}");
                    answered += usize::from(answer.status == 200);
                }
                answered
            })
        })
        .collect();
    let answered: usize = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    let executed = executed.lock();
    assert!(executed.values().all(|times| *times == 1), "a POST was executed twice");
    assert!(executed.len() >= answered && answered > 0, "{answered} of {}", executed.len());
}

/// What an app read of each request line that came to it; those of second requests begin with `2 `.
type Lines = Arc<Mutex<HashMap<String, usize>>>;

/// An app that answers the first request of a connection, and reads the second and cuts it off.
fn cuts_the_second(lines: &Lines) -> Scripted {
    let lines = Arc::clone(lines);
    let note = move |request: &[u8], place: &str| {
        let line = String::from_utf8_lossy(request).lines().next().unwrap_or_default().to_owned();
        *lines.lock().entry(format!("{place}{line}")).or_default() += 1;
    };
    Scripted::start(move |mut stream, _| {
        let Some(first) = read_request(&mut stream) else { return };
        note(&first, "");
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").ok();
        if let Some(second) = read_request(&mut stream) {
            note(&second, "2 ");
        }
    })
}

/// A connection goes back to the pool a moment after its answer was read, so that a request may meet
/// none there: it is asked again until one did.
#[test]
fn c49_a_post_that_was_read_is_not_sent_again() {
    let lines = Lines::default();
    let app = cuts_the_second(&lines);
    let world = before(&app.url(), 2);
    let client = world.plain();
    let cut = (0..100).find_map(|n| {
        client.send(&Request::get("/x")).expect(200);
        let answer = client.send(&Request::post(format!("/{n}"), "once"));
        (answer.status != 200).then_some((n, answer))
    });
    let (n, answer) = cut.expect("a POST over a connection that was used");
    answer.expect_refusal(502, "upstream-failed");
    assert_eq!(lines.lock().get(&format!("2 POST /{n} HTTP/1.1")), Some(&1));
    let posts: HashMap<String, usize> =
        lines.lock().iter().filter(|(line, _)| line.contains("POST")).map(own).collect();
    assert_eq!(posts.len(), n + 1);
    assert!(posts.values().all(|times| *times == 1), "{posts:?}");
}

fn own((line, times): (&String, &usize)) -> (String, usize) {
    (line.clone(), *times)
}

#[test]
fn c49_a_get_that_was_cut_is_sent_again_over_a_new_connection() {
    let lines = Lines::default();
    let app = cuts_the_second(&lines);
    let world = before(&app.url(), 2);
    let client = world.plain();
    let was_cut = (0..100).any(|n| {
        client.send(&Request::get(format!("/{n}"))).expect(200);
        lines.lock().keys().any(|line| line.starts_with("2 GET "))
    });
    assert!(was_cut, "a GET over a connection that was used");
}

#[test]
fn retries_are_as_many_as_said() {
    let app = Scripted::start(|mut stream, _| drop(read_request(&mut stream)));
    for (retries, method, connections) in [(0, "GET", 1), (2, "GET", 3), (2, "POST", 1)] {
        let before_it = app.connections();
        let world = before(&app.url(), retries);
        world.plain().send(&Request::new(method, "/x")).expect_refusal(502, "upstream-failed");
        assert_eq!(app.connections() - before_it, connections, "{retries} {method}");
    }
}

/// What an HTTP/2 app says to the first request, and whether it closes then; all others get 200.
#[track_caller]
fn over_h2(first: fn(u32) -> (Vec<u8>, bool), method: &str) -> (u16, usize) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let app = Scripted::start(move |mut connection, _| {
        greet(&mut connection);
        while let Some(stream) = read_stream(&mut connection) {
            let (bytes, closes) = match counted.fetch_add(1, Ordering::SeqCst) {
                0 => first(stream),
                _ => (frame(1, WELL.1, stream, WELL.0), false),
            };
            connection.write_all(&bytes).ok();
            if closes {
                return;
            }
        }
    });
    let world = before(&format!("h2c://{}", app.address()), 1);
    let answer = world.plain().send(&Request::new(method, "/x").body("once"));
    (answer.status, requests.load(Ordering::SeqCst))
}

#[test]
fn c49_over_http2_only_what_was_not_processed_is_sent_again() {
    assert_eq!(over_h2(|stream| (frame(1, WELL.1, stream, WELL.0), false), "POST"), (200, 1));
    // REFUSED_STREAM, and GOAWAY for streams beyond the last that was taken: not processed.
    assert_eq!(over_h2(|stream| (frame(3, 0, stream, &[0, 0, 0, 7]), false), "POST"), (200, 2));
    assert_eq!(over_h2(|_| (frame(7, 0, 0, &[0; 8]), false), "POST"), (200, 2));
    assert_eq!(over_h2(|_| (frame(7, 0, 0, &[0; 8]), true), "POST"), (200, 2));
    // Taken and then lost, reset, or answered with nonsense: it may have been processed.
    assert_eq!(over_h2(|_| (frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]), true), "POST"), (502, 1));
    assert_eq!(over_h2(|_| (frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 2]), true), "POST"), (502, 1));
    assert_eq!(over_h2(|stream| (frame(3, 0, stream, &[0, 0, 0, 8]), false), "POST"), (502, 1));
    assert_eq!(over_h2(|_| (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), true), "POST"), (502, 1));
    assert_eq!(over_h2(|_| (Vec::new(), true), "POST"), (502, 1));
    // A GET may be processed twice.
    assert_eq!(over_h2(|_| (Vec::new(), true), "GET"), (200, 2));
}
