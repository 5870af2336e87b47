//! `limits`.

use std::sync::Arc;

use portcullis_limit::{Limiter, Quota};
use portcullis_policy::{Origin, PrincipalKey};

use crate::at::At;
use crate::compile::Context;
use crate::compile::check;
use crate::problem::{Problem, Problems};
use crate::raw::limits as raw;

/// Buckets that the flood guard keeps at most.
pub(super) const MAXIMUM_KEYS: usize = 100_000;

/// The most buckets a limit may keep; each takes some tens of bytes.
const MOST_KEYS: u32 = 10_000_000;

/// A compiled limit.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    pub(super) limiter: Limiter,
    pub(super) key: Key,
    pub(super) origin: Origin,
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
        let Self { name, key, rate, burst, maximum_keys } = self;
        let name = check::name(name, at, problems);
        let key = problems.required(at, "key", key);
        let key = key.and_then(|key| key.compile(&at.key("key"), problems));
        let rate = problems.required(at, "rate", rate);
        if maximum_keys.get() > MOST_KEYS {
            let message = format!("{maximum_keys} buckets would take too much memory");
            let problem = Problem::new(at.key("maximum_keys"), message);
            problems.push(problem.expected(format!("at most {MOST_KEYS}")));
            return None;
        }
        let (name, key, rate) = (name?, key?, rate?);
        let quota = Quota {
            name: Arc::clone(&name),
            count: rate.count,
            period: rate.period,
            burst: burst.unwrap_or(rate.count),
            maximum_keys: usize::try_from(maximum_keys.get()).unwrap_or(MAXIMUM_KEYS),
        };
        let limit = Limit { limiter: limiter(quota, context), key, origin: context.origin(at) };
        Some((name, limit))
    }
}

impl raw::LimitKey {
    fn compile(self, at: &At, problems: &mut Problems) -> Option<Key> {
        Some(match self {
            Self::Address => Key::Address,
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
