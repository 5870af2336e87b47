//! What the server was told to do.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use portcullis_core::clock::Timestamp;

/// What comes of a validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validation {
    /// It succeeds, and nobody is asked.
    Pass,
    /// It fails.
    Fail,
    /// It never ends.
    Never,
    /// All of these addresses are asked, as RFC 8555 §8.3 and RFC 8737 say; each must answer.
    Connect(Vec<SocketAddr>),
}

/// An answer that is no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The problem's type behind `urn:ietf:params:acme:error:`; empty sends a page of HTML.
    pub kind: String,
    /// The value of `Retry-After`.
    pub retry_after: Option<String>,
}

impl Refusal {
    /// 429 `rateLimited`.
    pub fn rate_limited(retry_after: &str) -> Self {
        Self {
            status: 429,
            kind: "rateLimited".to_owned(),
            retry_after: Some(retry_after.to_owned()),
        }
    }

    /// 503 with a page of HTML.
    pub fn unavailable(retry_after: Option<&str>) -> Self {
        Self { status: 503, kind: String::new(), retry_after: retry_after.map(str::to_owned) }
    }
}

pub(crate) struct Script {
    pub(crate) validations: HashMap<String, Validation>,
    pub(crate) refusals: Vec<(String, Option<String>, Refusal)>,
    pub(crate) delays: HashMap<String, Duration>,
    pub(crate) processing: Duration,
    pub(crate) lifetime: Duration,
    pub(crate) window: Option<(Timestamp, Timestamp, u64)>,
    pub(crate) issue_for: Option<String>,
    pub(crate) rejected_nonces: usize,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            validations: HashMap::new(),
            refusals: Vec::new(),
            delays: HashMap::new(),
            processing: Duration::ZERO,
            lifetime: Duration::from_hours(1),
            window: None,
            issue_for: None,
            rejected_nonces: 0,
        }
    }
}

impl Script {
    pub(crate) fn refuse(&mut self, kind: &str, name: Option<&str>, refusal: Option<Refusal>) {
        self.refusals.retain(|(known, of, _)| known != kind || of.as_deref() != name);
        let entry = refusal.map(|refusal| (kind.to_owned(), name.map(str::to_owned), refusal));
        self.refusals.extend(entry);
    }

    pub(crate) fn refusal(&self, kind: &str, name: &str) -> Option<Refusal> {
        let meant = |(known, of, _): &&(String, Option<String>, Refusal)| {
            known == kind && of.as_deref().is_none_or(|of| of == name)
        };
        self.refusals.iter().find(meant).map(|(_, _, refusal)| refusal.clone())
    }
}
