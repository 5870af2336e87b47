//! How many connections there may be.

use super::*;

async fn is_served(client: &mut Client) -> bool {
    client.0.write_all(wire("GET / HTTP/1.1⏎Host: a.test⏎⏎").as_bytes()).await.ok();
    let mut first = [0];
    let read = tokio::time::timeout(HANGS, client.0.read(&mut first)).await.unwrap();
    matches!(read, Ok(1))
}

async fn check(settings: ConnectionSettings, cap: &str) {
    let gateway = Gateway::start(settings);
    let mut first = gateway.connect().await;
    let mut second = gateway.connect().await;
    assert!(is_served(&mut first).await);
    assert!(is_served(&mut second).await);
    let mut third = gateway.connect().await;
    assert!(!is_served(&mut third).await);
    gateway.recorder.saw(&format!("turned away main {cap}")).await;
    drop(first);
    gateway.recorder.saw("closed main").await;
    let mut fourth = gateway.connect().await;
    assert!(is_served(&mut fourth).await);
}

#[tokio::test]
async fn the_process_has_a_maximum() {
    check(ConnectionSettings { maximum: 2, ..Default::default() }, "maximum").await;
}

#[tokio::test]
async fn a_client_has_a_maximum() {
    check(ConnectionSettings { per_client: 2, ..Default::default() }, "per_client").await;
}

#[tokio::test]
async fn a_trusted_proxy_is_no_client() {
    let exempt = vec!["127.0.0.0/8".parse().unwrap()];
    let settings =
        ConnectionSettings { per_client: 1, per_client_exempt: exempt, ..Default::default() };
    let gateway = Gateway::start(settings);
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = gateway.connect().await;
        assert!(is_served(&mut client).await);
        clients.push(client);
    }
}

/// `[::]` takes IPv4 too, and a client is told by its IPv4 address then.
#[tokio::test]
async fn a_dual_stack_listener_knows_ipv4_clients() {
    let exempt = vec!["127.0.0.0/8".parse().unwrap()];
    let settings =
        ConnectionSettings { per_client: 0, per_client_exempt: exempt, ..Default::default() };
    let gateway = Gateway::start(settings);
    let bound = BoundListener::bind("[::]:0".parse().unwrap()).unwrap();
    let port = bound.local_addr().unwrap().port();
    let named = ListenerSettings::new("dual", None);
    bound.serve(&gateway.edge, named, service::proxy(&gateway.echo));
    let mut client = Client(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    assert!(is_served(&mut client).await);
}

#[tokio::test]
async fn a_taken_port_is_an_error_at_bind() {
    let gateway = Gateway::start(ConnectionSettings::default());
    assert_ne!(gateway.address().port(), 0);
    let error = BoundListener::bind(gateway.address()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}
