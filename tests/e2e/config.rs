//! The file is honoured or refused, never guessed at. C45, C46, C47, and wrong starts.

use std::net::TcpListener;
use std::time::Duration;

use portcullis_core::clock::Clock;
use portcullis_testkit::{CertificateAuthority, Issuer, Request, Token, Upstream};

use crate::world::{BASE, HOSTS, World, bare, launch};

/// A whole file that is fine; each test spoils one thing in it.
const GOOD: &str = r#"version: 1
listeners:
  - {name: https, address: "127.0.0.1:0"}
hosts: [api.test]
certificates: {self_signed: [api.test]}
clients: {trusted_proxies: []}
issuers:
  - name: corporate
    issuer: https://idp.test/r1
    audience: [api]
    claims: {roles: [roles]}
limits:
  - {name: per_address, key: address, rate: 60/min}
upstreams:
  - {name: u, endpoints: ["http://127.0.0.1:9"]}
routes:
  - name: api
    path: /api/{*rest}
    access: {any_of: [{issuer: corporate}], roles: [admin]}
    limits: [per_address]
    timeouts: {total: 30s}
    forward: {upstream: u}
"#;

fn check(config: &str) -> (i32, String) {
    let finished = bare(config).command(&["check", "gateway.yaml", "--no-files"]);
    (finished.code, format!("{}{}", finished.stdout, finished.stderr))
}

/// The file with one text replaced must be refused, and the report must say each of `words`.
#[track_caller]
fn refused(from: &str, to: &str, words: &[&str]) {
    assert!(GOOD.contains(from), "{from}");
    let (code, report) = check(&GOOD.replacen(from, to, 1));
    assert_eq!(code, 1, "{to}: {report}");
    for word in words {
        assert!(report.contains(word), "{to}: {word:?} is missing in {report}");
    }
    assert!(report.contains("gateway.yaml:"), "file and line: {report}");
    assert!(!report.contains("panicked"), "{report}");
}

#[test]
fn the_file_these_tests_spoil_is_fine() {
    let (code, report) = check(GOOD);
    assert_eq!(code, 0, "{report}");
}

#[test]
fn c45_an_unknown_key_is_refused_with_the_nearest_right_one() {
    refused("audience:", "audiance:", &["gateway.yaml:10", "audiance", "audience"]);
    refused("timeouts:", "timeout:", &["gateway.yaml:21", "timeout", "timeouts"]);
    refused("{total: 30s}", "{totall: 30s}", &["gateway.yaml:21", "totall", "total"]);
    refused("rate: 60/min", "requests_per_min: 60", &["requests_per_min", "rate"]);
    refused("version: 1\n", "version: 1\nrequre_auth: true\n", &["requre_auth", "gateway.yaml:2"]);
    refused("trusted_proxies", "trusted_proxy", &["trusted_proxy", "trusted_proxies"]);
    // A right key in a wrong place.
    refused("hosts: [api.test]\n", "hosts: [api.test]\naudience: [api]\n", &["audience"]);
}

#[test]
fn c45_an_empty_list_never_means_all() {
    refused("roles: [admin]", "roles: []", &["roles"]);
    refused("hosts: [api.test]", "hosts: []", &["hosts"]);
    refused("audience: [api]", "audience: []", &["audience"]);
    refused("{any_of: [{issuer: corporate}], roles: [admin]}", "{any_of: []}", &["any_of"]);
    refused("access: {any_of: [{issuer: corporate}], roles: [admin]}\n    ", "", &["access"]);
}

#[test]
fn c45_everybody_is_trusted_only_in_words() {
    refused("trusted_proxies: []", "trusted_proxies: [\"0.0.0.0/0\"]", &["0.0.0.0/0", "any"]);
    refused("trusted_proxies: []", "trusted_proxies: [\"::/0\"]", &["::/0"]);
    let said = GOOD.replace("trusted_proxies: []", "trusted_proxies: {any: true}");
    assert_eq!(check(&said).0, 0, "{}", check(&said).1);
}

#[test]
fn c45_names_that_do_not_exist_and_settings_that_cannot_apply() {
    refused("{upstream: u}", "{upstream: v}", &["v", "u"]);
    refused("limits: [per_address]", "limits: [per_adress]", &["per_adress", "per_address"]);
    refused("    limits: [per_address]\n", "", &["per_address"]);
    refused("{issuer: corporate}", "{issuer: corporat}", &["corporat", "corporate"]);
    refused("claims: {roles: [roles]}", "leeway: 30s", &["roles"]);
    refused("{upstream: u}", "{upstream: u, strip_prefix: /v1}", &["strip_prefix"]);
    refused("{total: 30s}", "{total: 30}", &["30"]);
    refused("rate: 60/min", "rate: 60", &["60"]);
    refused("key: address", "key: adress", &["adress", "address"]);
    refused("https://idp.test/r1", "http://idp.test/r1", &["http"]);
    refused("name: api\n", "name: api\n    hosts: [other.test]\n", &["other.test"]);
    let twice = "routes:\n  - {name: twin, path: \"/api/{*other}\", access: public, forward: {upstream: u}}\n";
    refused("routes:\n", twice, &["twin", "api"]);
}

#[test]
fn c45_later_parts_of_the_language_are_not_in_this_version() {
    let logins = "version: 1\nlogins: [{name: staff}]\n";
    refused("version: 1\n", logins, &["logins", "not in this version"]);
    let redis = "version: 1\nstate: {shared: {redis: {url: x}}}\n";
    refused("version: 1\n", redis, &["redis", "not in this version"]);
    refused("    timeouts:", "    upgrade: [h2c]\n    timeouts:", &["h2c", "websocket"]);
    refused(
        "    timeouts:",
        "    request: {schema: {openapi: x}}\n    timeouts:",
        &["not in this version"],
    );
    refused("version: 1\n", "version: 2\n", &["version"]);
}

#[test]
fn ten_mistakes_are_shown_at_once() {
    let spoiled = GOOD
        .replace("audience:", "audiance:")
        .replace("address: \"127.0.0.1:0\"", "address: nowhere")
        .replace("rate: 60/min", "rate: often")
        .replace("{total: 30s}", "{total: soon}")
        .replace("roles: [admin]", "roles: []")
        .replace("{upstream: u}", "{upstream: v}")
        .replace("http://127.0.0.1:9", "ftp://127.0.0.1:9")
        .replace("trusted_proxies: []", "trusted_proxies: [300.0.0.0/8]")
        .replace("https://idp.test/r1", "idp")
        .replace("hosts: [api.test]", "hosts: [\"api test\"]");
    let finished =
        bare(&spoiled).command(&["check", "gateway.yaml", "--no-files", "--format", "json"]);
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    let report: serde_json::Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let text = report.to_string();
    for word in
        ["audiance", "nowhere", "often", "soon", "roles", "ftp", "300.0.0.0", "idp", "api test"]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn c46_variables_come_in_after_the_yaml_was_read() {
    let wild = "S3cret$USER!x{y}#z: \"q\"";
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let config = format!(
        "{BASE}{HOSTS}
# ${{MISSING}} in a comment is nothing.
issuers:
  - name: corporate
    issuer: https://idp.test/r1
    audience: [\"${{WILD}}\", pa$USER-word, $$x, \"${{MISSING:-dft}}\", 'a${{ONE}}b']
    algorithms: [RS256]
    keys: {{url: \"{}\"}}
upstreams: [{{name: u, endpoints: [\"{}\"]}}]
routes: [{{name: all, path: \"/{{*rest}}\", access: {{any_of: [{{issuer: corporate}}]}}, forward: {{upstream: u}}}}]
",
        issuer.jwks_url(),
        upstream.url()
    );
    let authority = CertificateAuthority::new();
    let gateway = launch(&config, &authority).env("WILD", wild).env("ONE", "1").start();
    let status = |audience: &str| {
        let token = issuer.token().claim("aud", audience).sign();
        gateway.plain("plain").send(&Request::get("/x").bearer(token)).status
    };
    for audience in [wild, "pa$USER-word", "$x", "dft", "a1b"] {
        assert_eq!(status(audience), 200, "{audience}");
    }
    for audience in ["$$x", "${WILD}", "", "S3cret"] {
        assert_eq!(status(audience), 401, "{audience}");
    }
}

#[test]
fn c46_a_variable_that_is_not_set_is_named() {
    refused("audience: [api]", "audience: [\"${MISSING}\"]", &["MISSING", "gateway.yaml:10"]);
}

#[test]
fn c46_a_secret_is_taken_from_file_or_environment_and_never_shown() {
    let config = GOOD.to_owned()
        + "admin: {address: \"127.0.0.1:0\", probes: \"127.0.0.1:0\", token: {env: ADMIN}}\n";
    let gateway = bare(&config).env("ADMIN", "s3cret-admin-token-of-16").start();
    let admin = gateway.plain("admin");
    let host = gateway.address("admin").to_string();
    let answer =
        admin.send(&Request::get("/config").host(&host).bearer("s3cret-admin-token-of-16"));
    answer.expect(200);
    assert!(!answer.text().contains("s3cret"));
    assert!(!gateway.process().stderr().join("\n").contains("s3cret"));
    let written = GOOD.to_owned() + "admin: {token: in-the-file}\n";
    let (code, report) = check(&written);
    assert_eq!(code, 1, "{report}");
    assert!(!report.contains("panicked"));
}

#[test]
fn c47_true_and_false_alone_are_true_and_false() {
    for word in ["no", "off", "yes", "on", "\"true\"", "1", "True", "FALSE"] {
        let to = format!("{{name: https, address: \"127.0.0.1:0\", cleartext: {word}}}");
        refused("{name: https, address: \"127.0.0.1:0\"}", &to, &["cleartext", "true"]);
    }
}

#[test]
fn c47_duplicate_keys_are_refused_with_their_line() {
    let again = "\nroutes: []\n";
    let (code, report) = check(&format!("{GOOD}{again}"));
    assert_eq!(code, 1, "{report}");
    assert!(report.contains("gateway.yaml:24") && report.contains("routes"), "{report}");
    refused("{total: 30s}", "{total: 30s, total: 40s}", &["gateway.yaml:21", "total"]);
    refused("    path: /api", "    name: again\n    path: /api", &["name"]);
}

#[test]
fn c47_numbers_have_one_form() {
    for rate in ["1_000/min", "1e3/min", "060/min", "60 /min", "+60/min", "60/minute", "0/min"] {
        refused("rate: 60/min", &format!("rate: {rate}"), &["rate"]);
    }
    for time in ["12:30", "0030s", "30", "1e3s", "-30s", "30 s", "30sec", "1_0s"] {
        refused("{total: 30s}", &format!("{{total: {time}}}"), &["total"]);
    }
    for port in ["127.0.0.1:08443", "127.0.0.1:0x1", "127.0.0.1:70000", "127.0.0.1"] {
        refused("127.0.0.1:0", port, &["address"]);
    }
}

#[test]
fn c47_yaml_tricks_are_refused_fast() {
    let clock = Clock::system();
    let level = |n: usize| {
        let list = vec![format!("*a{}", n - 1); 10].join(", ");
        format!("a{n}: &a{n} [{list}]\n")
    };
    let bomb = (1..=10).map(level).collect::<Vec<_>>().concat();
    let bomb = format!("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n{bomb}");
    for text in [
        format!("{bomb}{GOOD}"),
        format!("{GOOD}---\n{GOOD}"),
        GOOD.replace("  - {name: https", "\t- {name: https"),
        GOOD.replace("timeouts: {total: 30s}", "<<: *base"),
        GOOD.replace("forward: {upstream: u}", "<<: {forward: {upstream: u}}"),
        String::new(),
        "\u{0}".to_owned(),
        "[".repeat(100_000),
        format!("{GOOD}# {}\n", "x".repeat(5 << 20)),
        "just text".to_owned(),
        "- a list".to_owned(),
    ] {
        let (code, report) = check(&text);
        let start: String = text.chars().take(60).collect();
        assert_eq!(code, 1, "{start}: {report}");
        assert!(!report.contains("panicked") && !report.is_empty(), "{start}: {report}");
    }
    assert!(clock.monotonic() < Duration::from_secs(30), "{:?}", clock.monotonic());
    // A byte order mark is no mistake, or one that is said.
    let (code, report) = check(&format!("\u{feff}{GOOD}"));
    assert!(code == 0 || (code == 1 && !report.contains("panicked")), "{report}");
}

#[test]
fn a_start_that_cannot_be_says_why() {
    let finished = bare(GOOD).command(&["run", "--config", "no-such-file.yaml"]);
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    assert!(finished.stderr.contains("no-such-file.yaml"), "{}", finished.stderr);

    let spoiled = bare(&GOOD.replace("audience:", "audiance:")).start_in_vain();
    assert_eq!(spoiled.code, 1);
    assert!(spoiled.stderr.contains("gateway.yaml:10"), "{}", spoiled.stderr);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let occupied = bare(&GOOD.replace("127.0.0.1:0", &address)).start_in_vain();
    assert_eq!(occupied.code, 2, "{}", occupied.stderr);
    assert!(occupied.stderr.contains(&address), "{}", occupied.stderr);
}

#[test]
fn a_certificate_that_is_not_good_is_refused_at_start() {
    let authority = CertificateAuthority::new();
    let (pair, stranger) = (authority.issue(&["api.test"]), authority.issue(&["api.test"]));
    let files =
        "certificates: {files: [{certificate: \"@DIR@/t.crt\", key: {file: \"@DIR@/t.key\"}}]}";
    let config = GOOD.replace("certificates: {self_signed: [api.test]}", files);
    for (certificate, key, word) in [
        (pair.certificate.as_str(), stranger.key.as_str(), "private key does not belong"),
        ("nonsense", pair.key.as_str(), "certificate"),
        (pair.certificate.as_str(), "", "key"),
    ] {
        let launch = bare(&config).file("t.crt", certificate).file("t.key", key);
        let finished = launch.start_in_vain();
        assert_eq!(finished.code, 1, "{}", finished.stderr);
        assert!(finished.stderr.contains(word), "{}", finished.stderr);
        assert!(finished.stderr.contains("gateway.yaml:5:"), "{}", finished.stderr);
        let checked = launch.command(&["check", "gateway.yaml"]);
        assert_eq!(checked.code, 1, "{}", checked.stdout);
        assert_eq!(launch.command(&["check", "gateway.yaml", "--no-files"]).code, 0);
    }
    let finished = bare(&config).start_in_vain();
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    assert!(finished.stderr.contains("t.crt"), "{}", finished.stderr);
}

#[test]
fn what_is_away_at_start_keeps_nothing_else_from_working() {
    let config = "
issuers: [{name: away, issuer: \"http://127.0.0.1:9\", audience: [api]}]
upstreams: [{name: gone, endpoints: [\"http://127.0.0.1:9\"]}, {name: u, endpoints: [\"@UPSTREAM@\"]}]
routes:
  - {name: open, path: /open, access: public, forward: {upstream: u}}
  - {name: gone, path: /gone, access: public, forward: {upstream: gone}}
  - {name: closed, path: /closed, access: {any_of: [{issuer: away}]}, forward: {upstream: u}}
";
    let world = World::start(&[BASE, HOSTS, config]);
    world.forwarded(Request::get("/open"));
    world.refused(Request::get("/gone"), 503, "upstream-unavailable");
    let token = Token::new("http://127.0.0.1:9", &world.issuer.key()).sign();
    world.refused(Request::get("/closed").bearer(token), 503, "issuer-unavailable");
}
