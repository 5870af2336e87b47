//! The admin listener: what runs, what was decided, and what operators change, behind a token.
//!
//! No page of another site can come here with a browser's help: every request needs the token in a
//! field that no form can set, names an address of this machine, and a change has a body of JSON,
//! which a browser sends only after asking, and nobody answers that question.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use portcullis_authn::json_object;
use portcullis_core::{Authority, Host, Secret};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use crate::runtime::Runtime;
use crate::web::{self, Reply, Request};

mod endpoint;
mod error;

use endpoint::{Endpoint, Found};
pub(crate) use error::AdminError;

/// What the `Server` field says here, so that our own command knows whom it reached.
pub(crate) const SERVER: &str = "portcullis";

/// Longest body, in bytes: a token and all that is said beside it.
const BODY: usize = 64 << 10;
/// Most time for a body to come.
const BODY_TIME: Duration = Duration::from_secs(10);

/// What the admin listener needs.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    runtime: Arc<Runtime>,
    token: Secret,
}

/// A request that may be answered: who asks has the token, and the method fits.
pub(crate) struct Call<'c> {
    /// What it asks of.
    pub runtime: &'c Arc<Runtime>,
    /// The last step of the path, where the endpoint has one that is not fixed.
    pub id: &'c str,
    /// The query, as it came.
    pub query: &'c str,
    /// The body; `Null` where the method has none.
    pub body: Value,
}

/// A status and what is answered with it.
pub(crate) type Answer = Result<(StatusCode, Value), AdminError>;

impl Admin {
    /// Asks every caller for `token`.
    pub(crate) fn new(runtime: Arc<Runtime>, token: Secret) -> Self {
        Self { runtime, token }
    }

    /// Answers one request.
    pub(crate) async fn answer(self, request: Request) -> Reply {
        let mut reply = match self.decide(request).await {
            Ok((status, value)) => web::json(status, &value),
            Err(error) => error.reply(),
        };
        reply.headers_mut().insert(header::SERVER, HeaderValue::from_static(SERVER));
        reply
    }

    async fn decide(&self, request: Request) -> Answer {
        if !names_this_machine(&request) {
            return Err(AdminError::new(StatusCode::MISDIRECTED_REQUEST, "wrong-host"));
        }
        if !self.knows_token(&request) {
            return Err(AdminError::new(StatusCode::UNAUTHORIZED, "token-needed"));
        }
        let (parts, body) = request.into_parts();
        let Found { endpoint, id } = Endpoint::find(parts.uri.path())
            .ok_or_else(|| AdminError::new(StatusCode::NOT_FOUND, "not-found"))?;
        if !endpoint.methods().contains(&parts.method) {
            return Err(AdminError::method(endpoint.methods()));
        }
        if parts.method != Method::GET && parts.headers.contains_key(header::ORIGIN) {
            let told = "a page in a browser changes nothing here";
            return Err(AdminError::new(StatusCode::FORBIDDEN, "origin-not-allowed").telling(told));
        }
        let body = match parts.method {
            Method::POST => read(&parts.headers, body).await?,
            _ => Value::Null,
        };
        let query = parts.uri.query().unwrap_or_default();
        let call = Call { runtime: &self.runtime, id, query, body };
        endpoint.answer(&parts.method, call).await
    }

    fn knows_token(&self, request: &Request) -> bool {
        let mut values = request.headers().get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Some((scheme, token)) = value.to_str().ok().and_then(|v| v.split_once(' ')) else {
            return false;
        };
        scheme.eq_ignore_ascii_case("bearer")
            && bool::from(token.trim().as_bytes().ct_eq(self.token.expose()))
    }
}

/// The body, which must be JSON and say so.
async fn read(fields: &http::HeaderMap, body: hyper::body::Incoming) -> Result<Value, AdminError> {
    let mut kinds = fields.get_all(header::CONTENT_TYPE).iter();
    let kind = kinds.next().and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kinds.next().is_some() || !is_json(kind) {
        let error = AdminError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type-not-allowed");
        return Err(error.telling("the body must be application/json"));
    }
    let whole = tokio::time::timeout(BODY_TIME, Limited::new(body, BODY).collect()).await;
    let whole =
        whole.map_err(|_| AdminError::new(StatusCode::REQUEST_TIMEOUT, "request-timeout"))?;
    let whole = whole.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            AdminError::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large")
        } else {
            AdminError::new(StatusCode::BAD_REQUEST, "body-cut-short")
        }
    })?;
    // Nobody reads a list as the values of an object, or the first of two members of one name.
    let object = json_object(&whole.to_bytes());
    object.map(Value::Object).map_err(|told| AdminError::bad(format!("the body: {told}")))
}

/// Whether a media type is that of JSON, in the one encoding that it has (RFC 8259 §8.1).
fn is_json(kind: &str) -> bool {
    let mut parts = kind.split(';').map(str::trim);
    let is_utf8 = |parameter: &str| {
        let (name, value) = parameter.split_once('=').unwrap_or_default();
        name.eq_ignore_ascii_case("charset")
            && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    };
    parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
        && parts.all(is_utf8)
}

fn config(runtime: &Runtime) -> Value {
    let running = runtime.running();
    json!({
        "hash": running.hash,
        "loaded": running.loaded.rfc3339(),
        "config": running.view,
    })
}

/// A page on another site can make a browser come here under a name of its own: only names and
/// addresses of this machine, or an address literal, are answered.
fn names_this_machine(request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    match host.to_str().ok().and_then(|host| Authority::parse(host).ok()).map(|a| a.host) {
        Some(Host::Name(name)) => &*name == "localhost",
        Some(Host::V4(address)) => IpAddr::from(address).is_loopback() || !address.is_unspecified(),
        Some(Host::V6(_)) => true,
        None => false,
    }
}
