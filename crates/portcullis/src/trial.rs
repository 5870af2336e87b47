//! A request that nobody sent, on the real pipeline: what `explain` and `test` share.

mod arrival;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use portcullis_config::snapshot::Snapshot;
use portcullis_core::{CanonicalPath, ConnMeta, Denial, Refusal};
use portcullis_edge::head_gate::{Accepted, Body, HeadGate, HeadLimits};
use portcullis_policy::{Decision, Origin, Pipeline, Route, Stage, Trace, Verdict};
use portcullis_proxy::MadeUp;

pub(crate) use arrival::Arrival;

/// The request. What the head gate would refuse can be made too: it is refused by the gate.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    /// Its method.
    pub method: String,
    /// Whether it comes by TLS.
    pub https: bool,
    /// Its `Host`.
    pub authority: String,
    /// Its target in origin form.
    pub target: String,
    /// Its other fields, in their order.
    pub fields: Vec<(String, String)>,
}

/// What one stage said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// The stage.
    pub stage: Stage,
    /// The line it went by.
    pub origin: Origin,
    /// What it saw, without secrets.
    pub saw: String,
}

/// What each stage said, and each policy that was asked.
#[derive(Debug, Default)]
struct Notes {
    stages: Vec<Note>,
    policies: Vec<(String, Option<bool>)>,
}

impl Trace for Notes {
    fn note(&mut self, stage: Stage, origin: Origin, saw: impl FnOnce() -> String) {
        self.stages.push(Note { stage, origin, saw: saw() });
    }

    fn judged(&mut self, policy: &str, said: Option<bool>) {
        self.policies.push((policy.to_owned(), said));
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    /// What the stages said that were asked.
    pub notes: Vec<Note>,
    /// What the policies said that were asked; `None` of one that could not be evaluated.
    pub policies: Vec<(String, Option<bool>)>,
    /// The path that is judged and forwarded; `None` where the head cannot be read.
    pub path: Option<CanonicalPath>,
    /// The decision, or why there is none.
    pub outcome: Result<Decision, Refusal>,
    file: Arc<str>,
}

/// The kinds of verdicts, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Forwarded.
    Allow,
    /// Refused.
    Deny,
    /// A resource's metadata are told.
    Metadata,
    /// A preflight is answered.
    Preflight,
    /// Sent to https.
    Redirect,
}

impl Word {
    /// As tests and programs write it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Metadata => "metadata",
            Self::Preflight => "preflight",
            Self::Redirect => "redirect",
        }
    }
}

impl Trial {
    /// Of a URL with scheme and host. What a line of a head cannot carry is no part of a request.
    pub(crate) fn new(method: &str, url: &str) -> Result<Self, String> {
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| "the URL needs https:// or http://".to_owned())?;
        let https = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err("the URL needs https:// or http://".to_owned()),
        };
        let split = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(split).unwrap_or((rest, ""));
        let root = if target.starts_with('/') { "" } else { "/" };
        let one_line = |text: &str| !text.contains(['\r', '\n', '\0']);
        if !one_line(method) || !one_line(url) {
            return Err("method and URL stand on one line".to_owned());
        }
        Ok(Self {
            method: method.to_owned(),
            https,
            authority: authority.to_owned(),
            target: format!("{root}{target}"),
            fields: Vec::new(),
        })
    }

    /// Adds a field.
    pub(crate) fn field(&mut self, name: &str, value: &str) -> Result<(), String> {
        if format!("{name}{value}").contains(['\r', '\n', '\0']) {
            return Err(format!("the field `{name}` does not stand on one line"));
        }
        self.fields.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// Runs it, as if it came in on `conn`.
    pub(crate) async fn run(&self, snapshot: &Snapshot, conn: &ConnMeta) -> Tried {
        let pipeline = &snapshot.pipeline;
        let mut notes = Notes::default();
        let (path, outcome) = match self.gate(snapshot) {
            Ok(made) => {
                let judged = made.judge(pipeline, conn, &mut notes).await;
                (judged.path, judged.outcome)
            }
            Err(denial) => (None, Err(not_read(pipeline, conn, denial, &mut notes))),
        };
        let (notes, policies) = (notes.stages, notes.policies);
        Tried { notes, policies, path, outcome, file: Arc::clone(&pipeline.lines.file) }
    }

    /// What the head gate makes of its bytes.
    fn gate(&self, snapshot: &Snapshot) -> Result<MadeUp, Denial> {
        let malformed = |reason: &'static str| Denial::Malformed { reason: reason.into() };
        let terms = &snapshot.connections;
        let limits = HeadLimits {
            size: terms.head_size,
            fields: terms.head_fields,
            target: terms.target_size,
        };
        let gated = HeadGate::new(limits).judge(self.head().as_bytes());
        let accepted: Option<Accepted> = gated.map_err(|rejected| rejected.denial)?;
        let accepted = accepted.ok_or_else(|| malformed("the head does not end"))?;
        let method = Method::from_bytes(self.method.as_bytes());
        let mut fields = vec![field("host", &self.authority)];
        fields.extend(self.fields.iter().map(|(name, value)| field(name, value)));
        let fields: Option<Vec<_>> = fields.into_iter().collect();
        Ok(MadeUp {
            method: method.map_err(|_| malformed("the method is not a token"))?,
            target: self.target.clone(),
            fields: fields.ok_or_else(|| malformed("a field is none"))?,
            has_body: accepted.body != Body::Length(0),
        })
    }

    /// Its head, as HTTP/1.1 has it.
    fn head(&self) -> String {
        let Self { method, authority, target, fields, .. } = self;
        let fields = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let fields: String = fields.collect();
        format!("{method} {target} HTTP/1.1\r\nhost: {authority}\r\n{fields}\r\n")
    }
}

fn field(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((name.parse().ok()?, HeaderValue::from_bytes(value.trim().as_bytes()).ok()?))
}

/// The refusal of what is no request: the deny list and the flood guard come before it, but where a
/// trusted proxy stands between.
fn not_read(pipeline: &Pipeline, conn: &ConnMeta, denial: Denial, notes: &mut Notes) -> Refusal {
    let proxies = &pipeline.clients.trusted_proxies;
    let client = proxies.view(conn.address(), &HeaderMap::new());
    if !client.by_trusted_proxy
        && let Err(refusal) = pipeline.admit_unread(&client, notes)
    {
        return refusal;
    }
    notes.note(Stage::Head, Origin::default(), || denial.reason().into_owned());
    denial.into()
}

impl Tried {
    /// What it comes to.
    pub(crate) fn word(&self) -> Word {
        match self.outcome.as_ref().map(|decision| &decision.verdict) {
            Ok(Verdict::Forward(_)) => Word::Allow,
            Ok(Verdict::Metadata(_)) => Word::Metadata,
            Ok(Verdict::Preflight(_)) => Word::Preflight,
            Ok(Verdict::Redirect(_)) => Word::Redirect,
            Ok(Verdict::Deny(_)) | Err(_) => Word::Deny,
        }
    }

    /// Why it is refused.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self.outcome.as_ref().map(|decision| &decision.verdict) {
            Ok(Verdict::Deny(refusal)) | Err(refusal) => Some(refusal),
            Ok(_) => None,
        }
    }

    /// The route, once found.
    pub(crate) fn route(&self) -> Option<&Arc<Route>> {
        self.outcome.as_ref().ok()?.route.as_ref()
    }

    /// Whether it passes as a preflight that the app answers: no rule of the route judged it.
    pub(crate) fn is_app_preflight(&self) -> bool {
        self.outcome.as_ref().is_ok_and(is_app_preflight)
    }

    /// Where the rule of a note stands.
    pub(crate) fn place(&self, note: &Note) -> String {
        note.stage.place(note.origin, &self.file)
    }

    /// The line that refused; empty where nothing did.
    pub(crate) fn rule(&self) -> String {
        match self.refusal() {
            Some(_) => self.notes.last().map(|note| self.place(note)).unwrap_or_default(),
            None => String::new(),
        }
    }

    /// All stages in their order, with those that were not asked.
    pub(crate) fn stages(&self) -> Vec<Told> {
        let last = self.notes.len().saturating_sub(1);
        let end = self.word();
        let mut told: Vec<Told> = Vec::new();
        let mut before = Stage::OF_VERDICT.iter().copied().peekable();
        for (index, note) in self.notes.iter().enumerate() {
            if Stage::OF_VERDICT.contains(&note.stage) && before.clone().any(|s| s == note.stage) {
                let passed = before.by_ref().take_while(|stage| *stage != note.stage);
                told.extend(passed.map(|stage| self.passed_over(stage)));
            }
            let decided = match end {
                Word::Deny if index == last => "refused",
                Word::Metadata | Word::Preflight | Word::Redirect if index == last => "answered",
                Word::Allow | Word::Deny | Word::Metadata | Word::Preflight | Word::Redirect => {
                    "passed"
                }
            };
            let (name, saw, rule) = (note.stage.name(), note.saw.clone(), self.place(note));
            told.push(Told { stage: name, decided, saw, rule });
        }
        told.extend(before.map(|stage| match end {
            Word::Allow => self.passed_over(stage),
            Word::Deny | Word::Metadata | Word::Preflight | Word::Redirect => Told {
                stage: stage.name(),
                decided: "not reached",
                saw: String::new(),
                rule: String::new(),
            },
        }));
        told
    }

    fn passed_over(&self, stage: Stage) -> Told {
        let decision = self.outcome.as_ref().ok();
        let public = self
            .route()
            .is_some_and(|route| matches!(route.access, portcullis_policy::Access::Public { .. }));
        let saw = match stage {
            Stage::AddressLimits => "the route has no limit by address",
            Stage::ConcurrentLimits => "the route has no limit of requests at once",
            Stage::Cors => "no preflight",
            Stage::FloodGuard => "clients.limit is not set",
            Stage::Identify | Stage::Permit if public => "public",
            Stage::Permit => "nothing is asked beyond the credential",
            Stage::Penalty => "the route has no penalty",
            Stage::PrincipalLimits => "the route has no limit by principal",
            Stage::Shape if decision.is_some_and(is_app_preflight) => "the app answers preflights",
            Stage::Transport => "it came by TLS, or in cleartext where that is served",
            Stage::Upgrade => "the route has no upgrade",
            Stage::Body
            | Stage::Client
            | Stage::Forward
            | Stage::Head
            | Stage::Host
            | Stage::Identify
            | Stage::Route
            | Stage::Shape => "",
        };
        let (saw, rule) = (saw.to_owned(), String::new());
        Told { stage: stage.name(), decided: "not asked", saw, rule }
    }
}

fn is_app_preflight(decision: &Decision) -> bool {
    matches!(&decision.verdict, Verdict::Forward(grant) if grant.is_app_preflight())
}

/// One stage, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Told {
    /// Its name.
    pub stage: &'static str,
    /// `passed`, `refused`, `answered`, `not asked` or `not reached`.
    pub decided: &'static str,
    /// What it saw, or why it was not asked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub saw: String,
    /// The line that decided.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rule: String,
}
