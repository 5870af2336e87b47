//! Where the body ends and whom the request is for: one answer, or a refusal (RFC 9112 §3.2, §6).

use http::{Method, Version};
use portcullis_core::{Authority, Denial};

use super::Body;
use super::codings::Codings;
use super::fields::Seen;

pub(super) fn judge(seen: &Seen<'_>, method: &Method, version: Version) -> Result<Body, Denial> {
    judge_host(seen.host)?;
    let body = judge_body(seen, version)?;
    judge_content(seen, method, body)?;
    Ok(body)
}

/// Content of a HEAD, and chunked content of a GET, have no meaning and no honest sender; apps that
/// do not read them take them for the next request (RFC 9110 §9.3.1, §9.3.2).
fn judge_content(seen: &Seen<'_>, method: &Method, body: Body) -> Result<(), Denial> {
    let is_head = *method == Method::HEAD;
    let is_bodied = body != Body::Length(0);
    if is_head && is_bodied || *method == Method::GET && seen.codings.is_some() {
        return Err(malformed("content that the method does not have"));
    }
    Ok(())
}

fn judge_body(seen: &Seen<'_>, version: Version) -> Result<Body, Denial> {
    match (seen.content_length, &seen.codings) {
        (None, None) => Ok(Body::Length(0)),
        (Some(length), None) => content_length(length).map(Body::Length),
        (None, Some(codings)) => judge_codings(codings, version),
        (Some(_), Some(_)) => {
            Err(malformed("both Content-Length and Transfer-Encoding frame the body"))
        }
    }
}

/// An absolute form and `Host` must name the same authority (RFC 9112 §3.2), so that nobody can
/// take the one for the other.
pub(super) fn judge_authorities(seen: &Seen<'_>, absolute: Option<&[u8]>) -> Result<(), Denial> {
    match (absolute, seen.host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            Err(malformed("Host is not the authority of the target"))
        }
        _ => Ok(()),
    }
}

/// The length that a `Content-Length` value says: digits alone, none to spare.
pub(crate) fn content_length(value: &[u8]) -> Result<u64, Denial> {
    let is_plain =
        value.iter().all(u8::is_ascii_digit) && (value.first() != Some(&b'0') || value.len() == 1);
    std::str::from_utf8(value)
        .ok()
        .filter(|_| is_plain)
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| malformed("Content-Length is not one decimal number"))
}

/// HTTP/1.0 needs no `Host` by its RFC; there is no default host here, so it needs one too.
fn judge_host(host: Option<&[u8]>) -> Result<(), Denial> {
    let host = host.ok_or_else(|| malformed("there is no Host field"))?;
    let is_authority = std::str::from_utf8(host).is_ok_and(|text| Authority::parse(text).is_ok());
    if is_authority { Ok(()) } else { Err(malformed("Host is not a host with or without a port")) }
}

fn judge_codings(codings: &Codings, version: Version) -> Result<Body, Denial> {
    if version != Version::HTTP_11 {
        return Err(malformed("Transfer-Encoding in a version that has none"));
    }
    codings.judge().map(|()| Body::Chunked)
}

fn malformed(reason: &'static str) -> Denial {
    Denial::Malformed { reason: reason.into() }
}
