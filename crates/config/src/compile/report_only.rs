//! `report_only`.

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::Timestamp;
use portcullis_policy::{BodyRules, ReportOnly, Route};

use crate::at::At;
use crate::compile::Context;
use crate::compile::check::non_empty;
use crate::compile::limits::Limit;
use crate::compile::names::Named;
use crate::problem::{Problem, Problems};
use crate::raw::report_only as raw;
use crate::read::Items;
use crate::snapshot::Trial;
use crate::yaml::tree::Node;

/// Which rules only report, by what they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports {
    limits: Vec<(String, ReportOnly)>,
    policies: Vec<(String, ReportOnly)>,
    requests: Vec<(String, ReportOnly)>,
    pub(super) trials: Vec<Trial>,
}

impl Reports {
    /// Whether the policy `name` only reports.
    pub(super) fn policy(&self, name: &str) -> Option<ReportOnly> {
        find(&self.policies, name)
    }

    /// The route, of which `request.body` may only report.
    pub(super) fn on_trial(&self, route: Route) -> Route {
        let report_only = find(&self.requests, &route.name);
        Route { body: BodyRules { report_only, ..route.body }, ..route }
    }

    /// Tells the limits of it.
    pub(super) fn mark(&self, limits: &mut Named<Limit>) {
        for (name, report) in &self.limits {
            limits.change(name, |limit| limit.report_only = Some(report.clone()));
        }
    }
}

fn find(all: &[(String, ReportOnly)], name: &str) -> Option<ReportOnly> {
    all.iter().find(|(known, _)| known == name).map(|(_, report)| report.clone())
}

/// Compiles the section. What is named must be there, and only once.
pub(super) fn compile<P>(
    raw: Items<raw::ReportOnly>,
    limits: &Named<Limit>,
    policies: &Named<Arc<P>>,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Reports {
    let mut all = Reports::default();
    let routes = Named::<()>::of_routes(context.tree);
    for (at, entry) in raw.into_at(&At::root().key("report_only")) {
        let raw::ReportOnly { limits: of_limits, policies: of_policies, requests, until } = entry;
        if of_limits.is_none()
            && of_policies.is_none()
            && requests.is_none()
            && !problems.touch(&at)
        {
            let problem = Problem::new(at.clone(), "nothing is named that only reports");
            problems.push(problem.expected("`limits`, `policies` or `requests`"));
        }
        let until = problems.required(&at, "until", until);
        let until = until.and_then(|text| time(&text, &at.key("until"), problems));
        let mut names = |key: &str, list: Option<Items<String>>, check: Check<'_>| {
            let at = at.key(key);
            let list = list.and_then(|list| non_empty(list, &at, problems));
            let named = list.unwrap_or_default().into_at(&at);
            named.filter(|(at, name)| check(name, at, problems)).map(|(_, name)| name).collect()
        };
        let limits =
            names("limits", of_limits, &|name, at, problems| limits.declares(name, at, problems));
        let policies = names("policies", of_policies, &|name, at, problems| {
            policies.declares(name, at, problems)
        });
        let requests =
            names("requests", requests, &|name, at, problems| routes.declares(name, at, problems));
        let Some(until) = until else { continue };
        let ended = until <= context.now();
        let trial = Trial { limits, policies, requests, until, ended };
        all.add(trial, &at, context, problems);
    }
    all
}

type Check<'c> = &'c dyn Fn(&str, &At, &mut Problems) -> bool;

impl Reports {
    fn add(&mut self, trial: Trial, at: &At, context: &Context<'_>, problems: &mut Problems) {
        let clock = context.options.handover.clock.clone();
        let report = ReportOnly { until: trial.until, clock };
        let lists = [
            ("limits", &trial.limits, &mut self.limits),
            ("policies", &trial.policies, &mut self.policies),
            ("requests", &trial.requests, &mut self.requests),
        ];
        for (key, names, all) in lists {
            for name in names {
                not_twice(find(all, name).is_some(), name, &at.key(key), problems);
                all.push((name.clone(), report.clone()));
            }
        }
        self.trials.push(trial);
    }
}

fn not_twice(is_known: bool, name: &str, at: &At, problems: &mut Problems) {
    if is_known {
        let message = format!("`{name}` stands in `report_only` twice");
        problems.push(Problem::new(at.clone(), message));
    }
}

/// The end of a date, or a time.
fn time(text: &str, at: &At, problems: &mut Problems) -> Option<Timestamp> {
    let day = || {
        let is_date = text.len() == "2027-01-31".len();
        let begins = is_date.then(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")))??;
        Some(begins.plus(Duration::from_hours(24)))
    };
    let time = day().or_else(|| Timestamp::parse_rfc3339(text));
    if time.is_none() {
        let problem = Problem::new(at.clone(), format!("`{text}` is no date"));
        problems.push(problem.expected("a date such as `2027-01-31`, or a time (RFC 3339)"));
    }
    time
}

impl Named<()> {
    /// The names of all routes, whatever is wrong with them otherwise.
    fn of_routes(tree: &Node) -> Self {
        let items = tree.get("routes").map(Node::items).unwrap_or_default();
        let names = items.iter().filter_map(|item| item.get("name").and_then(Node::text));
        Self::declaring("route", names.map(str::to_owned).collect())
    }
}
