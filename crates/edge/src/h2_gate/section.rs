//! A field section: of a request (RFC 9113 §8.3) or of trailers (§8.1), judged field by field.
//!
//! What passes is written anew, without the tables of field compression: the HTTP engine reads what
//! the gate understood and nothing else. Pieces of a cookie are joined (§8.2.3), and a `host` that
//! says what `:authority` says is left out.

use bytes::BytesMut;
use http::Method;
use portcullis_core::{Authority, Denial};

use super::hpack::{self, Found};
use crate::head_gate::{
    HeadLimits, Rejected, content_length, is_disguised, is_token, is_value, judge_method,
    judge_target,
};

/// What a field weighs beside its name and value: what it takes on the wire of HTTP/1, so that one
/// limit means the same in both.
const FIELD_OVERHEAD: usize = ": \r\n".len();

/// Fields of a connection, which HTTP/2 does without (RFC 9113 §8.2.2).
const OF_CONNECTIONS: [&[u8]; 5] =
    [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"];

/// Fields that frame or route a request, say who asks, or change what is asked for: the head is
/// their place (RFC 9110 §6.5.1).
const NEVER_IN_TRAILERS: [&[u8]; 14] = [
    b"authorization",
    b"cache-control",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"expect",
    b"host",
    b"max-forwards",
    b"proxy-authorization",
    b"range",
    b"te",
    b"trailer",
];

/// Where a section stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Head,
    Trailers,
}

#[derive(Debug)]
pub(super) struct Section {
    place: Place,
    limits: HeadLimits,
    size: usize,
    count: usize,
    pseudo: Pseudo,
    /// The fields behind the pseudo-header fields, written anew.
    fields: BytesMut,
    is_past_pseudo: bool,
    cookie: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
    content_length: Option<Vec<u8>>,
    fault: Option<Denial>,
}

/// The pseudo-header fields of a request.
#[derive(Debug, Default)]
struct Pseudo {
    method: Option<Vec<u8>>,
    scheme: Option<Vec<u8>>,
    path: Option<Vec<u8>>,
    authority: Option<Vec<u8>>,
}

impl Section {
    pub(super) fn new(place: Place, limits: HeadLimits) -> Self {
        Self {
            place,
            limits,
            size: 0,
            count: 0,
            pseudo: Pseudo::default(),
            fields: BytesMut::new(),
            is_past_pseudo: false,
            cookie: None,
            host: None,
            content_length: None,
            fault: None,
        }
    }

    /// Takes the next field. After the first fault nothing is kept any more.
    pub(super) fn take(&mut self, found: Found<'_>) {
        if self.fault.is_some() {
            return;
        }
        let taken = match found {
            Found::Field { name, value, never_indexed } => self.field(name, value, never_indexed),
            Found::TooLong(b":path") => Err(Denial::TargetTooLong),
            Found::TooLong(_) => Err(Denial::HeadTooLarge),
        };
        self.fault = taken.err();
    }

    fn field(&mut self, name: &[u8], value: &[u8], never_indexed: bool) -> Result<(), Denial> {
        if name == b":path" && value.len() > self.limits.target {
            return Err(Denial::TargetTooLong);
        }
        self.weigh(name, value)?;
        if !is_value(value) {
            return Err(malformed("a field value has a control character"));
        }
        if let Some(rest) = name.strip_prefix(b":") {
            return self.pseudo(rest, value);
        }
        self.is_past_pseudo = true;
        judge_name(name)?;
        if matches!(value, [b' ' | b'\t', ..] | [.., b' ' | b'\t']) {
            return Err(malformed("a field value begins or ends with white space"));
        }
        if self.place == Place::Head {
            if self.note(name, value)? {
                return Ok(());
            }
        } else if NEVER_IN_TRAILERS.contains(&name) {
            return Err(malformed("a field that belongs into the head is in the trailers"));
        }
        hpack::encode(name, value, never_indexed, &mut self.fields);
        Ok(())
    }

    fn weigh(&mut self, name: &[u8], value: &[u8]) -> Result<(), Denial> {
        self.size += name.len() + value.len() + FIELD_OVERHEAD;
        // The pieces of a cookie are one field, as they would be in HTTP/1.
        let is_further_piece = name == b"cookie" && self.cookie.is_some();
        self.count += usize::from(!name.starts_with(b":") && !is_further_piece);
        if self.size > self.limits.size || self.count > self.limits.fields {
            return Err(Denial::HeadTooLarge);
        }
        Ok(())
    }

    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), Denial> {
        if self.place == Place::Trailers {
            return Err(malformed("a pseudo-header field is in the trailers"));
        }
        if self.is_past_pseudo {
            return Err(malformed("a pseudo-header field comes behind another field"));
        }
        let slot = match name {
            b"method" => &mut self.pseudo.method,
            b"scheme" => &mut self.pseudo.scheme,
            b"path" => &mut self.pseudo.path,
            b"authority" => &mut self.pseudo.authority,
            // RFC 8441 is not offered. With `CONNECT` the method is what is refused.
            b"protocol" if self.pseudo.method.as_deref() == Some(b"CONNECT") => return Ok(()),
            _ => return Err(malformed("a pseudo-header field that no request has")),
        };
        match slot.replace(value.to_vec()) {
            None => Ok(()),
            Some(_) => Err(malformed("a pseudo-header field stands there twice")),
        }
    }

    /// Keeps what is judged or written at the end; `true` where it is not written as it is.
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<bool, Denial> {
        match name {
            b"cookie" => {
                let cookie = self.cookie.get_or_insert_default();
                if !cookie.is_empty() {
                    cookie.extend_from_slice(b"; ");
                }
                cookie.extend_from_slice(value);
                Ok(true)
            }
            b"host" => match self.host.replace(value.to_vec()) {
                None => Ok(true),
                Some(_) => Err(malformed("more than one host field")),
            },
            b"content-length" => match self.content_length.replace(value.to_vec()) {
                None => Ok(false),
                Some(_) => Err(malformed("more than one content-length field")),
            },
            b"te" if !value.eq_ignore_ascii_case(b"trailers") => {
                Err(malformed("te is not trailers"))
            }
            _ => Ok(false),
        }
    }

    /// The trailers, written anew.
    pub(super) fn into_trailers(self) -> Result<BytesMut, Denial> {
        self.fault.map_or(Ok(self.fields), Err)
    }

    /// The request's head, written anew. `is_end`: no body follows.
    pub(super) fn into_head(mut self, is_end: bool) -> Result<BytesMut, Rejected> {
        let method = self.pseudo.method.take();
        let method = method.and_then(|name| Method::from_bytes(&name).ok());
        match self.judge(method.as_ref(), is_end) {
            Ok(block) => Ok(block),
            Err(denial) => Err(Rejected { denial, method }),
        }
    }

    fn judge(self, method: Option<&Method>, is_end: bool) -> Result<BytesMut, Denial> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let method = method.ok_or_else(|| malformed("there is no :method that is a token"))?;
        judge_method(method)?;
        let Pseudo { scheme: Some(scheme), path: Some(path), authority: Some(authority), .. } =
            self.pseudo
        else {
            return Err(malformed("there is no :scheme, :path or :authority"));
        };
        if ![&b"http"[..], b"https"].contains(&scheme.as_slice()) {
            return Err(malformed("the scheme is not http or https"));
        }
        judge_target(&path, method, self.limits.target)?;
        judge_authority(&authority, self.host.as_deref())?;
        let length = self.content_length.as_deref().map(content_length).transpose()?;
        if is_end && length.is_some_and(|length| length != 0) {
            return Err(malformed("a body is announced and the stream ends with the head"));
        }
        let mut block = BytesMut::with_capacity(self.fields.len() + path.len() + 256);
        for (name, value) in [
            (&b":method"[..], method.as_str().as_bytes()),
            (b":scheme", &scheme),
            (b":authority", &authority),
            (b":path", &path),
        ] {
            hpack::encode(name, value, false, &mut block);
        }
        block.extend_from_slice(&self.fields);
        if let Some(cookie) = &self.cookie {
            hpack::encode(b"cookie", cookie, false, &mut block);
        }
        Ok(block)
    }
}

/// Lower case alone (RFC 9113 §8.2.1), and none that HTTP/2 has no use for.
fn judge_name(name: &[u8]) -> Result<(), Denial> {
    if !is_token(name) || name.iter().any(u8::is_ascii_uppercase) {
        return Err(malformed("a field name is not a token in lower case"));
    }
    if OF_CONNECTIONS.contains(&name) {
        return Err(malformed("a field of a connection, which HTTP/2 does not have"));
    }
    if is_disguised(name) {
        return Err(malformed("a framing field is spelled with an underscore"));
    }
    Ok(())
}

/// `:authority` must be there: a request that has only `host` was translated by somebody who was
/// not asked to. A `host` beside it must say the same (RFC 9113 §8.3.1).
fn judge_authority(authority: &[u8], host: Option<&[u8]>) -> Result<(), Denial> {
    if !std::str::from_utf8(authority).is_ok_and(|text| Authority::parse(text).is_ok()) {
        return Err(malformed(":authority is not a host with or without a port"));
    }
    if host.is_some_and(|host| host != authority) {
        return Err(malformed("host and :authority differ"));
    }
    Ok(())
}

fn malformed(reason: &'static str) -> Denial {
    Denial::Malformed { reason: reason.into() }
}
