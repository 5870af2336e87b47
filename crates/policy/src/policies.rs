//! The policies of a route: each of them must be true.

use std::borrow::Cow;

use portcullis_core::forwarded::ClientView;
use portcullis_core::{Denial, Head, Principal, Refusal};

use crate::access::{Access, Demand};
use crate::cel::{Asked, Judgement, Policy, RoutePolicy};
use crate::counting::Tally;
use crate::report::{active, refuse, told};
use crate::{Route, Stage, Trace};

/// Asks every policy of the route, in its order; the first that is not true refuses.
pub(crate) fn admit_policies<T: Trace>(
    route: &Route,
    principal: Option<&Principal>,
    head: &Head<'_>,
    client: &ClientView,
    trace: &mut T,
    tally: &mut Tally,
) -> Result<(), Refusal> {
    let Access::AnyOf(Demand { policies, .. }) = &route.access else { return Ok(()) };
    for RoutePolicy { policy, variables, report_only } in policies {
        let judgement = policy.judge(Asked { principal, head, client, variables });
        trace.judged(policy.name(), said(&judgement));
        let reason: Cow<'static, str> = match judgement {
            Judgement::True => {
                trace.note(Stage::Permit, policy.origin(), || seen(policy, "true"));
                continue;
            }
            Judgement::False => "it is false".into(),
            Judgement::Failed(reason) => reason.into(),
        };
        let report = active(report_only.as_ref());
        trace.note(Stage::Permit, policy.origin(), || told(seen(policy, &reason), report));
        let denial = Denial::PolicyDenied { policy: policy.name().to_owned(), reason };
        refuse(denial, policy.origin(), report, &mut tally.would_deny)?;
    }
    Ok(())
}

const fn said(judgement: &Judgement) -> Option<bool> {
    match judgement {
        Judgement::True => Some(true),
        Judgement::False => Some(false),
        Judgement::Failed(_) => None,
    }
}

fn seen(policy: &Policy, said: &str) -> String {
    format!("policy {} `{}`: {said}", policy.name(), policy.text())
}
