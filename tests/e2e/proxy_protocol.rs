//! The PROXY protocol: required from the balancers that the file names, never read from others.

use std::path::Path;
use std::time::Duration;

use portcullis_testkit::poll::until_true;
use portcullis_testkit::process::run;
use portcullis_testkit::{Process, Request, free_address, marker, tools};

use crate::world::{BASE, HOSTS, UPSTREAMS, World};

const ROUTES: &str = r#"
routes: [{name: all, path: "/{*rest}", access: public, forward: {upstream: u}}]
"#;

const FROM: &str = "proxy_protocol: {from: [127.0.0.0/29]}";

/// Both listeners behind balancers of 127.0.0.0 to 127.0.0.7.
fn world(more: &str) -> World {
    let base = BASE
        .replace("{name: https, ", &format!("{{name: https, {FROM}, "))
        .replace("{name: plain, ", &format!("{{name: plain, {FROM}, "));
    World::start(&[&base, HOSTS, UPSTREAMS, ROUTES, more])
}

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", [command, family].as_slice(), &length, rest].concat()
}

/// What the app was told of the client of a request behind `header`.
#[track_caller]
fn told(world: &World, header: &[u8]) -> String {
    let mark = marker("m");
    let mut connection = world.plain().connect();
    let request = Request::get("/x").field("x-marker", &mark);
    connection.write([header, &request.to_bytes()].concat());
    connection.read().expect("an answer").expect(200);
    let seen = world.upstream.only(&mark);
    seen.field("x-forwarded-for").expect("the field").to_owned()
}

#[test]
fn the_announced_client_is_the_client() {
    let world = world("");
    assert_eq!(told(&world, b"PROXY TCP4 192.0.2.7 198.51.100.1 1234 443\r\n"), "192.0.2.7");
    assert_eq!(told(&world, b"PROXY TCP6 2001:db8::7 2001:db8::1 1234 443\r\n"), "2001:db8::7");
    assert_eq!(told(&world, b"PROXY UNKNOWN\r\n"), "127.0.0.1");
    let four = [192, 0, 2, 8, 198, 51, 100, 1, 4, 210, 1, 187];
    assert_eq!(told(&world, &binary(0x21, 0x11, &four)), "192.0.2.8");
    let with_more = [four.as_slice(), &[4, 0, 3, 0, 0, 0]].concat();
    assert_eq!(told(&world, &binary(0x21, 0x11, &with_more)), "192.0.2.8");
    assert_eq!(told(&world, &binary(0x20, 0x00, b"")), "127.0.0.1");
}

#[test]
fn a_balancer_that_does_not_announce_is_closed() {
    let world = world("connections: {tls_handshake: 1s}\n");
    for start in ["GET /x HTTP/1.1\r\nHost: api.test\r\n\r\n", "PROXY TCP4 nonsense\r\n", "PROXY "]
    {
        let mut connection = world.plain().connect();
        connection.write(start);
        assert!(connection.is_closed(), "{start}");
    }
    until_true(Duration::from_secs(5), "they are counted", || {
        let counted = ["gateway_handshake_failures_total", "\"plain\"", "\"proxy_protocol\""];
        world.gateway.metric(&counted) == 3
    });
}

#[test]
fn from_others_it_is_not_read() {
    let world = world("");
    let line = "PROXY TCP4 192.0.2.7 198.51.100.1 1234 443\r\n";
    let request = "GET /x HTTP/1.1\r\nHost: api.test\r\n\r\n";
    let answer = world.plain().from("127.0.0.99").raw(format!("{line}{request}"));
    answer.expect_refusal(400, "malformed-request");
    world.plain().from("127.0.0.99").send(&Request::get("/x")).expect(200);
    world.https().from("127.0.0.99").send(&Request::get("/x")).expect(200);
}

/// The cap holds the announced client, and not the balancer.
#[test]
fn caps_count_the_announced_client() {
    let world = world("connections: {per_client: 2}\n");
    let open = |client: &str| {
        let mut connection = world.plain().connect();
        connection.write(format!("PROXY TCP4 {client} 198.51.100.1 1 2\r\n"));
        connection.write(Request::get("/x").to_bytes());
        (connection.read().is_ok_and(|answer| answer.status == 200), connection)
    };
    let held: Vec<_> = ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"].map(open).into();
    assert!(held.iter().all(|(served, _)| *served));
    assert!(!open("192.0.2.1").0);
    // The connection is closed before it is counted.
    until_true(Duration::from_secs(5), "it is counted", || {
        world.gateway.metric(&["gateway_connections_refused_total", "per_client"]) == 1
    });
}

#[test]
fn curl_announces_itself() {
    let Some(curl) = tools::program("curl") else { return };
    let world = world("");
    let mark = marker("m");
    let url = format!("http://{}/x", world.gateway.address("plain"));
    let field = format!("x-marker: {mark}");
    let arguments =
        ["-sS", "--fail", "--haproxy-protocol", "-H", "Host: api.test", "-H", &field, &url];
    let done = run(&curl, &arguments, Path::new("/"), &[], "", Duration::from_secs(20));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(world.upstream.only(&mark).field("x-forwarded-for"), Some("127.0.0.1"));
}

/// `HAProxy` in front of both listeners, with both versions.
#[test]
fn haproxy_announces_its_clients() {
    let Some(haproxy) = tools::program("haproxy") else { return };
    let world = world("");
    let ports: Vec<u16> = (0..4).map(|_| free_address().port()).collect();
    let mut config = "global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n".to_owned();
    let kinds = [
        ("plain", "send-proxy"),
        ("plain", "send-proxy-v2"),
        ("https", "send-proxy"),
        ("https", "send-proxy-v2"),
    ];
    for (port, (listener, option)) in ports.iter().zip(kinds) {
        let target = world.gateway.address(listener);
        let server = format!("server s {target} {option}");
        let section = format!("listen l{port}\n  bind 127.0.0.1:{port}\n  {server}\n");
        config.push_str(&section);
    }
    world.gateway.write("haproxy.cfg", &config);
    let folder = world.gateway.launch().folder();
    let balancer = Process::start(&haproxy, &["-f", "haproxy.cfg"], folder, &[]);
    for (port, (listener, option)) in ports.iter().zip(kinds) {
        let address = ([127, 0, 0, 1], *port).into();
        let client = match listener {
            "plain" => portcullis_testkit::Client::plain(address),
            _ => portcullis_testkit::Client::tls(address, world.authority.trust()),
        };
        let client = client.from("127.0.0.77");
        until_true(Duration::from_secs(10), "haproxy listens", || client.try_connect().is_ok());
        let mark = marker("m");
        client.send(&Request::get("/x").field("x-marker", &mark)).expect(200);
        let seen = world.upstream.only(&mark);
        assert_eq!(seen.field("x-forwarded-for"), Some("127.0.0.77"), "{listener} {option}");
    }
    drop(balancer);
}
