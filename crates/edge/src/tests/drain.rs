//! The end of a listener and of the process.

use super::*;

async fn drained(gateway: &Gateway) {
    tokio::time::timeout(HANGS, gateway.edge.drained()).await.expect("connections are left");
}

#[tokio::test]
async fn idle_connections_close_and_new_ones_are_not_taken() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let mut used = gateway.connect().await;
    used.send(wire("GET / HTTP/1.1⏎Host: a.test⏎⏎")).await;
    used.answer().await;
    let mut fresh = gateway.connect().await;
    gateway.recorder.saw_times("opened main", 2).await;
    gateway.edge.drain();
    assert!(gateway.edge.is_draining());
    assert_eq!((used.rest().await, fresh.rest().await), (String::new(), String::new()));
    drop((used, fresh));
    drained(&gateway).await;
    let address = gateway.address();
    gateway.listener.stopped().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_request_in_flight_is_answered_and_then_the_connection_closes() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let mut client = gateway.connect().await;
    client.send(wire("GET /wait HTTP/1.1⏎Host: a.test⏎⏎")).await;
    gateway.echo.is_waiting().await;
    gateway.edge.drain();
    gateway.echo.release();
    assert_eq!(body(&client.rest().await), "GET /wait a.test [] main");
    drop(client);
    drained(&gateway).await;
}

#[tokio::test]
async fn a_head_that_was_begun_is_answered_with_connection_close() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let mut client = gateway.connect().await;
    // The second head comes along with the first, so it is there when that is answered.
    client.send(wire("GET / HTTP/1.1⏎Host: a.test⏎⏎GET / HTTP/1.1⏎")).await;
    assert_eq!(status(&client.answer().await), "200");
    gateway.edge.drain();
    client.send("Host: a.test\r\n\r\n").await;
    let answer = client.rest().await;
    assert_eq!(status(&answer), "200");
    assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn one_listener_stops_without_the_other() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let bound = BoundListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let named = ListenerSettings::new("other", None);
    let other = bound.serve(&gateway.edge, named, service::proxy(&gateway.echo));
    let address = other.local_addr().unwrap();
    let mut client = Client(TcpStream::connect(address).await.unwrap());
    client.send(wire("GET / HTTP/1.1⏎Host: a.test⏎⏎")).await;
    assert_eq!(body(&client.answer().await), "GET / a.test [] other");
    other.stop();
    assert_eq!(client.rest().await, "");
    other.stopped().await;
    assert!(TcpStream::connect(address).await.is_err());
    let answer = gateway.exchange(wire("GET / HTTP/1.0⏎Host: a.test⏎⏎")).await;
    assert_eq!(body(&answer), "GET / a.test [] main");
}
