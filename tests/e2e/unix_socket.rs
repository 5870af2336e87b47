//! A listener on a unix socket.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use portcullis_testkit::marker;
use portcullis_testkit::poll::until_true;

use crate::world::{BASE, HOSTS, UPSTREAMS, World, launch};

const LISTENER: &str = "  - {name: local, address: \"unix:@DIR@/app.sock\", cleartext: true}\n";

const ROUTES: &str = r#"
routes: [{name: all, path: "/{*rest}", access: public, forward: {upstream: u}}]
"#;

fn config() -> String {
    let base = BASE.replace("certificates:", &format!("{LISTENER}certificates:"));
    [&base, HOSTS, UPSTREAMS, ROUTES].concat()
}

fn ask(socket: &Path, fields: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!("GET /x HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_unix_socket_serves_and_goes() {
    let world = World::start(&[&config()]);
    let socket = world.gateway.launch().folder().join("app.sock");
    world.gateway.log_line("listening local unix:");
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o660);
    let mark = marker("m");
    let fields = format!("X-Marker: {mark}\r\nX-Forwarded-For: 192.0.2.1\r\n");
    assert!(ask(&socket, &fields).starts_with("HTTP/1.1 200 "));
    // Nobody is believed by default, and whoever is there has no address.
    let seen = world.upstream.only(&mark);
    assert_eq!(seen.field("x-forwarded-for"), Some("0.0.0.0"));
    world.gateway.process().signal("TERM");
    assert_eq!(world.gateway.process().wait(Duration::from_secs(20)), 0);
    assert!(!socket.exists());
}

/// `explain` and `test` know of the peer what the running gateway knows: nothing.
#[test]
fn made_up_requests_have_no_address_either() {
    let text = format!("{}clients: {{allow: [127.0.0.0/8]}}\n", config());
    let case = "cases: [{name: a, request: {url: \"http://api.test/x\", listener: local}, expect: {code: client-not-allowed}}]\n";
    let world = World::start(&[&text]);
    let launch = world.gateway.launch();
    let socket = launch.folder().join("app.sock");
    world.gateway.log_line("listening local unix:");
    assert!(ask(&socket, "").starts_with("HTTP/1.1 403 "));
    let explain = |more: &[&str]| {
        let done = launch.command(&[&["explain", "GET", "http://api.test/x"], more].concat());
        (done.code, done.stdout)
    };
    let (code, told) = explain(&["--listener", "local"]);
    assert!(code == 1 && told.contains("0.0.0.0") && told.contains("client-not-allowed"), "{told}");
    assert_eq!(explain(&["--listener", "plain"]).0, 0);
    let (code, told) = explain(&["--listener", "local", "--address", "127.0.0.1"]);
    assert!(code == 2 && told.contains("is a unix socket"), "{told}");
    world.gateway.write("gateway.tests.yaml", case);
    let good = launch.command(&["test"]);
    assert_eq!(good.code, 0, "{}", good.stdout);
    world
        .gateway
        .write("gateway.tests.yaml", &case.replace("listener:", "address: 127.0.0.1, listener:"));
    let wrong = launch.command(&["test"]);
    assert!(wrong.code == 2 && wrong.stdout.contains("is a unix socket"), "{}", wrong.stdout);
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let text = config().replace("@UPSTREAM@", "http://127.0.0.1:9");
    let prepared = launch(&text, &portcullis_testkit::CertificateAuthority::new());
    let socket = prepared.folder().join("app.sock");
    let other = UnixListener::bind(&socket).unwrap();
    let refused = prepared.start_in_vain();
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("app.sock"), "{}", refused.stderr);
    // Its owner ends and leaves the file.
    drop(other);
    let gateway = prepared.start();
    assert!(ask(&socket, "").starts_with("HTTP/1.1 503 "));
    drop(gateway);
}

#[test]
fn a_reload_adds_and_removes_it() {
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, ROUTES]);
    let socket = world.gateway.launch().folder().join("app.sock");
    let fill = |text: &str| text.replace("@UPSTREAM@", &world.upstream.url());
    world.gateway.write("gateway.yaml", &fill(&config()));
    world.gateway.process().signal("HUP");
    world.gateway.log_line("config-reloaded");
    until_true(Duration::from_secs(10), "the socket is there", || socket.exists());
    assert!(ask(&socket, "").starts_with("HTTP/1.1 200 "));
    world.gateway.write("gateway.yaml", &fill(&[BASE, HOSTS, UPSTREAMS, ROUTES].concat()));
    until_true(Duration::from_secs(10), "the socket is gone", || !socket.exists());
}
