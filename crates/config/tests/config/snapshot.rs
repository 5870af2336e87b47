//! What a file comes to: every key of `testdata/whole.yaml` is found in the snapshot.

use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use portcullis_authn::{Alg, KeySource, ReadFrom};
use portcullis_config::snapshot::{FLOOD_GUARD, ListenAddress, LogTarget};
use portcullis_config::{Snapshot, check_text};
use portcullis_core::Authority;
use portcullis_core::forwarded::ForwardedHeader;
use portcullis_policy::table::Found;
use portcullis_policy::{
    Access, Demand, FieldAction, HostHeader, IdentityValue, Origin, PrincipalKey, Role, Route,
    RouteCors, SameSite, ToHttps, TokenMode,
};
use portcullis_tls::{Minimum, Protocol};

use crate::options;

const SECOND: Duration = Duration::from_secs(1);

fn text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/whole.yaml");
    std::fs::read_to_string(path).expect("testdata")
}

#[track_caller]
fn snapshot() -> Snapshot {
    check_text("whole.yaml", &text(), &options()).expect("no mistake").snapshot
}

#[track_caller]
fn route(snapshot: &Snapshot, host: &str, path: &str) -> Arc<Route> {
    let authority = Authority::parse(host).expect("a host");
    let host = snapshot.pipeline.hosts.admit(&authority, 443).expect("an allowed host");
    match snapshot.pipeline.routes.find(host, path, &Method::GET) {
        Found::Route(route) => Arc::clone(route),
        other @ (Found::Nothing | Found::OtherMethods(..)) => panic!("{path}: {other:?}"),
    }
}

fn line_of(needle: &str) -> u32 {
    let line = text().lines().position(|line| line.contains(needle)).expect(needle);
    u32::try_from(line).expect("a line") + 1
}

#[test]
fn listeners_and_tls() {
    let snapshot = snapshot();
    let [https, plain, local, ..] = snapshot.listeners.as_slice() else {
        panic!("{:?}", snapshot.listeners)
    };
    assert_eq!((&*https.name, https.address.to_string()), ("https", "127.0.0.1:8443".into()));
    let terms = https.tls.as_ref().expect("TLS");
    assert_eq!(
        (terms.policy.minimum, https.protocols.as_slice()),
        (Minimum::Tls12, &[Protocol::Http11][..])
    );
    assert_eq!((&*plain.name, &plain.tls), ("plain", &None));
    assert_eq!(plain.protocols, [Protocol::H2, Protocol::Http11]);
    assert_eq!(plain.proxies, ["10.1.0.0/16".parse().unwrap()]);
    assert!(https.proxies.is_empty() && local.proxies.is_empty());
    assert_eq!(local.address, ListenAddress::Unix("/run/gateway.sock".into()));
    let minimum = |name: &str| {
        let named = snapshot.tls.by_name.iter().find(|(named, _)| named == name);
        named.map(|(_, own)| own.minimum)
    };
    assert_eq!(minimum("old.test"), Some(Some(Minimum::Tls12)));
    assert_eq!(minimum("api.test"), Some(None));
    assert_eq!(snapshot.tls.without_sni.as_deref(), Some("api.test"));
    assert_eq!(snapshot.tls.sources.self_signed, ["api.test", "old.test"]);
}

#[test]
fn what_listeners_send_to_https() {
    let snapshot = snapshot();
    let [https, plain, local, redirect, behind] = snapshot.listeners.as_slice() else {
        panic!("{:?}", snapshot.listeners)
    };
    let port = |port| NonZeroU16::new(port).expect("a port");
    let to = ToHttps { port: port(8443), origin: Origin(line_of("redirect_to: https")) };
    assert_eq!(redirect.role, Role::Redirects(to));
    assert_eq!((&redirect.tls, redirect.protocols.as_slice()), (&None, &[Protocol::Http11][..]));
    let to = ToHttps { port: port(9443), origin: Origin(line_of("forwarded_http")) };
    assert_eq!(behind.role, Role::AsForwarded(to));
    assert!([https, plain, local].iter().all(|plan| plan.role == Role::Serves));
    assert!(snapshot.pipeline.transport.is_redirect("redirect"));
    assert!(!snapshot.pipeline.transport.is_redirect("behind"));
}

#[test]
fn connections() {
    let terms = snapshot().connections;
    assert_eq!((terms.maximum, terms.per_client, terms.streams_per_connection), (10, 5, 7));
    assert_eq!(
        (terms.tls_handshake, terms.head_time, terms.write),
        (SECOND, SECOND * 2, SECOND * 3)
    );
    assert_eq!((terms.head_size, terms.head_fields, terms.target_size), (16_384, 50, 4_096));
    assert_eq!(terms.idle, SECOND * 4);
    assert_eq!((terms.drain_delay, terms.drain_grace), (Duration::ZERO, SECOND * 8));
    assert_eq!(terms.ipv6_prefix, 56);
    assert_eq!(terms.per_client_exempt.len(), 1);
}

#[test]
fn clients() {
    let snapshot = snapshot();
    let clients = &snapshot.pipeline.clients;
    assert_eq!(clients.trusted_proxies.header, ForwardedHeader::Forwarded);
    assert!(!clients.trusted_proxies.any);
    assert_eq!(clients.rules.allow.as_ref().map(Vec::len), Some(2));
    assert_eq!(clients.rules.deny.len(), 1);
    assert_eq!(clients.rules.origin.0, line_of("allow: [10.0.0.0/8"));
    let quota = snapshot.limiters[FLOOD_GUARD].quota().clone();
    assert_eq!((quota.count.get(), quota.burst.get()), (600, 20));
    assert!(snapshot.pipeline.flood.is_some());
}

#[test]
fn issuers() {
    let snapshot = snapshot();
    let settings = snapshot.issuers["login"].settings();
    assert_eq!(
        (&*settings.issuer, settings.audience.as_slice()),
        ("urn:login", &["orders".into()][..])
    );
    assert_eq!(
        (settings.audience_claim.as_str(), settings.algorithms.as_slice()),
        ("client_id", &[Alg::Es384][..])
    );
    let KeySource::Url(url) = &settings.keys else { panic!("{:?}", settings.keys) };
    assert_eq!(url.as_str(), "http://127.0.0.1:9000/jwks");
    let refresh = settings.refresh;
    assert_eq!((refresh.every, refresh.unknown_kid), (SECOND * 60, SECOND * 5));
    assert_eq!(refresh.usable_without_issuer, SECOND * 3600);
    assert_eq!((settings.leeway, settings.maximum_lifetime), (SECOND, Some(SECOND * 600)));
    assert_eq!(settings.token_types, ["JWT"]);
    assert_eq!(settings.required_claims, ["sub", "tenant"]);
    assert_eq!(settings.read_from, [ReadFrom::Authorization, ReadFrom::Cookie("token".into())]);
    assert_eq!(settings.claims.subject, ["uid"]);
    assert_eq!(settings.claims.scopes, [["scp"]]);
    assert_eq!(
        settings.claims.roles.as_deref(),
        Some(&["realm".to_owned(), "roles".to_owned()][..])
    );
    assert!(snapshot.keys.contains_key("login"));
}

#[test]
fn upstreams() {
    let snapshot = snapshot();
    let app = &snapshot.upstreams["app"];
    let endpoint = &app.endpoints[0];
    assert_eq!((endpoint.is_https(), endpoint.to_string().as_str()), (true, "app.test:8000"));
    assert_eq!((app.timeouts.connect, app.timeouts.response_head), (SECOND, SECOND * 2));
    assert_eq!((app.timeouts.between_reads, app.timeouts.write), (SECOND * 3, SECOND * 4));
    assert_eq!((app.timeouts.idle, app.retries), (SECOND * 5, 0));
    assert_eq!(app.host_header, HostHeader::Endpoint);
    let tls = app.tls.as_ref().expect("TLS");
    assert_eq!(tls.server_name.as_deref(), Some("app.internal"));
}

#[test]
fn a_route_with_everything() {
    let snapshot = snapshot();
    let route = route(&snapshot, "api.test", "/v1/orders/7");
    assert_eq!((&*route.name, route.origin.0), ("orders", line_of("name: orders")));
    assert_eq!(route.methods, [Method::GET, Method::HEAD]);
    assert!(route.encoded_slash);
    let Access::AnyOf(Demand { tokens: ways, anonymous, roles, origin, .. }) = &route.access else {
        panic!("{route:?}")
    };
    assert_eq!((ways.len(), *anonymous, roles.as_slice()), (1, false, &["clerk".into()][..]));
    assert_eq!(ways[0].scopes, ["read"]);
    assert_eq!(origin.0, line_of("roles: [clerk]"));
}

#[test]
fn the_bounds_of_a_route() {
    let snapshot = snapshot();
    let route = route(&snapshot, "api.test", "/v1/orders/7");
    assert_eq!(route.clients.as_ref().map(|rules| rules.deny.len()), Some(1));
    assert_eq!(route.address_limits[0].limiter.quota().burst.get(), 50);
    let tenant = &route.principal_limits[0];
    assert_eq!(tenant.key, PrincipalKey::Claim(vec!["tenant".into()]));
    assert_eq!((tenant.limiter.quota().maximum_keys, tenant.limiter.quota().burst.get()), (10, 5));
    assert!(matches!(route.cors, RouteCors::App));
    assert_eq!(route.body.maximum, 1024);
    assert_eq!(route.body.types.len(), 1, "types are those of defaults");
    assert_eq!(route.timeouts.total, SECOND * 5);
}

#[test]
fn what_a_route_forwards() {
    let snapshot = snapshot();
    let forward = route(&snapshot, "api.test", "/v1/orders/7").forward.clone();
    assert_eq!(forward.strip_prefix.as_deref(), Some("/v1"));
    let fields: Vec<_> = forward.identity.headers.iter().map(|(n, v)| (n.as_str(), v)).collect();
    let claim = IdentityValue::Claim(vec!["tenant".into()]);
    assert_eq!(fields, [("x-sub", &IdentityValue::Subject), ("x-t", &claim)]);
    assert_eq!((forward.identity.token, &*forward.identity.audience), (TokenMode::Signed, "shop"));
    let cookies = forward.cookies;
    assert!(cookies.secure, "of defaults");
    assert_eq!((cookies.http_only, cookies.same_site), (true, Some(SameSite::Lax)));
    let names: Vec<&str> = snapshot.identity_fields.iter().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["x-sub", "x-t", "x-user", "x-who"]);
    assert!(snapshot.identity.is_used);
    assert_eq!(snapshot.identity.issuer, "https://gateway.test");
    assert_eq!(
        (snapshot.identity.header.as_str(), snapshot.identity.lifetime),
        ("x-who", SECOND * 30)
    );
}

#[test]
fn security_fields_of_a_route() {
    let snapshot = snapshot();
    let policy = route(&snapshot, "api.test", "/v1/orders/7").response_headers.clone();
    let action = |name: &str| {
        let rule = policy.rules().iter().find(|rule| rule.name == name).expect(name);
        match &rule.action {
            FieldAction::IfMissing(value) => format!("if missing {}", value.to_str().unwrap()),
            FieldAction::Keep => "keep".to_owned(),
            FieldAction::Remove => "remove".to_owned(),
            FieldAction::Replace(value) => value.to_str().unwrap().to_owned(),
        }
    };
    assert_eq!(action("content-security-policy"), "keep");
    assert_eq!(action("strict-transport-security"), "max-age=31536000; includeSubDomains");
    assert_eq!(action("referrer-policy"), "if missing origin");
    assert!(action("permissions-policy").starts_with("accelerometer=()"));
    assert_eq!(action("x-frame-options"), "SAMEORIGIN", "of defaults");
    assert_eq!(action("x-content-type-options"), "nosniff", "the safe one");
}

#[test]
fn what_a_route_does_not_say_it_inherits() {
    let snapshot = snapshot();
    for host in ["api.test", "old.test:8443"] {
        let route = route(&snapshot, host, "/health");
        assert_eq!(route.methods, [Method::GET, Method::HEAD, Method::POST]);
        assert!(matches!(&route.access, Access::AnyOf(Demand { anonymous: true, .. })));
        assert_eq!(route.address_limits.len(), 1);
        assert!(matches!(&route.cors, RouteCors::Policy(policy) if &*policy.name == "web"));
        assert_eq!((route.body.maximum, route.timeouts.total), (2 * 1024 * 1024, SECOND * 20));
        assert_eq!(route.body.origin.0, line_of("maximum: 2MiB"));
        assert_eq!(route.forward.identity.headers.len(), 1);
        assert_eq!(&*route.forward.identity.audience, "app");
        assert!(route.forward.cookies.secure && !route.encoded_slash);
    }
}

#[test]
fn cors() {
    let web = snapshot().pipeline.default_cors.expect("a default");
    assert_eq!((web.methods.as_slice(), web.headers[0].as_ref()), (&[Method::PUT][..], "x-a"));
    assert_eq!(
        (web.expose_headers[0].as_ref(), web.credentials, web.max_age),
        ("x-b", true, SECOND * 60)
    );
}

#[test]
fn what_operators_see() {
    let snapshot = snapshot();
    assert_eq!(snapshot.admin.address, ListenAddress::Unix("/run/admin.sock".into()));
    assert_eq!(snapshot.admin.probes.to_string(), "127.0.0.1:0");
    assert!(snapshot.admin.token.is_none());
    let telemetry = &snapshot.telemetry;
    assert_eq!(telemetry.access_log, LogTarget::Stderr);
    assert_eq!(telemetry.audit_log, Some(LogTarget::File("logs/audit.jsonl".into())));
    assert_eq!(
        (telemetry.redact_query.as_slice(), telemetry.redact_headers.as_slice()),
        (&["sid".into()][..], &["x-session".into()][..])
    );
}

#[test]
fn counts_and_keys_outlive_a_reload() {
    let first = snapshot();
    let mut options = options();
    options.handover.limiters.clone_from(&first.limiters);
    options.handover.keys.clone_from(&first.keys);
    first.limiters["per_address"].admit(b"a");
    let again = check_text("whole.yaml", &text(), &options).expect("no mistake").snapshot;
    assert_eq!(again.limiters["per_address"].keys(), 1, "the counts are kept");
    assert_eq!(again.limiters["per_tenant"].keys(), 0);
    let other = text().replace("rate: 300/min, burst: 50", "rate: 300/min, burst: 51");
    let changed = check_text("whole.yaml", &other, &options).expect("no mistake").snapshot;
    assert_eq!(changed.limiters["per_address"].keys(), 0, "another quota counts anew");
}

#[test]
fn slots_that_are_held_outlive_a_reload() {
    let text = text().replace("rate: 5/s, maximum_keys: 10}", "concurrent: 2}");
    let first = check_text("whole.yaml", &text, &options()).expect("no mistake").snapshot;
    let held = first.slots["per_tenant"].take(b"a").expect("a slot");
    let mut options = options();
    options.handover.slots.clone_from(&first.slots);
    let other = text.replace("concurrent: 2}", "concurrent: 1}");
    let changed = check_text("whole.yaml", &other, &options).expect("no mistake").snapshot;
    assert!(changed.slots["per_tenant"].take(b"a").is_none());
    drop(held);
    assert!(changed.slots["per_tenant"].take(b"a").is_some());
}

#[test]
fn what_is_held_against_wrong_credentials_outlives_a_reload() {
    let with = |penalty: &str| {
        let limit = format!("key: address_and_account, penalty: {penalty}, maximum_keys: 10}}");
        text().replace("key: {claim: [tenant]}, rate: 5/s, maximum_keys: 10}", &limit)
    };
    let first = check_text("whole.yaml", &with("{after: 1, first: 1h, maximum: 2h}"), &options());
    let first = first.expect("no mistake").snapshot;
    let before = &first.penalties["per_tenant"];
    let pair = before.pair(b"a", [b"", b"", b""]);
    before.fail(pair);
    let mut options = options();
    options.handover.penalties.clone_from(&first.penalties);
    let again = check_text("whole.yaml", &with("{}"), &options).expect("no mistake").snapshot;
    let penalties = &again.penalties["per_tenant"];
    assert!(penalties.wait(pair).is_some());
    let penalty = penalties.penalty();
    assert_eq!((penalty.after.get(), penalty.factor.get(), penalty.maximum_keys), (3, 2, 10));
    assert_eq!((penalty.first.as_secs(), penalty.maximum.as_secs()), (1, 900));
}

const SMALLEST: &str = "version: 1\nhosts: [localhost]\ncertificates: {self_signed: [localhost]}\nupstreams: [{name: app, endpoints: ['http://127.0.0.1:8000']}]\nroutes: [{name: app, path: '/{*rest}', access: public, forward: {upstream: app}}]\n";

#[test]
fn listeners_left_out_are_https_and_the_redirect_to_it() {
    let snapshot = check_text("x", SMALLEST, &options()).expect("no mistake").snapshot;
    let [https, http] = snapshot.listeners.as_slice() else { panic!("{:?}", snapshot.listeners) };
    assert_eq!((&*https.name, https.address.to_string()), ("https", "[::]:443".into()));
    assert_eq!(https.tls.as_ref().map(|tls| tls.policy.minimum), Some(Minimum::Tls13));
    assert_eq!((&*http.name, http.address.to_string()), ("http", "[::]:80".into()));
    let to = ToHttps { port: NonZeroU16::new(443).expect("a port"), origin: Origin(0) };
    assert_eq!((&http.tls, http.role), (&None, Role::Redirects(to)));
    assert!(snapshot.pipeline.transport.is_redirect("http"));
}

#[test]
fn left_out_sections_have_their_defaults() {
    let snapshot = check_text("x", SMALLEST, &options()).expect("no mistake").snapshot;
    assert_eq!(snapshot.tls.without_sni, None);
    assert_eq!(snapshot.connections.maximum, 20_000);
    assert_eq!(snapshot.admin.address, ListenAddress::Tcp("127.0.0.1:9901".parse().unwrap()));
    assert_eq!(snapshot.identity.issuer, "https://localhost");
    assert!(!snapshot.identity.is_used);
    let route = route(&snapshot, "localhost", "/a/b");
    assert_eq!((route.body.maximum, route.timeouts.total), (1024 * 1024, SECOND * 60));
    assert_eq!(route.body.origin.0, 0, "no line says it");
    assert_eq!(route.methods.len(), 6);
    assert!(matches!(route.cors, RouteCors::Off));
}

#[test]
fn a_parameter_that_carries_tokens_is_in_no_log() {
    let text = "version: 1
listeners: [{name: http, address: '127.0.0.1:8080', cleartext: true}]
hosts: [localhost]
issuers: [{name: login, issuer: 'https://login.test', audience: [a], read_token_from: [{query: ticket}]}]
upstreams: [{name: app, endpoints: ['http://127.0.0.1:8000']}]
telemetry: {redact: {query: [sid]}}
routes: [{name: app, path: /x, access: {any_of: [{issuer: login}]}, forward: {upstream: app}}]
";
    let loaded = check_text("x", text, &options()).expect("no mistakes");
    assert_eq!(loaded.snapshot.telemetry.redact_query, ["sid", "ticket"]);
}
