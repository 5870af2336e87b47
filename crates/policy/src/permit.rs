//! The last stage: what the principal may do on the route.

use portcullis_core::{
    Challenge, ChallengeError, ConnMeta, CredentialKind, Denial, Principal, Refusal, Scheme,
};

use crate::access::{Access, Demand, TokenWay};
use crate::certificates::demand;
use crate::identify::Caller;
use crate::{Bound, Origin, Route, Stage, Trace, saw};

/// Demands the certificates that are needed on top, the scopes of one way of the principal's kind of
/// credential, and one of the roles.
pub(crate) fn permit<T: Trace>(
    route: &Route,
    caller: Option<&Caller>,
    conn: &ConnMeta,
    trace: &mut T,
) -> Result<(), Refusal> {
    let Access::AnyOf(demanded) = &route.access else { return Ok(()) };
    let Demand { also, roles, .. } = demanded;
    if let Some(first) = also.first() {
        let shown = demand(also, conn);
        trace.note(Stage::Permit, first.origin, || match &shown {
            Ok(()) => "the client's certificate is one of those asked for".to_owned(),
            Err(denial) => denial.reason().into_owned(),
        });
        shown?;
    }
    let Some(Caller { principal, bound, .. }) = caller else { return Ok(()) };
    let origin = match principal.credential {
        CredentialKind::Certificate => return Ok(()),
        CredentialKind::ApiKey => scopes_of_key(demanded, principal, trace)?,
        CredentialKind::Token => scopes_of_token(demanded, principal, bound, trace)?,
    };
    trace.note(Stage::Permit, origin, || saw::rights(principal));
    if roles.is_empty() || roles.iter().any(|role| principal.roles.contains(role)) {
        return Ok(());
    }
    trace.note(Stage::Permit, demanded.origin, || saw::rights(principal));
    Err(Denial::RoleMissing { wanted: roles.clone() }.into())
}

/// The line of the entry whose scopes the token has.
fn scopes_of_token<T: Trace>(
    demanded: &Demand,
    principal: &Principal,
    bound: &Bound,
    trace: &mut T,
) -> Result<Origin, Refusal> {
    let Demand { tokens, origin, .. } = demanded;
    let of_issuer = |way: &&TokenWay| way.issuer.settings().name == principal.issuer_name;
    let granted = tokens.iter().filter(of_issuer).find(|way| has_scopes(principal, &way.scopes));
    if let Some(way) = granted {
        return Ok(way.origin);
    }
    let first = tokens.iter().find(of_issuer);
    note_scopes(principal, first.map_or(*origin, |way| way.origin), trace);
    let scope = first.map(|way| way.scopes.join(" ")).unwrap_or_default();
    let scheme = if bound.key { Scheme::Dpop } else { Scheme::Bearer };
    let error = Some((scheme, ChallengeError::InsufficientScope));
    let challenge = Box::new(Challenge { scope, ..*demanded.challenge(error) });
    Err(Denial::ScopeMissing { challenge }.into())
}

/// The line of the entry whose scopes the key has.
fn scopes_of_key<T: Trace>(
    demanded: &Demand,
    principal: &Principal,
    trace: &mut T,
) -> Result<Origin, Refusal> {
    let way = demanded.api_keys.as_deref();
    if let Some(way) = way.filter(|way| has_scopes(principal, &way.scopes)) {
        return Ok(way.origin);
    }
    note_scopes(principal, way.map_or(demanded.origin, |way| way.origin), trace);
    let error = Some((Scheme::ApiKey, ChallengeError::InsufficientScope));
    Err(Denial::ScopeMissing { challenge: demanded.challenge(error) }.into())
}

fn note_scopes<T: Trace>(principal: &Principal, origin: Origin, trace: &mut T) {
    trace.note(Stage::Permit, origin, || saw::rights(principal));
}

fn has_scopes(principal: &Principal, scopes: &[String]) -> bool {
    scopes.iter().all(|scope| principal.scopes.contains(scope))
}
