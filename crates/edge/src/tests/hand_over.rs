//! A listening socket that another process takes over: here, another edge.

use super::*;

#[tokio::test]
async fn no_connection_is_lost_when_a_socket_changes_hands() {
    let old = Gateway::start(ConnectionSettings::default());
    let mut kept = old.connect().await;
    kept.send(wire("GET /1 HTTP/1.1⏎Host: a.test⏎⏎")).await;
    assert_eq!(status(&kept.answer().await), "200");

    let bound = BoundListener::adopt(old.listener.descriptor().unwrap()).unwrap();
    assert_eq!(bound.local_addr(), Some(old.address()));
    let new = Gateway::start(ConnectionSettings::default());
    bound.serve(&new.edge, ListenerSettings::new("adopted", None), service::proxy(&new.echo));
    old.edge.hand_over();
    while old.listener.descriptor().is_some() {
        tokio::task::yield_now().await;
    }

    // New connections are the new one's, those there are go on.
    for _ in 0..3 {
        let answer = old.exchange(wire("GET /2 HTTP/1.1⏎Host: a.test⏎Connection: close⏎⏎")).await;
        assert_eq!(body(&answer), "GET /2 a.test [] adopted");
    }
    kept.send(wire("GET /3 HTTP/1.1⏎Host: a.test⏎⏎")).await;
    assert_eq!(body(&kept.answer().await), "GET /3 a.test [] main");
    old.edge.drain();
    assert_eq!(kept.rest().await, "");
    tokio::time::timeout(HANGS, old.edge.drained()).await.unwrap();
}
