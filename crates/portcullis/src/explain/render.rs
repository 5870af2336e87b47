//! What `explain` prints: for people, and as JSON for programs.

use std::fmt::Write;

use portcullis_config::snapshot::Snapshot;
use portcullis_policy::{Grant, Verdict, WouldDeny};
use portcullis_proxy::Redaction;
use serde_json::{Value, json};

use crate::cli::ExplainFormat;
use crate::trial::{Trial, Tried, Word};

/// A request that was tried, ready to be shown: without secrets.
pub(super) struct Explanation<'e> {
    url: String,
    fields: Vec<(String, String)>,
    trial: &'e Trial,
    tried: &'e Tried,
    snapshot: &'e Snapshot,
    redaction: Redaction,
}

/// Of a connection that does not come about.
pub(super) fn no_handshake(format: ExplainFormat, reason: &str) -> String {
    match format {
        ExplainFormat::Json => json!({ "verdict": "deny", "handshake": reason }).to_string(),
        ExplainFormat::Text => format!("refused in the TLS handshake: {reason}"),
    }
}

impl<'e> Explanation<'e> {
    pub(super) fn new(
        url: &str,
        trial: &'e Trial,
        tried: &'e Tried,
        snapshot: &'e Snapshot,
    ) -> Self {
        let redaction = Redaction::new(
            snapshot.telemetry.redact_query.iter().map(String::as_str),
            snapshot.telemetry.redact_headers.iter().map(String::as_str),
        );
        let shown = |(name, value): &(String, String)| {
            (name.to_ascii_lowercase(), redaction.header(name, value).to_owned())
        };
        let fields = trial.fields.iter().map(shown).collect();
        Self { url: redaction.target(url), fields, trial, tried, snapshot, redaction }
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("{} {}\n", self.trial.method, self.url);
        for (name, value) in &self.fields {
            writeln!(text, "  {name}: {value}").ok();
        }
        writeln!(text).ok();
        for one in self.tried.stages() {
            let place =
                if one.rule.is_empty() { String::new() } else { format!("  [{}]", one.rule) };
            let line = format!("{:<20} {:<11} {}{place}", one.stage, one.decided, one.saw);
            writeln!(text, "{}", line.trim_end()).ok();
        }
        writeln!(text, "\n{}{}", self.outcome(), self.route()).ok();
        let reported = self.would_deny().map(|one| self.reported(one));
        for line in self.more().into_iter().chain(reported) {
            writeln!(text, "{line}").ok();
        }
        text.trim_end().to_owned()
    }

    pub(super) fn json(&self) -> String {
        let fields: Vec<Value> =
            self.fields.iter().map(|(name, value)| json!([name, value])).collect();
        let mut whole = json!({
            "request": {"method": self.trial.method, "url": self.url, "fields": fields},
            "verdict": self.tried.word().as_str(),
            "stages": self.tried.stages(),
        });
        let mut say = |name: &str, value: Value| {
            if let Some(members) = whole.as_object_mut() {
                members.insert(name.to_owned(), value);
            }
        };
        if let Some(refusal) = self.tried.refusal() {
            say("status", refusal.status().into());
            say("code", refusal.code().into());
            say("reason", refusal.reason().into());
            say("rule", self.tried.rule().into());
        }
        let reported: Vec<Value> = self.would_deny().map(|one| self.reported_json(one)).collect();
        if !reported.is_empty() {
            say("would_deny", reported.into());
        }
        if let Some(route) = self.tried.route() {
            let rule = route.origin.place(&self.snapshot.pipeline.lines.file);
            say("route", json!({ "name": &*route.name, "rule": rule }));
        }
        match self.verdict() {
            Some(Verdict::Forward(grant)) => {
                let forward = &grant.route().forward;
                let fields: Vec<&str> =
                    forward.identity.headers.iter().map(|(name, _)| name.as_str()).collect();
                let (upstream, path) = (&forward.upstream.name, self.path(grant));
                say("forward", json!({"upstream": &**upstream, "path": path, "identity": fields}));
            }
            Some(Verdict::Redirect(redirect)) => {
                say("location", self.location(redirect.location.as_bytes()).into());
            }
            Some(Verdict::Preflight(answer)) => {
                let pairs = answer.fields.iter();
                let pairs = pairs.map(|(n, v)| json!([n.as_str(), v.to_str().unwrap_or_default()]));
                say("fields", pairs.collect::<Vec<_>>().into());
            }
            Some(Verdict::Metadata(document)) => {
                say("document", serde_json::from_str(document).unwrap_or_default());
            }
            Some(Verdict::Deny(_)) | None => {}
        }
        serde_json::to_string_pretty(&whole).unwrap_or_default()
    }

    fn verdict(&self) -> Option<&Verdict> {
        self.tried.outcome.as_ref().ok().map(|decision| &decision.verdict)
    }

    fn outcome(&self) -> String {
        if let Some(refusal) = self.tried.refusal() {
            let (status, code, reason) = (refusal.status(), refusal.code(), refusal.reason());
            return format!("refused: {status} {code} ({reason})");
        }
        match (self.tried.word(), self.verdict()) {
            (_, Some(Verdict::Redirect(redirect))) => {
                format!("answered with 308 to {}", self.location(redirect.location.as_bytes()))
            }
            (Word::Metadata, _) => "metadata of the resource answered with 200".to_owned(),
            (Word::Preflight, _) => "preflight answered with 204".to_owned(),
            _ => "forwarded".to_owned(),
        }
    }

    fn route(&self) -> String {
        let Some(route) = self.tried.route() else { return String::new() };
        let place = route.origin.place(&self.snapshot.pipeline.lines.file);
        format!(", route {} [{place}]", route.name)
    }

    /// What rules on trial would have refused it for.
    fn would_deny(&self) -> impl Iterator<Item = &WouldDeny> {
        self.tried.outcome.iter().flat_map(|decision| &decision.would_deny)
    }

    fn reported(&self, one: &WouldDeny) -> String {
        let refusal = &one.refusal;
        let (status, code, reason) = (refusal.status(), refusal.code(), refusal.reason());
        let place = one.origin.place(&self.snapshot.pipeline.lines.file);
        format!("only reported: {status} {code} ({reason}) [{place}]")
    }

    /// As the access log has it.
    fn reported_json(&self, WouldDeny { refusal, origin }: &WouldDeny) -> Value {
        let rule = origin.place(&self.snapshot.pipeline.lines.file);
        json!({"code": refusal.code(), "reason": refusal.reason(), "rule": rule})
    }

    fn more(&self) -> Vec<String> {
        match self.verdict() {
            Some(Verdict::Forward(grant)) => {
                let forward = &grant.route().forward;
                let fields: Vec<&str> =
                    forward.identity.headers.iter().map(|(name, _)| name.as_str()).collect();
                let told = if fields.is_empty() { "nothing".to_owned() } else { fields.join(", ") };
                let upstream = &forward.upstream.name;
                let endpoints =
                    self.snapshot.upstreams.get(upstream).map_or(0, |u| u.endpoints.len());
                let path = self.path(grant);
                vec![
                    format!("to upstream {upstream} ({endpoints} endpoints) as {path}"),
                    format!("identity fields: {told}"),
                ]
            }
            Some(Verdict::Preflight(answer)) => {
                let line = |(name, value): &(http::HeaderName, http::HeaderValue)| {
                    format!("  {name}: {}", value.to_str().unwrap_or_default())
                };
                answer.fields.iter().map(line).collect()
            }
            Some(Verdict::Metadata(document)) => vec![format!("  {document}")],
            Some(Verdict::Deny(_) | Verdict::Redirect(_)) | None => Vec::new(),
        }
    }

    fn location(&self, location: &[u8]) -> String {
        self.redaction.target(&String::from_utf8_lossy(location))
    }

    /// The path that the app gets.
    fn path(&self, grant: &Grant) -> String {
        let stripped = grant.route().forward.strip_prefix.as_deref().unwrap_or_default();
        let path = self.tried.path.as_ref().map(ToString::to_string).unwrap_or_default();
        match path.strip_prefix(stripped) {
            None | Some("") => "/".to_owned(),
            Some(path) => path.to_owned(),
        }
    }
}
