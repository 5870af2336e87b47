//! The policies of a route: each of them must be true.

use portcullis_core::forwarded::ClientView;
use portcullis_core::{Denial, Head, Principal, Refusal};

use crate::access::{Access, Demand};
use crate::cel::{Asked, Judgement, RoutePolicy};
use crate::{Route, Stage, Trace};

/// Asks every policy of the route, in its order; the first that is not true refuses.
pub(crate) fn admit_policies<T: Trace>(
    route: &Route,
    principal: Option<&Principal>,
    head: &Head<'_>,
    client: &ClientView,
    trace: &mut T,
) -> Result<(), Refusal> {
    let Access::AnyOf(Demand { policies, .. }) = &route.access else { return Ok(()) };
    for RoutePolicy { policy, variables } in policies {
        let judgement = policy.judge(Asked { principal, head, client, variables });
        trace.note(Stage::Permit, policy.origin(), || {
            let said = match &judgement {
                Judgement::True => "true",
                Judgement::False => "false",
                Judgement::Failed(reason) => reason,
            };
            format!("policy {} `{}`: {said}", policy.name(), policy.text())
        });
        let reason = match judgement {
            Judgement::True => continue,
            Judgement::False => "it is false".into(),
            Judgement::Failed(reason) => reason.into(),
        };
        return Err(Denial::PolicyDenied { policy: policy.name().to_owned(), reason }.into());
    }
    Ok(())
}
