//! Named limits as a route uses them.

use http::{HeaderName, HeaderValue};
use portcullis_limit::{Limiter, Penalties, Slots, Standing, limit_item, policy_item};

use crate::{Origin, ReportOnly};

/// The flood guard of `clients.limit`: counts every request before anything else is looked at.
#[derive(Clone, Debug)]
pub struct FloodGuard {
    /// The counter.
    pub limiter: Limiter,
    /// The line that says it.
    pub origin: Origin,
}

/// What a limit after identification counts by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrincipalKey {
    /// The value of a claim; principals without it share one bucket.
    Claim(Vec<String>),
    /// Issuer and subject.
    Principal,
}

/// A limit that counts after identification.
#[derive(Clone, Debug)]
pub struct PrincipalLimit {
    /// The counter.
    pub limiter: Limiter,
    /// What it counts by.
    pub key: PrincipalKey,
    /// The line of the limit.
    pub origin: Origin,
    /// Where it only reports.
    pub report_only: Option<ReportOnly>,
}

/// A limit that counts by the client's address, before identification.
#[derive(Clone, Debug)]
pub struct AddressLimit {
    /// The counter.
    pub limiter: Limiter,
    /// The line of the limit.
    pub origin: Origin,
    /// Where it only reports.
    pub report_only: Option<ReportOnly>,
}

/// What wrong credentials of a client's address and the account they claim cost.
#[derive(Clone, Debug)]
pub struct PenaltyLimit {
    /// What is held against whom.
    pub penalties: Penalties,
    /// The line of the limit.
    pub origin: Origin,
    /// Whether it only reports, and until when.
    pub report_only: Option<ReportOnly>,
}

/// What a limit of requests at once counts by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotKey {
    /// The client's address.
    Address,
    /// The principal, or one of its claims.
    Principal(PrincipalKey),
}

/// A limit of requests at once. It is asked last: only what is forwarded holds a slot.
#[derive(Clone, Debug)]
pub struct ConcurrentLimit {
    /// The counter.
    pub slots: Slots,
    /// What it counts by.
    pub key: SlotKey,
    /// The line of the limit.
    pub origin: Origin,
    /// Where it only reports.
    pub report_only: Option<ReportOnly>,
}

/// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) of the limits that
/// counted a request.
pub fn fields(standings: &[(Limiter, Standing)]) -> Vec<(HeaderName, HeaderValue)> {
    if standings.is_empty() {
        return Vec::new();
    }
    let list = |item: &dyn Fn(&(Limiter, Standing)) -> String| {
        standings.iter().map(item).collect::<Vec<_>>().join(", ")
    };
    let policies = list(&|(limiter, _)| policy_item(limiter.quota()));
    let limits = list(&|(limiter, standing)| limit_item(limiter.quota(), standing));
    [("ratelimit-policy", policies), ("ratelimit", limits)]
        .into_iter()
        .filter_map(|(name, value)| {
            Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
        })
        .collect()
}
