//! Keys of the file that stand for no case from the field, each seen at work.

use std::time::Duration;

use portcullis_core::clock::Clock;
use portcullis_testkit::poll::until_true;
use portcullis_testkit::{
    CertificateAuthority, Issuer, Key, Reply, Request, Token, marker, process, tools, until,
};
use serde_json::json;

use crate::world::{ADMIN_TOKEN, BASE, HOSTS, ISSUERS, UPSTREAMS, World, launch};

const OPEN: &str = "
routes: [{name: all, path: \"/{*rest}\", access: public, forward: {upstream: u}}]
";

const GUARDED: &str = "
routes: [{name: all, path: \"/{*rest}\", access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}]
";

fn issuer(more: &str) -> String {
    format!(
        "issuers: [{{name: corporate, issuer: \"https://idp.test/r1\", audience: [api], \
         algorithms: [RS256, ES256], {more}}}]\n"
    )
}

#[test]
fn connections_maximum_is_the_whole_gateways() {
    let config = "connections: {maximum: 2}\n";
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, config, OPEN]);
    let mut held: Vec<_> =
        ["127.0.0.2", "127.0.0.3"].map(|from| world.plain().from(from).connect()).into();
    for connection in &mut held {
        connection.send(&Request::get("/x")).expect(200);
    }
    let mut third = world.plain().connect();
    third.write(Request::get("/x").to_bytes());
    assert!(third.read().map_or(true, |answer| answer.status == 503));
    held.clear();
    until_true(Duration::from_secs(5), "there is room again", || {
        let mut connection = world.plain().connect();
        connection.write(Request::get("/x").to_bytes());
        connection.read().is_ok_and(|answer| answer.status == 200)
    });
}

#[test]
fn connections_tls_handshake_is_a_deadline() {
    let config = "connections: {tls_handshake: 500ms}\n";
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, config, OPEN]);
    let clock = Clock::system();
    let silent = portcullis_testkit::Client::plain(world.gateway.address("https"));
    assert!(silent.connect().is_closed());
    let mut begun = silent.connect();
    begun.write([0x16, 0x03, 0x01, 0x02, 0x00]);
    assert!(begun.is_closed());
    assert!(clock.monotonic() < Duration::from_secs(8), "{:?}", clock.monotonic());
}

#[test]
fn connections_write_ends_with_a_client_that_does_not_read() {
    let config = "connections: {write: 500ms}\n";
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, config, OPEN]);
    let size = 40 << 20;
    world.upstream.answer("/big", Reply::new(200, vec![b'x'; size]));
    let mut lazy = world.plain().connect();
    lazy.write(Request::get("/big").to_bytes());
    let refused = || world.gateway.access_log().iter().any(|l| l["path"] == "/big");
    until_true(Duration::from_secs(15), "the gateway gives up", refused);
    assert!(lazy.read_all().len() < size);
}

#[test]
fn connections_streams_per_connection_is_told_to_clients() {
    let config = "connections: {streams_per_connection: 7}\n";
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, config, OPEN]);
    assert_eq!(world.https().http2_streams(), 7);
}

#[test]
fn listeners_protocols_are_those_of_the_file() {
    let base = BASE.replace(
        "\"127.0.0.1:0\"}\n  - {name: plain",
        "\"127.0.0.1:0\", protocols: [http/1.1]}\n  - {name: plain",
    );
    let world = World::start(&[&base, HOSTS, UPSTREAMS, OPEN]);
    let connection = world.https().protocols(&["h2", "http/1.1"]).connect();
    assert_eq!(connection.tls().unwrap().alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(world.https().protocols(&["h2"]).try_connect().is_err());
}

#[test]
fn clients_header_chooses_who_is_believed() {
    let config = "
clients: {trusted_proxies: [127.0.1.0/24], header: forwarded}
";
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, config, OPEN]);
    let seen = |request: Request| {
        let mark = marker("m");
        let client = world.plain().from("127.0.1.5");
        client.send(&request.field("x-marker", &mark)).expect(200);
        world.upstream.only(&mark).field("x-forwarded-for").map(str::to_owned)
    };
    let request = Request::get("/x").field("x-forwarded-for", "9.9.9.9");
    assert_eq!(seen(request.clone()).as_deref(), Some("127.0.1.5"));
    let request = request.field("forwarded", "for=8.8.8.8, for=\"[2001:db8::7]:99\";proto=https");
    assert_eq!(seen(request).as_deref(), Some("2001:db8::7, 127.0.1.5"));
}

#[test]
fn clients_trusted_proxies_any_and_ipv6_prefix() {
    let config = "
clients: {trusted_proxies: {any: true}, ipv6_prefix: 48}
limits: [{name: two, key: address, rate: 2/h}]
routes: [{name: all, path: \"/{*rest}\", access: public, limits: [two], forward: {upstream: u}}]
";
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, config]);
    let status =
        |hop: &str| world.plain().send(&Request::get("/x").field("x-forwarded-for", hop)).status;
    assert_eq!(status("2001:db8:5:1::1"), 200);
    assert_eq!(status("2001:db8:5:2::1"), 200);
    assert_eq!(status("2001:db8:5:3::1"), 429);
    assert_eq!(status("2001:db8:6:1::1"), 200);
}

#[test]
fn issuers_trust_is_the_issuers_own_authority() {
    let authority = CertificateAuthority::new();
    let start = |trust: &str| {
        let idp = Issuer::start_tls(&authority);
        let config = issuer(&format!("keys: {{url: \"{}\"}}{trust}", idp.jwks_url()));
        let upstream = portcullis_testkit::Upstream::start();
        let text = [BASE, HOSTS, UPSTREAMS, &config, GUARDED].concat();
        let text = text.replace("@UPSTREAM@", &upstream.url());
        let ours = CertificateAuthority::new();
        let gateway = launch(&text, &ours).file("idp-ca.pem", authority.pem()).start();
        let request = Request::get("/x").bearer(idp.token().sign());
        gateway.plain("plain").send(&request).status
    };
    assert_eq!(start(", trust: {file: \"@DIR@/idp-ca.pem\"}"), 200);
    assert_eq!(start(""), 503);
}

#[test]
fn issuers_keys_from_a_file_that_is_watched() {
    let (first, second) = (Key::p256("f1"), Key::rsa("f2"));
    let upstream = portcullis_testkit::Upstream::start();
    let config = issuer("keys: {file: \"@DIR@/jwks.json\"}");
    let text = [BASE, HOSTS, UPSTREAMS, &config, GUARDED].concat();
    let text = text.replace("@UPSTREAM@", &upstream.url());
    let set = |key: &Key| json!({ "keys": [key.jwk()] }).to_string();
    let prepared = launch(&text, &CertificateAuthority::new()).file("jwks.json", &set(&first));
    let gateway = prepared.start();
    let status = |key: &Key| {
        let token = Token::new("https://idp.test/r1", key).sign();
        gateway.plain("plain").send(&Request::get("/x").bearer(token)).status
    };
    assert_eq!((status(&first), status(&second)), (200, 401));
    gateway.write("jwks.json", &set(&second));
    until_true(Duration::from_secs(15), "the new file is read", || status(&second) == 200);
    assert_eq!(status(&first), 401);
}

#[test]
fn issuers_keys_are_discovered() {
    let config = "
issuers: [{name: corporate, issuer: \"@ISSUER@\", audience: [api], algorithms: [RS256]}]
";
    let world =
        World::with_issuer(Issuer::discoverable(), &[BASE, HOSTS, UPSTREAMS, config, GUARDED]);
    world.forwarded(Request::get("/x").bearer(world.issuer.token().sign()));
    assert_eq!(world.issuer.fetches(), 1);
}

#[test]
fn issuers_keys_end_when_the_issuer_is_away_too_long() {
    let config =
        issuer("keys: {url: \"@JWKS@\"}, keys_refresh: {every: 1s, usable_without_issuer: 3s}");
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, &config, GUARDED]);
    let send = || world.plain().send(&Request::get("/x").bearer(world.issuer.token().sign()));
    send().expect(200);
    world.issuer.server().down();
    send().expect(200);
    until_true(Duration::from_secs(20), "the keys are too old", || send().status == 503);
    send().expect_refusal(503, "issuer-unavailable");
    world.issuer.server().up();
    until_true(Duration::from_secs(20), "the keys are back", || send().status == 200);
}

#[test]
fn issuers_leeway_and_algorithms_are_those_of_the_file() {
    let config = "
issuers: [{name: corporate, issuer: \"https://idp.test/r1\", audience: [api, web], algorithms: [PS256, ES384], leeway: 5m, keys: {url: \"@JWKS@\"}}]
";
    let issuer = Issuer::start();
    let (rsa, p384) = (issuer.key(), Key::p384("p3"));
    issuer.publish(&[rsa.bare_jwk(), p384.jwk()]);
    let world = World::with_issuer(issuer, &[BASE, HOSTS, UPSTREAMS, config, GUARDED]);
    let send = |token: Token| world.plain().send(&Request::get("/x").bearer(token.sign())).status;
    let token = || world.issuer.token().header("alg", "PS256");
    assert_eq!(send(token()), 200);
    assert_eq!(send(token().claim("aud", "web")), 200);
    assert_eq!(send(token().of(&p384)), 200);
    assert_eq!(send(token().header("alg", "RS256")), 401);
    assert_eq!(send(token().time("exp", -200)), 200);
    assert_eq!(send(token().time("exp", -310)), 401);
}

#[test]
fn identity_signing_key_is_the_files() {
    let pem = |der: Vec<u8>| {
        let text = portcullis_testkit::keys::base64(&der);
        format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
    };
    let key = Key::p256("mine");
    let upstream = portcullis_testkit::Upstream::start();
    let idp = Issuer::start();
    let config = [
        BASE,
        HOSTS,
        UPSTREAMS,
        ISSUERS,
        "identity: {signing_key: {file: \"@DIR@/identity.pem\"}}\n",
        "routes: [{name: all, path: \"/{*rest}\", access: {any_of: [{issuer: corporate}]}, forward: {upstream: u, identity: {token: signed}}}]\n",
    ]
    .concat();
    let text = config.replace("@UPSTREAM@", &upstream.url()).replace("@JWKS@", &idp.jwks_url());
    let prepared = launch(&text, &CertificateAuthority::new());
    let gateway = prepared.file("identity.pem", &pem(key.pkcs8())).start();
    let jwks = gateway.probe("/.well-known/portcullis/jwks.json").json();
    assert_eq!(jwks["keys"][0]["x"], key.jwk()["x"]);
    gateway.plain("plain").send(&Request::get("/who").bearer(idp.token().sign())).expect(200);
    let seen = upstream.only("/who");
    let token = seen.field("x-portcullis-identity").expect("a token");
    let (_, claims) = portcullis_testkit::jwt::verified_es256(token, &jwks);
    assert_eq!(claims["iss"], "https://api.test", "https and the first host by default");
}

#[test]
fn upstreams_idle_is_shorter_than_the_apps() {
    let upstreams = UPSTREAMS.replace("}]", ", timeouts: {idle: 1s}}]");
    let world = World::start(&[BASE, HOSTS, &upstreams, OPEN]);
    let mut connection = world.plain().connect();
    connection.send(&Request::get("/x")).expect(200);
    connection.send(&Request::get("/x")).expect(200);
    assert_eq!(world.upstream.connections(), 1);
    std::thread::sleep(Duration::from_millis(2500));
    connection.send(&Request::get("/x")).expect(200);
    assert_eq!(world.upstream.connections(), 2);
}

#[test]
fn routes_timeouts_end_a_body_that_does_not_come() {
    let routes = OPEN.replace("access: public", "access: public, timeouts: {total: 500ms}");
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, &routes]);
    let mut slow = world.plain().connect();
    slow.write("POST /x HTTP/1.1\r\nhost: api.test\r\ncontent-length: 10\r\n\r\nabc");
    let answer = slow.read();
    assert!(answer.as_ref().map_or(true, |a| matches!(a.status, 408 | 504)), "{answer:?}");
    assert!(slow.is_closed());
}

#[test]
fn telemetry_goes_where_the_file_says() {
    let config = "telemetry: {access_log: {to: \"@DIR@/access.jsonl\"}}\n";
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, config, OPEN]);
    let answer = world.plain().send(&Request::get("/x"));
    let id = answer.field("x-request-id").unwrap().to_owned();
    let file = world.gateway.launch().folder().join("access.jsonl");
    until(Duration::from_secs(5), "the line is in the file", || {
        std::fs::read_to_string(&file).ok().filter(|text| text.contains(&id))
    });
    assert!(world.gateway.access_log().is_empty());
}

#[test]
fn admin_listens_on_a_unix_socket() {
    let Some(curl) = tools::program("curl") else { return };
    let base =
        BASE.replace("  address: \"127.0.0.1:0\"\n", "  address: \"unix:@DIR@/admin.sock\"\n");
    let world = World::start(&[&base, HOSTS, UPSTREAMS, OPEN]);
    let folder = world.gateway.launch().folder().to_owned();
    let ask = |authorization: &str| {
        let arguments = [
            "-s",
            "-w",
            "\n%{http_code}",
            "--unix-socket",
            "admin.sock",
            "-H",
            authorization,
            "http://localhost/config",
        ];
        process::run(&curl, &arguments, &folder, &[], "", Duration::from_secs(10)).stdout
    };
    assert!(ask(&format!("authorization: Bearer {ADMIN_TOKEN}")).ends_with("\n200"));
    assert!(ask("x: y").ends_with("\n401"));
}

/// Nobody reads the access log: requests go on, lines are dropped and counted, and the process ends
/// all the same.
#[test]
fn an_access_log_that_nobody_reads_holds_nothing_up() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let pipe = folder.join(format!("unread-{}", std::process::id()));
    std::fs::remove_file(&pipe).ok();
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    // Held open and never read.
    let held = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).expect("the pipe");
    let config = format!("telemetry: {{access_log: {{to: {}}}}}\n", pipe.display());
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, &config, OPEN]);
    let mut connection = world.plain().connect();
    // The pipe, the writer's buffer and its queue hold fewer lines than these.
    for _ in 0..9_500 {
        connection.send(&Request::get("/..%2f")).expect(400);
    }
    assert!(world.gateway.metric(&["gateway_log_lines_dropped_total"]) > 0);
    drop(connection);
    world.gateway.stop();
    drop(held);
    std::fs::remove_file(&pipe).ok();
}
