//! Request heads on the wire: what is answered by the edge, and how.

use super::*;

/// Checks that a request is refused with `status` by an answer of ours and that the service never
/// saw it.
#[track_caller]
fn check_refusal(answer: &str, status: u16, shown: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {answer:?}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    for field in [
        "connection: close",
        "content-type: application/problem+json",
        "cache-control: no-store",
        "x-request-id: ",
        "date: ",
    ] {
        assert!(head.contains(field), "{shown:?}: no {field} in {head:?}");
    }
    assert!(!head.contains("server:"), "{head:?}");
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["status"], status, "{shown:?}");
}

async fn refused(gateway: &Gateway, request: &str, status: u16) {
    let answer = gateway.exchange(wire(request)).await;
    check_refusal(&answer, status, request);
    gateway.recorder.saw(&format!("refused HTTP/1.1 {status}")).await;
    assert_eq!(gateway.echo.count(), 0, "{request:?}");
}

#[tokio::test]
async fn a_good_request_reaches_the_service_unchanged() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let mut client = gateway.connect().await;
    client.send(wire("GET /a/../b%2e?q=[1]&'x'|{y} HTTP/1.1⏎Host: API.test:80⏎⏎")).await;
    let answer = client.answer().await;
    assert_eq!(body(&answer), "GET /a/../b%2e?q=[1]&'x'|{y} API.test:80 [] main");
}

/// What the gate accepts of a target, the proxy must accept too, and not repair.
#[tokio::test]
async fn every_accepted_target_is_the_one_the_service_sees() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let graphic: String = ('!'..='~').filter(|c| !"#\"<>\\`".contains(*c)).collect();
    let targets = [
        format!("/{graphic}"),
        format!("/?{graphic}"),
        "//evil.test/x".to_owned(),
        "/http://evil.test/".to_owned(),
        "/@evil.test".to_owned(),
        "/:80".to_owned(),
        "/%00%0d%0a%zz%".to_owned(),
        "/..//./..;x/".to_owned(),
    ];
    for target in targets {
        let answer = gateway
            .exchange(wire(&format!("GET {target} HTTP/1.1⏎Host: a.test⏎Connection: close⏎⏎")))
            .await;
        assert_eq!(body(&answer), format!("GET {target} a.test [] main"), "{answer}");
    }
}

/// C22.
#[tokio::test]
async fn c22_targets_without_a_slash() {
    let gateway = Gateway::start(ConnectionSettings::default());
    for target in ["admin/x", "?x", "*", "http://b.test/", "/admin/x#/health"] {
        refused(&gateway, &format!("GET {target} HTTP/1.1⏎Host: api.test⏎⏎"), 400).await;
    }
    refused(&gateway, "OPTIONS * HTTP/1.1⏎Host: api.test⏎⏎", 405).await;
}

/// C26, what needs no configuration.
#[tokio::test]
async fn c26_hosts_that_are_none() {
    let gateway = Gateway::start(ConnectionSettings::default());
    for host in [
        "api.test/evil",
        "api.test b",
        "api.test, evil.test",
        "u@api.test",
        "api.test:70000",
        "",
        "api.test..",
        ".api.test",
    ] {
        refused(&gateway, &format!("GET / HTTP/1.1⏎Host: {host}⏎⏎"), 400).await;
    }
}

/// C27, the rows that are refused.
#[tokio::test]
async fn c27_framing_that_is_not_one_way() {
    let gateway = Gateway::start(ConnectionSettings::default());
    for (fields, status) in [
        ("Content-Length: 5⏎Transfer-Encoding: chunked⏎⏎0⏎⏎", 400),
        ("Transfer-Encoding: xchunked⏎⏎", 501),
        ("Transfer-Encoding: chunked, identity⏎⏎", 400),
        ("Transfer-Encoding: \u{b}chunked⏎⏎", 400),
        ("Transfer-Encoding: ⏎⏎", 400),
        ("Transfer-Encoding: identity, chunked⏎⏎", 501),
        ("Transfer-Encoding: chunked, chunked⏎⏎", 400),
        ("Transfer-Encoding: identity⏎Transfer-Encoding: chunked⏎⏎", 501),
        ("Connection: Content-Length⏎Content-Length: 3⏎⏎abc", 400),
    ] {
        let request = format!("POST /public/ HTTP/1.1⏎Host: api.test⏎{fields}");
        refused(&gateway, &request, status).await;
    }
    let old = "POST /public/ HTTP/1.0⏎Host: api.test⏎Transfer-Encoding: chunked⏎⏎0⏎⏎";
    refused(&gateway, old, 400).await;
}

/// C32.
#[tokio::test]
async fn c32_hosts_missing_empty_and_doubled() {
    let gateway = Gateway::start(ConnectionSettings::default());
    for request in [
        "GET / HTTP/1.1⏎⏎",
        "GET / HTTP/1.0⏎⏎",
        "GET / HTTP/1.1⏎Host:⏎⏎",
        "GET / HTTP/1.1⏎Host: a.test⏎Host: a.test⏎⏎",
        "GET / HTTP/1.1⏎ Host: a.test⏎⏎",
        "GET / HTTP/1.1⏎ Host : x⏎⏎",
        "GET / HTTP/1.1⏎Host : x⏎⏎",
    ] {
        refused(&gateway, request, 400).await;
    }
}

#[tokio::test]
async fn other_refusals_are_ours_too() {
    let settings = ConnectionSettings {
        head_size: 1024,
        head_fields: 5,
        target_size: 100,
        ..ConnectionSettings::default()
    };
    let gateway = Gateway::start(settings);
    refused(&gateway, "TRACE / HTTP/1.1⏎Host: a.test⏎⏎", 405).await;
    refused(&gateway, "CONNECT a.test:443 HTTP/1.1⏎Host: a.test⏎⏎", 405).await;
    refused(&gateway, "PRI * HTTP/2.0⏎⏎SM⏎⏎", 400).await;
    refused(&gateway, "\u{16}\u{3}\u{1}\u{2}\0\u{1}", 400).await;
    refused(&gateway, &format!("GET /{} HTTP/1.1⏎Host: a.test⏎⏎", "a".repeat(100)), 414).await;
    refused(&gateway, &format!("GET / HTTP/1.1⏎Host: a.test⏎{}⏎", "X: y⏎".repeat(5)), 431).await;
    refused(&gateway, &format!("GET / HTTP/1.1⏎X: {}", "y".repeat(2_000)), 431).await;
}

#[tokio::test]
async fn a_405_says_what_is_allowed() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let answer = gateway.exchange(wire("OPTIONS * HTTP/1.1⏎Host: a.test⏎⏎")).await;
    assert!(answer.contains("allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"), "{answer}");
}

#[tokio::test]
async fn a_refused_head_request_has_no_body() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let answer = gateway.exchange(wire("HEAD x HTTP/1.1⏎Host: a.test⏎⏎")).await;
    assert_eq!((status(&answer), body(&answer)), ("400", ""), "{answer}");
    assert!(!answer.contains("content-length: 0\r\n"), "{answer}");
}

#[tokio::test]
async fn refusals_carry_the_fields_of_the_file_but_not_against_their_own() {
    let field = |name: &'static str, value: &'static str| {
        (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
    };
    let answer_fields = vec![
        field("x-frame-options", "DENY"),
        field("strict-transport-security", "max-age=1"),
        field("cache-control", "private"),
        field("connection", "keep-alive"),
        field("content-type", "text/html"),
    ];
    let gateway = Gateway::start(ConnectionSettings { answer_fields, ..Default::default() });
    let answer = gateway.exchange(wire("GET x HTTP/1.1⏎Host: a.test⏎⏎")).await;
    assert!(answer.contains("x-frame-options: DENY\r\n"), "{answer}");
    assert!(answer.contains("cache-control: private\r\n"), "{answer}");
    // RFC 6797 §7.2: this connection is cleartext.
    for not in ["keep-alive", "text/html", "no-store", "strict-transport-security"] {
        assert!(!answer.contains(not), "{not} in {answer}");
    }
}

#[tokio::test]
async fn a_slow_head_is_answered_408() {
    let settings = ConnectionSettings { head_time: SHORT, ..Default::default() };
    let gateway = Gateway::start(settings);
    let answer = gateway.exchange("GET / HTTP/1.1\r\nHost: a.te").await;
    check_refusal(&answer, 408, "slow");
    assert_eq!(gateway.echo.count(), 0);
}

/// The deadline is for the whole head: bytes that drip do not move it.
#[tokio::test]
async fn a_dripping_head_is_answered_408() {
    let settings = ConnectionSettings { head_time: SHORT, ..Default::default() };
    let gateway = Gateway::start(settings);
    let (mut read, mut write) = gateway.connect().await.0.into_split();
    write.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
    let drip = tokio::spawn(async move {
        while write.write_all(b"y").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    });
    let mut answer = vec![0; 16];
    tokio::time::timeout(HANGS, read.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408 Req");
    drop(read);
    tokio::time::timeout(HANGS, drip).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_silent_connection_is_closed_without_a_word() {
    let settings = ConnectionSettings { head_time: SHORT, ..Default::default() };
    let gateway = Gateway::start(settings);
    assert_eq!(gateway.exchange("").await, "");
    gateway.recorder.saw("closed main").await;
}

#[tokio::test]
async fn limits_change_while_it_runs() {
    let gateway = Gateway::start(ConnectionSettings::default());
    let request = wire("GET / HTTP/1.1⏎Host: a.test⏎X: y⏎Connection: close⏎⏎");
    assert_eq!(status(&gateway.exchange(&request).await), "200");
    gateway.settings.store(Arc::new(ConnectionSettings { head_fields: 2, ..Default::default() }));
    assert_eq!(status(&gateway.exchange(&request).await), "431");
}
