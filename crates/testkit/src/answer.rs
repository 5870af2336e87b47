//! Answers as a client received them.

use std::io::{self, BufRead};

use serde_json::Value;

use crate::message::{parse_head, read_chunked, read_exactly, read_head, values};

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Whether the body ended as its framing said it would.
    pub complete: bool,
}

impl Answer {
    /// Reads one from an HTTP/1.1 stream, skipping `100 Continue`.
    pub(crate) fn read(source: &mut impl BufRead, head_only: bool) -> io::Result<Self> {
        let (status, fields) = loop {
            let head = read_head(source)?
                .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "closed"))?;
            let (first, fields) = parse_head(&head);
            let status = first.split(' ').nth(1).and_then(|word| word.parse().ok());
            let status: u16 = status.ok_or_else(|| io::Error::other(format!("got {first:?}")))?;
            if status != 100 {
                break (status, fields);
            }
        };
        let fields: Vec<_> =
            fields.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        let length = values(&fields, "content-length").first().and_then(|v| v.parse().ok());
        let body = if head_only || matches!(status, 101 | 204 | 304) {
            Ok(Vec::new())
        } else if !values(&fields, "transfer-encoding").is_empty() {
            read_chunked(source)
        } else if let Some(length) = length {
            read_exactly(source, length)
        } else {
            let mut body = Vec::new();
            source.read_to_end(&mut body).map(|_| body)
        };
        let complete = body.is_ok();
        Ok(Self { status, fields, body: body.unwrap_or_default(), complete })
    }

    /// Every value of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        values(&self.fields, name)
    }

    /// The value of a field that must be there at most once.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} came {} times: {all:?}", all.len());
        all.first().copied()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The `code` of a problem body; empty where there is none.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Asserts the status alone.
    #[track_caller]
    pub fn expect(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{:?} {}", self.fields, self.text());
        self
    }

    /// Asserts a refusal by the gateway: status, code, and the form that every refusal has.
    #[track_caller]
    pub fn expect_refusal(&self, status: u16, code: &str) -> &Self {
        self.expect(status);
        assert_eq!(self.field("content-type"), Some("application/problem+json"));
        assert_eq!(self.code(), code, "{}", self.text());
        let body = self.json();
        assert_eq!(body["status"], status);
        assert!(body["title"].is_string() && body["type"].is_string(), "{body}");
        let id = self.field("x-request-id").expect("x-request-id is on every answer");
        assert_eq!(body["request_id"], id);
        let members = body.as_object().map_or(0, serde_json::Map::len);
        assert_eq!(members, 5, "a problem says no more than it must: {body}");
        self
    }
}
