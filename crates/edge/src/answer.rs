//! The edge's own answers: a problem body, the fields every answer has, and the end of the request.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, DATE, STRICT_TRANSPORT_SECURITY};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use pingora::http::ResponseHeader;
use portcullis_core::problem::Problem;
use portcullis_core::request_id::REQUEST_ID_HEADER;
use portcullis_core::{Refusal, RequestId, Timestamp};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::ConnectionSettings;

/// RFC 9110 §5.6.7.
const HTTP_DATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// One refusal, ready to be written in either version of HTTP.
pub(crate) struct Answer {
    status: u16,
    fields: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
    is_head: bool,
}

impl Answer {
    pub(crate) fn new(
        refusal: &Refusal,
        id: &RequestId,
        method: Option<&Method>,
        settings: &ConnectionSettings,
        tls: bool,
    ) -> Self {
        let Problem { status, mut fields, body } = Problem::new(refusal, id);
        fields.push((CONTENT_LENGTH, HeaderValue::from(body.len())));
        if let Ok(id) = HeaderValue::from_str(id.as_str()) {
            fields.push((HeaderName::from_static(REQUEST_ID_HEADER), id));
        }
        // What the file says of answers goes beside what this answer must say, never against it.
        for (name, value) in &settings.answer_fields {
            let is_ours = fields.iter().any(|(ours, _)| ours == name);
            // RFC 6797 §7.2: never over cleartext.
            let is_out_of_place = *name == STRICT_TRANSPORT_SECURITY && !tls;
            if !is_ours && !is_out_of_place && ![DATE, CONNECTION].contains(name) {
                fields.push((name.clone(), value.clone()));
            }
        }
        if !fields.iter().any(|(name, _)| *name == CACHE_CONTROL) {
            fields.push((CACHE_CONTROL, HeaderValue::from_static("no-store")));
        }
        Self { status, fields, body, is_head: method == Some(&Method::HEAD) }
    }

    /// The whole message in HTTP/1.1, after which the connection closes.
    pub(crate) fn into_h1(self, now: Timestamp) -> Vec<u8> {
        let reason = StatusCode::from_u16(self.status).ok().and_then(|s| s.canonical_reason());
        let reason = reason.unwrap_or("Refused");
        let date = http_date(now).unwrap_or_default();
        let start =
            format!("HTTP/1.1 {} {reason}\r\nconnection: close\r\ndate: {date}\r\n", self.status);
        let mut message = start.into_bytes();
        for (name, value) in &self.fields {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                message.extend_from_slice(part);
            }
        }
        message.extend_from_slice(b"\r\n");
        if !self.is_head {
            message.extend_from_slice(&self.body);
        }
        message
    }

    /// Head and body as pingora writes them to an HTTP/2 stream.
    pub(crate) fn into_h2(self) -> pingora::Result<(ResponseHeader, Bytes)> {
        let mut head = ResponseHeader::build(self.status, Some(self.fields.len() + 1))?;
        for (name, value) in self.fields {
            head.append_header(name, value)?;
        }
        let body = if self.is_head { Bytes::new() } else { Bytes::from(self.body) };
        Ok((head, body))
    }
}

fn http_date(now: Timestamp) -> Option<String> {
    let seconds = i64::try_from(now.unix_seconds()).ok()?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(HTTP_DATE).ok()
}
