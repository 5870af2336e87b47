//! Bodies, and refusals given while they are still coming.

use super::*;

const MUCH: usize = 2 << 20;

#[tokio::test]
async fn a_body_comes_through_whole() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let mut client = gateway.connect().await;
    let content = "x".repeat(300_000);
    for _ in 0..2 {
        let head = format!("POST /1 HTTP/1.1⏎Host: a.test⏎Content-Length: {}⏎⏎", content.len());
        client.send(wire(&head)).await;
        client.send(&content).await;
        assert_eq!(body(&client.answer().await), format!("POST /1 a.test [{content}] main"));
    }
}

/// Sends a head and much after it, and reads only then.
async fn upload(gateway: &Gateway, head: &str) -> String {
    let mut client = gateway.connect().await;
    client.send(wire(head)).await;
    // The gateway may close before all is sent; what counts is that its answer is there.
    client.0.write_all(&vec![b'x'; MUCH]).await.ok();
    let mut answer = Vec::new();
    let read = client.0.read_to_end(&mut answer);
    tokio::time::timeout(HANGS, read).await.unwrap().expect("the answer was lost in a reset");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_refusal_can_be_read_after_an_upload() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let head = format!("POST /early HTTP/1.1⏎Host: a.test⏎Content-Length: {MUCH}⏎⏎");
    assert_eq!(status(&upload(&gateway, &head).await), "413");
    let head = format!("POST x HTTP/1.1⏎Host: a.test⏎Content-Length: {MUCH}⏎⏎");
    assert_eq!(status(&upload(&gateway, &head).await), "400");
}

/// A place in the caps is held until the socket is closed, so that lingering is no way around them.
#[tokio::test]
async fn a_lingering_connection_counts() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let mut client = gateway.connect().await;
    client.send(wire("GET x HTTP/1.1⏎Host: a.test⏎⏎")).await;
    assert_eq!(status(&client.rest().await), "400");
    assert_eq!(gateway.edge.connections(), 1);
    drop(client);
    tokio::time::timeout(HANGS, gateway.edge.drained()).await.unwrap();
}
