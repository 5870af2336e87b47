//! The request line: `METHOD SP target SP HTTP/1.x`, one space each (RFC 9112 §3).

use std::ops::Range;

use bytes::BytesMut;
use http::{Method, Version};
use portcullis_core::Denial;

use super::Rejected;

/// Longest method that is read, in bytes; the longest registered one has 18.
pub(super) const LONGEST_METHOD: usize = 32;

#[derive(Debug)]
pub(super) struct RequestLine<'a> {
    pub(super) method: Method,
    pub(super) version: Version,
    /// What an absolute form says before its path: the bytes to cut, and the authority in them.
    pub(super) absolute: Option<(AbsoluteForm, &'a [u8])>,
}

/// A target in absolute form (RFC 9112 §3.2.2), to be handed on in origin form: the app is not
/// asked to read a second authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsoluteForm {
    /// Scheme and authority, in bytes of the head.
    pub(crate) prefix: Range<usize>,
    /// No path follows: it is `/`.
    pub(crate) is_rootless: bool,
}

impl AbsoluteForm {
    /// The head with its target in origin form.
    pub(crate) fn to_origin(&self, head: &[u8]) -> BytesMut {
        let before = head.get(..self.prefix.start).unwrap_or_default();
        let after = head.get(self.prefix.end..).unwrap_or_default();
        let mut origin = BytesMut::with_capacity(head.len());
        origin.extend_from_slice(before);
        if self.is_rootless {
            origin.extend_from_slice(b"/");
        }
        origin.extend_from_slice(after);
        origin
    }
}

pub(super) fn parse(line: &[u8], longest_target: usize) -> Result<RequestLine<'_>, Rejected> {
    let mut parts = line.split(|b| *b == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Rejected::malformed("the request line is not method, target, version"));
    };
    let start = method.len() + 1;
    let method = parse_method(method)?;
    let judged = parse_version(version).and_then(|version| {
        judge_method(&method)?;
        Ok((version, parse_target(target, start, &method, longest_target)?))
    });
    match judged {
        Ok((version, absolute)) => Ok(RequestLine { method, version, absolute }),
        Err(denial) => Err(Rejected { denial, method: Some(method) }),
    }
}

/// Origin form as it is; of an absolute form what stands before the origin form in it. `start` is
/// where the target begins in the head.
fn parse_target<'a>(
    target: &'a [u8],
    start: usize,
    method: &Method,
    longest: usize,
) -> Result<Option<(AbsoluteForm, &'a [u8])>, Denial> {
    let Some((scheme, rest)) = split_scheme(target).filter(|_| target.len() <= longest) else {
        return judge_target(target, method, longest).map(|()| None);
    };
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let is_rootless = path.first() != Some(&b'/');
    if is_rootless && path.is_empty() && *method == Method::OPTIONS {
        // RFC 9112 §3.2.4: what is meant is `*`.
        return Err(not_allowed());
    }
    let origin = if is_rootless { [b"/", path].concat() } else { path.to_vec() };
    judge_target(&origin, method, longest)?;
    let prefix = start..start + scheme + end;
    Ok(Some((AbsoluteForm { prefix, is_rootless }, authority)))
}

/// The length of `http://` or `https://`, and what follows.
fn split_scheme(target: &[u8]) -> Option<(usize, &[u8])> {
    [b"http://".as_slice(), b"https://"].into_iter().find_map(|scheme| {
        let (said, rest) = target.split_at_checked(scheme.len())?;
        said.eq_ignore_ascii_case(scheme).then_some((scheme.len(), rest))
    })
}

/// Upper case letters and hyphens, and none that the gateway never handles: `TRACE` echoes credentials,
/// `CONNECT` makes a tunnel of the gateway.
pub(crate) fn judge_method(method: &Method) -> Result<(), Denial> {
    if *method == Method::TRACE || *method == Method::CONNECT {
        return Err(not_allowed());
    }
    let name = method.as_str();
    let is_plain = |b: u8| b.is_ascii_uppercase() || b == b'-';
    if name.len() > LONGEST_METHOD || name == "PRI" || !name.bytes().all(is_plain) {
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

/// Origin form alone (RFC 9112 §3.2.1). `OPTIONS *` asks about no resource, and is a 405.
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
