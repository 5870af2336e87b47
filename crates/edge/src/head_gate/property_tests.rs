//! For any bytes: the gate never panics, and what it accepts means the same to another parser.

use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits { size: 8192, fields: 32, target: 256 };

/// What `httparse`, which is the proxy's parser, makes of a head that the gate accepted.
pub(super) fn agrees_with_httparse(bytes: &[u8], accepted: &Accepted) {
    let shown = String::from_utf8_lossy(bytes);
    let mut fields = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(bytes);
    assert_eq!(parsed, Ok(httparse::Status::Complete(accepted.length)), "{shown:?}");
    let head = std::str::from_utf8(&bytes[..bytes.iter().position(|b| *b == b'\r').unwrap()]);
    let line: Vec<&str> = head.unwrap().split(' ').collect();
    assert_eq!((request.method, request.path), (Some(line[0]), Some(line[1])), "{shown:?}");
    let named = |name: &str| -> Vec<&[u8]> {
        let same = |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case(name);
        let headers: &[httparse::Header<'_>] = request.headers;
        headers.iter().filter(same).map(|field| field.value).collect()
    };
    assert_eq!(named("host").len(), 1, "{shown:?}");
    match accepted.body {
        Body::Chunked => {
            assert!(named("transfer-encoding")[0].eq_ignore_ascii_case(b"chunked"), "{shown:?}");
            assert_eq!((named("transfer-encoding").len(), named("content-length").len()), (1, 0));
        }
        Body::Length(length) => {
            assert_eq!(named("transfer-encoding").len(), 0, "{shown:?}");
            let said: Vec<&[u8]> = named("content-length");
            let digits = length.to_string();
            assert!(said == [digits.as_bytes()] || (said.is_empty() && length == 0), "{shown:?}");
        }
    }
    assert_eq!(accepted.upgrade, !named("upgrade").is_empty(), "{shown:?}");
    if let Some(absolute) = &accepted.absolute {
        let origin = absolute.to_origin(&bytes[..accepted.length]);
        let again = HeadGate::new(LIMITS).judge(&origin).unwrap().expect("partial");
        assert_eq!((&again.absolute, again.body), (&None, accepted.body), "{shown:?}");
    }
}

fn judged(bytes: &[u8]) -> Result<Option<Accepted>, Rejected> {
    HeadGate::new(LIMITS).judge(bytes)
}

/// Pieces of which heads are made, good ones and bad ones.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "GET ",
        "POST ",
        "HEAD ",
        "/",
        "/a?b",
        "http://a.test",
        " HTTP/1.1",
        " HTTP/1.0",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        "Host: a.test\r\n",
        "Host",
        ":",
        " ",
        "\t",
        "Content-Length: 3\r\n",
        "Content-Length",
        "Transfer-Encoding: chunked\r\n",
        "transfer_encoding",
        "chunked",
        ",",
        "Connection: close\r\n",
        "Upgrade: x\r\n",
        "0",
        "12",
        "\0",
        "\u{b}",
        "%2e",
        "#",
        "*",
    ]);
    prop_oneof![
        8 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(Some(accepted)) = judged(&bytes) {
            agrees_with_httparse(&bytes, &accepted);
        }
    }

    #[test]
    fn made_up_heads_mean_the_same_to_both(
        pieces in prop::collection::vec(piece(), 0..24),
        start in prop::bool::weighted(0.7),
    ) {
        let mut bytes = Vec::new();
        if start {
            bytes.extend_from_slice(b"GET / HTTP/1.1\r\nHost: a.test\r\n");
        }
        bytes.extend(pieces.concat());
        if start {
            bytes.extend_from_slice(b"\r\n\r\n");
        }
        if let Ok(Some(accepted)) = judged(&bytes) {
            agrees_with_httparse(&bytes, &accepted);
        }
    }

    #[test]
    fn a_good_head_passes_however_it_is_cut(
        target in "/[!$-;=?-\\[\\]-_a-~]{0,40}",
        name in "X[!#$%&'*+.^_`|~0-9A-Za-z-]{0,20}",
        value in "[ \t!-~]{0,40}",
        length in any::<u64>(),
        cut in 1_usize..40,
    ) {
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: a.test\r\n{name}: {value}\r\nContent-Length: {length}\r\n\r\n"
        );
        let mut gate = HeadGate::new(LIMITS);
        let mut end = 0;
        let accepted = loop {
            end = (end + cut).min(head.len());
            if let Some(accepted) = gate.judge(&head.as_bytes()[..end]).unwrap() {
                break accepted;
            }
        };
        prop_assert_eq!(accepted.length, head.len());
        prop_assert_eq!(accepted.body, Body::Length(length));
        agrees_with_httparse(head.as_bytes(), &accepted);
    }
}
