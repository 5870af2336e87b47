//! The request line: `METHOD SP target SP HTTP/1.x`, one space each (RFC 9112 §3).

use http::{Method, Version};
use portcullis_core::Denial;

use super::Rejected;

/// Longest method that is read, in bytes; the longest registered one has 18.
pub(super) const LONGEST_METHOD: usize = 32;

#[derive(Debug)]
pub(super) struct RequestLine {
    pub(super) method: Method,
    pub(super) version: Version,
}

pub(super) fn parse(line: &[u8], longest_target: usize) -> Result<RequestLine, Rejected> {
    let mut parts = line.split(|b| *b == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Rejected::malformed("the request line is not method, target, version"));
    };
    let method = parse_method(method)?;
    let judged = parse_version(version).and_then(|version| {
        judge_method(&method)?;
        judge_target(target, &method, longest_target)?;
        Ok(version)
    });
    match judged {
        Ok(version) => Ok(RequestLine { method, version }),
        Err(denial) => Err(Rejected { denial, method: Some(method) }),
    }
}

/// Upper case letters, and none that the gateway never handles: `TRACE` echoes credentials,
/// `CONNECT` makes a tunnel of the gateway.
pub(crate) fn judge_method(method: &Method) -> Result<(), Denial> {
    if *method == Method::TRACE || *method == Method::CONNECT {
        return Err(not_allowed());
    }
    let name = method.as_str();
    if name.len() > LONGEST_METHOD || name == "PRI" || !name.bytes().all(|b| b.is_ascii_uppercase())
    {
        return Err(malformed("the method is not one in upper case letters"));
    }
    Ok(())
}

/// The 405 of the gate. What a route takes is not known here, so `Allow` has what any may.
fn not_allowed() -> Denial {
    let allow = vec![
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    Denial::MethodNotAllowed { allow }
}

fn malformed(reason: &'static str) -> Denial {
    Denial::Malformed { reason: reason.into() }
}

fn parse_method(bytes: &[u8]) -> Result<Method, Rejected> {
    Method::from_bytes(bytes).map_err(|_| Rejected::malformed("the method is not a token"))
}

fn parse_version(bytes: &[u8]) -> Result<Version, Denial> {
    match bytes {
        b"HTTP/1.1" => Ok(Version::HTTP_11),
        b"HTTP/1.0" => Ok(Version::HTTP_10),
        _ => Err(malformed("the version is not HTTP/1.1 or HTTP/1.0")),
    }
}

/// Origin form alone (RFC 9112 §3.2.1). The absolute form carries a second authority, and a proxy
/// of one's own is the only thing that needs it; `OPTIONS *` asks about no resource, and is a 405.
pub(crate) fn judge_target(target: &[u8], method: &Method, longest: usize) -> Result<(), Denial> {
    if target.len() > longest {
        return Err(Denial::TargetTooLong);
    }
    if target == b"*" && *method == Method::OPTIONS {
        return Err(not_allowed());
    }
    if target.first() != Some(&b'/') {
        return Err(malformed("the target does not begin with /"));
    }
    if target.contains(&b'#') {
        return Err(malformed("the target has a fragment"));
    }
    if !target.iter().all(|b| b.is_ascii_graphic() && !NEVER_RAW.contains(b)) {
        return Err(malformed("the target has a character that must be percent-encoded"));
    }
    Ok(())
}

/// Visible characters that RFC 3986 has no place for, and that parsers of URIs refuse, encode or
/// turn into a slash. Its other outlaws, `[]^{|}`, are read alike by all and often met in queries.
const NEVER_RAW: &[u8] = b"\"<>\\`";
