//! The admin listener: the running configuration and the latest decisions, behind a token.

use std::net::IpAddr;
use std::sync::Arc;

use http::{Method, StatusCode, header};
use portcullis_core::{Authority, Host, Secret};
use serde_json::json;
use subtle::ConstantTimeEq;

use crate::decisions;
use crate::runtime::Runtime;
use crate::web::{self, Reply, Request};

/// What the admin listener needs.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    runtime: Arc<Runtime>,
    token: Secret,
}

impl Admin {
    /// Asks every caller for `token`.
    pub(crate) fn new(runtime: Arc<Runtime>, token: Secret) -> Self {
        Self { runtime, token }
    }

    /// Answers one request.
    pub(crate) fn answer(&self, request: &Request) -> Reply {
        if !names_this_machine(request) {
            return web::json(StatusCode::MISDIRECTED_REQUEST, &json!({"error": "wrong host"}));
        }
        if !self.knows_token(request) {
            let mut reply = web::json(StatusCode::UNAUTHORIZED, &json!({"error": "token needed"}));
            let challenge = http::HeaderValue::from_static("Bearer");
            reply.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            return reply;
        }
        if request.method() != Method::GET {
            return web::json(StatusCode::METHOD_NOT_ALLOWED, &json!({"error": "only GET"}));
        }
        match request.uri().path() {
            "/config" => self.config(),
            "/decisions" => self.decisions(request.uri().query().unwrap_or_default()),
            _ => web::json(StatusCode::NOT_FOUND, &json!({"error": "not found"})),
        }
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

    fn config(&self) -> Reply {
        let running = self.runtime.running();
        let body = json!({
            "hash": running.hash,
            "loaded": running.loaded.rfc3339(),
            "config": running.view,
        });
        web::json(StatusCode::OK, &body)
    }

    fn decisions(&self, query: &str) -> Reply {
        decisions::answer(&self.runtime.recorder().decisions, query)
    }
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
