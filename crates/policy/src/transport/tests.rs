//! What each listener does with what comes in cleartext.

use http::HeaderMap;
use portcullis_core::{CanonicalPath, TlsMeta};

use super::*;
use crate::NoTrace;

const TO_HTTPS: ToHttps = ToHttps { port: NonZeroU16::new(443).unwrap(), origin: Origin(7) };

fn transport() -> Transport {
    let roles = [
        ("http", Role::Redirects(TO_HTTPS)),
        ("odd", Role::Redirects(ToHttps { port: NonZeroU16::new(8443).unwrap(), ..TO_HTTPS })),
        ("behind", Role::AsForwarded(TO_HTTPS)),
        ("app", Role::Serves),
        ("https", Role::Serves),
    ];
    Transport::new(roles.map(|(name, role)| (Arc::from(name), role)), ["access_token".into()])
}

fn conn(listener: &str) -> ConnMeta {
    let tls = (listener == "https").then(|| TlsMeta {
        server_name: Some("app.test".to_owned()),
        version: "TLSv1.3",
        cipher_suite: "TLS13_AES_128_GCM_SHA256",
        group: None,
        resumed: false,
        policy: portcullis_core::ClientPolicy::NONE,
        client: None,
    });
    ConnMeta { listener: listener.into(), peer: None, proxy: None, local: None, tls }
}

fn client(by_trusted_proxy: bool, https: Option<bool>) -> ClientView {
    let address = std::net::IpAddr::from([192, 0, 2, 1]);
    ClientView { address, by_trusted_proxy, chain: vec![address], https }
}

/// A request of `method` for `host` and `target` with `fields`, in cleartext on `listener`.
fn ask(
    listener: &str,
    method: &Method,
    host: &str,
    target: &str,
    fields: &[(&'static str, &'static str)],
) -> Result<Option<String>, Refusal> {
    let fields = fields
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let headers: HeaderMap = fields.collect();
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    let head = Head {
        method,
        authority: Authority::parse(host).unwrap(),
        path: CanonicalPath::parse(path).unwrap(),
        query,
        headers: &headers,
        https: false,
        content_length: None,
        has_body: false,
    };
    let transport = transport();
    let conn = conn(listener);
    let arrival = transport.arrival(&conn, &client(false, None));
    let redirect = transport.admit(&head, &conn, arrival, &mut NoTrace)?;
    Ok(redirect.map(|redirect| redirect.location.to_str().unwrap().to_owned()))
}

#[track_caller]
fn check_location(listener: &str, host: &str, target: &str, expected: &str) {
    for method in [Method::GET, Method::HEAD] {
        let location = ask(listener, &method, host, target, &[]).unwrap();
        assert_eq!(location.as_deref(), Some(expected), "{method} {host} {target}");
    }
}

#[test]
fn the_same_resource_by_https() {
    check_location("http", "app.test", "/", "https://app.test/");
    check_location("http", "app.test:80", "/a/b?c=d", "https://app.test/a/b?c=d");
    check_location("http", "app.test:8080", "/?", "https://app.test/?");
    check_location("odd", "app.test:8080", "/a", "https://app.test:8443/a");
    check_location("odd", "[2001:db8::1]:80", "/a", "https://[2001:db8::1]:8443/a");
    check_location("http", "APP.test.", "/%7euser/%2f", "https://app.test/~user/%2F");
    check_location("http", "app.test", "/a/../b", "https://app.test/b");
    check_location("http", "app.test", "/@evil.test", "https://app.test/@evil.test");
    check_location(
        "http",
        "app.test",
        "/?next=//evil.test\\",
        "https://app.test/?next=//evil.test\\",
    );
}

#[test]
fn challenges_are_not_sent_to_https_where_the_gateway_answers_them() {
    for path in ["/.well-known/acme-challenge/tok", "/.well-known/acme-challenge/"] {
        let refusal = ask("http", &Method::GET, "app.test", path, &[]).unwrap_err();
        assert_eq!(refusal.code(), "route-not-found", "{path}");
        let behind = ask("behind", &Method::GET, "app.test", path, &[]).unwrap();
        assert_eq!(behind.as_deref(), Some(&*format!("https://app.test{path}")));
    }
    check_location("http", "app.test", "/.well-known/x", "https://app.test/.well-known/x");
}

#[track_caller]
fn check_refused(method: &Method, target: &str, fields: &[(&'static str, &'static str)]) {
    let refusal = ask("http", method, "app.test", target, fields).unwrap_err();
    assert_eq!(refusal.code(), "tls-required", "{method} {target} {fields:?}");
    assert_eq!(refusal.status(), 403);
}

#[test]
fn what_must_not_come_in_cleartext_is_refused() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "QUERY"] {
        check_refused(&method.parse().unwrap(), "/", &[]);
    }
    check_refused(&Method::GET, "/", &[("authorization", "Basic eDp5")]);
    check_refused(&Method::GET, "/", &[("authorization", "")]);
    check_refused(&Method::GET, "/", &[("proxy-authorization", "Basic eDp5")]);
    check_refused(&Method::GET, "/", &[("cookie", "theme=dark")]);
    check_refused(&Method::HEAD, "/", &[("x-api-key", "k")]);
    check_refused(&Method::HEAD, "/", &[("x_api_key", "k")]);
    check_refused(&Method::GET, "/?a=b&access_token=t", &[]);
    check_refused(&Method::GET, "/?%61ccess_token=t", &[]);
    check_refused(&Method::GET, "/?access_token=t&access_token=t", &[]);
    check_refused(&Method::GET, "/?access_token=%ff", &[]);
}

#[test]
fn other_parameters_are_no_credentials() {
    check_location("http", "app.test", "/?token=t", "https://app.test/?token=t");
}

#[track_caller]
fn check_arrival(listener: &str, client: &ClientView, served: bool) {
    let arrival = transport().arrival(&conn(listener), client);
    assert_eq!(arrival == Arrival::Served, served, "{listener} {client:?}: {arrival:?}");
}

#[test]
fn a_proxy_is_believed_where_it_is_trusted_and_asked() {
    check_arrival("behind", &client(true, Some(true)), true);
    check_arrival("behind", &client(true, Some(false)), false);
    check_arrival("behind", &client(true, None), false);
    check_arrival("behind", &client(false, Some(true)), false);
    check_arrival("http", &client(true, Some(true)), false);
    check_arrival("app", &client(false, None), true);
    check_arrival("https", &client(true, Some(false)), true);
}

#[test]
fn a_listener_that_was_taken_out_serves_no_cleartext() {
    check_arrival("gone", &client(true, Some(true)), false);
    let refusal = ask("gone", &Method::GET, "app.test", "/", &[]).unwrap_err();
    assert_eq!(refusal.code(), "tls-required");
}
