//! The last stage: what the principal may do on the route.

use portcullis_core::{
    Challenge, ChallengeError, ConnMeta, CredentialKind, Denial, Principal, Refusal, Scheme,
};

use crate::access::{Access, Demand, TokenWay};
use crate::certificates::demand;
use crate::identify::Caller;
use crate::{Route, Stage, Trace, saw};

/// Demands the certificates that are needed on top, the scopes of one way of the principal's issuer,
/// and one of the roles.
pub(crate) fn permit<T: Trace>(
    route: &Route,
    caller: Option<&Caller>,
    conn: &ConnMeta,
    trace: &mut T,
) -> Result<(), Refusal> {
    let Access::AnyOf(demanded) = &route.access else { return Ok(()) };
    let Demand { tokens, also, roles, origin, .. } = demanded;
    if let Some(first) = also.first() {
        let shown = demand(also, conn);
        trace.note(Stage::Permit, first.origin, || match &shown {
            Ok(()) => "the client's certificate is one of those asked for".to_owned(),
            Err(denial) => denial.reason().into_owned(),
        });
        shown?;
    }
    let principal = match caller {
        Some(Caller { principal, .. }) if principal.credential != CredentialKind::Certificate => {
            &**principal
        }
        Some(_) | None => return Ok(()),
    };
    let of_issuer = |way: &&TokenWay| way.issuer.settings().name == principal.issuer_name;
    let granted = tokens.iter().filter(of_issuer).find(|way| has_scopes(principal, way));
    let Some(way) = granted else {
        let first = tokens.iter().find(of_issuer);
        trace.note(Stage::Permit, first.map_or(*origin, |way| way.origin), || {
            saw::rights(principal)
        });
        let scope = first.map(|way| way.scopes.join(" ")).unwrap_or_default();
        let error = Some((Scheme::Bearer, ChallengeError::InsufficientScope));
        let challenge = Box::new(Challenge { scope, ..*demanded.challenge(error) });
        return Err(Denial::ScopeMissing { challenge }.into());
    };
    trace.note(Stage::Permit, way.origin, || saw::rights(principal));
    if roles.is_empty() || roles.iter().any(|role| principal.roles.contains(role)) {
        return Ok(());
    }
    trace.note(Stage::Permit, *origin, || saw::rights(principal));
    Err(Denial::RoleMissing { wanted: roles.clone() }.into())
}

fn has_scopes(principal: &Principal, way: &TokenWay) -> bool {
    way.scopes.iter().all(|scope| principal.scopes.contains(scope))
}
