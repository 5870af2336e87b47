//! One mistake at a time: where it is found and what is said. More of them, word for word, are in
//! `testdata`.

use portcullis_config::check_text;
use proptest::prelude::*;

use crate::options;

const SOUND: &str = "version: 1
listeners: [{name: https, address: '[::]:8443'}]
hosts: [api.test, '*.tenants.test']
certificates: {self_signed: [api.test, '*.tenants.test']}
issuers: [{name: login, issuer: 'https://login.test', audience: [orders], claims: {roles: [roles]}}]
limits: [{name: per_address, key: address, rate: 60/min}]
cors: [{name: web, origins: ['https://ui.test']}]
upstreams: [{name: app, endpoints: ['http://127.0.0.1:8000']}]
identity: {lifetime: 60s}
routes:
- name: orders
  path: '/v1/orders/{id}'
  access: {any_of: [{issuer: login, scopes: [read]}], roles: [clerk]}
  limits: [per_address]
  cors: web
  forward: {upstream: app, strip_prefix: /v1, identity: {headers: {x-user: subject}, token: signed}}
";

/// `from` in the sound file becomes `to`: one mistake, at `path`, with `message`.
#[track_caller]
fn check(from: &str, to: &str, path: &str, message: &str) {
    assert_eq!(SOUND.matches(from).count(), 1, "{from} must be there once");
    let text = SOUND.replace(from, to);
    let report = check_text("x", &text, &options()).expect_err(to);
    let found: Vec<(String, String)> =
        report.entries().into_iter().map(|entry| (entry.path, entry.message)).collect();
    assert_eq!(found, [(path.to_owned(), message.to_owned())], "{to}");
}

#[test]
fn the_sound_file_has_none() {
    let loaded = check_text("x", SOUND, &options());
    assert!(loaded.is_ok(), "{loaded:?}");
}

#[test]
fn limits_count_one_thing_and_upgrades_are_known() {
    let both = "rate: 60/min, concurrent: 5";
    let message = "`rate` does not go with `concurrent`";
    check("rate: 60/min", both, "limits[0].rate", message);
    let message = "`burst` does not go with `concurrent`";
    check("rate: 60/min", "concurrent: 5, burst: 2", "limits[0].burst", message);
    check(
        "cors: web",
        "cors: web\n  upgrade: [h2c]",
        "routes[0].upgrade[0]",
        "`h2c` is not known here",
    );
    check("cors: web", "cors: web\n  upgrade: []", "routes[0].upgrade", "the list is empty");
    let twice = "`websocket` stands here twice";
    check(
        "cors: web",
        "cors: web\n  upgrade: [websocket, websocket]",
        "routes[0].upgrade[1]",
        twice,
    );
}

#[test]
fn an_app_that_speaks_http2_alone_knows_no_upgrade() {
    let text = SOUND
        .replace("http://127.0.0.1:8000", "h2c://127.0.0.1:8000")
        .replace("cors: web", "cors: web\n  upgrade: [websocket]");
    let report = check_text("x", &text, &options()).expect_err("a mistake");
    let paths: Vec<String> = report.entries().into_iter().map(|entry| entry.path).collect();
    assert_eq!(paths, ["routes[0].upgrade"]);
}

#[test]
fn c45_empty_lists_never_mean_all() {
    let empty = "the list is empty";
    check("hosts: [api.test, '*.tenants.test']", "hosts: []", "hosts", empty);
    check("roles: [clerk]", "roles: []", "routes[0].access.roles", empty);
    check("scopes: [read]", "scopes: []", "routes[0].access.any_of[0].scopes", empty);
    check("audience: [orders]", "audience: []", "issuers[0].audience", empty);
    check("origins: ['https://ui.test']", "origins: []", "cors[0].origins", empty);
    check("endpoints: ['http://127.0.0.1:8000']", "endpoints: []", "upstreams[0].endpoints", empty);
    check("cors: web", "cors: web\n  methods: []", "routes[0].methods", empty);
    check("cors: web", "cors: web\n  hosts: []", "routes[0].hosts", empty);
    check("cors: web", "cors: web\n  clients: {allow: []}", "routes[0].clients.allow", empty);
    check("audience: [orders]", "audience: [x], algorithms: []", "issuers[0].algorithms", empty);
    check("roles: [roles]", "roles: []", "issuers[0].claims.roles", empty);
}

#[test]
fn c45_everybody_is_trusted_in_words_alone() {
    for network in ["0.0.0.0/0", "::/0"] {
        let to =
            format!("identity: {{lifetime: 60s}}\nclients: {{trusted_proxies: ['{network}']}}");
        let message = format!("`{network}` trusts every peer there is");
        check("identity: {lifetime: 60s}", &to, "clients.trusted_proxies[0]", &message);
    }
    let no = "identity: {lifetime: 60s}\nclients: {trusted_proxies: {any: false}}";
    check("identity: {lifetime: 60s}", no, "clients.trusted_proxies", "`any: false` says nothing");
    let words = SOUND.replace(
        "identity: {lifetime",
        "clients: {trusted_proxies: {any: true}}\nidentity: {lifetime",
    );
    let loaded = check_text("x", &words, &options()).expect("said in words");
    assert!(loaded.advice.iter().any(|advice| advice.rule.number == "A002"), "{:?}", loaded.advice);
}

#[test]
fn names_must_be_there() {
    check(
        "limits: [per_address]",
        "limits: [per_addres]",
        "routes[0].limits[0]",
        "there is no limit `per_addres`",
    );
    check("cors: web", "cors: wep", "routes[0].cors", "there is no cors policy `wep`");
    check(
        "upstream: app,",
        "upstream: ap,",
        "routes[0].forward.upstream",
        "there is no upstream `ap`",
    );
    check(
        "issuer: login,",
        "issuer: logn,",
        "routes[0].access.any_of[0].issuer",
        "there is no issuer `logn`",
    );
    check(
        "cors: web",
        "cors: web\n  hosts: [a.tenants.test]",
        "routes[0].hosts[0]",
        "`a.tenants.test` is not an entry of `hosts`",
    );
}

#[test]
fn what_is_used_nowhere_is_a_mistake() {
    check(
        "  limits: [per_address]\n",
        "",
        "limits[0].name",
        "the limit `per_address` is used nowhere",
    );
    check("  cors: web\n", "", "cors[0].name", "the cors policy `web` is used nowhere");
    check(
        "limits: [{",
        "limits: [{name: two, key: address, rate: 1/s}, {",
        "limits[0].name",
        "the limit `two` is used nowhere",
    );
}

#[test]
fn names_are_unique_and_plain() {
    let twice = "limits: [{name: per_address, key: principal, rate: 1/s}, {name: per_address";
    check(
        "limits: [{name: per_address",
        twice,
        "limits[1].name",
        "there are two entries with the name `per_address`",
    );
    check("- name: orders", "- name: 'or ders'", "routes[0].name", "this name cannot be used");
}

#[test]
fn two_entries_of_one_host_have_one_tls_policy() {
    let hosts = "hosts: [api.test, '*.tenants.test']";
    let old = "tls: {minimum_version: '1.2'}";
    for (first, second) in [
        ("'api.test:1'", format!("{{name: 'api.test:8443', {old}}}")),
        ("api.test", format!("{{name: 'api.test:8443', {old}}}")),
        (&*format!("{{name: 'api.test:8443', {old}}}"), "api.test".to_owned()),
    ] {
        let to = format!("hosts: [{first}, {second}, '*.tenants.test']");
        let named = if second.starts_with('{') {
            ("hosts[1].name", "api.test:8443")
        } else {
            ("hosts[1]", "api.test")
        };
        let message = "has other TLS settings than an entry above of the same host";
        check(hosts, &to, named.0, &format!("`{}` {message}", named.1));
    }
    let same = format!(
        "hosts: [{{name: 'api.test:1', {old}}}, {{name: 'api.test:2', {old}}}, '*.tenants.test']"
    );
    assert!(check_text("x", &SOUND.replace(hosts, &same), &options()).is_ok());
}

#[test]
fn nobody_is_identified_on_a_public_route() {
    let rules = "access: {any_of: [{issuer: login, scopes: [read]}], roles: [clerk]}";
    let text = SOUND.replace(rules, "access: public").replace("headers: {x-user: subject}, ", "");
    let text = text.replace("key: address", "key: {claim: [tenant]}");
    let report = check_text("x", &text, &options()).expect_err("a claim on a public route");
    let messages: Vec<String> = report.entries().into_iter().map(|entry| entry.message).collect();
    let expected = [
        "the issuer `login` is used nowhere",
        "`per_address` counts by a claim, but nobody is identified on a public route",
    ];
    assert_eq!(messages, expected);
}

#[test]
fn tls_and_cleartext_are_said() {
    let https = "{name: https, address: '[::]:8443'}";
    let both = "{name: https, address: '[::]:8443', cleartext: true, tls: {}}";
    check(https, both, "listeners[0].tls", "a cleartext listener has no TLS settings");
    let twice = "{name: https, address: '[::]:8443', cleartext: true, protocols: [h2, h2]}";
    check(https, twice, "listeners[0].protocols[1]", "`h2` stands here twice");
    let unix = "{name: https, address: 'unix:/run/x', proxy_protocol: {from: [10.0.0.0/8]}}";
    let message = "whoever connects to a unix socket has no address to be known by";
    check(https, unix, "listeners[0].proxy_protocol", message);
    let nobody = "{name: https, address: '[::]:8443', proxy_protocol: {from: []}}";
    check(https, nobody, "listeners[0].proxy_protocol.from", "the list is empty");
    check(
        https,
        "{name: https, address: '127.0.0.1:9901'}",
        "admin.address",
        "`https` listens on this address already",
    );
    let message = "no certificate is given for `*.tenants.test`";
    check(
        "certificates: {self_signed: [api.test, '*.tenants.test']}",
        "certificates: {self_signed: [api.test]}",
        "hosts[1]",
        message,
    );
}

#[test]
fn issuers_are_reached_safely() {
    let issuer = "issuer: 'https://login.test'";
    check(
        issuer,
        "issuer: 'http://login.test'",
        "issuers[0].issuer",
        "what `http://login.test` answers could be replaced on the way",
    );
    check(
        issuer,
        "issuer: corporate",
        "issuers[0].issuer",
        "nothing can be asked of `corporate`: it is not a URL",
    );
    check(
        issuer,
        "issuer: 'https://u:p@login.test'",
        "issuers[0].issuer",
        "a URL with user and password is not accepted",
    );
    let file = "issuer: corporate, keys: {file: /nowhere/jwks.json}";
    check(
        issuer,
        file,
        "issuers[0].keys.file",
        "`/nowhere/jwks.json` cannot be read: No such file or directory (os error 2)",
    );
    let text = SOUND.replace(issuer, "issuer: 'http://127.0.0.1:9000'");
    let loaded = check_text("x", &text, &options()).expect("loopback");
    assert!(loaded.advice.iter().any(|advice| advice.rule.number == "A001"), "{:?}", loaded.advice);
}

#[test]
fn times_of_zero_are_refused_where_they_would_refuse_all() {
    let zero = "a time of zero would refuse everything";
    check("identity: {lifetime: 60s}", "connections: {idle: 0s}", "connections.idle", zero);
    check("cors: web", "cors: web\n  timeouts: {total: 0s}", "routes[0].timeouts.total", zero);
    check(
        "identity: {lifetime: 60s}",
        "identity: {lifetime: 0s}",
        "identity.lifetime",
        "0s is out of range",
    );
}

#[test]
fn fields_with_a_meaning_cannot_tell_who_calls() {
    for name in [
        "host",
        "authorization",
        "x-forwarded-for",
        "x_forwarded_for",
        "x-portcullis-identity",
        "cookie",
    ] {
        let path = format!("routes[0].forward.identity.headers.{name}");
        let message = format!("`{name}` has a meaning of its own and cannot tell who calls");
        check(
            "headers: {x-user: subject}",
            &format!("headers: {{{name}: subject}}"),
            &path,
            &message,
        );
    }
    let twice = "headers: {x-user: subject, x_user: issuer}";
    let message = "`x_user` is the same field as one before it to many servers";
    check(
        "headers: {x-user: subject}",
        twice,
        "routes[0].forward.identity.headers.x_user",
        message,
    );
}

#[test]
fn two_routes_for_one_request_are_refused() {
    let second = "- name: orders\n  path: '/v1/orders/{other}'\n  methods: [GET]\n  access: public\n  forward: {upstream: app}\n- name: orders";
    let text =
        SOUND.replace("- name: orders", second).replacen("- name: orders", "- name: first", 1);
    let report = check_text("x", &text, &options()).expect_err("a conflict");
    let entries = report.entries();
    assert_eq!(entries.len(), 1, "{entries:#?}");
    assert_eq!(entries[0].path, "routes[1].path");
    assert_eq!(entries[0].message, "route `first` takes the same host, path and method GET");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_fail_otherwise(text in "[ -~\n\t\u{a0}\u{feff}é]{0,300}") {
        if let Err(report) = check_text("x", &text, &options()) {
            prop_assert!(!report.entries().is_empty());
            prop_assert!(report.render_text(false).contains("mistake"));
        }
    }

    #[test]
    fn no_cut_or_change_makes_it_fail_otherwise(at in 0..SOUND.len(), with in "[ -~\n]{0,3}", cut in 0_usize..40) {
        let mut text = SOUND.to_owned();
        let end = (at + cut).min(text.len());
        text.replace_range(at..end, &with);
        if let Err(report) = check_text("x", &text, &options()) {
            prop_assert!(report.entries().iter().all(|entry| entry.line >= 1));
            prop_assert!(!report.render_text(true).is_empty());
        }
    }
}

#[test]
fn anonymous_alone_is_no_demand() {
    let open =
        "- {name: open, path: /open, access: {any_of: [anonymous]}, forward: {upstream: app}}";
    check(
        "- name: orders",
        &format!("{open}\n- name: orders"),
        "routes[0].access.any_of",
        "`anonymous` alone lets everybody in",
    );
}

#[test]
fn a_redirect_goes_to_a_listener_with_tls() {
    let check = |more: &str, key: &str, message: &str| {
        let address = "{name: https, address: '[::]:8443'}";
        let to = format!(
            "{address}, {{name: app, address: '[::]:8081', cleartext: true}}, \
             {{name: http, address: '[::]:8080', {more}}}"
        );
        check(address, &to, &format!("listeners[2]{key}"), message);
    };
    let unknown = "there is no listener with the name `htps`";
    check("redirect_to: htps", ".redirect_to", unknown);
    let without = "the listener `app` has no TLS: nobody can be sent there by https";
    check("redirect_to: app", ".redirect_to", without);
    let itself = "the listener `http` has no TLS: nobody can be sent there by https";
    check("redirect_to: http", ".redirect_to", itself);
    let tls = "a redirect listener has no TLS settings";
    check("redirect_to: https, tls: {minimum_version: '1.3'}", ".tls", tls);
    let cleartext = "a redirect listener has no TLS, and serves nothing in cleartext";
    check("redirect_to: https, cleartext: true", ".cleartext", cleartext);
    check("redirect_to: https, cleartext: false", ".cleartext", cleartext);
    let protocols = "whoever has yet to be sent to https speaks http/1.1";
    check("redirect_to: https, protocols: [h2]", ".protocols", protocols);
    check("redirect_to: https, protocols: []", ".protocols", "the list is empty");
    let port = "this has no effect: nobody is sent to https by this listener";
    check("external_port: 443", ".external_port", port);
    check("cleartext: true, external_port: 443", ".external_port", port);
    let both = "a redirect listener serves nothing, whatever a proxy says";
    check("redirect_to: https, forwarded_http: redirect", ".forwarded_http", both);
    let tls = "a listener with TLS takes no http, whatever a proxy says";
    check("forwarded_http: redirect", ".forwarded_http", tls);
    let nobody = "every request would be sent to https again and again: no proxy is trusted";
    check("cleartext: true, forwarded_http: redirect", ".forwarded_http", nobody);
}

#[test]
fn a_redirect_names_the_listener_that_was_meant() {
    let address = "{name: https, address: '[::]:8443'}";
    let to = format!("{address}, {{name: http, address: '[::]:8080', redirect_to: htps}}");
    let report = check_text("x", &SOUND.replace(address, &to), &options()).expect_err("a mistake");
    assert!(report.render_text(false).contains("did you mean `https`?"), "{report}");
}

/// Nobody is meant for the redirect alone: its hosts need a certificate.
#[test]
fn a_redirect_listener_does_not_excuse_a_missing_certificate() {
    let address = "{name: https, address: '[::]:8443'}";
    let to = format!("{address}, {{name: http, address: '[::]:8080', redirect_to: https}}");
    let text = SOUND.replace(address, &to);
    let text = text.replace("self_signed: [api.test, '*.tenants.test']", "self_signed: [api.test]");
    let report = check_text("x", &text, &options()).expect_err("a mistake");
    let found: Vec<String> = report.entries().into_iter().map(|entry| entry.message).collect();
    assert_eq!(found, ["no certificate is given for `*.tenants.test`"]);
}
