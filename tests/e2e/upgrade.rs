//! Web sockets: granted by route, judged on the request that asks for them, counted, ended. C29,
//! CVE-2026-2833.

use std::io::{Read, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis_testkit::browser::Browser;
use portcullis_testkit::process::run;
use portcullis_testkit::{
    CertificateAuthority, EchoApp, Process, Reply, Request, Socket, marker, tools, until,
    until_true,
};

use crate::world::{BASE, HOSTS, UPSTREAMS, World, launch, raw_app};

const ISSUER: &str = r#"
issuers:
  - name: corporate
    issuer: https://idp.test/r1
    audience: [api]
    algorithms: [RS256]
    keys: {url: "@JWKS@"}
    read_token_from: [authorization, {cookie: session}]
"#;

const CONFIG: &str = r#"
cors: [{name: web, origins: ["https://ui.test"], methods: [GET], headers: [], credentials: true}]
limits:
  - {name: open_sockets, key: principal, concurrent: 5}
  - {name: few, key: address, rate: 2/h}
routes:
  - {name: public, path: "/public/{*rest}", access: public, forward: {upstream: u}}
  - {name: listed, path: "/listed/{*rest}", access: public, upgrade: [websocket], forward: {upstream: u}}
  - {name: hardened, path: "/hardened/{*rest}", access: public, upgrade: [websocket], forward: {upstream: u, cookies: {http_only: true}}}
  - {name: admin, path: "/admin/{*rest}", access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}
  - {name: ws, path: "/ws/{*rest}", access: {any_of: [{issuer: corporate}]}, cors: web, upgrade: [websocket], forward: {upstream: echo}}
  - {name: open, path: "/open/{*rest}", access: public, upgrade: [websocket], timeouts: {total: 1s}, forward: {upstream: echo}}
  - {name: few, path: /few, access: public, upgrade: [websocket], limits: [few], forward: {upstream: echo}}
  - {name: counted, path: "/counted/{*rest}", access: {any_of: [{issuer: corporate}]}, upgrade: [websocket], limits: [open_sockets], forward: {upstream: echo}}
  - {name: quiet, path: /quiet, access: public, upgrade: [websocket], forward: {upstream: impatient}}
  - {name: hung, path: "/hung/{*rest}", access: public, upgrade: [websocket], forward: {upstream: hung}}
"#;

struct Setting {
    world: World,
    echo: EchoApp,
}

fn start(config: &str) -> Setting {
    let echo = EchoApp::start();
    let upstreams = format!(
        "{}, {{name: echo, endpoints: [\"{url}\"]}}, \
         {{name: impatient, endpoints: [\"{url}\"], timeouts: {{between_reads: 2s}}}}, \
         {{name: hung, endpoints: [\"@UPSTREAM@\"], timeouts: {{response_head: 1s}}}}]\n",
        UPSTREAMS.trim_end().trim_end_matches(']'),
        url = echo.url(),
    );
    Setting { world: World::start(&[BASE, HOSTS, &upstreams, ISSUER, config]), echo }
}

static SETTING: LazyLock<Setting> = LazyLock::new(|| start(CONFIG));

fn open(request: &Request) -> Socket {
    SETTING.world.plain().web_socket(request).unwrap_or_else(|answer| panic!("{answer:?}"))
}

fn asking(path: &str, token: &str) -> Request {
    Request::get(path).field("connection", "Upgrade").field("upgrade", token)
}

#[test]
fn a_web_socket_passes_in_both_directions() {
    let mark = marker("ws");
    let token = SETTING.world.issuer.token().sign();
    let request =
        Request::get(format!("/ws/{mark}")).bearer(&token).field("x-forwarded-for", "1.2.3.4");
    for client in [SETTING.world.plain(), SETTING.world.https()] {
        let mut socket = client.web_socket(&request.clone()).expect("a socket");
        assert_eq!(socket.echo("hello").unwrap(), "hello");
        let large = "x".repeat(300_000);
        assert_eq!(socket.echo(&large).unwrap(), large);
        for n in 0..50 {
            socket.send(&format!("{n}")).unwrap();
        }
        for n in 0..50 {
            assert_eq!(socket.receive().unwrap(), format!("{n}"));
        }
        socket.close();
    }
    for head in SETTING.echo.openings(&mark) {
        assert!(!head.contains("authorization"), "{head}");
        assert!(head.contains("x-forwarded-for: 127.0.0.1\n"), "{head}");
    }
    let line = SETTING.world.gateway.access_line(&mark);
    assert_eq!(line["status"], 101, "{line}");
}

#[test]
fn c29_an_upgrade_is_judged_before_the_app_hears_of_it() {
    let mark = marker("ws");
    let refused = |request: Request, status: u16, code: &str| {
        let answer = SETTING.world.plain().web_socket(&request).expect_err("no socket");
        answer.expect_refusal(status, code);
    };
    refused(Request::get(format!("/ws/{mark}")), 401, "credential-missing");
    refused(Request::get(format!("/ws/{mark}")).bearer("x.y.z"), 401, "credential-invalid");
    refused(Request::get(format!("/none/{mark}")), 404, "route-not-found");
    assert!(SETTING.echo.openings(&mark).is_empty());
    let client = SETTING.world.plain().from("127.0.0.77");
    for _ in 0..2 {
        client.web_socket(&Request::get("/few")).expect("a socket").close();
    }
    client
        .web_socket(&Request::get("/few"))
        .expect_err("no socket")
        .expect_refusal(429, "rate-limited");
}

#[test]
fn a_cookie_opens_sockets_only_for_pages_of_its_own() {
    let token = SETTING.world.issuer.token().sign();
    let cookie = format!("session={token}");
    let with = |origin: Option<&str>| {
        let request = Request::get("/ws/x").field("cookie", &cookie);
        origin.into_iter().fold(request, Request::origin)
    };
    let https = SETTING.world.https();
    for origin in ["https://api.test", "https://ui.test"] {
        let mut socket = https.web_socket(&with(Some(origin))).expect("a socket");
        assert_eq!(socket.echo("hello").unwrap(), "hello");
    }
    for origin in [Some("https://evil.test"), Some("http://api.test"), Some("null"), None] {
        let answer = https.web_socket(&with(origin)).expect_err("no socket");
        answer.expect_refusal(403, "origin-not-allowed");
    }
    // A page cannot send an Authorization of a user it does not know.
    let request = Request::get("/ws/x").bearer(&token).origin("https://evil.test");
    assert_eq!(https.web_socket(&request).expect("a socket").echo("hello").unwrap(), "hello");
}

#[test]
fn c29_a_request_behind_an_upgrade_is_judged_by_itself() {
    for path in ["/public/x", "/listed/x"] {
        for token in ["websocket", "foo", "h2c", "TLS/1.0", "websocket, foo"] {
            let (first, second) = (marker("first"), marker("second"));
            let upgrade = asking(path, token)
                .field("http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA")
                .field("x-marker", &first);
            let behind = Request::get(format!("/admin/{second}"));
            let mut connection = SETTING.world.plain().connect();
            connection.write([upgrade.to_bytes(), behind.to_bytes()].concat());
            connection.read().expect("an answer").expect(200);
            connection.read().expect("an answer").expect_refusal(401, "credential-missing");
            SETTING.world.upstream.saw_nothing_of(&second);
            let seen = SETTING.world.upstream.only(&first);
            let wants = path == "/listed/x" && token.contains("websocket");
            let expected = if wants { vec!["websocket"] } else { Vec::new() };
            assert_eq!(seen.all("upgrade"), expected, "{path} {token}");
            assert_eq!(seen.all("http2-settings"), Vec::<&str>::new());
        }
    }
}

#[test]
fn cve_2026_2833_bytes_behind_an_upgrade_wait_for_the_answer() {
    // The app is slow, and says no: what came meanwhile is a request of its own.
    let (first, second) = (marker("slow"), marker("second"));
    let late = Reply::new(426, "no").field("upgrade", "websocket");
    SETTING.world.upstream.answer(&first, late.after(Duration::from_millis(300)));
    let upgrade = asking("/listed/x", "websocket").field("x-marker", &first);
    let behind = Request::get(format!("/admin/{second}"));
    let mut connection = SETTING.world.plain().connect();
    connection.write(upgrade.to_bytes());
    connection.write(behind.to_bytes());
    assert_eq!(connection.read().expect("an answer").status, 426);
    connection.read().expect("an answer").expect_refusal(401, "credential-missing");
    SETTING.world.upstream.saw_nothing_of(&second);
    // The app says yes: what came meanwhile is the tunnel's, byte for byte.
    let app = raw_app(|stream| {
        let mut head = vec![0; 4096];
        let length = stream.read(&mut head).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        assert!(
            !String::from_utf8_lossy(&head[..length]).contains("early"),
            "it waits for the 101"
        );
        stream.write_all(SWITCH).unwrap();
        let mut early = [0; 5];
        stream.read_exact(&mut early).unwrap();
        stream.write_all(&early).unwrap();
    });
    let routes = r#"
routes: [{name: r, path: "/{*rest}", access: public, upgrade: [websocket], forward: {upstream: u}}]
"#;
    let upstreams = format!("upstreams: [{{name: u, endpoints: [\"http://{app}\"]}}]\n");
    let world = World::start(&[BASE, HOSTS, &upstreams, routes]);
    let mut connection = world.plain().connect();
    connection.write([asking("/x", "websocket").to_bytes(), b"early".to_vec()].concat());
    assert_eq!(connection.read().expect("an answer").status, 101);
    assert_eq!(connection.read_all(), b"early");
}

const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";

#[test]
fn c29_sockets_that_open_at_once_stay_open_under_load() {
    static BUSY: AtomicBool = AtomicBool::new(true);
    // An app that has the answer ready before it has read the request.
    let app = raw_app(|stream| {
        stream.set_nodelay(true).unwrap();
        let mut head = Vec::new();
        let mut byte = [0; 1];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
            head.push(byte[0]);
        }
        stream.write_all(SWITCH).ok();
        let mut text = [0; 5];
        if stream.read_exact(&mut text).is_ok() {
            stream.write_all(&text).ok();
        }
    });
    let routes = r#"
connections: {per_client: 2000}
routes: [{name: r, path: "/{*rest}", access: public, upgrade: [websocket], forward: {upstream: u}}]
"#;
    let upstreams = format!("upstreams: [{{name: u, endpoints: [\"http://{app}\"]}}]\n");
    let world = World::start(&[BASE, HOSTS, &upstreams, routes]);
    let burn = || {
        while BUSY.load(Ordering::Relaxed) {
            std::hint::black_box(0);
        }
    };
    let burning: Vec<_> = (0..3).map(|_| std::thread::spawn(burn)).collect();
    let client = world.plain();
    let echoed = |_| {
        let mut connection = client.connect();
        connection.write(asking("/x", "websocket").to_bytes());
        let Ok(answer) = connection.read() else { return false };
        connection.write("hello");
        answer.status == 101 && connection.read_all() == b"hello"
    };
    let good = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..10).map(|_| scope.spawn(|| (0..50).filter(|n| echoed(*n)).count())).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum::<usize>()
    });
    BUSY.store(false, Ordering::Relaxed);
    for thread in burning {
        thread.join().unwrap();
    }
    assert_eq!(good, 500);
}

#[test]
fn a_101_that_nobody_asked_for_is_no_answer() {
    let upgrade = |path: &str, mark: &str| asking(path, "websocket").field("x-marker", mark);
    for switch in [
        SWITCH.to_vec(),
        String::from_utf8_lossy(SWITCH).replace("websocket", "h2c").into_bytes(),
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec(),
    ] {
        let mark = marker("101");
        SETTING
            .world
            .upstream
            .answer(&mark, Reply::raw([&switch[..], b"HTTP/1.1 200 OK\r\n\r\n"].concat()));
        let plain = Request::get("/public/x").field("x-marker", &mark);
        SETTING.world.plain().send(&plain).expect_refusal(502, "upstream-failed");
        SETTING.world.https().http2(&plain).expect_refusal(502, "upstream-failed");
        SETTING
            .world
            .plain()
            .send(&upgrade("/public/x", &mark))
            .expect_refusal(502, "upstream-failed");
        if switch != SWITCH {
            let answer = SETTING.world.plain().send(&upgrade("/listed/x", &mark));
            answer.expect_refusal(502, "upstream-failed");
        }
    }
}

#[test]
fn a_101_has_the_fields_of_every_answer() {
    let mark = marker("101");
    let text = String::from_utf8_lossy(SWITCH).into_owned();
    let more = "upgrade: websocket\r\nserver: app/1\r\nset-cookie: a=b\r\n";
    let switch = text.replace("upgrade: websocket\r\n", more);
    SETTING.world.upstream.answer(&mark, Reply::raw(switch));
    let request = asking("/hardened/x", "websocket").field("x-marker", &mark);
    let answer = SETTING.world.plain().send(&request);
    assert_eq!((answer.status, answer.field("upgrade")), (101, Some("websocket")));
    assert_eq!(answer.field("server"), None);
    assert_eq!(answer.field("set-cookie"), Some("a=b; HttpOnly"));
    assert!(answer.field("x-request-id").is_some());
}

#[test]
fn a_socket_outlives_the_total_time_but_not_silence() {
    let mut socket = open(&Request::get("/open/x"));
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(socket.echo("hello").unwrap(), "hello");
    }
    let mut quiet = open(&Request::get("/quiet"));
    assert_eq!(quiet.echo("hello").unwrap(), "hello");
    assert!(quiet.receive().is_err(), "nothing passes, so that it ends");
    // An app that never answers.
    let mark = marker("hung");
    SETTING.world.upstream.answer(&mark, Reply::hang());
    let request = asking(&format!("/hung/{mark}"), "websocket");
    SETTING.world.plain().send(&request).expect_refusal(504, "upstream-timeout");
    // It may be at work on the one it has: it gets no second.
    SETTING.world.upstream.only(&mark);
}

#[test]
fn a_socket_ends_with_the_credential() {
    let token = SETTING.world.issuer.token().time("exp", 2).sign();
    let mut socket = open(&Request::get("/ws/x").bearer(&token));
    assert_eq!(socket.echo("hello").unwrap(), "hello");
    assert!(socket.receive().is_err(), "the token has ended");
}

#[test]
fn the_end_of_one_side_is_the_end_of_the_other() {
    let setting = start(CONFIG);
    let client = setting.world.plain();
    let mut sockets: Vec<_> =
        (0..3).map(|_| client.web_socket(&Request::get("/open/x")).expect("a socket")).collect();
    for socket in &mut sockets {
        socket.echo("hello").unwrap();
    }
    assert_eq!(setting.echo.open(), 3);
    drop(sockets);
    until_true(Duration::from_secs(2), "the app hears of it", || setting.echo.open() == 0);
    let mut socket = client.web_socket(&Request::get("/open/x")).expect("a socket");
    assert!(socket.echo("bye").is_err());
}

#[test]
fn sockets_at_once_are_counted_exactly() {
    let setting = start(CONFIG);
    let slots = |setting: &Setting| {
        setting.world.gateway.metric(&["gateway_limiter_slots", "open_sockets"])
    };
    let token = setting.world.issuer.token().claim("sub", "u1").sign();
    let ask = |token: &str| Request::get("/counted/x").bearer(token);
    let client = setting.world.plain();
    let mut sockets: Vec<_> =
        (0..5).map(|_| client.web_socket(&ask(&token)).expect("a socket")).collect();
    assert_eq!(slots(&setting), 5);
    for _ in 0..3 {
        let answer = client.web_socket(&ask(&token)).expect_err("no sixth");
        answer.expect_refusal(429, "concurrency-limited");
        assert_eq!(answer.field("retry-after"), None, "nobody knows when one is free");
    }
    // Another caller has slots of its own; who is refused before holds none.
    let other = setting.world.issuer.token().claim("sub", "u2").sign();
    client.web_socket(&ask(&other)).expect("a socket").close();
    client
        .web_socket(&Request::get("/counted/x"))
        .expect_err("no token")
        .expect_refusal(401, "credential-missing");
    // One closes and one takes its place, in each way there is.
    for way in 0..3 {
        let mut socket = sockets.remove(0);
        match way {
            0 => socket.close(),
            1 => drop(socket),
            _ => assert!(socket.echo("bye").is_err()),
        }
        until_true(Duration::from_secs(3), "its slot is free", || slots(&setting) == 4);
        sockets.push(client.web_socket(&ask(&token)).expect("a socket"));
        assert_eq!(slots(&setting), 5);
    }
    // A reload keeps what is held, and takes the new number.
    let before = setting.world.gateway.metric(&["gateway_config_reloads_total", "taken"]);
    let file = setting.world.gateway.launch().folder().join("gateway.yaml");
    let config = std::fs::read_to_string(file).unwrap();
    let config = config.replace("concurrent: 5", "concurrent: 2");
    setting.world.gateway.write("gateway.yaml", &config);
    until_true(Duration::from_secs(10), "the reload", || {
        setting.world.gateway.metric(&["gateway_config_reloads_total", "taken"]) > before
    });
    assert_eq!(slots(&setting), 5);
    sockets.truncate(2);
    until_true(Duration::from_secs(3), "three are gone", || slots(&setting) == 2);
    client
        .web_socket(&ask(&token))
        .expect_err("no third")
        .expect_refusal(429, "concurrency-limited");
    sockets.truncate(1);
    until_true(Duration::from_secs(3), "another is gone", || slots(&setting) == 1);
    sockets.push(client.web_socket(&ask(&token)).expect("a socket"));
}

#[test]
fn who_gives_up_half_way_holds_no_slot() {
    let setting = start(CONFIG);
    let slots = || setting.world.gateway.metric(&["gateway_limiter_slots", "open_sockets"]);
    let token = setting.world.issuer.token().sign();
    let client = setting.world.plain();
    for _ in 0..20 {
        let mut connection = client.connect();
        let request = asking("/counted/x", "websocket").bearer(&token);
        connection.write(&request.to_bytes()[..60]);
        drop(connection);
        let mut connection = client.connect();
        connection.write(request.to_bytes());
        drop(connection);
    }
    // The last of them may still be on their way through; then there is room, for all five.
    let open = || client.web_socket(&Request::get("/counted/x").bearer(&token)).ok();
    let mut sockets: Vec<_> =
        (0..5).map(|_| until(Duration::from_secs(5), "a slot is free", open)).collect();
    for socket in &mut sockets {
        assert_eq!(socket.echo("hello").unwrap(), "hello");
    }
    drop(sockets);
    until_true(Duration::from_secs(5), "all are free", || slots() == 0);
}

/// The app of the package `websockets`, and its URL.
fn python_app(python: &std::path::Path) -> (Process, String) {
    let script = tools::workspace().join("tests/e2e/parties/sockets.py");
    let arguments = ["-B", script.to_str().unwrap(), "serve"];
    let app = Process::start(python, &arguments, std::path::Path::new("/"), &[]);
    let port = until(Duration::from_secs(20), "the app is up", || {
        assert!(app.exit_code().is_none(), "{}", app.stderr().join("\n"));
        app.stdout().first().cloned()
    });
    (app, format!("http://127.0.0.1:{port}"))
}

const REAL: &str = r#"
routes:
  - {name: page, path: /page, access: public, response_headers: {content_security_policy: remove}, forward: {upstream: u}}
  - {name: ws, path: "/ws/{*rest}", access: {any_of: [{issuer: corporate}]}, upgrade: [websocket], forward: {upstream: python}}
"#;

const PAGE: &str = r#"<!doctype html><title>page</title><body>waiting<script>
let said = false;
const say = text => { document.body.textContent = text; said = true };
const socket = new WebSocket("wss://" + location.host + "/ws/x");
socket.onopen = () => socket.send("from a page");
socket.onmessage = event => say("echo: " + event.data);
socket.onerror = () => say("failed");
// The browser ends once no load is open; a socket is none.
const wait = tries => fetch("/page?wait").then(() => said || tries == 0 || wait(tries - 1));
wait(40);
</script>"#;

#[test]
fn a_real_library_and_a_real_browser_talk_through_the_gateway() {
    let Some(python) = tools::python() else { return };
    let (_app, url) = python_app(&python);
    let upstreams = format!(
        "{}, {{name: python, endpoints: [\"{url}\"]}}]\n",
        UPSTREAMS.trim_end().trim_end_matches(']')
    );
    let world = World::start(&[BASE, HOSTS, &upstreams, ISSUER, REAL]);
    let token = world.issuer.token().sign();
    let script = tools::workspace().join("tests/e2e/parties/sockets.py");
    for (scheme, listener) in [("ws", "plain"), ("wss", "https")] {
        let url = format!("{scheme}://api.test:{}/ws/x", world.gateway.address(listener).port());
        let talk = |more: &[&str]| {
            let arguments = [&["-B", script.to_str().unwrap(), "talk", &url], more].concat();
            run(&python, &arguments, std::path::Path::new("/"), &[], "", Duration::from_secs(30))
        };
        let said = talk(&[&token]);
        assert_eq!(said.stdout.trim(), "fine", "{}", said.stderr);
        assert!(talk(&[]).stderr.contains("401"));
    }
    let page = Reply::new(200, PAGE)
        .field("content-type", "text/html")
        .field("set-cookie", &format!("session={token}; Secure; Path=/"));
    world.upstream.answer("/page", page);
    world.upstream.answer("/page?wait", Reply::new(200, "").after(Duration::from_millis(500)));
    let address = world.gateway.address("https");
    let browser = Browser::new().map("api.test", address);
    let root = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let url = format!("https://api.test:{}/page", address.port());
    let Some(seen) = browser.open(&url, root) else { return };
    assert!(seen.stdout.contains("echo: from a page"), "{}{}", seen.stdout, seen.stderr);
}

#[test]
fn sockets_pass_to_an_app_behind_tls_and_fail_where_there_is_none() {
    use rustls::{ServerConnection, StreamOwned};
    let authority = CertificateAuthority::new();
    let tls = authority.issue(&["app.test"]).server_config();
    let app = raw_app(move |stream| {
        let session = ServerConnection::new(std::sync::Arc::clone(&tls)).unwrap();
        let mut stream = StreamOwned::new(session, stream.try_clone().unwrap());
        let mut head = Vec::new();
        let mut byte = [0; 1];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
            head.push(byte[0]);
        }
        let mut text = [0; 5];
        if stream.write_all(SWITCH).is_ok() && stream.read_exact(&mut text).is_ok() {
            stream.write_all(&text).ok();
            stream.conn.send_close_notify();
            stream.flush().ok();
        }
    });
    let routes = r"
routes:
  - {name: tls, path: /tls, access: public, upgrade: [websocket], forward: {upstream: tls}}
  - {name: gone, path: /gone, access: public, upgrade: [websocket], forward: {upstream: gone}}
  - {name: wrong, path: /wrong, access: public, upgrade: [websocket], forward: {upstream: wrong}}
";
    let upstreams = format!(
        "upstreams: [\
         {{name: tls, endpoints: [\"https://{app}\"], tls: {{trust: {{file: \"@DIR@/ca.pem\"}}, server_name: app.test}}}}, \
         {{name: wrong, endpoints: [\"https://{app}\"], tls: {{trust: {{file: \"@DIR@/ca.pem\"}}, server_name: other.test}}}}, \
         {{name: gone, endpoints: [\"http://127.0.0.1:9\"]}}]\n"
    );
    let config = [BASE, HOSTS, &upstreams, routes].concat();
    let gateway = launch(&config, &authority).file("ca.pem", authority.pem()).start();
    for _ in 0..30 {
        let mut connection = gateway.plain("plain").connect();
        connection.write(asking("/tls", "websocket").to_bytes());
        assert_eq!(connection.read().expect("an answer").status, 101);
        connection.write("hello");
        assert_eq!(connection.read_all(), b"hello");
    }
    for path in ["/gone", "/wrong"] {
        let answer = gateway.plain("plain").send(&asking(path, "websocket"));
        assert!(matches!(answer.status, 502 | 503), "{path}: {answer:?}");
        answer.expect_refusal(answer.status, "upstream-unavailable");
    }
}
