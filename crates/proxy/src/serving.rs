//! Everything one request needs of the configuration, taken once and kept to its end: a reload
//! never splits a request.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::Clock;
use portcullis_policy::{IdentitySigner, Pipeline};
use portcullis_tls::acme::Challenges;

use crate::pool::Pool;
use crate::record::Recorder;
use crate::redact::Redaction;

/// One snapshot as the proxy sees it.
#[derive(Debug)]
pub struct Serving {
    /// The policy.
    pub pipeline: Pipeline,
    /// Names to prove; `None` where no certificate is ordered.
    pub challenges: Option<Challenges>,
    /// Upstreams by name.
    pub pools: HashMap<Arc<str>, Arc<Pool>>,
    /// Signs what the apps are told; `None` where no route asks for it.
    pub identity: Option<Arc<IdentitySigner>>,
    /// Field that carries the signed token.
    pub identity_header: http::HeaderName,
    /// Every field that a client may not say, folded to lower case and `-`.
    pub reserved_fields: HashSet<Box<str>>,
    /// The field that carries API keys, where any route takes them.
    pub key_field: Option<http::HeaderName>,
    /// What logs do not show.
    pub redaction: Redaction,
    /// How long an unused client connection is kept.
    pub idle: Duration,
    /// Longest wait for the client to take more of an answer.
    pub write: Duration,
    /// Bytes a second that a request's body must have; `None`: no bound.
    pub minimum_body_rate: Option<u64>,
    /// The clock of the process.
    pub clock: Clock,
    /// Where records go.
    pub recorder: Arc<Recorder>,
}
