//! The last stage: what the principal may do on the route.

use portcullis_core::{Challenge, ChallengeError, ConnMeta, Denial, Principal, Refusal};

use crate::access::{Access, Way};
use crate::certificates::demand;
use crate::identify::Caller;
use crate::{Route, Stage, Trace};

/// Demands the certificates that are needed on top, the scopes of one way of the principal's issuer,
/// and one of the roles.
pub(crate) fn permit<T: Trace>(
    route: &Route,
    caller: Option<&Caller>,
    conn: &ConnMeta,
    trace: &mut T,
) -> Result<(), Refusal> {
    let Access::AnyOf { ways, also, roles, origin, .. } = &route.access else { return Ok(()) };
    if let Some(first) = also.first() {
        let demanded = demand(also, conn);
        trace.note(Stage::Permit, first.origin, || match &demanded {
            Ok(()) => "the client's certificate is one of those asked for".to_owned(),
            Err(denial) => denial.reason().into_owned(),
        });
        demanded?;
    }
    let Some(Caller { principal, by_certificate: false, .. }) = caller else { return Ok(()) };
    let principal = &**principal;
    let of_issuer = |way: &&Way| way.issuer.settings().name == principal.issuer_name;
    let granted = ways.iter().filter(of_issuer).find(|way| has_scopes(principal, way));
    let Some(way) = granted else {
        let first = ways.iter().find(of_issuer);
        trace.note(Stage::Permit, first.map_or(*origin, |way| way.origin), || {
            format!("scopes {}", principal.scopes.join(" "))
        });
        let scope = first.map(|way| way.scopes.join(" ")).unwrap_or_default();
        let error = Some(ChallengeError::InsufficientScope);
        return Err(Denial::ScopeMissing { challenge: Challenge { error, scope } }.into());
    };
    trace.note(Stage::Permit, way.origin, || {
        let (scopes, roles) = (principal.scopes.join(" "), principal.roles.join(", "));
        format!("scopes [{scopes}], roles [{roles}]")
    });
    if roles.is_empty() || roles.iter().any(|role| principal.roles.contains(role)) {
        return Ok(());
    }
    Err(Denial::RoleMissing { wanted: roles.clone() }.into())
}

fn has_scopes(principal: &Principal, way: &Way) -> bool {
    way.scopes.iter().all(|scope| principal.scopes.contains(scope))
}
