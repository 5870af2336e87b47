//! `limits` of a route.

use portcullis_policy::{
    AddressLimit, ConcurrentLimit, PenaltyLimit, PrincipalKey, PrincipalLimit, SlotKey,
};

use crate::at::At;
use crate::compile::limits::{Counter, Key, Limit};
use crate::compile::names::Named;
use crate::problem::{Problem, Problems};
use crate::read::Items;

/// The limits of a route, by when they count.
#[derive(Default)]
pub(super) struct RouteLimits {
    pub(super) by_address: Vec<AddressLimit>,
    pub(super) by_principal: Vec<PrincipalLimit>,
    pub(super) concurrent: Vec<ConcurrentLimit>,
    pub(super) penalty: Option<PenaltyLimit>,
}

impl RouteLimits {
    fn add(&mut self, Limit { counter, key, origin, report_only }: Limit) {
        match (counter, key) {
            (Counter::Rate(limiter), Key::Address) => {
                self.by_address.push(AddressLimit { limiter, origin, report_only });
            }
            (Counter::Rate(limiter), Key::Principal(key)) => {
                self.by_principal.push(PrincipalLimit { limiter, key, origin, report_only });
            }
            (Counter::Slots(slots), key) => {
                let key = match key {
                    Key::Address => SlotKey::Address,
                    Key::Principal(key) => SlotKey::Principal(key),
                };
                self.concurrent.push(ConcurrentLimit { slots, key, origin, report_only });
            }
            (Counter::Penalty(penalties), _) => {
                self.penalty = Some(PenaltyLimit { penalties, origin, report_only });
            }
        }
    }
}

/// Whose list it is.
pub(super) struct Listed<'a> {
    /// The route.
    pub(super) route: &'a At,
    /// The list: the route's own or that of `defaults`.
    pub(super) at: At,
    /// Whether the route is public, so that nobody is identified.
    pub(super) public: bool,
    /// Whether it takes tokens or API keys, which can be guessed.
    pub(super) guessable: bool,
}

/// Compiles the list of a route.
pub(super) fn compile(
    raw: Items<String>,
    listed: &Listed<'_>,
    limits: &Named<Limit>,
    problems: &mut Problems,
) -> Option<RouteLimits> {
    let mut all = RouteLimits::default();
    let mut seen: Vec<String> = Vec::new();
    let mut sound = !problems.touch(&listed.at);
    for (at, name) in raw.into_at(&listed.at) {
        if seen.contains(&name) {
            problems.push(Problem::new(at, format!("`{name}` would count twice")));
            sound = false;
            continue;
        }
        let Some(limit) = limits.find(&name, &at, problems).cloned() else {
            sound = false;
            continue;
        };
        if let Some(problem) = unfit_penalty(&name, &limit, &all, &at, listed) {
            problems.push(problem);
            sound = false;
            continue;
        }
        match &limit.key {
            Key::Principal(key) if listed.public => {
                problems.push(on_public(&name, key, at, listed));
                sound = false;
            }
            Key::Address | Key::Principal(_) => all.add(limit),
        }
        seen.push(name);
    }
    sound.then_some(all)
}

/// What is wrong with a penalty in the list.
fn unfit_penalty(
    name: &str,
    limit: &Limit,
    before: &RouteLimits,
    at: &At,
    listed: &Listed<'_>,
) -> Option<Problem> {
    let Counter::Penalty(_) = &limit.counter else { return None };
    if before.penalty.is_some() {
        let message = format!("`{name}` is the second penalty of the route");
        return Some(Problem::new(at.clone(), message).help("one penalty counts all failures"));
    }
    if listed.guessable {
        return None;
    }
    let message = format!("`{name}` is a penalty, but the route takes neither tokens nor API keys");
    if at.is_within(listed.route) {
        return Some(Problem::new(at.clone(), message).help("take it out of the list"));
    }
    let help = "the list is that of `defaults`: give this route `limits` of its own";
    Some(Problem::new(listed.route.key("access"), message).help(help))
}

fn on_public(name: &str, key: &PrincipalKey, at: At, listed: &Listed<'_>) -> Problem {
    let by = match key {
        PrincipalKey::Claim(_) => "a claim",
        PrincipalKey::Principal => "the principal",
    };
    let message = format!("`{name}` counts by {by}, but nobody is identified on a public route");
    if at.is_within(listed.route) {
        return Problem::new(at, message).help("use a limit by address");
    }
    let help = "the list is that of `defaults`: give this route `limits` of its own";
    Problem::new(listed.route.key("access"), message).help(help)
}
