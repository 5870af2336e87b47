//! `telemetry`.

use http::HeaderName;

use crate::at::At;
use crate::compile::Context;
use crate::problem::{Problem, Problems};
use crate::raw::telemetry::{AccessLog, AuditLog, LogFormat, Redact, Telemetry};
use crate::read::Items;
use crate::snapshot::{LogTarget, TelemetryTerms};

impl Telemetry {
    /// Compiles the section.
    pub(super) fn compile(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<TelemetryTerms> {
        let Self { access_log, audit_log, redact } = self;
        let AccessLog { to, format } = access_log;
        let LogFormat::Json = format;
        let access_log = target(&to, &at.key("access_log").key("to"), context, problems);
        let audit_at = at.key("audit_log");
        let audit_log = match audit_log {
            Some(AuditLog { to }) => {
                let to = problems.required(&audit_at, "to", to);
                Some(to.and_then(|to| target(&to, &audit_at.key("to"), context, problems))?)
            }
            None => None,
        };
        let Redact { query, headers } = redact;
        let headers_at = at.key("redact").key("headers");
        let redact_headers = field_names(headers, &headers_at, problems);
        Some(TelemetryTerms {
            access_log: access_log?,
            audit_log,
            redact_query: query.into_vec(),
            redact_headers: redact_headers?,
        })
    }
}

/// A log file is written, not read: a change of it is no change of the configuration.
fn target(to: &str, at: &At, context: &Context<'_>, problems: &mut Problems) -> Option<LogTarget> {
    match to {
        "stderr" => Some(LogTarget::Stderr),
        "stdout" => Some(LogTarget::Stdout),
        path if path.contains('/') => {
            context.unwatched_path(at, path, problems).map(LogTarget::File)
        }
        other => {
            let problem = Problem::new(at.clone(), format!("`{other}` is no place for a log"));
            problems.push(problem.one_of(other, &["stdout", "stderr", "a path with a `/`"]));
            None
        }
    }
}

fn field_names(raw: Items<String>, at: &At, problems: &mut Problems) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut sound = true;
    for (at, text) in raw.into_at(at) {
        if let Ok(name) = HeaderName::try_from(&text) {
            names.push(name.as_str().to_owned());
        } else {
            problems.push(Problem::new(at, format!("`{text}` is not the name of a field")));
            sound = false;
        }
    }
    sound.then_some(names)
}
