//! The stages that count: by address, by principal or claim, and what is served at once.

use portcullis_core::{Denial, Principal, Refusal};
use portcullis_limit::{Limiter, Outcome, Slot, Standing};

use crate::report::{active, refuse, told};
use crate::{
    AddressLimit, Origin, PrincipalKey, PrincipalLimit, ReportOnly, Route, SlotKey, Stage, Trace,
    WouldDeny,
};

/// How the limits that counted a request stand.
pub(crate) type Standings = Vec<(Limiter, Standing)>;

/// What limits and other rules noted of a request.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How the limits that counted it stand; without those that only report.
    pub(crate) standings: Standings,
    /// Refusals that were not given.
    pub(crate) would_deny: Vec<WouldDeny>,
}

pub(crate) fn admit_address_limits<T: Trace>(
    route: &Route,
    key: &[u8],
    trace: &mut T,
    tally: &mut Tally,
) -> Result<(), Refusal> {
    for AddressLimit { limiter, origin, report_only } in &route.address_limits {
        let rule = Rule { limiter, origin: *origin, report: active(report_only.as_ref()) };
        count(rule, key, Stage::AddressLimits, trace, tally)?;
    }
    Ok(())
}

pub(crate) fn admit_principal_limits<T: Trace>(
    route: &Route,
    principal: Option<&Principal>,
    trace: &mut T,
    tally: &mut Tally,
) -> Result<(), Refusal> {
    for PrincipalLimit { limiter, key, origin, report_only } in &route.principal_limits {
        let key = principal_key(key, principal);
        let rule = Rule { limiter, origin: *origin, report: active(report_only.as_ref()) };
        count(rule, &key, Stage::PrincipalLimits, trace, tally)?;
    }
    Ok(())
}

pub(crate) fn admit_concurrent_limits<T: Trace>(
    route: &Route,
    key: &[u8],
    principal: Option<&Principal>,
    trace: &mut T,
    tally: &mut Tally,
) -> Result<Vec<Slot>, Refusal> {
    let mut held = Vec::new();
    for limit in &route.concurrent_limits {
        let name = limit.slots.name();
        let slot = match &limit.key {
            SlotKey::Address => limit.slots.take(key),
            SlotKey::Principal(by) => limit.slots.take(&principal_key(by, principal)),
        };
        let Some(slot) = slot else {
            let report = active(limit.report_only.as_ref());
            let seen = || told(format!("{name}: all slots are held"), report);
            trace.note(Stage::ConcurrentLimits, limit.origin, seen);
            let denial = Denial::ConcurrencyLimited { limit: name.to_string() };
            refuse(denial, limit.origin, report, &mut tally.would_deny)?;
            continue;
        };
        trace.note(Stage::ConcurrentLimits, limit.origin, || format!("{name}: a slot is free"));
        held.push(slot);
    }
    Ok(held)
}

/// Anonymous callers, and principals without the claim, share one bucket.
fn principal_key(key: &PrincipalKey, principal: Option<&Principal>) -> Vec<u8> {
    let Some(principal) = principal else { return Vec::new() };
    match key {
        PrincipalKey::Claim(path) => match principal.claim(path) {
            Some(serde_json::Value::String(text)) => [b"s", text.as_bytes()].concat(),
            Some(value) => [b"v", value.to_string().as_bytes()].concat(),
            None => Vec::new(),
        },
        PrincipalKey::Principal => {
            [principal.issuer.as_bytes(), b"\0", principal.subject.as_bytes()].concat()
        }
    }
}

/// A limit at work.
#[derive(Clone, Copy)]
struct Rule<'r> {
    limiter: &'r Limiter,
    origin: Origin,
    /// Where it only reports.
    report: Option<&'r ReportOnly>,
}

fn count<T: Trace>(
    rule: Rule<'_>,
    key: &[u8],
    stage: Stage,
    trace: &mut T,
    tally: &mut Tally,
) -> Result<(), Refusal> {
    let Rule { limiter, origin, report } = rule;
    let name = &limiter.quota().name;
    let (standing, refused) = match limiter.admit(key) {
        Outcome::Admitted(standing) => (standing, None),
        Outcome::Refused { retry_after } => {
            (Standing { remaining: 0, reset: retry_after }, Some(retry_after))
        }
    };
    if report.is_none() {
        tally.standings.push((limiter.clone(), standing));
    }
    let Some(retry_after) = refused else {
        trace.note(stage, origin, || format!("{name}: {}", left(&standing)));
        return Ok(());
    };
    trace.note(stage, origin, || told(format!("{name}: used up"), report));
    let denial = Denial::RateLimited { limit: name.to_string(), retry_after };
    refuse(denial, origin, report, &mut tally.would_deny)
}

pub(crate) fn left(standing: &Standing) -> String {
    format!("{} left", standing.remaining)
}
