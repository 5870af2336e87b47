//! The judge judged: what it must take, what it must refuse, and where it must wait.

use super::*;

const HOST: &str = "Host: localhost\r\n";

#[track_caller]
fn clean(raw: &str) -> Message {
    let padded = format!("{raw}GET /next");
    match next(padded.as_bytes()) {
        Next::Message(message) => {
            assert_eq!(message.length, raw.len(), "{raw:?}");
            *message
        }
        other @ (Next::Incomplete | Next::Malformed(_)) => panic!("{raw:?}: {other:?}"),
    }
}

#[track_caller]
fn malformed(raw: impl AsRef<[u8]>) -> &'static str {
    match next(raw.as_ref()) {
        Next::Malformed(why) => why,
        other @ (Next::Incomplete | Next::Message(_)) => {
            panic!("{:?}: {other:?}", String::from_utf8_lossy(raw.as_ref()))
        }
    }
}

fn chunked(body: &str) -> String {
    format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n{body}")
}

#[test]
fn good_requests_are_read_whole() {
    assert_eq!(clean(&format!("GET / HTTP/1.1\r\n{HOST}\r\n")).framing, Framing::None);
    let message = clean(&format!("POST /a?b HTTP/1.1\r\n{HOST}content-length: 003\r\n\r\nabc"));
    assert_eq!((message.body, message.framing), (b"abc".to_vec(), Framing::Length));
    clean("GET / HTTP/1.0\r\n\r\n");
    clean("OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n");
    clean("GET http://a.test/x HTTP/1.1\r\nHost: A.test\r\n\r\n");
    clean("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n");
    clean(&format!("get / HTTP/1.1\r\n{HOST}x:\r\ny: \t\u{e9} \t\r\n\r\n"));
    clean(&format!(
        "PUT / HTTP/1.1\r\n{HOST}Transfer-Encoding: gzip;q=\"1\", Chunked\r\n\r\n0\r\n\r\n"
    ));
}

#[test]
fn chunked_bodies_are_read_by_their_grammar() {
    let message = clean(&chunked("3;a;b=c; d = \"e\\\"\"\r\nabc\r\n00\r\nX-Sum: 1\r\n\r\n"));
    assert_eq!(message.body, b"abc");
    assert_eq!(message.trailers, [("X-Sum".to_owned(), "1".to_owned())]);
    for body in [
        "\r\n",
        ";x\r\n",
        " 3\r\nabc",
        "3 \r\nabc",
        "+3\r\nabc",
        "0x3\r\nabc",
        "3\nabc",
        "3;\r\nabc",
        "3;a=\r\nabc",
        "3;a b\r\nabc",
        "3;a=\"b\r\nabc",
        "3\r\nabcd\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "0\r\n\n",
        "0\r\n X: y\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\nX\r\n\r\n",
        "0\r\nContent-Length: 3\r\n\r\n",
        "11111111111111111\r\n",
        "3\r\nabc0\r\n\r\n",
        "g\r\n",
    ] {
        malformed(chunked(body));
    }
    for body in
        ["", "3", "3\r", "3\r\nab", "3\r\nabc", "3\r\nabc\r", "0\r\n", "0\r\nX: y\r\n", "0\r\n\r"]
    {
        assert_eq!(next(chunked(body).as_bytes()), Next::Incomplete, "{body:?}");
    }
}

#[test]
fn bad_request_lines_are_seen() {
    for line in [
        "",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /",
        "GET / HTTP/1.2",
        "GET / HTTP/2.0",
        "GET / http/1.1",
        "G(T / HTTP/1.1",
        "GET x HTTP/1.1",
        "GET * HTTP/1.1",
        "GET /#a HTTP/1.1",
        "GET /\u{7f} HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET a.test:80 HTTP/1.1",
        "CONNECT / HTTP/1.1",
        "GET ftp://localhost/ HTTP/1.1",
    ] {
        malformed(format!("{line}\r\n{HOST}\r\n"));
    }
}

#[test]
fn bad_fields_are_seen() {
    for field in [
        " x: y",
        "\tx: y",
        "x : y",
        "x",
        ": y",
        "x\u{e9}: y",
        "x: \u{1}",
        "x: \u{7f}",
        "x: y\rz",
        "x: y\nz: 1",
        "x: y\0",
        "x: y\r\n folded",
        "Host: localhost",
        "Content-Length: ",
        "Content-Length: 1,1",
        "Content-Length: +1",
        "Content-Length: 1\r\nContent-Length: 1",
        "Content-Length: 18446744073709551616",
        "Content-Length: 0x1",
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: ",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked;a=b",
        "Transfer-Encoding: x y, chunked",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ] {
        malformed(format!("POST / HTTP/1.1\r\n{HOST}{field}\r\n\r\n"));
    }
    malformed("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
}

#[test]
fn bad_hosts_are_seen() {
    for host in [
        "", "a b", "a,b", "a@b", "a/b", "a:b", "a:70000", "[::1", "[a]", "a\\b", "%zz", "a:80:80",
        "\"a\"",
    ] {
        let accepted = host == "a,b";
        let raw = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        // A comma is a sub-delim of a reg-name: odd, but in the grammar.
        assert_eq!(matches!(next(raw.as_bytes()), Next::Message(_)), accepted, "{host}");
    }
    malformed("GET / HTTP/1.1\r\n\r\n");
    malformed("GET http://a.test/ HTTP/1.1\r\nHost: b.test\r\n\r\n");
}

#[test]
fn a_fault_is_seen_before_the_head_is_complete() {
    for raw in ["GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nx: y\rz", "GET /\0", "\r\n", "GET /\r\n"] {
        malformed(raw);
    }
    for raw in
        ["", "G", "GET / HTTP/1.1\r", "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHo"]
    {
        assert_eq!(next(raw.as_bytes()), Next::Incomplete, "{raw:?}");
    }
}

#[test]
fn a_connection_is_read_to_its_end() {
    let one = format!("GET /1 HTTP/1.1\r\n{HOST}\r\n");
    let two = chunked("0\r\n\r\n");
    let read = transcript(format!("{one}{two}{one}").as_bytes());
    assert_eq!((read.messages.len(), read.rest, read.malformed), (3, 0, None));
    let read = transcript(format!("{two}{one}X").as_bytes());
    assert_eq!((read.messages.len(), read.rest, read.malformed), (2, 1, None));
    let read = transcript(format!("{one}\r\n{one}").as_bytes());
    assert_eq!((read.messages.len(), read.rest), (1, one.len() + 2));
    assert!(read.malformed.is_some());
}
