//! From http to https: what is sent there, what is refused, and that nothing else happens. C35 but
//! for tokens that are pending.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use portcullis_testkit::browser::Browser;
use portcullis_testkit::poll::until_true;
use portcullis_testkit::process::run;
use portcullis_testkit::{Answer, Client, Reply, Request, marker, tools};

use crate::world::{ADMIN_TOKEN, BASE, ISSUERS, UPSTREAMS, World};

const REST: &str = r#"
hosts: [api.test, "*.app.test", "[::1]", 127.0.0.1]
routes: [{name: all, path: "/{*rest}", access: public, forward: {upstream: u}}]
"#;

const PLAIN: &str = "cleartext: true";

/// The usual base whose cleartext listener sends to https instead.
fn base() -> String {
    BASE.replace(PLAIN, "redirect_to: https")
}

static WORLD: LazyLock<World> = LazyLock::new(|| World::start(&[&base(), UPSTREAMS, REST]));

/// The 308 for a request, of which no app sees anything.
#[track_caller]
fn redirected(world: &World, client: &Client, request: Request) -> Answer {
    let mark = marker("m");
    let answer = client.send(&request.field("x-marker", &mark));
    answer.expect(308);
    world.upstream.saw_nothing_of(&mark);
    answer
}

#[track_caller]
fn location(host: &str, target: &str) -> String {
    let request = Request::get(target).host(host);
    let answer = redirected(&WORLD, &WORLD.plain(), request);
    assert_eq!(answer.all("location").len(), 1);
    answer.field("location").unwrap().to_owned()
}

#[test]
fn the_same_resource_by_https() {
    assert_eq!(location("api.test", "/"), "https://api.test/");
    assert_eq!(location("api.test:80", "/a/b?c=d&e"), "https://api.test/a/b?c=d&e");
    assert_eq!(location("api.test:8080", "/?"), "https://api.test/?");
    assert_eq!(location("API.test.", "/a"), "https://api.test/a");
    assert_eq!(location("t1.app.test", "/a"), "https://t1.app.test/a");
    assert_eq!(location("[::1]:80", "/a"), "https://[::1]/a");
    assert_eq!(location("127.0.0.1", "/a"), "https://127.0.0.1/a");
    assert_eq!(
        location("api.test", "/no/route/takes/this"),
        "https://api.test/no/route/takes/this"
    );
    assert_eq!(location("api.test", "/%7Eme/%2f%20x;v=1"), "https://api.test/~me/%2F%20x;v=1");
    assert_eq!(location("api.test", "/a?%7e%0d%0aX:y"), "https://api.test/a?%7e%0d%0aX:y");
}

#[test]
fn the_answer_says_no_more_than_where_to() {
    for method in ["GET", "HEAD"] {
        let request = Request::new(method, "/secret-in-the-path?q=1");
        let answer = redirected(&WORLD, &WORLD.plain(), request);
        assert_eq!(answer.field("content-length"), Some("0"), "{method}");
        assert!(answer.body.is_empty(), "{method}");
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
        assert_eq!(
            answer.field("strict-transport-security"),
            None,
            "not over http (RFC 6797 §7.2)"
        );
        assert_eq!(answer.field("server"), None);
        assert!(answer.field("x-request-id").is_some());
    }
}

#[test]
fn it_is_in_the_records_and_the_connection_goes_on() {
    let mut connection = WORLD.plain().connect();
    let path = format!("/{}", marker("recorded"));
    for _ in 0..2 {
        connection.send(&Request::get(format!("{path}?token=secret-token"))).expect(308);
    }
    let line = WORLD.gateway.access_line(&path);
    assert_eq!(line["status"], 308);
    assert_eq!(line["listener"], "plain");
    assert_eq!(line["code"], "");
    assert!(!line.to_string().contains("secret-token"), "{line}");
    assert!(WORLD.gateway.metric(&["gateway_requests_total", "\"3xx\""]) >= 2);
    let id = line["request_id"].as_str().unwrap();
    let request = Request::get(format!("/decisions?request_id={id}"));
    let address = WORLD.gateway.address("admin").to_string();
    let request = request.host(&address).bearer(ADMIN_TOKEN);
    let decisions = WORLD.gateway.plain("admin").send(&request).expect(200).json();
    assert!(decisions.to_string().contains(&path), "{decisions}");
}

#[test]
fn only_get_and_head_are_sent_on() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"] {
        let answer = WORLD.refused(Request::new(method, "/"), 403, "tls-required");
        assert_eq!(answer.field("location"), None, "{method}");
        assert_eq!(answer.field("strict-transport-security"), None, "{method}");
    }
    WORLD.refused(Request::post("/login", "password=secret"), 403, "tls-required");
    let preflight = Request::new("OPTIONS", "/").origin("https://ui.test");
    let preflight = preflight.field("access-control-request-method", "PUT");
    WORLD.refused(preflight, 403, "tls-required");
}

#[test]
fn credentials_in_cleartext_are_refused() {
    let fields = [
        ("authorization", "Bearer eyJhbGciOiJub25lIn0.e30."),
        ("authorization", "Basic eDp5"),
        ("Proxy-Authorization", "Basic eDp5"),
        ("cookie", "session=1"),
        ("X-API-Key", "k"),
        ("X_Api_Key", "k"),
    ];
    for (name, value) in fields {
        let request = Request::get("/").field(name, value);
        let answer = WORLD.refused(request, 403, "tls-required");
        assert!(!answer.text().contains(value), "{name}");
    }
}

#[test]
fn tokens_in_the_query_are_credentials_where_an_issuer_reads_them() {
    let issuers = format!(
        "{}    read_token_from: [authorization, {{query: at}}]\n",
        ISSUERS.trim_end().to_owned() + "\n"
    );
    let routes = REST.replace("access: public", "access: {any_of: [{issuer: corporate}]}");
    let world = World::start(&[&base(), UPSTREAMS, &issuers, &routes]);
    world.refused(Request::get("/?a=b&at=x.y.z"), 403, "tls-required");
    world.refused(Request::get("/?%61t=x.y.z"), 403, "tls-required");
    let other = redirected(&world, &world.plain(), Request::get("/?access=x.y.z"));
    assert_eq!(other.field("location"), Some("https://api.test/?access=x.y.z"));
}

/// Bytes as no library would send them. Whatever comes back, no client is led to another host.
#[test]
fn nobody_is_led_to_another_host() {
    let heads = [
        "GET //evil.test HTTP/1.1\r\nHost: api.test",
        "GET //evil.test/%2e%2e HTTP/1.1\r\nHost: api.test",
        "GET /\\evil.test HTTP/1.1\r\nHost: api.test",
        "GET /%5cevil.test HTTP/1.1\r\nHost: api.test",
        "GET /%2f%2fevil.test HTTP/1.1\r\nHost: api.test",
        "GET /;@evil.test HTTP/1.1\r\nHost: api.test",
        "GET /..//evil.test HTTP/1.1\r\nHost: api.test",
        "GET /.//evil.test HTTP/1.1\r\nHost: api.test",
        "GET /a/..//evil.test HTTP/1.1\r\nHost: api.test",
        "GET /%09/evil.test HTTP/1.1\r\nHost: api.test",
        "GET /%0d%0aLocation:%20https://evil.test HTTP/1.1\r\nHost: api.test",
        "GET /a?\r\nLocation: https://evil.test HTTP/1.1\r\nHost: api.test",
        "GET /a?x\\evil.test HTTP/1.1\r\nHost: api.test",
        "GET @evil.test HTTP/1.1\r\nHost: api.test",
        "GET .evil.test HTTP/1.1\r\nHost: api.test",
        "GET :80@evil.test/ HTTP/1.1\r\nHost: api.test",
        "GET http://evil.test/ HTTP/1.1\r\nHost: api.test",
        "GET http://evil.test/ HTTP/1.1\r\nHost: evil.test",
        "GET http://api.test@evil.test/ HTTP/1.1\r\nHost: api.test",
        "GET http://api.test/ HTTP/1.1\r\nHost: evil.test",
        "GET https://evil.test/ HTTP/1.1\r\nHost: api.test",
        "GET / HTTP/1.1\r\nHost: api.test@evil.test",
        "GET / HTTP/1.1\r\nHost: evil.test#api.test",
        "GET / HTTP/1.1\r\nHost: evil.test\\api.test",
        "GET / HTTP/1.1\r\nHost: evil.test/.api.test",
        "GET / HTTP/1.1\r\nHost: api.test:80@evil.test",
        "GET / HTTP/1.1\r\nHost: api.test\r\nHost: evil.test",
        "GET / HTTP/1.1\r\nHost: evil.test\r\nX-Forwarded-Host: api.test",
        "GET / HTTP/1.1\r\nHost: api.test\r\nX-Forwarded-Host: evil.test\r\nForwarded: host=evil.test",
        "GET / HTTP/1.1\r\nHost: evil.test.app.test.evil.test",
        "GET / HTTP/1.1\r\nHost: evil.test/x.app.test",
        "GET / HTTP/1.1\r\nHost: [::1%25evil.test]",
        "GET / HTTP/1.0\r\nHost: evil.test",
    ];
    for head in heads {
        let answer = WORLD.plain().raw(format!("{head}\r\n\r\n"));
        let locations = answer.all("location");
        assert!(matches!(answer.status, 308 | 400 | 421), "{head:?}: {}", answer.status);
        assert_eq!(locations.len(), usize::from(answer.status == 308), "{head:?}: {locations:?}");
        for location in locations {
            let after = location.strip_prefix("https://api.test/");
            let after = after.unwrap_or_else(|| panic!("{head:?}: {location}"));
            assert!(!after.starts_with('/'), "{head:?}: {location}");
        }
    }
}

#[test]
fn absolute_form_is_the_origin_form() {
    let raw = "GET http://api.test/a?b HTTP/1.1\r\nHost: api.test\r\n\r\n";
    let answer = WORLD.plain().raw(raw);
    assert_eq!(answer.expect(308).field("location"), Some("https://api.test/a?b"));
}

#[test]
fn http2_in_cleartext_is_no_way_around() {
    let client = WORLD.plain();
    let answer = client.http2(&Request::get("/a?b"));
    assert_eq!(answer.expect(308).field("location"), Some("https://api.test/a?b"));
    assert_eq!(answer.field("strict-transport-security"), None);
    client.http2(&Request::get("/").host("evil.test")).expect_refusal(421, "host-not-allowed");
    client.http2(&Request::post("/", "x")).expect_refusal(403, "tls-required");
    client.http2(&Request::get("/").bearer("x")).expect_refusal(403, "tls-required");
    client.http2(&Request::get("//evil.test")).expect_refusal(400, "malformed-request");
}

#[test]
fn c35_a_challenge_is_neither_redirected_nor_asked_for_anything_else() {
    let routes = "routes: [{name: all, path: \"/{*rest}\", access: {any_of: [{issuer: corporate}]}, \
                  limits: [few], forward: {upstream: u}}]\n\
                  hosts: [api.test]\nlimits: [{name: few, key: address, rate: 1/h}]\n";
    let world = World::start(&[&base(), UPSTREAMS, ISSUERS, routes]);
    world.https().send(&Request::get("/")).expect(401);
    world.https().send(&Request::get("/")).expect(429);
    let path = "/.well-known/acme-challenge";
    let get = |target: &str, host: &str| {
        let mark = marker("m");
        let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nx-marker: {mark}\r\n\r\n");
        let answer = world.plain().raw(head);
        world.upstream.saw_nothing_of(&mark);
        (answer.status, answer.field("location").map(str::to_owned))
    };
    assert_eq!(get(&format!("{path}/unknown"), "api.test"), (404, None));
    assert_eq!(get(&format!("{path}/unknown/"), "api.test"), (404, None));
    assert_eq!(get(&format!("{path}/"), "api.test"), (404, None));
    for dots in
        ["../../etc", "..%2f..%2fetc", "%2e%2e/%2E%2E/etc", "./../../etc", "../../../../etc"]
    {
        let (status, location) = get(&format!("{path}/{dots}"), "api.test");
        assert!(matches!(status, 400 | 404), "{dots}: {status}");
        assert_eq!(location, None, "{dots}");
    }
    assert_eq!(get(&format!("{path}/unknown"), "other.test"), (404, None));
    // The limit of the route does not hold the redirect, which is no request of the route.
    let (status, location) = get("/", "api.test");
    assert_eq!((status, location.as_deref()), (308, Some("https://api.test/")));
}

#[test]
fn who_may_not_come_is_not_sent_on_either() {
    let clients = "clients: {deny: [127.0.0.66], limit: {rate: 3/h}}\n";
    let world = World::start(&[&base(), UPSTREAMS, REST, clients]);
    let from = |address: &str| world.plain().from(address);
    from("127.0.0.66").send(&Request::get("/")).expect_refusal(403, "client-not-allowed");
    from("127.0.0.5")
        .send(&Request::get("/").host("evil.test"))
        .expect_refusal(421, "host-not-allowed");
    let raw = "GET /.well-known/acme-challenge/../x HTTP/1.1\r\nHost: api.test\r\n\r\n";
    from("127.0.0.5").raw(raw).expect_refusal(400, "malformed-request");
    from("127.0.0.5").send(&Request::get("/")).expect(308);
    from("127.0.0.5").send(&Request::get("/")).expect_refusal(429, "rate-limited");
}

/// To the real port, by a reload: a browser would end where the app is.
#[test]
fn the_port_of_https_is_the_one_that_was_said() {
    let world = World::start(&[&base(), UPSTREAMS, REST]);
    let port = world.gateway.address("https").port();
    let with_port =
        base().replace("redirect_to: https", &format!("redirect_to: https, external_port: {port}"));
    let text = [&with_port, UPSTREAMS, REST].concat().replace("@UPSTREAM@", &world.upstream.url());
    let mut connection = world.plain().connect();
    let mut location = || {
        let answer = connection.send(&Request::get("/a?b"));
        answer.expect(308).field("location").unwrap().to_owned()
    };
    assert_eq!(location(), "https://api.test/a?b");
    world.gateway.write("gateway.yaml", &text);
    let wanted = format!("https://api.test:{port}/a?b");
    until_true(Duration::from_secs(20), "the new port", || location() == wanted);
    let Some(curl) = tools::program("curl") else { return };
    world.gateway.write("ca.pem", world.authority.pem());
    let plain = world.gateway.address("plain").port();
    let resolve = |port| format!("api.test:{port}:127.0.0.1");
    let url = format!("http://api.test:{plain}/a?b");
    let (first, second) = (resolve(plain), resolve(port));
    let arguments = [
        "-sS",
        "--fail",
        "-L",
        "--cacert",
        "ca.pem",
        "--resolve",
        &first,
        "--resolve",
        &second,
        "-w",
        "%{num_redirects} %{scheme}",
        "-o",
        "/dev/null",
        &url,
    ];
    let folder = world.gateway.launch().folder();
    let done = run(&curl, &arguments, folder, &[], "", Duration::from_secs(20));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.stdout.to_ascii_lowercase(), "1 https");
}

/// What served in cleartext before a reload sends to https after it, on living connections too.
#[test]
fn a_reload_makes_a_redirect_of_a_listener() {
    let world = World::start(&[BASE, UPSTREAMS, REST]);
    let mut connection = world.plain().connect();
    connection.send(&Request::get("/")).expect(200);
    let text = [&base(), UPSTREAMS, REST].concat().replace("@UPSTREAM@", &world.upstream.url());
    world.gateway.write("gateway.yaml", &text);
    let mut status = || connection.send(&Request::get("/")).status;
    until_true(Duration::from_secs(20), "a redirect", || status() == 308);
}

fn behind_proxy(header: &str) -> World {
    let base =
        BASE.replace(PLAIN, "cleartext: true, forwarded_http: redirect, external_port: 8443");
    let clients = format!("clients: {{trusted_proxies: [127.0.0.7], header: {header}}}\n");
    World::start(&[&base, UPSTREAMS, REST, &clients])
}

/// Status, `Location` and HSTS of a request from `peer`.
#[track_caller]
fn by_proxy(world: &World, peer: &str, fields: &[(&str, &str)]) -> (u16, Option<String>, bool) {
    let mark = marker("m");
    let request = Request::get("/a?b").field("x-marker", &mark);
    let request = fields.iter().fold(request, |request, (name, value)| request.field(name, value));
    let answer = world.plain().from(peer).send(&request);
    if answer.status == 200 {
        let seen = world.upstream.only(&mark);
        assert_eq!(seen.field("x-forwarded-proto"), Some("https"), "{fields:?}");
    } else {
        world.upstream.saw_nothing_of(&mark);
    }
    let location = answer.field("location").map(str::to_owned);
    (answer.status, location, answer.field("strict-transport-security").is_some())
}

#[test]
fn a_trusted_proxy_says_how_the_client_came() {
    let world = behind_proxy("x-forwarded-for");
    let served = (200, None, true);
    let sent = (308, Some("https://api.test:8443/a?b".to_owned()), false);
    let from = [("x-forwarded-for", "203.0.113.9")];
    let with = |proto| [from[0], ("x-forwarded-proto", proto)];
    assert_eq!(by_proxy(&world, "127.0.0.7", &with("https")), served);
    assert_eq!(by_proxy(&world, "127.0.0.7", &with("HTTPS")), served);
    assert_eq!(by_proxy(&world, "127.0.0.7", &with("http")), sent);
    assert_eq!(by_proxy(&world, "127.0.0.7", &with("https, http")), sent, "the nearest hop's word");
    assert_eq!(by_proxy(&world, "127.0.0.7", &with("wss")), served, "TLS too");
    assert_eq!(by_proxy(&world, "127.0.0.7", &with("ws")), sent);
    assert_eq!(by_proxy(&world, "127.0.0.7", &with("httpsx")), sent);
    assert_eq!(by_proxy(&world, "127.0.0.7", &with("")), sent);
    assert_eq!(by_proxy(&world, "127.0.0.7", &from), sent, "no word is http");
    assert_eq!(by_proxy(&world, "127.0.0.7", &[("forwarded", "proto=https")]), sent);
    assert_eq!(by_proxy(&world, "127.0.0.8", &with("https")), sent, "nobody who is trusted");
    let twice = [("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")];
    assert_eq!(by_proxy(&world, "127.0.0.7", &twice), sent);
    let post = Request::post("/", "x").field("x-forwarded-proto", "http");
    world.plain().from("127.0.0.7").send(&post).expect_refusal(403, "tls-required");
    let cookie = Request::get("/").field("cookie", "a=b");
    world.plain().from("127.0.0.7").send(&cookie).expect_refusal(403, "tls-required");
    let good = Request::post("/", "x").field("x-forwarded-proto", "https").field("cookie", "a=b");
    world.plain().from("127.0.0.7").send(&good).expect(200);
}

#[test]
fn the_field_that_the_file_names_is_the_one_that_counts() {
    let world = behind_proxy("forwarded");
    let sent = (308, Some("https://api.test:8443/a?b".to_owned()), false);
    let forwarded = |value| [("forwarded", value)];
    let good = forwarded("for=203.0.113.9;proto=https");
    assert_eq!(by_proxy(&world, "127.0.0.7", &good), (200, None, true));
    assert_eq!(by_proxy(&world, "127.0.0.7", &forwarded("for=203.0.113.9;proto=http")), sent);
    assert_eq!(by_proxy(&world, "127.0.0.7", &forwarded("for=203.0.113.9")), sent);
    assert_eq!(by_proxy(&world, "127.0.0.7", &[("x-forwarded-proto", "https")]), sent);
    assert_eq!(by_proxy(&world, "127.0.0.8", &good), sent);
}

#[test]
fn explain_tells_which_listener_and_where_to() {
    let gateway = &WORLD.gateway;
    let explain = |arguments: &[&str]| {
        let all = [&["explain", "--config", "gateway.yaml"], arguments].concat();
        let done = gateway.launch().command(&all);
        (done.code, done.stdout)
    };
    let (code, text) = explain(&["GET", "http://api.test/a?token=secret"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("answered with 308 to https://api.test/a?token="), "{text}");
    assert!(text.contains("transport") && text.contains("listener plain"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    let (code, text) = explain(&["POST", "http://api.test/a"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("refused: 403 tls-required"), "{text}");
    let (code, text) = explain(&["GET", "https://api.test/a"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("to upstream u"), "{text}");
    // What cannot come in is no request: exit 2, with what to do.
    let wrong = |arguments: &[&str], part: &str| {
        let (code, text) = explain(arguments);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(part), "{part}: {text}");
    };
    wrong(&["--listener", "nothing", "GET", "http://api.test/a"], "it has `https`, `plain`");
    wrong(&["--listener", "plain", "GET", "https://api.test/a"], "speaks no TLS: use http://");
    wrong(&["--listener", "https", "GET", "http://api.test/a"], "speaks TLS: use https://");
}

/// What somebody types who does not know of https.
#[test]
fn a_browser_is_led_to_the_page() {
    if tools::chromium().is_none() {
        return;
    }
    let world = World::start(&[&base(), UPSTREAMS, REST]);
    let https = world.gateway.address("https");
    let page = "<p id=told></p><script>told.textContent = location.protocol + performance.getEntriesByType('navigation')[0].nextHopProtocol</script>";
    let page = Reply::new(200, page).field("content-type", "text/html");
    world
        .upstream
        .answer("GET /page ", page.field("content-security-policy", "default-src 'unsafe-inline'"));
    let plain = format!("api.test:{}", world.gateway.address("plain").port());
    let browser =
        Browser::new().map(&plain, world.gateway.address("plain")).map("api.test:443", https);
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let seen = browser.open(&format!("http://{plain}/page"), scratch).expect("a browser");
    assert!(seen.stdout.contains(">https:h2</p>"), "{}{}", seen.stdout, seen.stderr);
}
