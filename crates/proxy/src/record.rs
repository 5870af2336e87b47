//! One record per request: access line, audit line, metrics, and the list of latest decisions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::{Refusal, Timestamp};
use portcullis_edge::Refused;
use portcullis_policy::{Pipeline, WouldDeny};
use serde::Serialize;

use crate::ctx::Ctx;
use crate::metrics::Metrics;
use crate::stages::{Kept, StageRecord};

/// Takes finished lines. Must not block for long.
pub trait LogSink: Send + Sync + std::fmt::Debug {
    /// One line of the access log, without its end.
    fn access(&self, line: String);
    /// One line of the audit log, without its end.
    fn audit(&self, line: String);
}

/// What is known of a finished request.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// When it came, RFC 3339.
    pub time: String,
    /// Its id.
    pub request_id: String,
    /// The client's address.
    pub client: String,
    /// The listener it came in on.
    pub listener: String,
    /// The method.
    pub method: String,
    /// The host, canonical where it could be read.
    pub host: String,
    /// The path, canonical where it could be read, and the query with credentials hidden.
    pub path: String,
    /// Version of HTTP.
    pub protocol: &'static str,
    /// The route's name; empty where none was found, `acme` for what an authority asked for.
    pub route: String,
    /// The status answered; 0 where the client was gone before.
    pub status: u16,
    /// The code of a refusal; empty where the app answered.
    pub code: &'static str,
    /// Why, for operators; empty where the app answered.
    pub reason: String,
    /// The line that refused: `FILE:LINE`, `default` where no line does, `head gate`; empty where the
    /// app answered.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// Subject of the principal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// `iss` of the principal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub issuer: String,
    /// From the head to the end, in milliseconds.
    pub duration_ms: f64,
    /// From the first attempt to the head of the app's answer, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_ms: Option<f64>,
    /// The endpoint that was tried last.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub upstream: String,
    /// Attempts at endpoints.
    pub tries: u32,
    /// Bytes of the request's body taken.
    pub bytes_in: u64,
    /// Bytes of the answer's body sent.
    pub bytes_out: u64,
    /// What rules that only report would have refused it for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub would_deny: Vec<WouldDenied>,
    /// Whether it was a preflight.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub preflight: bool,
    /// Whether it ended before the answer was whole.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub aborted: bool,
    #[serde(skip)]
    took: Duration,
    #[serde(skip)]
    stages: Kept,
}

/// A refusal that was not given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WouldDenied {
    /// Its code.
    pub code: &'static str,
    /// Why, for operators.
    pub reason: String,
    /// The line that would have decided: `FILE:LINE`.
    pub rule: String,
}

impl WouldDenied {
    fn of(ctx: &Ctx) -> Vec<Self> {
        let file = &ctx.serving.pipeline.lines.file;
        let told = |WouldDeny { refusal, origin }: &WouldDeny| Self {
            code: refusal.code(),
            reason: refusal.reason().into_owned(),
            rule: origin.place(file),
        };
        ctx.would_deny.iter().map(told).collect()
    }
}

/// A record with its stages, as `/decisions` gives it.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    #[serde(flatten)]
    record: Record,
    stages: Vec<StageRecord>,
}

/// Which decisions are asked for; what is `None` is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// That of this request.
    pub request_id: Option<String>,
    /// Those with this code.
    pub code: Option<String>,
    /// Those on this route.
    pub route: Option<String>,
    /// Those with this status.
    pub status: Option<u16>,
    /// Those that were refused, or were not.
    pub refused: Option<bool>,
    /// Those that rules on trial would have refused, or would not.
    pub would_deny: Option<bool>,
}

impl Wanted {
    fn is(&self, record: &Record) -> bool {
        let same = |wanted: &Option<String>, have: &str| wanted.as_ref().is_none_or(|w| w == have);
        same(&self.request_id, &record.request_id)
            && same(&self.code, record.code)
            && same(&self.route, &record.route)
            && self.status.is_none_or(|status| status == record.status)
            && self.refused.is_none_or(|refused| refused != record.code.is_empty())
            && self.would_deny.is_none_or(|would| would != record.would_deny.is_empty())
    }
}

/// The route's name, or the word for what was never matched against one.
fn route(ctx: &Ctx) -> String {
    if ctx.for_authority {
        return crate::acme::ROUTE.to_owned();
    }
    ctx.route.as_ref().map(|route| route.name.to_string()).unwrap_or_default()
}

impl Record {
    pub(crate) fn of(ctx: &Ctx) -> Self {
        let took = ctx.serving.clock.monotonic().saturating_sub(ctx.started);
        let raw = ctx.raw.as_ref();
        let redaction = &ctx.serving.redaction;
        let (host, path) = ctx.request.as_ref().map_or_else(
            || {
                (
                    raw.map_or(String::new(), |r| r.host.clone()),
                    raw.map_or(String::new(), |r| redaction.target(&r.target)),
                )
            },
            |request| {
                let path = request.path.as_str();
                let target = request
                    .query
                    .as_ref()
                    .map(|query| redaction.target(&format!("{path}?{query}")));
                (request.authority.to_string(), target.unwrap_or_else(|| path.to_owned()))
            },
        );
        let principal = ctx.principal.as_ref();
        let refusal = ctx.refusal.as_ref();
        let stages = Kept::of(ctx);
        Self {
            time: ctx.time.rfc3339(),
            request_id: ctx.id.to_string(),
            client: ctx.client.map(|address| address.to_string()).unwrap_or_default(),
            listener: ctx.conn.as_ref().map(|c| c.listener.to_string()).unwrap_or_default(),
            method: raw.map(|r| r.method.to_string()).unwrap_or_default(),
            host,
            path,
            protocol: raw.map_or("", |r| r.version),
            route: route(ctx),
            status: ctx.status.unwrap_or_default(),
            code: refusal.map_or("", Refusal::code),
            reason: refusal.map(|r| r.reason().into_owned()).unwrap_or_default(),
            rule: stages.rule(),
            subject: principal.map(|p| p.subject.clone()).unwrap_or_default(),
            issuer: principal.map(|p| p.issuer.to_string()).unwrap_or_default(),
            duration_ms: millis(took),
            upstream_ms: ctx.upstream_took.map(millis),
            upstream: ctx.upstream_address.clone().unwrap_or_default(),
            tries: ctx.tries,
            bytes_in: ctx.body_in,
            bytes_out: ctx.body_out,
            would_deny: WouldDenied::of(ctx),
            preflight: ctx.preflight,
            aborted: ctx.aborted || !ctx.finished || ctx.status.is_none(),
            took,
            stages,
        }
    }

    /// The record of a request that the edge refused before it became one.
    pub fn of_edge(refused: &Refused<'_>, time: Timestamp, pipeline: &Pipeline) -> Self {
        let stages = Kept::of_edge(refused, pipeline);
        let Refused { connection: conn, id, refusal, protocol, method, lasted } = refused;
        Self {
            time: time.rfc3339(),
            request_id: id.to_string(),
            client: conn.peer.map(|peer| peer.ip().to_canonical().to_string()).unwrap_or_default(),
            listener: conn.listener.to_string(),
            method: method.unwrap_or_default().to_owned(),
            host: String::new(),
            path: String::new(),
            protocol,
            route: String::new(),
            status: refusal.status(),
            code: refusal.code(),
            reason: refusal.reason().into_owned(),
            rule: stages.rule(),
            subject: String::new(),
            issuer: String::new(),
            duration_ms: millis(*lasted),
            upstream_ms: None,
            upstream: String::new(),
            tries: 0,
            bytes_in: 0,
            bytes_out: 0,
            would_deny: Vec::new(),
            preflight: false,
            aborted: false,
            took: *lasted,
            stages,
        }
    }
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// The latest records, a bounded list, for `/decisions`. Queries are left out.
#[derive(Debug)]
pub struct Decisions {
    latest: Mutex<VecDeque<Record>>,
    maximum: usize,
}

impl Decisions {
    /// Keeps the latest `maximum`.
    pub fn new(maximum: usize) -> Self {
        Self { latest: Mutex::new(VecDeque::with_capacity(maximum.min(1024))), maximum }
    }

    fn push(&self, record: Record) {
        let mut latest = self.latest.lock();
        if latest.len() >= self.maximum {
            latest.pop_front();
        }
        latest.push_back(record);
    }

    /// The newest first, at most `limit`, of those that are wanted.
    pub fn latest(&self, limit: usize, wanted: &Wanted) -> Vec<Told> {
        let latest = self.latest.lock();
        let found = latest.iter().rev().filter(|record| wanted.is(record));
        let records: Vec<Record> = found.take(limit).cloned().collect();
        drop(latest);
        let told = |record: Record| Told { stages: record.stages.told(), record };
        records.into_iter().map(told).collect()
    }
}

/// Where records go. One for the life of the process.
#[derive(Debug)]
pub struct Recorder {
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The latest decisions.
    pub decisions: Decisions,
    /// The logs.
    pub sink: Arc<dyn LogSink>,
}

impl Recorder {
    /// Writes one record to all of them.
    pub fn record(&self, record: &Record) {
        self.metrics.count(&record.route, record.status, record.code, record.took);
        self.metrics.count_trials(&record.route, record.would_deny.iter().map(|one| one.code));
        if let Ok(line) = serde_json::to_string(record) {
            if !record.code.is_empty() {
                self.sink.audit(audit_line("denial", &line));
            } else if !record.would_deny.is_empty() {
                self.sink.audit(audit_line("would_deny", &line));
            }
            self.sink.access(line);
        }
        let path = record.path.split('?').next().unwrap_or_default().to_owned();
        self.decisions.push(Record { path, ..record.clone() });
    }
}

/// The access line with the word that tells audit events apart.
fn audit_line(event: &str, access: &str) -> String {
    format!("{{\"event\":\"{event}\",{}", access.strip_prefix('{').unwrap_or(access))
}
