//! Bodies that come too slowly.

use super::*;

fn impatient() -> ConnectionSettings {
    ConnectionSettings { minimum_body_rate: 250, body_grace: SHORT, ..Default::default() }
}

/// Sends a head, then `byte` again and again, and tells what came back and how many were sent.
async fn trickle(gateway: &Gateway, head: &str, bytes: &str) -> (String, usize) {
    let mut client = gateway.connect().await;
    client.send(wire(head)).await;
    let mut answer = vec![0; 4096];
    for sent in 0..400 {
        let read = tokio::time::timeout(SHORT / 2, client.0.read(&mut answer)).await;
        if let Ok(read) = read {
            return (String::from_utf8_lossy(&answer[..read.unwrap()]).into_owned(), sent);
        }
        client.0.write_all(bytes.as_bytes()).await.ok();
    }
    panic!("the trickle goes on");
}

#[tokio::test]
async fn c31_a_trickle_is_ended() {
    let gateway = Gateway::start(impatient());
    let length = "POST /1 HTTP/1.1⏎Host: a.test⏎Content-Length: 100000⏎⏎";
    let chunked = "POST /1 HTTP/1.1⏎Host: a.test⏎Transfer-Encoding: chunked⏎⏎";
    for (head, bytes) in [(length, "x"), (chunked, "1\r\nx\r\n")] {
        let (answer, sent) = trickle(&gateway, head, bytes).await;
        // What the service behind this edge says to a broken body.
        assert_eq!(status(&answer), "500");
        assert!(sent < 50, "{sent}");
    }
}

/// As slow as it may be for as long as it likes: ten times the grace.
#[tokio::test]
async fn c31_a_body_at_the_least_rate_comes_through() {
    let gateway = Gateway::start(impatient());
    let mut client = gateway.connect().await;
    let content = "x".repeat(1000);
    client.send(wire("POST /1 HTTP/1.1⏎Host: a.test⏎Content-Length: 1000⏎⏎")).await;
    for part in content.as_bytes().chunks(25) {
        client.send(part).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(body(&client.answer().await), format!("POST /1 a.test [{content}] main"));
}

/// What can turn into another protocol has no body, and no rate.
#[tokio::test]
async fn c31_an_upgrade_has_no_rate() {
    let gateway = Gateway::start(impatient());
    let mut client = gateway.connect().await;
    client.send(wire("GET /wait HTTP/1.1⏎Host: a.test⏎Connection: upgrade⏎Upgrade: x⏎⏎")).await;
    gateway.echo.is_waiting().await;
    tokio::time::sleep(SHORT * 3).await;
    gateway.echo.release();
    assert_eq!(body(&client.answer().await), "GET /wait a.test [] main");
}
