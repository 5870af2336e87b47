//! One process after another on the same sockets, and the end of one under load. C50.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::clock::Clock;
use portcullis_testkit::{Client, Reply, Request, marker, until_true};

use crate::world::{ADMIN_TOKEN, BASE, HOSTS, UPSTREAMS, World, raw_app};

const LISTENER: &str = "  - {name: local, address: \"unix:@DIR@/app.sock\", cleartext: true}\n";

const ROUTES: &str = r#"
connections: {drain: {delay: 1s, grace: 10s}}
routes: [{name: all, path: "/{*rest}", access: public, forward: {upstream: u}}]
"#;

fn base() -> String {
    BASE.replace("certificates:", &format!("{LISTENER}certificates:"))
}

/// Clients that ask without pause, and what went wrong for them.
struct Load {
    state: Arc<State>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    over: AtomicBool,
    answered: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl State {
    /// Once, and whether to go on.
    fn ask(&self, ask: &mut Ask) -> bool {
        let failure = ask().err();
        self.failures.lock().extend(failure);
        self.answered.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_millis(4));
        !self.over.load(Ordering::SeqCst)
    }
}

/// One client: asks once, whether well.
type Ask = Box<dyn FnMut() -> Result<(), String> + Send>;

/// Marks of requests that were sent again.
type Markers = Arc<Mutex<Vec<String>>>;

impl Load {
    fn start(clients: Vec<Ask>) -> Self {
        let state: Arc<State> = Arc::default();
        let threads = clients.into_iter().map(|mut ask| {
            let state = Arc::clone(&state);
            spawn(move || while state.ask(&mut ask) {})
        });
        Self { threads: threads.collect(), state }
    }

    /// Waits until so many more were answered.
    fn go_on(&self, more: usize) {
        let wanted = self.state.answered.load(Ordering::SeqCst) + more;
        until_true(Duration::from_secs(20), "requests are served", || {
            self.state.answered.load(Ordering::SeqCst) >= wanted
        });
    }

    fn end(self) {
        self.state.over.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().expect("the client ends");
        }
        let failures = self.state.failures.lock();
        assert!(failures.is_empty(), "{} failed: {failures:#?}", failures.len());
    }
}

/// Keeps its connection for as long as it may.
fn keeping(client: Client) -> Ask {
    let mut open = None;
    Box::new(move || {
        let mut connection = match open.take() {
            Some(connection) => connection,
            None => client.try_connect().map_err(|error| format!("kept: connect: {error}"))?,
        };
        connection.write(Request::get("/kept").to_bytes());
        let answer = connection.read().map_err(|error| format!("kept: {error}"))?;
        if answer.status != 200 || !answer.complete {
            return Err(format!("kept: {answer:?}"));
        }
        let closes = answer.field("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
        open = (!closes).then_some(connection);
        Ok(())
    })
}

/// A new connection each time.
fn coming(client: Client, request: Request) -> Ask {
    Box::new(move || {
        let mut connection =
            client.try_connect().map_err(|error| format!("new: connect: {error}"))?;
        connection.write(request.to_bytes());
        let answer = connection.read().map_err(|error| format!("new: {error}"))?;
        if answer.status == 200 { Ok(()) } else { Err(format!("new: {answer:?}")) }
    })
}

/// One HTTP/2 connection until it says that it goes away. A stream above the last one that it names
/// is sent again, which is safe because it was not processed (RFC 9113 §6.8): such have a marker, and
/// go to `again`.
fn http2(client: Client, again: Markers) -> Ask {
    let mut open = None;
    let (mut mark, mut is_retry) = (marker("h2"), false);
    Box::new(move || {
        let connection = open.get_or_insert_with(|| client.open_http2());
        let request = Request::get(format!("/h2?{mark}"));
        let Some(mut call) = connection.try_start(&request, true) else {
            open = None;
            return Ok(());
        };
        match call.answer() {
            Ok(answer) if answer.status == 200 && answer.complete => {
                let answered = std::mem::replace(&mut mark, marker("h2"));
                if std::mem::take(&mut is_retry) {
                    again.lock().push(answered);
                }
                Ok(())
            }
            Err(error) if error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR) => {
                (open, is_retry) = (None, true);
                Ok(())
            }
            other => Err(format!("h2: {other:?}")),
        }
    })
}

fn everybody(world: &World, again: &Markers) -> Vec<Ask> {
    vec![
        keeping(world.plain()),
        keeping(world.https()),
        coming(world.plain(), Request::get("/new")),
        coming(world.https(), Request::get("/new")),
        http2(world.https(), Arc::clone(again)),
    ]
}

fn ask_unix(socket: &Path) -> String {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"GET /x HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn c50_an_upgrade_loses_no_request() {
    let mut world = World::start(&[&base(), HOSTS, UPSTREAMS, ROUTES]);
    let socket = world.gateway.launch().folder().join("app.sock");
    let (probes, plain) = (world.gateway.address("probes"), world.gateway.address("plain"));
    world.upstream.answer("/slow", Reply::new(200, "slow").after(Duration::from_secs(1)));
    let again = Markers::default();
    let mut clients = everybody(&world, &again);
    let ready = Request::get("/readyz").host(&probes.to_string());
    clients.push(coming(world.gateway.plain("probes"), ready));
    let load = Load::start(clients);
    load.go_on(50);
    for round in 1..=2 {
        let mut slow = world.plain().connect();
        slow.write(Request::get("/slow").to_bytes());
        until_true(Duration::from_secs(5), "the slow request is at the app", || {
            world.upstream.seen("/slow").len() == round
        });
        let old = world.gateway.upgrade();
        // The same sockets, although the file has no port for any.
        assert_eq!(world.gateway.address("plain"), plain);
        assert_eq!(world.gateway.address("probes"), probes);
        load.go_on(50);
        assert_eq!(slow.read().expect("what was under way ends").text(), "slow");
        drop(slow);
        assert_eq!(old.wait(Duration::from_secs(20)), 0, "{:#?}", old.stderr());
        load.go_on(50);
        assert!(ask_unix(&socket).starts_with("HTTP/1.1 200 "));
    }
    load.end();
    for mark in again.lock().iter() {
        world.upstream.only(mark);
    }
    let admin = world.gateway.address("admin").to_string();
    let config = Request::get("/config").host(&admin).bearer(ADMIN_TOKEN);
    world.gateway.plain("admin").send(&config).expect(200);
    world.gateway.process().signal("TERM");
    assert_eq!(world.gateway.process().wait(Duration::from_secs(20)), 0);
    assert!(!socket.exists(), "the last one takes its file away");
}

#[test]
fn c50_a_successor_that_cannot_start_changes_nothing() {
    let mut world = World::start(&[&base(), HOSTS, UPSTREAMS, ROUTES]);
    let gateway = &world.gateway;
    let again = Markers::default();
    let load = Load::start(everybody(&world, &again));
    let upgrade = || gateway.launch().command(&["run", "--upgrade", "--config", "successor.yaml"]);
    gateway.write("successor.yaml", "version: 1\nlisteners: 3\n");
    let refused = upgrade();
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    // It has the sockets by then, and finds that it cannot have all it needs.
    let taken = world.upstream.address().to_string();
    let text = [&base(), HOSTS, UPSTREAMS, ROUTES].concat();
    let text = text.replace("@UPSTREAM@", &world.upstream.url());
    let more = format!("  - {{name: more, address: \"{taken}\", cleartext: true}}\n{LISTENER}");
    gateway.write("successor.yaml", &text.replace(LISTENER, &more));
    let refused = upgrade();
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains(&taken), "{}", refused.stderr);
    gateway.log_line("the successor went away");
    load.go_on(50);
    load.end();
    gateway.probe("/readyz").expect(200);
    assert_eq!(gateway.process().exit_code(), None);
    let socket = gateway.launch().folder().join("app.sock");
    assert!(ask_unix(&socket).starts_with("HTTP/1.1 200 "));

    // One that was killed left its socket behind: the next starts as always.
    gateway.process().signal("KILL");
    gateway.process().wait(Duration::from_secs(5));
    world.gateway.upgrade();
    assert!(ask_unix(&socket).starts_with("HTTP/1.1 200 "));
    world.plain().send(&Request::get("/x")).expect(200);
}

/// How long what is under way takes, in steps of 100 ms.
const STEPS: usize = 40;

/// `/download` and `/events` take their time; the rest is quick.
fn slow_app(stream: &mut TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0; 1];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let (fields, step) = if head.starts_with(b"GET /download") {
        (format!("content-length: {}", STEPS * 1000), "x".repeat(1000))
    } else if head.starts_with(b"GET /events") {
        ("content-type: text/event-stream".to_owned(), "data: x\n\n".to_owned())
    } else {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
            .ok();
        return;
    };
    write!(stream, "HTTP/1.1 200 OK\r\n{fields}\r\nconnection: close\r\n\r\n").ok();
    for _ in 0..STEPS {
        stream.write_all(step.as_bytes()).ok();
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn c50_a_stop_under_load_loses_nothing() {
    let app = raw_app(slow_app);
    let upstreams = format!("upstreams: [{{name: u, endpoints: [\"http://{app}\"]}}]\n");
    let world = World::start(&[BASE, HOSTS, &upstreams, &ROUTES.replace("delay: 1s", "delay: 3s")]);
    let again = Markers::default();
    let load = Load::start(everybody(&world, &again));
    load.go_on(20);
    let mut download = world.plain().connect();
    download.write(Request::get("/download").to_bytes());
    let mut events = world.https().connect();
    events.write(Request::get("/events").to_bytes());
    let shared = world.https().open_http2();
    let mut stream = shared
        .try_start(&Request::get("/events"), true)
        .expect("it is open")
        .head()
        .expect("an answer");
    assert!(stream.piece().expect("an event").is_ok());
    let clock = Clock::system();
    world.gateway.process().signal("TERM");
    until_true(Duration::from_secs(2), "not ready any more", || {
        world.gateway.probe("/readyz").status == 503
    });
    // Who is there stays, who comes is served, on new connections and on streams of old ones.
    load.go_on(20);
    load.end();
    let late = world.plain().send(&Request::get("/late"));
    assert_eq!(late.expect(200).field("connection"), Some("close"));
    let mut more = shared.try_start(&Request::get("/more"), true).expect("it is open");
    assert_eq!(more.answer().expect("a stream opened late ends well").status, 200);
    assert_eq!(download.read().expect("the download ends").body.len(), STEPS * 1000);
    drop(download);
    let events = events.read().expect("the events end");
    assert_eq!(events.text().matches("data: x").count(), STEPS, "{events:?}");
    let mut all = 1;
    while let Some(piece) = stream.piece() {
        all += piece.expect("no error").split(|byte| *byte == b'x').count() - 1;
    }
    assert_eq!(all, STEPS);
    assert!(!shared.is_open());
    assert_eq!(world.gateway.process().wait(Duration::from_secs(20)), 0);
    assert!(clock.monotonic() < Duration::from_secs(14), "longer than delay and grace");
}
