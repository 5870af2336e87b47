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

/// Wherever one packet ends and the next begins, the requests are the same.
#[tokio::test]
async fn pipelined_requests_are_the_same_however_they_are_cut() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let requests = wire(
        "POST /1 HTTP/1.1⏎Host: a.test⏎Content-Length: 12⏎⏎GET /x HTTP/GET /2 HTTP/1.1⏎Host: \
         a.test⏎⏎POST /3 HTTP/1.1⏎Host: a.test⏎Content-Length: 2⏎⏎⏎GET /4 HTTP/1.1⏎Host: a.test⏎⏎",
    );
    for cut in (1..=9).chain([20, 40, 60, 61, 62, 63, 64, 65, 80, 110]) {
        let mut client = gateway.connect().await;
        client.0.set_nodelay(true).unwrap();
        for part in requests.as_bytes().chunks(cut) {
            client.send(part).await;
            tokio::task::yield_now().await;
        }
        for expected in
            ["POST /1 a.test [GET /x HTTP/]", "GET /2 a.test []", "POST /3 a.test [\r\n]"]
        {
            assert_eq!(body(&client.answer().await), format!("{expected} main"), "cut {cut}");
        }
        assert_eq!(body(&client.answer().await), "GET /4 a.test [] main", "cut {cut}");
    }
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
    // Time for it to arrive and do harm; that it does none leaves no sign to wait for.
    tokio::time::sleep(SHORT).await;
    gateway.echo.release();
    assert_eq!(body(&client.answer().await), "GET /wait a.test [] main");
    assert_eq!(body(&client.answer().await), "GET /2 a.test [] main");
}

/// The fence holds bytes back, but not the news that the client has gone.
#[tokio::test]
async fn a_client_that_goes_is_noticed_while_its_request_is_served() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let mut client = gateway.connect().await;
    client.send(wire("GET /wait HTTP/1.1⏎Host: a.test⏎⏎")).await;
    gateway.echo.is_waiting().await;
    drop(client);
    let mut gone = gateway.echo.gone.subscribe();
    tokio::time::timeout(HANGS, gone.wait_for(|gone| *gone)).await.expect("not noticed").unwrap();
}

#[tokio::test]
async fn what_is_behind_a_chunked_body_passes_the_gate_too() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let mut client = gateway.connect().await;
    let chunked = "POST /1 HTTP/1.1⏎Host: a.test⏎Transfer-Encoding: chunked⏎⏎3⏎abc⏎0⏎X: y⏎⏎";
    client.send(wire(&format!("{chunked}GET /2 HTTP/1.1⏎Host: a.test⏎⏎GET /3 HTTP/1.1⏎⏎"))).await;
    assert_eq!(body(&client.answer().await), "POST /1 a.test [abc] main");
    assert_eq!(body(&client.answer().await), "GET /2 a.test [] main");
    assert_eq!(status(&client.rest().await), "400");
    assert_eq!(gateway.echo.count(), 2);
}

/// Grammar that a lenient reader would repair ends the connection, and no second request is made of
/// what follows.
#[tokio::test]
async fn a_malformed_chunked_body_ends_the_connection() {
    let gateway = Gateway::start(ConnectionSettings::default());
    for body in
        ["3 x⏎abc⏎0⏎⏎", "3\nabc⏎0⏎⏎", "3;a\nb⏎abc⏎0⏎⏎", "3⏎abc0⏎⏎", "3⏎abc⏎0⏎\n", "+3⏎abc⏎0⏎⏎"]
    {
        let head = "POST /1 HTTP/1.1⏎Host: a.test⏎Upgrade: x⏎Transfer-Encoding: chunked⏎⏎";
        let before = gateway.echo.count();
        let answer =
            gateway.exchange(wire(&format!("{head}{body}GET /2 HTTP/1.1⏎Host: a.test⏎⏎"))).await;
        assert_ne!(status(&answer), "200", "{body:?}: {answer}");
        assert_eq!(gateway.echo.count(), before + 1, "{body:?}");
    }
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
