//! Pools over names that change.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::{Clock, Fault};
use portcullis_policy::{
    Balance, Ejection, Endpoint, HostHeader, Place, Scheme, UpstreamSettings, UpstreamTimeouts,
};
use portcullis_testkit::NameServer;

use super::*;

fn pool(server: &NameServer) -> Pool {
    let place = Place::Tcp { host: "app.test".into(), port: 8000 };
    let settings = UpstreamSettings {
        name: "u".into(),
        endpoints: vec![Endpoint { scheme: Scheme::Http, place }],
        balance: Balance::RoundRobin,
        health: None,
        eject: Ejection::default(),
        timeouts: UpstreamTimeouts::default(),
        retries: 1,
        tls: None,
        host_header: HostHeader::Keep,
    };
    let resolver = Resolver::Servers([server.address()].into());
    Pool::new(Arc::new(settings), Clock::system(), &resolver).unwrap()
}

async fn address(pool: &Pool) -> Result<SocketAddr, Fault> {
    let attempt = Attempt {
        client: None,
        tried: &[],
        read: Duration::from_secs(1),
        is_call: false,
        on_new_connection: false,
    };
    let (_, lease) = pool.peer(&attempt).await?;
    match &lease.target {
        Target::Tcp(address) => Ok(*address),
        Target::Unix(path) => panic!("{path}"),
    }
}

/// Waits until new requests go to `expected`.
async fn settles(pool: &Pool, expected: &str) {
    let moved = async {
        while address(pool).await.ok() != Some(expected.parse().unwrap()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let within = tokio::time::timeout(Duration::from_secs(6), moved).await;
    within.unwrap_or_else(|_| panic!("{expected} within TTL + 5 s"));
}

#[tokio::test]
async fn c48_an_upstream_moves_goes_and_comes_back_as_ipv6() {
    let server = NameServer::start();
    let pool = pool(&server);
    // A name that is not there stops nothing: its requests are answered 503 meanwhile.
    let fault = address(&pool).await.unwrap_err();
    assert_eq!((fault.status(), fault.code()), (503, "upstream-unavailable"));
    assert!(pool.resolve_failures() >= 1);

    server.set("app.test", 1, &["127.0.0.2"]);
    settles(&pool, "127.0.0.2:8000").await;
    server.set("app.test", 1, &["127.0.0.3"]);
    settles(&pool, "127.0.0.3:8000").await;

    // The name goes: the last good answer is used, and the failures are counted.
    let before = pool.resolve_failures();
    server.remove("app.test");
    let counted = async {
        while pool.resolve_failures() == before {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(6), counted).await.unwrap();
    assert_eq!(address(&pool).await.ok(), Some("127.0.0.3:8000".parse().unwrap()));

    server.set("app.test", 1, &["::1"]);
    settles(&pool, "[::1]:8000").await;
}

#[tokio::test]
async fn all_addresses_of_a_name_take_turns() {
    let server = NameServer::start();
    server.set("app.test", 300, &["127.0.0.2", "127.0.0.3"]);
    let pool = pool(&server);
    let (first, second) = (address(&pool).await.ok(), address(&pool).await.ok());
    assert!(first.is_some() && second.is_some() && first != second, "{first:?} {second:?}");
}

#[tokio::test]
async fn requests_are_counted_as_long_as_they_are_held() {
    let server = NameServer::start();
    server.set("app.test", 300, &["127.0.0.2"]);
    let pool = pool(&server);
    let attempt = Attempt {
        client: None,
        tried: &[],
        read: Duration::from_secs(1),
        is_call: false,
        on_new_connection: false,
    };
    let (_, lease) = pool.peer(&attempt).await.unwrap();
    assert_eq!(pool.status()[0].requests, 1);
    drop(lease);
    assert_eq!(pool.status()[0].requests, 0);
}
