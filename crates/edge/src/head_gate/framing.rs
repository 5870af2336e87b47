//! Where the body ends and whom the request is for: one answer, or a refusal (RFC 9112 §3.2, §6).

use http::Version;
use portcullis_core::{Authority, Denial};

use super::Body;
use super::fields::{Seen, is_token};

pub(super) fn judge(seen: &Seen<'_>, version: Version) -> Result<Body, Denial> {
    judge_host(seen.host)?;
    match (seen.content_length, seen.transfer_encoding) {
        (None, None) => Ok(Body::Length(0)),
        (Some(length), None) => content_length(length).map(Body::Length),
        (None, Some(coding)) => judge_coding(coding, version),
        (Some(_), Some(_)) => {
            Err(malformed("both Content-Length and Transfer-Encoding frame the body"))
        }
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

fn judge_coding(coding: &[u8], version: Version) -> Result<Body, Denial> {
    if version != Version::HTTP_11 {
        return Err(malformed("Transfer-Encoding in a version that has none"));
    }
    if coding.eq_ignore_ascii_case(b"chunked") {
        Ok(Body::Chunked)
    } else if is_token(coding) {
        Err(Denial::TransferCodingUnknown)
    } else {
        Err(malformed("Transfer-Encoding is not exactly chunked"))
    }
}

fn malformed(reason: &'static str) -> Denial {
    Denial::Malformed { reason: reason.into() }
}
