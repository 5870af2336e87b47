//! Head by head: what passes, what does not, and with which status.

use super::*;

const LIMITS: HeadLimits = HeadLimits { size: 4096, fields: 8, target: 64 };

/// `⏎` stands for CRLF.
fn wire(text: &str) -> Vec<u8> {
    text.replace('⏎', "\r\n").into_bytes()
}

fn judge(bytes: &[u8]) -> Result<Option<Accepted>, Rejected> {
    HeadGate::new(LIMITS).judge(bytes)
}

/// Checks the verdict on a head, whole and byte by byte: they must be the same.
#[track_caller]
fn check(head: &[u8], expected: Result<Body, u16>) {
    let shown = String::from_utf8_lossy(head);
    let whole = judge(head).map(|accepted| accepted.expect("partial"));
    let verdict = whole.as_ref().map(|accepted| accepted.body);
    assert_eq!(verdict.map_err(|rejected| rejected.denial.status()), expected, "{shown:?}");

    let mut gate = HeadGate::new(LIMITS);
    let mut slow = Ok(None);
    for end in 1..=head.len() {
        slow = gate.judge(&head[..end]);
        if !matches!(slow, Ok(None)) {
            break;
        }
    }
    assert_eq!(slow.map(|accepted| accepted.expect("partial")), whole, "{shown:?} byte by byte");
}

#[track_caller]
fn passes(head: &str) {
    check(&wire(head), Ok(Body::Length(0)));
}

#[track_caller]
fn fails(head: &str, status: u16) {
    check(&wire(head), Err(status));
}

fn with_fields(fields: &str) -> String {
    format!("POST /public/ HTTP/1.1⏎Host: api.test⏎{fields}⏎⏎")
}

#[test]
fn plain_requests_pass() {
    passes("GET / HTTP/1.1⏎Host: api.test⏎⏎");
    passes("GET / HTTP/1.0⏎Host: api.test⏎⏎");
    passes("DELETE /a/b?c=d&e=%20 HTTP/1.1⏎HOST:api.test:8443⏎Accept: */*⏎X:⏎⏎");
    passes("VERSION-CONTROL / HTTP/1.1⏎Host: api.test⏎⏎");
    passes("PROPFIND /x HTTP/1.1⏎host: [::1]:80⏎⏎");
    passes("GET / HTTP/1.1⏎Host: api.test⏎Cookie: a=\"b\"; ünïcode\t=1⏎⏎");
}

#[test]
fn more_bytes_than_the_head_are_not_looked_at() {
    let bytes = wire("GET / HTTP/1.1⏎Host: api.test⏎⏎\n\r\0");
    let accepted = judge(&bytes).unwrap().unwrap();
    assert_eq!(accepted.length, bytes.len() - 3);
}

/// C22 and its neighbours.
#[test]
fn the_target_begins_with_a_slash() {
    for target in ["admin/x", "?x", "*", "", "api.test:443", "ftp://api.test/", "http:/x"] {
        fails(&format!("GET {target} HTTP/1.1⏎Host: api.test⏎⏎"), 400);
    }
    fails("OPTIONS * HTTP/1.1⏎Host: api.test⏎⏎", 405);
    fails("GET /admin/x#/health HTTP/1.1⏎Host: api.test⏎⏎", 400);
    fails("GET /ü HTTP/1.1⏎Host: api.test⏎⏎", 400);
    fails("GET /a\tb HTTP/1.1⏎Host: api.test⏎⏎", 400);
    fails("GET /\u{7f} HTTP/1.1⏎Host: api.test⏎⏎", 400);
    for character in ['"', '<', '>', '\\', '`'] {
        fails(&format!("GET /?{character} HTTP/1.1⏎Host: api.test⏎⏎"), 400);
    }
}

#[track_caller]
fn is_handed_on(target: &str, host: &str, expected: &str) {
    let head = wire(&format!("GET {target} HTTP/1.1⏎Host: {host}⏎⏎"));
    check(&head, Ok(Body::Length(0)));
    let form = judge(&head).unwrap().unwrap().absolute.expect("not absolute");
    let origin = form.to_origin(&head);
    let wanted = wire(&format!("GET {expected} HTTP/1.1⏎Host: {host}⏎⏎"));
    assert_eq!(origin, wanted, "{target}");
    assert_eq!(judge(&origin).unwrap().unwrap().absolute, None, "{target}");
}

#[test]
fn the_absolute_form_is_handed_on_in_origin_form() {
    is_handed_on("http://api.test/a?b=http://x", "api.test", "/a?b=http://x");
    is_handed_on("HTTPS://API.test:443/", "api.test:443", "/");
    is_handed_on("http://api.test", "api.test", "/");
    is_handed_on("http://[::1]?x/y", "[::1]", "/?x/y");
    is_handed_on("http://api.test//a", "api.test", "//a");
}

#[test]
fn the_absolute_form_names_the_host_and_nothing_else() {
    for target in [
        "http://evil.test/",
        "http://api.test:80/",
        "http://u@api.test/",
        "http://u:p@api.test/",
        "http://api.test.evil.test/",
        "http:///a",
        "http://",
        "http://api.test#x",
        "http://api.test/#x",
        "http://api.test\\a",
        "http://api.test/\u{e4}",
        "//api.test",
        "ws://api.test/",
        "http:api.test/",
    ] {
        let head = format!("GET {target} HTTP/1.1⏎Host: api.test⏎⏎");
        if target.starts_with("//") {
            // Origin form: what it means is for the normaliser to say.
            passes(&head);
        } else {
            fails(&head, 400);
        }
    }
    fails("OPTIONS http://api.test HTTP/1.1⏎Host: api.test⏎⏎", 405);
    passes("OPTIONS http://api.test/ HTTP/1.1⏎Host: api.test⏎⏎");
    fails("TRACE http://api.test/ HTTP/1.1⏎Host: api.test⏎⏎", 405);
    let long = format!("GET http://api.test/{} HTTP/1.1⏎Host: api.test⏎⏎", "a".repeat(60));
    fails(&long, 414);
}

#[test]
fn the_request_line_has_one_shape() {
    for line in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        " GET / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET\t/ HTTP/1.1",
        "GET /",
        "GET / HTTP/1.2",
        "GET / HTTP/2.0",
        "GET / http/1.1",
        "GET / HTTP/1.10",
        "GET / HTTP/01.1",
        "GET / HTTP /1.1",
        "GET / x HTTP/1.1",
        "get / HTTP/1.1",
        "G@T / HTTP/1.1",
        "m-search / HTTP/1.1",
        "PRI / HTTP/1.1",
        "/ HTTP/1.1",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ / HTTP/1.1",
    ] {
        fails(&format!("{line}⏎Host: api.test⏎⏎"), 400);
    }
    fails("PRI * HTTP/2.0⏎⏎SM⏎⏎", 400);
}

#[test]
fn trace_and_connect_are_never_allowed() {
    fails("TRACE / HTTP/1.1⏎Host: api.test⏎⏎", 405);
    fails("CONNECT api.test:443 HTTP/1.1⏎Host: api.test:443⏎⏎", 405);
    fails("CONNECT / HTTP/1.1⏎Host: api.test⏎⏎", 405);
}

#[test]
fn lines_end_in_crlf_and_nothing_else() {
    for head in [
        "GET / HTTP/1.1\nHost: api.test\n\n",
        "GET / HTTP/1.1\r\nHost: api.test\n\r\n",
        "GET / HTTP/1.1\r\nHost: api.test\r\n\n",
        "GET / HTTP/1.1\r\nHost: api.test\r\rX: y\r\n\r\n",
        "GET / HTTP/1.1\rHost: api.test\r\r",
        "GET / HTTP/1.1\r\nHost: api.test\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: api.test\r\nX: a\0b\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: api.test\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: api.test\r\n\r\n",
    ] {
        check(head.as_bytes(), Err(400));
    }
}

#[test]
fn what_cannot_become_good_is_refused_at_once() {
    for partial in ["GET / HTTP/1.1\n", "\r\n", "\u{16}\u{3}\u{1}\0", "GET /\rX"] {
        assert!(judge(partial.as_bytes()).is_err(), "{partial:?}");
    }
    for partial in ["", "G", "GET / HTTP/1.1\r", "GET / HTTP/1.1\r\nHost: api.test\r\n"] {
        assert_eq!(judge(partial.as_bytes()), Ok(None), "{partial:?}");
    }
}

#[test]
fn field_lines_have_one_shape() {
    for field in [
        "X : y",
        "X\t: y",
        " X: y",
        "\tX: y",
        "X: y⏎ folded",
        "X: y⏎\tfolded",
        "no colon",
        ": y",
        "X(: y",
        "X\u{b}: y",
        "X: a\u{1}b",
        "X: a\u{7f}b",
        "Ä: y",
    ] {
        fails(&with_fields(field), 400);
    }
    fails("GET / HTTP/1.1⏎ X: y⏎Host: api.test⏎⏎", 400);
}

/// C32.
#[test]
fn there_is_exactly_one_host() {
    for version in ["1.1", "1.0"] {
        fails(&format!("GET / HTTP/{version}⏎⏎"), 400);
        fails(&format!("GET / HTTP/{version}⏎Accept: x⏎⏎"), 400);
        fails(&format!("GET / HTTP/{version}⏎Host:⏎⏎"), 400);
        fails(&format!("GET / HTTP/{version}⏎Host: ⏎⏎"), 400);
        fails(&format!("GET / HTTP/{version}⏎Host: a.test⏎Host: a.test⏎⏎"), 400);
        fails(&format!("GET / HTTP/{version}⏎Host: a.test⏎hOST: b.test⏎⏎"), 400);
        fails(&format!("GET / HTTP/{version}⏎ Host : x⏎⏎"), 400);
        fails(&format!("GET / HTTP/{version}⏎ Host: a.test⏎⏎"), 400);
    }
}

/// C26, the part of it that needs no configuration.
#[test]
fn the_host_is_a_host() {
    for host in
        ["API.TEST", "api.test.", "api.test:443", "xn--bcher-kva.test", "127.0.0.1", "[::1]"]
    {
        passes(&format!("GET / HTTP/1.1⏎Host: {host}⏎⏎"));
    }
    for host in [
        "api.test/evil",
        "api.test b",
        "api.test, evil.test",
        "api.test,evil.test",
        "u@api.test",
        "api.test:70000",
        "api.test:0x50",
        "api.test:",
        "api.test..",
        ".api.test",
        "api.test#x",
        "api.test?x",
        "api\\test",
        "bücher.test",
        "[::1",
        "::1",
    ] {
        fails(&format!("GET / HTTP/1.1⏎Host: {host}⏎⏎"), 400);
    }
}

/// C27.
#[test]
fn the_body_is_framed_in_one_way() {
    fails(&with_fields("Content-Length: 5⏎Transfer-Encoding: chunked"), 400);
    fails(&with_fields("Transfer-Encoding: chunked⏎Content-Length: 5"), 400);
    for coding in [
        "xchunked",
        "identity",
        "gzip",
        "chunked2",
        "identity, chunked",
        "gzip;q=1 ,\tdeflate, chunked",
        "chunked;q=1",
        "gzip⏎Transfer-Encoding: chunked",
        "identity⏎Transfer-Encoding: gzip, chunked",
    ] {
        fails(&with_fields(&format!("Transfer-Encoding: {coding}")), 501);
    }
    for coding in [
        "",
        "chunked, identity",
        "chunked, chunked",
        "chunked, gzip",
        "chunked,",
        ", chunked",
        "\u{b}chunked",
        "chunked\u{b}",
        "\"chunked\"",
        ";q=1",
        "chunked chunked",
        "gzip,,chunked",
        "chunked⏎Transfer-Encoding: identity",
        "chunked⏎Transfer-Encoding:",
    ] {
        fails(&with_fields(&format!("Transfer-Encoding: {coding}")), 400);
    }
    fails(&with_fields("Transfer-Encoding: chunked⏎transfer-encoding: chunked"), 400);
    fails("POST / HTTP/1.0⏎Host: a.test⏎Transfer-Encoding: chunked⏎⏎", 400);
    for coding in ["chunked", "\tchunked", "CHUNKED", "  Chunked \t"] {
        let head = with_fields(&format!("Transfer-Encoding:{coding}"));
        check(&wire(&head), Ok(Body::Chunked));
    }
}

#[test]
fn a_length_is_one_plain_number() {
    for length in [0, 1, 5, 10, u64::MAX] {
        let head = with_fields(&format!("Content-Length: {length}"));
        check(&wire(&head), Ok(Body::Length(length)));
    }
    for length in [
        "",
        "-1",
        "+5",
        "05",
        "00",
        "5, 5",
        "5,",
        "5 5",
        "0x5",
        "5.0",
        "5\u{b}",
        "٥",
        "18446744073709551616",
    ] {
        fails(&with_fields(&format!("Content-Length: {length}")), 400);
    }
    fails(&with_fields("Content-Length: 5⏎Content-Length: 5"), 400);
    fails(&with_fields("Content-Length: 5⏎content-length: 6"), 400);
}

#[test]
fn framing_cannot_be_disguised_or_nominated() {
    for name in [
        "Content_Length",
        "TRANSFER_ENCODING",
        "transfer-encoding_",
        "Transfer---Encoding",
        "Transfer___Encoding",
        "contentlength",
        "-Host",
    ] {
        fails(&with_fields(&format!("{name}: 5")), 400);
    }
    passes(&with_fields("X-Host: 5⏎Content-Len: 0"));
    for value in [
        "Content-Length",
        "close, content-length",
        "keep-alive,Transfer-Encoding",
        "host",
        "x , HOST ,y",
        "content_length",
    ] {
        fails(&with_fields(&format!("Connection: {value}⏎Content-Length: 3")), 400);
    }
    passes(&with_fields("Connection: close, X-Mine⏎Connection: keep-alive"));
    passes(&with_fields("Connection: close,, \t,X-Mine,"));
    for value in ["close, \u{e4}", "close; x", "\"close\"", "X Mine"] {
        fails(&with_fields(&format!("Connection: {value}")), 400);
    }
}

#[test]
fn a_method_has_the_content_it_can_have() {
    let head = |method: &str, fields: &str| {
        wire(&format!("{method} / HTTP/1.1⏎Host: api.test⏎{fields}⏎⏎"))
    };
    check(&head("GET", "Content-Length: 3"), Ok(Body::Length(3)));
    check(&head("GET", "Content-Length: 0"), Ok(Body::Length(0)));
    check(&head("GET", "Transfer-Encoding: chunked"), Err(400));
    check(&head("HEAD", "Content-Length: 0"), Ok(Body::Length(0)));
    check(&head("HEAD", "Content-Length: 3"), Err(400));
    check(&head("HEAD", "Transfer-Encoding: chunked"), Err(400));
    check(&head("DELETE", "Transfer-Encoding: chunked"), Ok(Body::Chunked));
}

#[test]
fn an_upgrade_is_seen() {
    let head = with_fields("Connection: Upgrade⏎UPGRADE: websocket");
    assert!(judge(&wire(&head)).unwrap().unwrap().upgrade);
    assert!(!judge(&wire(&with_fields("Connection: close"))).unwrap().unwrap().upgrade);
}

#[test]
fn sizes_have_bounds() {
    let target = |length: usize| format!("GET /{} HTTP/1.1⏎Host: a.test⏎⏎", "a".repeat(length - 1));
    passes(&target(64));
    fails(&target(65), 414);
    fails(&target(2_000), 414);
    let fields =
        |count: usize| format!("GET / HTTP/1.1⏎Host: a.test⏎{}⏎", "X: y⏎".repeat(count - 1));
    passes(&fields(8));
    fails(&fields(9), 431);
    fails(&fields(90), 431);
    let sized = |size: usize| {
        let frame = wire("GET / HTTP/1.1⏎Host: a.test⏎X: ⏎⏎").len();
        format!("GET / HTTP/1.1⏎Host: a.test⏎X: {}⏎⏎", "v".repeat(size - frame))
    };
    passes(&sized(4096));
    fails(&sized(4097), 431);
    fails(&sized(50_000), 431);
}

#[test]
fn a_size_is_held_before_the_head_is_whole() {
    let endless = format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {}", "v".repeat(5_000));
    assert_eq!(judge(endless.as_bytes()).unwrap_err().denial, Denial::HeadTooLarge);
    let endless = format!("GET /{}", "v".repeat(5_000));
    assert_eq!(judge(endless.as_bytes()).unwrap_err().denial, Denial::TargetTooLong);
}

#[test]
fn the_method_is_told_where_it_was_read() {
    let of = |text: &str| judge(&wire(text)).unwrap_err().method;
    assert_eq!(of("HEAD / HTTP/1.1⏎⏎"), Some(Method::HEAD));
    assert_eq!(of("HEAD x HTTP/1.1⏎Host: a.test⏎⏎"), Some(Method::HEAD));
    assert_eq!(of("HEAD / HTTP/1.1\n"), None);
}
