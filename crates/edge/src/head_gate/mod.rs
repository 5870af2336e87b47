//! The gate: whether some bytes are one strict HTTP/1 request head, and what frames its body.
//!
//! Pure: no I/O, no clock. What it accepts is handed to the proxy byte for byte, so everything two
//! parsers could read differently is refused here (RFC 9112 §2.2, §5, §6, §11.2). Where the RFC
//! leaves a choice between repair and refusal, it refuses.

mod chunks;
mod codings;
mod fields;
mod framing;
mod request_line;
mod scan;

use http::Method;
use portcullis_core::Denial;

pub(crate) use chunks::Chunks;
pub(crate) use fields::{is_disguised, is_token, is_value};
pub(crate) use framing::content_length;
pub use request_line::AbsoluteForm;
use request_line::RequestLine;
pub(crate) use request_line::{judge_method, judge_target};
use scan::Scan;

/// How large a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes, the last empty line included: more is a 431.
    pub size: usize,
    /// Fields: more is a 431.
    pub fields: usize,
    /// Bytes of the request target: more is a 414.
    pub target: usize,
}

/// How the body of an accepted request is framed (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// By chunks, to the last of them.
    Chunked,
    /// This many bytes; 0 where the head says nothing of a body.
    Length(u64),
}

/// A head that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its length in bytes, the last empty line included.
    pub length: usize,
    /// What follows it.
    pub body: Body,
    /// Whether it asks for another protocol: what follows the answer may then be no HTTP.
    pub upgrade: bool,
    /// Where its target has the absolute form.
    pub absolute: Option<AbsoluteForm>,
}

/// A head that did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Why.
    pub denial: Denial,
    /// The method, where it was read before the fault was met.
    pub method: Option<Method>,
}

impl Rejected {
    pub(crate) const fn malformed(reason: &'static str) -> Self {
        let denial = Denial::Malformed { reason: std::borrow::Cow::Borrowed(reason) };
        Self { denial, method: None }
    }
}

impl From<Denial> for Rejected {
    fn from(denial: Denial) -> Self {
        Self { denial, method: None }
    }
}

/// The gate for one head. Give it all bytes read so far, each time more have come; what it has
/// seen once is not looked at again until the head is complete.
#[derive(Debug)]
pub struct HeadGate {
    limits: HeadLimits,
    scan: Scan,
}

impl HeadGate {
    /// A gate that has seen nothing.
    pub fn new(limits: HeadLimits) -> Self {
        Self { limits, scan: Scan::default() }
    }

    /// Judges `bytes`, which begin with the head: `None` where more are needed.
    pub fn judge(&mut self, bytes: &[u8]) -> Result<Option<Accepted>, Rejected> {
        match self.scan.advance(bytes, &self.limits)? {
            Some(length) => {
                let head = bytes.get(..length).unwrap_or_default();
                whole(head, &self.limits).map(Some)
            }
            None => Ok(None),
        }
    }
}

/// Judges a complete head, whose line ends were judged by the scan.
fn whole(head: &[u8], limits: &HeadLimits) -> Result<Accepted, Rejected> {
    let mut lines =
        head.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let RequestLine { method, version, absolute } =
        request_line::parse(lines.next().unwrap_or_default(), limits.target)?;
    let judged = fields::collect(lines.take_while(|line| !line.is_empty())).and_then(|seen| {
        let body = framing::judge(&seen, &method, version)?;
        framing::judge_authorities(&seen, absolute.as_ref().map(|(_, authority)| *authority))?;
        Ok((seen.upgrade, body))
    });
    match judged {
        Ok((upgrade, body)) => {
            let absolute = absolute.map(|(form, _)| form);
            Ok(Accepted { length: head.len(), body, upgrade, absolute })
        }
        Err(denial) => Err(Rejected { denial, method: Some(method) }),
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vector_tests;
