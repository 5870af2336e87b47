//! Who calls a route: after the penalty for wrong credentials, by the one credential that counts, or
//! nobody in particular.

use portcullis_core::forwarded::ClientView;
use portcullis_core::{ConnMeta, Denial, Head, Refusal};

use crate::access::{Access, CertificateWay};
use crate::certificates::shown;
use crate::identify::{Caller, find, identify, missing};
use crate::{Route, Stage, Trace, WouldDeny, penalty, saw};

/// Asks the penalty of the route, and then who calls.
pub(crate) async fn identify_caller<T: Trace>(
    route: &Route,
    head: &Head<'_>,
    (conn, client): (&ConnMeta, &ClientView),
    (key, would_deny): (&[u8], &mut Vec<WouldDeny>),
    trace: &mut T,
) -> Result<Option<Caller>, Refusal> {
    let demand = match &route.access {
        Access::AnyOf(demand) => demand,
        Access::Public { origin } => {
            trace.note(Stage::Identify, *origin, || saw::PUBLIC.to_owned());
            return Ok(None);
        }
    };
    let found = find(demand, head);
    let sent = found.as_ref().ok().and_then(Option::as_ref);
    let watched = penalty::admit(route.penalty.as_ref(), sent, key, would_deny, trace)?;
    let identified = match &found {
        Ok(sent) => identify(demand, sent.as_ref(), head, conn, client).await,
        Err(denial) => Err(denial.clone().into()),
    };
    let identified = penalty::settle(watched.as_ref(), identified);
    trace.note(Stage::Identify, demand.origin, || match &identified {
        Ok(Some(Caller { principal, bound, .. })) => saw::principal(principal, bound),
        Ok(None) => saw::NO_CREDENTIAL.to_owned(),
        Err(refusal) => refusal.reason().into_owned(),
    });
    match identified? {
        // Whoever shows a certificate is somebody, though not one of those who may come.
        None if demand.anonymous && is_somebody(&demand.certificates, conn) => {
            Err(Denial::CertificateNotAllowed.into())
        }
        None if !demand.anonymous => Err(missing(demand, conn).into()),
        caller => Ok(caller),
    }
}

fn is_somebody(certificates: &[CertificateWay], conn: &ConnMeta) -> bool {
    !certificates.is_empty() && shown(conn).is_some()
}
