//! Several requests on one connection: each of them passes the gate.

use super::*;

#[tokio::test]
async fn one_after_the_other() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let mut client = gateway.connect().await;
    for path in ["/1", "/2", "/3"] {
        client.send(wire(&format!("GET {path} HTTP/1.1⏎Host: a.test⏎⏎"))).await;
        assert_eq!(body(&client.answer().await), format!("GET {path} a.test [] main"));
    }
    client.send(wire("GET /4 HTTP/1.1⏎Host: a.test⏎Connection: close⏎⏎")).await;
    assert_eq!(body(&client.rest().await), "GET /4 a.test [] main");
}

#[tokio::test]
async fn http_1_0_closes_unless_asked() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let answer = gateway.exchange(wire("GET /1 HTTP/1.0⏎Host: a.test⏎⏎")).await;
    assert_eq!(body(&answer), "GET /1 a.test [] main");
    let mut client = gateway.connect().await;
    for _ in 0..2 {
        client.send(wire("GET /1 HTTP/1.0⏎Host: a.test⏎Connection: keep-alive⏎⏎")).await;
        assert_eq!(status(&client.answer().await), "200");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let mut client = gateway.connect().await;
    client
        .send(wire(
            "GET /1 HTTP/1.1⏎Host: a.test⏎⏎POST /2 HTTP/1.1⏎Host: a.test⏎Content-Length: 3⏎⏎abcGET /3 \
             HTTP/1.1⏎Host: a.test⏎⏎",
        ))
        .await;
    assert_eq!(body(&client.answer().await), "GET /1 a.test [] main");
    assert_eq!(body(&client.answer().await), "POST /2 a.test [abc] main");
    assert_eq!(body(&client.answer().await), "GET /3 a.test [] main");
}

/// The second request is judged like the first, though it came along with it.
#[tokio::test]
async fn a_pipelined_request_passes_the_gate_too() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let mut client = gateway.connect().await;
    client
        .send(wire(
            "POST /1 HTTP/1.1⏎Host: a.test⏎Content-Length: 3⏎⏎abcGET /2 HTTP/1.1⏎Host: a.test⏎Host: \
             b.test⏎⏎GET /3 HTTP/1.1⏎Host: a.test⏎⏎",
        ))
        .await;
    assert_eq!(body(&client.answer().await), "POST /1 a.test [abc] main");
    assert_eq!(status(&client.rest().await), "400");
    assert_eq!(gateway.echo.count(), 1);
}

#[tokio::test]
async fn a_request_that_comes_while_another_is_served_waits_its_turn() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let mut client = gateway.connect().await;
    client.send(wire("GET /wait HTTP/1.1⏎Host: a.test⏎⏎")).await;
    gateway.echo.is_waiting().await;
    client.send(wire("GET /2 HTTP/1.1⏎Host: a.test⏎⏎")).await;
    gateway.echo.release();
    assert_eq!(body(&client.answer().await), "GET /wait a.test [] main");
    assert_eq!(body(&client.answer().await), "GET /2 a.test [] main");
}

/// pingora finds the end of a chunked body itself and may read past it. It then closes: nothing
/// that it read is ever taken for a request.
#[tokio::test]
async fn nothing_behind_a_chunked_body_reaches_the_service_unjudged() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let answers = gateway
        .exchange(wire(
            "POST /1 HTTP/1.1⏎Host: a.test⏎Transfer-Encoding: chunked⏎⏎3⏎abc⏎0⏎⏎GET /2 HTTP/1.1⏎⏎",
        ))
        .await;
    assert_eq!(body(&answers), "POST /1 a.test [abc] main");
    assert_eq!(gateway.echo.count(), 1);
}

#[tokio::test]
async fn a_chunked_body_leaves_the_connection_open() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let mut client = gateway.connect().await;
    for coding in ["chunked", "\tchunked", "CHUNKED"] {
        let head = format!("POST /1 HTTP/1.1⏎Host: a.test⏎Transfer-Encoding: {coding}⏎⏎");
        client.send(wire(&format!("{head}3⏎abc⏎0⏎⏎"))).await;
        assert_eq!(body(&client.answer().await), "POST /1 a.test [abc] main");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let gateway = Gateway::start(ConnectionSettings { idle: SHORT, ..Default::default() });
    let mut client = gateway.connect().await;
    client.send(wire("GET /1 HTTP/1.1⏎Host: a.test⏎⏎")).await;
    assert_eq!(status(&client.answer().await), "200");
    assert_eq!(client.rest().await, "");
    gateway.recorder.saw("closed main").await;
}
