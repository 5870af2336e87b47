//! Who is counted, by which address, and what they are told. C16, C17, C18, C19.
//!
//! Penalties for wrong credentials have tests of their own, ACME challenges (C19) too. The million keys of
//! C18 are some thousands here; `benches/` has the large table.

use std::sync::LazyLock;
use std::time::Duration;

use portcullis_testkit::{Answer, Client, Request, Token, until};

use crate::world::{BASE, HOSTS, ISSUERS, UPSTREAMS, World};

/// 127.0.1.0/24 stands for the trusted proxies, every other loopback address for a client.
const CONFIG: &str = r#"
clients: {trusted_proxies: [127.0.1.0/24]}
limits:
  - {name: five, key: address, rate: 5/h, burst: 5}
  - {name: six, key: address, rate: 5/h, burst: 5}
  - {name: slow, key: address, rate: 10/min, burst: 3}
  - {name: wide, key: address, rate: 1000/min}
  - {name: credentials, key: address, rate: 10/h, burst: 3}
  - {name: small, key: address, rate: 2/h, burst: 2, maximum_keys: 500}
  - {name: person, key: principal, rate: 2/h}
  - {name: tenant, key: {claim: [org, tenant]}, rate: 3/h}
cors: [{name: web, origins: ["https://ui.test"], methods: [GET]}]
routes:
  - {name: login, path: "/public/login", access: public, limits: [five], forward: {upstream: u}}
  - {name: hop, path: "/public/hop", access: public, limits: [six], forward: {upstream: u}}
  - {name: slow, path: "/public/slow", access: public, limits: [slow, wide], cors: web, forward: {upstream: u}}
  - {name: open, path: "/public/open", access: public, forward: {upstream: u}}
  - {name: small, path: "/public/small", access: public, limits: [small], forward: {upstream: u}}
  - name: guarded
    path: /api/guarded
    access: {any_of: [{issuer: corporate}]}
    limits: [credentials]
    forward: {upstream: u}
  - name: person
    path: /api/person
    access: {any_of: [{issuer: corporate}]}
    limits: [person]
    forward: {upstream: u}
  - name: tenant
    path: /api/tenant
    access: {any_of: [{issuer: corporate}]}
    limits: [tenant]
    forward: {upstream: u}
"#;

static WORLD: LazyLock<World> =
    LazyLock::new(|| World::start(&[BASE, HOSTS, UPSTREAMS, ISSUERS, CONFIG]));

fn from(address: &str) -> Client {
    WORLD.plain().from(address)
}

fn login() -> Request {
    Request::get("/public/login")
}

/// Five requests made by `request` from `peer` must use up the bucket of `key`, an address of this
/// machine: a plain request from there is then refused.
#[track_caller]
fn counts_as(key: &str, peer: &str, request: impl Fn(usize) -> Request) {
    for n in 0..5 {
        from(peer).send(&request(n)).expect(200);
    }
    from(peer).send(&request(5)).expect_refusal(429, "rate-limited");
    from(key).send(&login()).expect_refusal(429, "rate-limited");
}

#[test]
fn c16_an_untrusted_peer_counts_by_its_own_address() {
    let spoofed = |n: usize| {
        login()
            .field("x-forwarded-for", format!("1.2.3.{n}"))
            .field("forwarded", format!("for=1.2.3.{n}"))
            .field("x-real-ip", format!("1.2.3.{n}"))
    };
    counts_as("127.0.0.9", "127.0.0.9", spoofed);
    // Nobody else's bucket was touched.
    from("127.0.1.99").send(&login().field("x-forwarded-for", "1.2.3.1")).expect(200);
}

#[test]
fn c16_behind_trusted_proxies_the_last_untrusted_hop_counts() {
    let by = |value: fn(usize) -> String| move |n| login().field("x-forwarded-for", value(n));
    counts_as("127.0.0.21", "127.0.1.5", by(|n| format!("1.2.3.{n}, 127.0.0.21")));
    counts_as("127.0.0.22", "127.0.1.5", by(|n| format!("1.2.4.{n}, 127.0.0.22, 127.0.1.7")));
    counts_as("127.0.0.23", "127.0.1.5", by(|_| "127.0.0.23:555".to_owned()));
    counts_as("127.0.0.24", "127.0.1.5", by(|_| "::ffff:127.0.0.24".to_owned()));
    counts_as("127.0.0.25", "127.0.1.5", |n| {
        login()
            .field("x-forwarded-for", format!("1.2.5.{n}"))
            .field("x-forwarded-for", "127.0.0.25")
    });
    counts_as("127.0.1.6", "127.0.1.6", by(|n| format!("127.0.0.26, garbage{n}")));
    from("127.0.0.26").send(&login()).expect(200);
    counts_as("127.0.1.8", "127.0.1.9", by(|_| "127.0.1.8, 127.0.1.7".to_owned()));
}

#[test]
fn c16_an_ipv6_hop_may_carry_brackets_and_port() {
    for n in 0..5 {
        let hop = format!("\"[2001:db8:9::1]:{}\"", 4711 + n);
        from("127.0.1.5").send(&login().field("x-forwarded-for", hop)).expect(200);
    }
    from("127.0.1.5")
        .send(&login().field("x-forwarded-for", "2001:db8:9::1"))
        .expect_refusal(429, "rate-limited");
}

#[test]
fn c16_the_app_gets_one_rebuilt_field() {
    let open = || Request::get("/public/open");
    let seen = |peer: &str, request: Request| {
        let mark = portcullis_testkit::marker("m");
        from(peer).send(&request.field("x-marker", &mark)).expect(200);
        WORLD.upstream.only(&mark)
    };
    let spoofed = open()
        .field("x-forwarded-for", "1.1.1.1")
        .field("X-FORWARDED-FOR", "2.2.2.2")
        .field("X_Forwarded_For", "3.3.3.3")
        .field("x-real-ip", "1.1.1.1")
        .field("forwarded", "for=1.1.1.1;proto=https")
        .field("x-forwarded-proto", "https")
        .field("x-forwarded-host", "evil.test")
        .field("x-forwarded-prefix", "/evil");
    let got = seen("127.0.0.31", spoofed);
    assert_eq!(got.field("x-forwarded-for"), Some("127.0.0.31"));
    assert_eq!(got.field("x-forwarded-proto"), Some("http"));
    assert_eq!(got.field("x-forwarded-host"), Some("api.test"));
    for gone in ["x-real-ip", "forwarded", "x_forwarded_for", "x-forwarded-prefix", "via"] {
        assert_eq!(got.all(gone), Vec::<&str>::new(), "{gone}");
    }
    let got = seen("127.0.1.5", open().field("x-forwarded-for", "9.9.9.9, 127.0.0.32, 127.0.1.7"));
    assert_eq!(got.field("x-forwarded-for"), Some("127.0.0.32, 127.0.1.7, 127.0.1.5"));
}

#[test]
fn c17_one_ipv6_client_is_one_prefix() {
    let mut connection = from("127.0.1.5").connect();
    let mut status = |address: String| {
        let request = Request::get("/public/hop").field("x-forwarded-for", address);
        connection.send(&request).status
    };
    let answers: Vec<u16> =
        (1..=200).map(|n| status(format!("2001:db8:1:2:{n:x}::{n:x}"))).collect();
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 5);
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), 195);
    assert_eq!(answers[..5], [200; 5]);
    assert_eq!(status("2001:db8:1:3::1".to_owned()), 200);
}

#[test]
fn c18_the_table_is_bounded_and_eviction_frees_nobody() {
    let small = |address: &str| Request::get("/public/small").field("x-forwarded-for", address);
    let mut connection = from("127.0.1.5").connect();
    let attacker = small("203.0.113.66");
    assert_eq!([0; 3].map(|_| connection.send(&attacker).status), [200, 200, 429]);
    for n in 0..2500 {
        connection.send(&small(&format!("10.{}.{}.1", n / 256, n % 256))).expect(200);
    }
    connection.send(&attacker).expect_refusal(429, "rate-limited");
    let metric = |name: &str| WORLD.gateway.metric(&[name, "\"small\""]);
    assert!(metric("gateway_limiter_keys{") <= 500, "{}", metric("gateway_limiter_keys{"));
    assert!(metric("gateway_limiter_evictions_total") >= 2000);
    // Keys that are all used up cannot be evicted: what is new then shares one bucket.
    for n in 0..600 {
        let address = format!("11.0.{}.{}", n / 256, n % 256);
        for _ in 0..2 {
            connection.send(&small(&address));
        }
    }
    assert!(metric("gateway_limiter_overflows_total") >= 1);
    assert!(metric("gateway_limiter_keys{") <= 500);
    connection.send(&attacker).expect_refusal(429, "rate-limited");
}

/// `q`, `w`, `r`, `t` of one limit in the two fields.
#[track_caller]
fn told(answer: &Answer, limit: &str) -> (String, String) {
    let item = |field: &str| {
        let value = answer.field(field).unwrap_or_else(|| panic!("{field} is missing"));
        let start = format!("\"{limit}\";");
        let item = value.split(", ").find_map(|item| item.strip_prefix(&start));
        item.unwrap_or_else(|| panic!("{limit} in {value}")).to_owned()
    };
    (item("ratelimit-policy"), item("ratelimit"))
}

#[test]
fn c19_a_burst_then_one_at_a_time_and_the_wait_suffices() {
    let client = from("127.0.0.41");
    let slow = Request::get("/public/slow");
    let preflight = Request::new("OPTIONS", "/public/slow")
        .origin("https://ui.test")
        .field("access-control-request-method", "GET");
    for _ in 0..50 {
        client.send(&preflight).expect(204);
        WORLD.gateway.probe("/healthz").expect(200);
    }
    for left in ["r=2", "r=1", "r=0"] {
        let answer = client.send(&slow);
        answer.expect(200);
        let (policy, state) = told(&answer, "slow");
        assert_eq!(policy, "q=3;w=18");
        assert!(state.starts_with(left), "{state}");
        assert_eq!(told(&answer, "wide").0, "q=1000;w=60");
    }
    let answer = client.send(&slow);
    answer.expect_refusal(429, "rate-limited");
    assert_eq!(answer.field("retry-after"), Some("6"));
    assert_eq!(told(&answer, "slow"), ("q=3;w=18".to_owned(), "r=0;t=6".to_owned()));
    // Asking on and on does not make the wait longer.
    let clock = portcullis_core::clock::Clock::system();
    until(Duration::from_secs(9), "the wait is over", || {
        let answer = client.send(&slow);
        (answer.status == 200).then_some(())
    });
    let waited = clock.monotonic();
    assert!(waited > Duration::from_secs(4), "{waited:?}");
}

#[test]
fn c19_wrong_credentials_are_counted_by_address() {
    let client = from("127.0.0.42");
    let request = || Request::get("/api/guarded");
    for _ in 0..3 {
        client.send(&request().bearer("rubbish")).expect_refusal(401, "credential-invalid");
    }
    let good = request().bearer(WORLD.issuer.token().sign());
    client.send(&good).expect_refusal(429, "rate-limited");
    from("127.0.0.43").send(&good).expect(200);
}

#[test]
fn principals_have_buckets_of_their_own_wherever_they_are() {
    let send = |from_address: &str, token: Token| {
        from(from_address).send(&Request::get("/api/person").bearer(token.sign()))
    };
    let token = || WORLD.issuer.token().claim("sub", "limited-person");
    send("127.0.0.51", token()).expect(200);
    // Refused before the principal is known: not counted.
    send("127.0.0.51", token().time("exp", -60)).expect_refusal(401, "credential-invalid");
    send("127.0.0.52", token()).expect(200);
    send("127.0.0.53", token().claim("jti", "other")).expect_refusal(429, "rate-limited");
    send("127.0.0.53", token().claim("sub", "somebody-else")).expect(200);
}

#[test]
fn claims_have_buckets_and_their_absence_has_one() {
    let send = |token: Token| WORLD.plain().send(&Request::get("/api/tenant").bearer(token.sign()));
    let of = |tenant: &str| {
        let person = portcullis_testkit::marker("person");
        let claim = serde_json::json!({ "tenant": tenant });
        WORLD.issuer.token().claim("sub", person).claim("org", claim)
    };
    let statuses = |make: &dyn Fn() -> Token| [0; 4].map(|_| send(make()).status);
    assert_eq!(statuses(&|| of("t1")), [200, 200, 200, 429]);
    assert_eq!(statuses(&|| of("t2")), [200, 200, 200, 429]);
    assert_eq!(statuses(&|| WORLD.issuer.token()), [200, 200, 200, 429]);
}

#[test]
fn the_flood_guard_counts_everything_and_comes_first() {
    let config = r#"
clients: {limit: {rate: 10/h, burst: 4}, deny: [127.0.0.66], trusted_proxies: []}
routes:
  - {name: public, path: "/public/{*rest}", access: public, forward: {upstream: u}}
"#;
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, config]);
    let client = world.plain().from("127.0.0.61");
    client.send(&Request::get("/public/x")).expect(200);
    client.send(&Request::get("/none")).expect_refusal(404, "route-not-found");
    client
        .send(&Request::get("/public/x").host("evil.test"))
        .expect_refusal(421, "host-not-allowed");
    // A path that cannot be read counts like any other.
    client.send(&Request::get("/%zz")).expect_refusal(400, "malformed-request");
    client.send(&Request::get("/%zz")).expect_refusal(429, "rate-limited");
    let answer = client.send(&Request::get("/none").host("evil.test"));
    answer.expect_refusal(429, "rate-limited");
    assert!(answer.field("retry-after").is_some());
    world.plain().from("127.0.0.62").send(&Request::get("/public/x")).expect(200);
    let denied = world.plain().from("127.0.0.66");
    for _ in 0..6 {
        denied.send(&Request::get("/public/x")).expect_refusal(403, "client-not-allowed");
        denied.send(&Request::get("/%zz")).expect_refusal(403, "client-not-allowed");
        denied
            .raw("GET x HTTP/1.1\r\nHost: api.test\r\n\r\n")
            .expect_refusal(403, "client-not-allowed");
    }
    // So does what no gate can read.
    for client in [world.plain().from("127.0.0.63"), world.https().from("127.0.0.64")] {
        for status in [400, 400, 400, 400, 429, 429] {
            let answer = client.raw("GET x HTTP/1.1\r\nHost: api.test\r\n\r\n");
            assert_eq!(answer.status, status, "{answer:?}");
        }
    }
    let http2 = world.https().from("127.0.0.65");
    for status in [400, 400, 400, 400, 429, 429] {
        assert_eq!(http2.http2(&Request::get("/x").field("host", "app.test")).status, status);
    }
}

#[test]
fn routes_and_the_whole_gateway_have_address_lists() {
    let config = r#"
clients: {allow: [127.0.0.0/16]}
routes:
  - {name: public, path: "/public/{*rest}", access: public, forward: {upstream: u}}
  - name: inside
    path: /inside/{*rest}
    access: public
    clients: {allow: [127.0.0.70/31], deny: [127.0.0.71]}
    forward: {upstream: u}
"#;
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, config]);
    let status = |from: &str, path: &str| world.plain().from(from).send(&Request::get(path)).status;
    assert_eq!(status("127.0.0.70", "/public/x"), 200);
    assert_eq!(status("127.0.0.70", "/inside/x"), 200);
    assert_eq!(status("127.0.0.71", "/inside/x"), 403);
    assert_eq!(status("127.0.0.72", "/inside/x"), 403);
    assert_eq!(status("127.9.0.1", "/public/x"), 403);
    assert_eq!(status("127.9.0.1", "/none"), 403);
}
