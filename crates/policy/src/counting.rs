//! The stages that count: by address, by principal or claim, and what is served at once.

use portcullis_core::{Denial, Principal, Refusal};
use portcullis_limit::{Limiter, Outcome, Slot, Standing};

use crate::{Origin, PrincipalKey, Route, SlotKey, Stage, Trace};

/// How the limits that counted a request stand.
pub(crate) type Standings = Vec<(Limiter, Standing)>;

pub(crate) fn admit_address_limits<T: Trace>(
    route: &Route,
    key: &[u8],
    trace: &mut T,
    standings: &mut Standings,
) -> Result<(), Refusal> {
    for limit in &route.address_limits {
        count(&limit.limiter, key, Stage::AddressLimits, limit.origin, trace, standings)?;
    }
    Ok(())
}

pub(crate) fn admit_principal_limits<T: Trace>(
    route: &Route,
    principal: Option<&Principal>,
    trace: &mut T,
    standings: &mut Standings,
) -> Result<(), Refusal> {
    for limit in &route.principal_limits {
        let key = principal_key(&limit.key, principal);
        count(&limit.limiter, &key, Stage::PrincipalLimits, limit.origin, trace, standings)?;
    }
    Ok(())
}

pub(crate) fn admit_concurrent_limits<T: Trace>(
    route: &Route,
    key: &[u8],
    principal: Option<&Principal>,
    trace: &mut T,
) -> Result<Vec<Slot>, Refusal> {
    let mut held = Vec::new();
    for limit in &route.concurrent_limits {
        let name = limit.slots.name();
        let slot = match &limit.key {
            SlotKey::Address => limit.slots.take(key),
            SlotKey::Principal(by) => limit.slots.take(&principal_key(by, principal)),
        };
        let taken = slot.is_some();
        trace.note(Stage::ConcurrentLimits, limit.origin, || {
            format!("{name}: {}", if taken { "a slot is free" } else { "all slots are held" })
        });
        let Some(slot) = slot else {
            return Err(Denial::ConcurrencyLimited { limit: name.to_string() }.into());
        };
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

fn count<T: Trace>(
    limiter: &Limiter,
    key: &[u8],
    stage: Stage,
    origin: Origin,
    trace: &mut T,
    standings: &mut Standings,
) -> Result<(), Refusal> {
    let name = &limiter.quota().name;
    match limiter.admit(key) {
        Outcome::Admitted(standing) => {
            trace.note(stage, origin, || format!("{name}: {}", left(&standing)));
            standings.push((limiter.clone(), standing));
            Ok(())
        }
        Outcome::Refused { retry_after } => {
            trace.note(stage, origin, || format!("{name}: used up"));
            let standing = Standing { remaining: 0, reset: retry_after };
            standings.push((limiter.clone(), standing));
            Err(Denial::RateLimited { limit: name.to_string(), retry_after }.into())
        }
    }
}

pub(crate) fn left(standing: &Standing) -> String {
    format!("{} left", standing.remaining)
}
