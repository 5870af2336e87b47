//! Why the admin listener does not do what it is asked: RFC 9457.

use std::borrow::Cow;

use http::{HeaderValue, Method, StatusCode, header};
use serde_json::json;

use crate::web::{self, Reply};

/// A refusal of the admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AdminError {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    allow: &'static [Method],
}

impl AdminError {
    /// One whose code says it all.
    pub(crate) const fn new(status: StatusCode, code: &'static str) -> Self {
        Self { status, code, detail: Cow::Borrowed(""), allow: &[] }
    }

    /// The method does not fit the path.
    pub(super) const fn method(allow: &'static [Method]) -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self { status, code: "method-not-allowed", detail: Cow::Borrowed(""), allow }
    }

    /// The request says something that cannot be.
    pub(crate) fn bad(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request-invalid").telling(detail)
    }

    /// With what a person needs to know. Never a secret.
    pub(crate) fn telling(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Its status.
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// What a person needs to know, or the code.
    pub(crate) fn detail(&self) -> &str {
        if self.detail.is_empty() { self.code } else { &self.detail }
    }

    pub(super) fn reply(&self) -> Reply {
        let mut body = json!({
            "type": format!("urn:portcullis:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "code": self.code,
        });
        if let (false, Some(fields)) = (self.detail.is_empty(), body.as_object_mut()) {
            fields.insert("detail".to_owned(), self.detail.clone().into());
        }
        let mut reply =
            web::reply(self.status, portcullis_core::problem::PROBLEM_JSON, body.to_string());
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer");
            reply.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        let allow: Vec<&str> = self.allow.iter().map(Method::as_str).collect();
        if let (false, Ok(allow)) = (allow.is_empty(), HeaderValue::try_from(allow.join(", "))) {
            reply.headers_mut().insert(header::ALLOW, allow);
        }
        reply
    }
}
