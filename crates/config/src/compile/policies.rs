//! `policies`, and their use in routes.

use std::sync::Arc;

use http::HeaderName;
use portcullis_policy::PathVariables;
use portcullis_policy::cel::{Compiler, Mistake, Policy, RoutePolicy};

use crate::at::At;
use crate::compile::Context;
use crate::compile::check::{is_name, non_empty};
use crate::compile::names::Named;
use crate::compile::sections::Sections;
use crate::problem::{Problem, Problems};
use crate::read::{Entries, Items};
use crate::yaml::inner::inner;
use crate::yaml::tree::{Kind, Scalar, Span};

/// Most policies of a file, and most of one route.
const MOST: usize = 1000;
const MOST_OF_A_ROUTE: usize = 16;

/// Compiles the section.
pub(super) fn compile(
    raw: Entries<String>,
    into: &mut Named<Arc<Policy>>,
    context: &Context<'_>,
    problems: &mut Problems,
) {
    let at = At::root().key("policies");
    let compiler = Compiler::new(context.options.handover.clock.clone());
    for (number, (at, name, text)) in raw.into_at(&at).enumerate() {
        if number >= MOST {
            let problem = Problem::new(at, format!("more than {MOST} policies"));
            problems.push(problem.on_key());
            return;
        }
        if !is_name(&name) {
            let problem = Problem::new(at, "this name cannot be used").on_key();
            problems.push(problem.expected("1 to 64 letters, digits, `_` and `-`"));
            continue;
        }
        if is_filled_in(&at, context) {
            let problem = Problem::new(at, "a policy takes no value of the environment");
            problems.push(problem.help(
                "it would be read as a part of the rule: write the value out, or compare with a claim; \
                 a dollar sign before `{` is `$$`",
            ));
            continue;
        }
        let name: Arc<str> = name.into();
        match compiler.compile(Arc::clone(&name), &text, context.origin(&at)) {
            Ok(policy) => into.extend(Some((name, Arc::new(policy)))),
            Err(mistakes) => {
                for mistake in mistakes {
                    problems.push(problem(mistake, &at, &text, context));
                }
            }
        }
    }
}

/// Whether a reference to the environment stands in the text.
fn is_filled_in(at: &At, context: &Context<'_>) -> bool {
    let node = context.tree.find(at).node;
    matches!(&node.kind, Kind::Scalar(Scalar { written: Some(_), .. }))
}

/// The mistake at its place in the file; at the expression where that cannot be told.
fn problem(mistake: Mistake, at: &At, text: &str, context: &Context<'_>) -> Problem {
    let Mistake { at: bytes, message, expected, known, help } = mistake;
    let mut problem = Problem::new(at.clone(), message);
    if let Some((written, names)) = known {
        problem = problem.one_of(&written, &names);
    }
    if let Some(expected) = expected {
        problem = problem.expected(expected);
    }
    if let Some(help) = help {
        problem = problem.help(help);
    }
    let whole = context.tree.find(at).node.span;
    let written = context.source.text().get(whole.start..whole.end).unwrap_or_default();
    let (_, column) = context.source.position(whole);
    match inner(written, column.saturating_sub(1), text, bytes) {
        Some(within) => {
            let (start, end) = (whole.start + within.start, whole.start + within.end);
            problem.place(Span { start, end })
        }
        None => problem,
    }
}

/// What policies may not read, since clients can forge it or since it is secret.
pub(super) struct Hidden<'a> {
    /// Fields that tell apps who calls, and the one that carries keys.
    pub(super) fields: Vec<&'a HeaderName>,
    /// Parameters that carry tokens.
    pub(super) parameters: Vec<&'a str>,
}

/// Refuses policies that read what is `hidden`.
pub(super) fn check_reads(
    policies: &Named<Arc<Policy>>,
    hidden: &Hidden<'_>,
    problems: &mut Problems,
) {
    let mut all: Vec<&Arc<Policy>> = policies.compiled().values().collect();
    all.sort_by_key(|policy| policy.name());
    for policy in all {
        let mut refuse = |what: &str, name: &str| {
            let at = At::root().key("policies").key(policy.name());
            let problem = Problem::new(at, format!("no policy reads the {what} `{name}`"));
            let help = "ask `principal` or `claims` for what was made of it";
            problems.push(problem.help(help));
        };
        if let Some(field) = hidden.fields.iter().find(|field| policy.reads_header(field)) {
            refuse("field", field.as_str());
        }
        for name in &hidden.parameters {
            if policy.reads_parameter(name) {
                refuse("parameter", name);
            }
        }
    }
}

/// Compiles the list of a route. `variables` are those of its path, where that is sound.
pub(super) fn of_route(
    raw: Items<String>,
    at: &At,
    sections: &Sections,
    variables: Option<&Arc<PathVariables>>,
    problems: &mut Problems,
) -> Option<Vec<RoutePolicy>> {
    let mut sound = !problems.touch(at);
    let mut all: Vec<RoutePolicy> = Vec::new();
    for (at, name) in non_empty(raw, at, problems)?.into_at(at) {
        if all.iter().any(|one| one.policy.name() == name) {
            problems.push(Problem::new(at, format!("the policy `{name}` stands here twice")));
            sound = false;
            continue;
        }
        let (Some(policy), Some(variables)) =
            (sections.policies.find(&name, &at, problems), variables)
        else {
            sound = false;
            continue;
        };
        for variable in policy.path_variables().filter(|name| !variables.has(name)) {
            let message =
                format!("the policy reads `path.{variable}`, which the path of this route has not");
            let names: Vec<&str> = variables.names().collect();
            let problem = Problem::new(at.clone(), message);
            problems.push(if names.is_empty() {
                problem.help("the path has no variable at all: write one as `{name}`")
            } else {
                problem.one_of(variable, &names)
            });
            sound = false;
        }
        let (policy, variables) = (Arc::clone(policy), Arc::clone(variables));
        all.push(RoutePolicy { policy, variables, report_only: sections.reports.policy(&name) });
    }
    if all.len() > MOST_OF_A_ROUTE {
        let message = format!("more than {MOST_OF_A_ROUTE} policies");
        problems.push(Problem::new(at.clone(), message));
        return None;
    }
    sound.then_some(all)
}
