//! `limits`.

use std::num::NonZeroU32;
use std::sync::Arc;

use portcullis_limit::{Limiter, Penalties, Quota, Slots};
use portcullis_policy::{Origin, PrincipalKey, ReportOnly};

use crate::at::At;
use crate::compile::Context;
use crate::compile::check;
use crate::compile::penalties::Asked;
use crate::problem::{Problem, Problems};
use crate::raw::limits as raw;
use crate::units::Rate;

/// Buckets that the flood guard keeps at most.
pub(super) const MAXIMUM_KEYS: usize = 100_000;

/// The most buckets a limit may keep; each takes some tens of bytes.
const MOST_KEYS: u32 = 10_000_000;

/// A compiled limit.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    pub(super) counter: Counter,
    pub(super) key: Key,
    pub(super) origin: Origin,
    /// Where it only reports.
    pub(super) report_only: Option<ReportOnly>,
}

/// What a limit counts.
#[derive(Clone, Debug)]
pub(super) enum Counter {
    /// Requests in a period.
    Rate(Limiter),
    /// Requests at once.
    Slots(Slots),
    /// Wrong credentials.
    Penalty(Penalties),
}

/// What a limit counts by.
#[derive(Clone, Debug)]
pub(super) enum Key {
    /// The client's address, before identification.
    Address,
    /// The principal, after identification.
    Principal(PrincipalKey),
}

impl raw::Limit {
    /// Compiles one limit.
    pub(super) fn compile(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<(Arc<str>, Limit)> {
        let Self { name, key, rate, burst, concurrent, penalty, maximum_keys } = self;
        let name = check::name(name, at, problems);
        let key = problems.required(at, "key", key);
        if maximum_keys.get() > MOST_KEYS {
            let message = format!("{maximum_keys} buckets would take too much memory");
            let problem = Problem::new(at.key("maximum_keys"), message);
            problems.push(problem.expected(format!("at most {MOST_KEYS}")));
            return None;
        }
        let maximum_keys = usize::try_from(maximum_keys.get()).unwrap_or(MAXIMUM_KEYS);
        if let Some(penalty) = penalty {
            let beside = [
                ("rate", rate.is_some()),
                ("burst", burst.is_some()),
                ("concurrent", concurrent.is_some()),
            ];
            let asked = Asked { key, beside, maximum_keys };
            let counter = penalty.compile(name.as_ref(), asked, at, context, problems)?;
            // The key of a penalty says both at once.
            let (key, origin) = (Key::Address, context.origin(at));
            return Some((name?, Limit { counter, key, origin, report_only: None }));
        }
        let key = key.and_then(|key| key.compile(&at.key("key"), problems));
        let amount = Amount { rate, burst, concurrent }.compile(at, problems);
        let (name, key) = (name?, key?);
        let counter = amount?.counter(&name, maximum_keys, context);
        Some((name, Limit { counter, key, origin: context.origin(at), report_only: None }))
    }
}

/// How much of what.
struct Amount {
    rate: Option<Rate>,
    burst: Option<NonZeroU32>,
    concurrent: Option<NonZeroU32>,
}

enum Allowed {
    AtOnce(NonZeroU32),
    InTime { rate: Rate, burst: NonZeroU32 },
}

impl Amount {
    fn compile(self, at: &At, problems: &mut Problems) -> Option<Allowed> {
        let Self { rate, burst, concurrent } = self;
        let Some(maximum) = concurrent else {
            let rate = problems.required(at, "rate", rate)?;
            return Some(Allowed::InTime { rate, burst: burst.unwrap_or(rate.count) });
        };
        for (key, said) in [("rate", rate.is_some()), ("burst", burst.is_some())] {
            if said {
                let message = format!("`{key}` does not go with `concurrent`");
                let problem = Problem::new(at.key(key), message);
                problems.push(problem.help("make two limits of it"));
                return None;
            }
        }
        Some(Allowed::AtOnce(maximum))
    }
}

impl Allowed {
    fn counter(self, name: &Arc<str>, maximum_keys: usize, context: &Context<'_>) -> Counter {
        let (rate, burst) = match self {
            Self::AtOnce(maximum) => {
                return Counter::Slots(slots(name, maximum, maximum_keys, context));
            }
            Self::InTime { rate, burst } => (rate, burst),
        };
        let quota = Quota {
            name: Arc::clone(name),
            count: rate.count,
            period: rate.period,
            burst,
            maximum_keys,
        };
        Counter::Rate(limiter(quota, context))
    }
}

impl raw::LimitKey {
    fn compile(self, at: &At, problems: &mut Problems) -> Option<Key> {
        Some(match self {
            Self::Address => Key::Address,
            Self::AddressAndAccount => {
                let message = "this key is that of a penalty for wrong credentials";
                let help = "give it `penalty: {}`, or count by `address` or `principal`";
                problems.push(Problem::new(at.clone(), message).help(help));
                return None;
            }
            Self::Claim(path) => {
                let path = check::texts(path, &at.key("claim"), problems)?;
                Key::Principal(PrincipalKey::Claim(path))
            }
            Self::Principal => Key::Principal(PrincipalKey::Principal),
        })
    }
}

/// The counter of `quota`, with the counts it had before a reload.
pub(super) fn limiter(quota: Quota, context: &Context<'_>) -> Limiter {
    let handover = &context.options.handover;
    match handover.limiters.get(&quota.name) {
        Some(before) => before.with_quota(quota),
        None => Limiter::new(quota, handover.clock.clone()),
    }
}

/// The slots of a limit, with those that are held across a reload.
fn slots(
    name: &Arc<str>,
    maximum: NonZeroU32,
    maximum_keys: usize,
    context: &Context<'_>,
) -> Slots {
    match context.options.handover.slots.get(name) {
        Some(before) => before.with_maximum(maximum, maximum_keys),
        None => Slots::new(Arc::clone(name), maximum, maximum_keys),
    }
}
