//! The fixtures against each other: what they say about the gateway must be true of themselves.

use std::time::Duration;

use serde_json::json;

use crate::client::Client;
use crate::jwt::now;
use crate::{CertificateAuthority, Issuer, Key, Reply, Request, Upstream, marker};

#[test]
fn an_upstream_records_and_answers() {
    let upstream = Upstream::start();
    let name = marker("first");
    upstream.answer(&name, Reply::new(201, "made").field("x-a", "b").chunked());
    let client = Client::plain(upstream.address());
    let mut connection = client.connect();
    let answer = connection.send(&Request::post(format!("/{name}?q=1"), "body").field("X-B", "c"));
    assert_eq!((answer.status, answer.text().as_str()), (201, "made"));
    assert_eq!(answer.field("x-a"), Some("b"));
    assert_eq!(connection.send(&Request::get("/second")).text(), "ok");
    let seen = upstream.only(&name);
    assert_eq!(seen.path(), format!("/{name}"));
    assert_eq!((seen.field("x-b"), seen.body.as_slice()), (Some("c"), &b"body"[..]));
    assert_eq!(upstream.connections(), 1);
    upstream.saw_nothing_of("third");
}

#[test]
fn an_upstream_misbehaves_when_told() {
    let upstream = Upstream::start();
    let client = Client::plain(upstream.address());
    upstream.answer("/cut", Reply::new(200, "0123456789").cut_after(4));
    assert!(!client.send(&Request::get("/cut")).complete);
    upstream.answer("/close", Reply::close());
    let mut connection = client.connect();
    connection.write(Request::get("/close").to_bytes());
    assert!(connection.is_closed());
    upstream.down();
    assert!(client.try_connect().is_err());
    upstream.up();
    client.send(&Request::get("/")).expect(200);
}

#[test]
fn a_client_verifies_the_authority() {
    let authority = CertificateAuthority::new();
    let upstream = Upstream::start_tls(authority.issue(&["api.test"]).server_config());
    let client = Client::tls(upstream.address(), authority.trust());
    assert_eq!(client.send(&Request::get("/")).text(), "ok");
    assert!(client.clone().server_name("app.test").try_connect().is_err());
    let stranger = CertificateAuthority::new();
    assert!(Client::tls(upstream.address(), stranger.trust()).try_connect().is_err());
}

#[test]
fn an_issuer_publishes_what_it_is_told() {
    let issuer = Issuer::discoverable();
    let client = Client::plain(issuer.server().address());
    let document = client.send(&Request::get("/.well-known/openid-configuration")).json();
    assert_eq!(document["issuer"], issuer.name());
    assert_eq!(issuer.fetches(), 0);
    let set = client.send(&Request::get("/jwks")).json();
    assert_eq!((set["keys"][0]["kid"].as_str(), issuer.fetches()), (Some("k1"), 1));
    issuer.publish(&[json!(null)]);
    assert_eq!(client.send(&Request::get("/jwks")).json()["keys"], json!([null]));
}

#[test]
fn tokens_are_as_wide_as_their_keys() {
    for (key, bytes) in
        [(Key::rsa("r"), 256), (Key::p256("p"), 64), (Key::p521("q"), 132), (Key::ed25519("e"), 64)]
    {
        let token = crate::Token::new("https://idp.test", &key);
        assert!(token.claims()["exp"].as_u64() >= Some(now() + 299));
        let signature = token.sign().rsplit('.').next().unwrap().len();
        assert_eq!(signature, (bytes * 4_usize).div_ceil(3), "{key:?}");
        assert_eq!(key.jwk()["alg"], key.alg());
    }
    let n = Key::rsa("r").jwk()["n"].as_str().unwrap().len();
    assert_eq!(n, (256 * 4_usize).div_ceil(3));
}

#[test]
fn slow_answers_come_late_but_come() {
    let upstream = Upstream::start();
    upstream.answer("/late", Reply::new(200, "late").after(Duration::from_millis(50)));
    assert_eq!(Client::plain(upstream.address()).send(&Request::get("/late")).text(), "late");
}
