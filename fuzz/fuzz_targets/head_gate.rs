//! What the gate lets through is one head to the parser behind it too, of the same length and with
//! the same framing, and the verdict does not depend on how the bytes arrived.
#![no_main]

use http::Method;
use libfuzzer_sys::fuzz_target;
use portcullis_core::Authority;
use portcullis_edge::head_gate::{Accepted, Body, HeadGate, HeadLimits};

const LIMITS: HeadLimits = HeadLimits { size: 2048, fields: 16, target: 512 };

fuzz_target!(|bytes: &[u8]| {
    let accepted = HeadGate::new(LIMITS).judge(bytes);
    let mut gate = HeadGate::new(LIMITS);
    let piecewise = (0..=bytes.len()).find_map(|length| gate.judge(&bytes[..length]).transpose());
    assert_eq!(accepted, piecewise.transpose(), "the verdict depends on the pieces");
    if let Ok(Some(accepted)) = accepted {
        check(&accepted, bytes);
    }
});

fn check(accepted: &Accepted, bytes: &[u8]) {
    let head = &bytes[..accepted.length];
    assert!(head.ends_with(b"\r\n\r\n") && head.len() <= LIMITS.size);
    assert!(!head.windows(4).rev().skip(1).any(|four| four == b"\r\n\r\n"), "two heads in one");
    let mut fields = [httparse::EMPTY_HEADER; LIMITS.fields];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(bytes).expect("the parser behind takes it");
    assert_eq!(parsed, httparse::Status::Complete(accepted.length), "heads of two lengths");

    let method: Method = request.method.expect("a method").parse().expect("a known form");
    assert!(method != Method::CONNECT && method != Method::TRACE);
    assert!(request.path.is_some_and(|target| target.len() <= LIMITS.target));
    let all = |name: &str| -> Vec<&[u8]> {
        let same = |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case(name);
        request.headers.iter().filter(same).map(|field| field.value).collect()
    };
    let hosts = all("host");
    assert!(hosts.len() == 1, "not exactly one host");
    let host = std::str::from_utf8(hosts[0]).expect("a host is text");
    assert!(Authority::parse(host).is_ok(), "not a host");
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    match accepted.body {
        Body::Chunked => {
            assert!(lengths.is_empty() && codings.len() == 1);
            assert!(codings[0].eq_ignore_ascii_case(b"chunked"));
            assert_eq!(request.version, Some(1), "HTTP/1.0 has no chunks");
        }
        Body::Length(length) => {
            assert!(codings.is_empty() && lengths.len() <= 1);
            let stated = lengths.first().copied().unwrap_or(b"0");
            assert_eq!(stated, length.to_string().as_bytes(), "another length");
        }
    }
}
