//! What `/decisions` tells of the stages of one request.

use std::sync::Arc;

use portcullis_core::{Denial, Refusal};
use portcullis_edge::Refused;
use portcullis_policy::{Access, Origin, Pipeline, Stage, Step, Steps, Verdict, saw};
use serde::Serialize;

use crate::ctx::Ctx;

/// One stage, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StageRecord {
    /// Its name.
    pub stage: &'static str,
    /// `passed`, `refused` or `answered`.
    pub decided: &'static str,
    /// What it saw, without secrets; for refused requests alone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub saw: String,
    /// The line that decided: `FILE:LINE`, `default` where no line does.
    pub rule: String,
}

/// How a request ended, as far as stages tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// The gateway's own answer, which is no refusal.
    Answered,
    /// The app's.
    #[default]
    Forwarded,
    /// A refusal.
    Refused,
}

/// What is kept of the stages: names and lines, and of a refused request what each saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    steps: Steps,
    saw: Vec<String>,
    end: End,
    file: Arc<str>,
}

impl Kept {
    pub(crate) fn of(ctx: &Ctx) -> Self {
        let file = Arc::clone(&ctx.serving.pipeline.lines.file);
        let Some(refusal) = &ctx.refusal else {
            let end = if ctx.answered { End::Answered } else { End::Forwarded };
            return Self { steps: ctx.steps, saw: Vec::new(), end, file };
        };
        let mut steps = ctx.steps;
        if let Some(grant) = &ctx.grant {
            let route = grant.route();
            let (stage, origin) = after_the_verdict(refusal, route.body.origin, route.origin);
            steps.push(stage, origin);
        }
        let saw = steps.iter().map(|step| seen(step.stage, ctx)).collect();
        Self { steps, saw, end: End::Refused, file }.ending_with(refusal)
    }

    /// Of a request that the edge refused before it became one.
    pub(crate) fn of_edge(refused: &Refused<'_>, pipeline: &Pipeline) -> Self {
        let (stage, origin) = match &refused.refusal {
            Refusal::Denial(Denial::ClientNotAllowed) => {
                (Stage::Client, pipeline.clients.rules.origin)
            }
            Refusal::Denial(Denial::RateLimited { .. }) => {
                (Stage::FloodGuard, pipeline.flood.as_ref().map(|f| f.origin).unwrap_or_default())
            }
            Refusal::Denial(_) | Refusal::Fault(_) => (Stage::Head, Origin::default()),
        };
        let mut steps = Steps::default();
        steps.push(stage, origin);
        let file = Arc::clone(&pipeline.lines.file);
        Self { steps, saw: vec![String::new()], end: End::Refused, file }
            .ending_with(refused.refusal)
    }

    /// The stage that refused saw what the refusal says.
    fn ending_with(mut self, refusal: &Refusal) -> Self {
        if let Some(last) = self.saw.last_mut() {
            *last = refusal.reason().into_owned();
        }
        self
    }

    /// The line that refused; empty where nothing did.
    pub(crate) fn rule(&self) -> String {
        match (self.end, self.steps.last()) {
            (End::Refused, Some(step)) => step.stage.place(step.origin, &self.file),
            (End::Refused, None) => Origin::default().place(&self.file),
            (End::Answered | End::Forwarded, _) => String::new(),
        }
    }

    /// As they are told.
    pub(crate) fn told(&self) -> Vec<StageRecord> {
        let last = self.steps.iter().count().saturating_sub(1);
        let told = |(index, step): (usize, Step)| StageRecord {
            stage: step.stage.name(),
            decided: match self.end {
                End::Answered if index == last => "answered",
                End::Refused if index == last => "refused",
                End::Answered | End::Forwarded | End::Refused => "passed",
            },
            saw: self.saw.get(index).cloned().unwrap_or_default(),
            rule: step.stage.place(step.origin, &self.file),
        };
        self.steps.iter().enumerate().map(told).collect()
    }
}

/// What refuses a request that had leave: its body as it comes, or the upstream.
fn after_the_verdict(refusal: &Refusal, body: Origin, route: Origin) -> (Stage, Origin) {
    match refusal {
        Refusal::Denial(_) => (Stage::Body, body),
        Refusal::Fault(_) => (Stage::Forward, route),
    }
}

/// What a stage before the last one saw.
fn seen(stage: Stage, ctx: &Ctx) -> String {
    let on_route = ctx.request.as_ref().zip(ctx.route.as_deref());
    let text = match stage {
        Stage::Client => ctx.client.map(|address| saw::client(address, &ctx.hops)),
        Stage::Host => ctx.request.as_ref().map(|request| request.authority.to_string()),
        Stage::Route => on_route.map(|(request, route)| saw::route(request.path.as_str(), route)),
        Stage::Shape => on_route.map(|(request, route)| {
            saw::body(request.content_length, request.has_body, route.body.maximum)
        }),
        Stage::Identify => Some(identified(ctx)),
        Stage::Permit => ctx.principal.as_deref().map(saw::rights),
        Stage::AddressLimits
        | Stage::Body
        | Stage::ConcurrentLimits
        | Stage::Cors
        | Stage::FloodGuard
        | Stage::Forward
        | Stage::Head
        | Stage::Penalty
        | Stage::PrincipalLimits
        | Stage::Transport
        | Stage::Upgrade => None,
    };
    text.unwrap_or_default()
}

fn identified(ctx: &Ctx) -> String {
    match (ctx.principal.as_deref(), ctx.route.as_ref().map(|route| &route.access)) {
        (Some(principal), _) => saw::principal(principal, &ctx.bound),
        (None, Some(Access::Public { .. })) => saw::PUBLIC.to_owned(),
        (None, _) => saw::NO_CREDENTIAL.to_owned(),
    }
}

/// Whether the gateway answers by itself what it does not refuse.
pub(crate) const fn is_own_answer(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Metadata(_) | Verdict::Preflight(_) | Verdict::Redirect(_))
}
