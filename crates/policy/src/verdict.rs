//! What comes of a decision. Nothing is forwarded without a [`Grant`], and only the pipeline makes
//! one.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use portcullis_core::{Principal, Refusal};
use portcullis_limit::{Limiter, Slot, Standing};

use crate::{Bound, CorsPolicy, Redirect, Route, UpgradeToken, WouldDeny};

/// Leave to forward one request, with who asked and to which route.
#[derive(Clone, Debug)]
pub struct Grant {
    route: Arc<Route>,
    principal: Option<Arc<Principal>>,
    preflight: bool,
    upgrade: Option<UpgradeToken>,
    /// Held as long as a copy of the grant is; `None` where no limit asks for any.
    slots: Option<Arc<[Slot]>>,
}

impl Grant {
    pub(crate) fn new(
        route: Arc<Route>,
        principal: Option<Arc<Principal>>,
        upgrade: Option<UpgradeToken>,
        slots: Vec<Slot>,
    ) -> Self {
        let slots = (!slots.is_empty()).then(|| slots.into());
        Self { route, principal, preflight: false, upgrade, slots }
    }

    pub(crate) fn for_app_preflight(route: Arc<Route>) -> Self {
        Self { route, principal: None, preflight: true, upgrade: None, slots: None }
    }

    /// The route that granted it.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Who asked; `None` on public routes and for anonymous callers.
    pub fn principal(&self) -> Option<&Arc<Principal>> {
        self.principal.as_ref()
    }

    /// What the connection may be turned into.
    pub const fn upgrade(&self) -> Option<UpgradeToken> {
        self.upgrade
    }

    /// Slots of limits of requests at once that it holds.
    pub fn slots(&self) -> usize {
        self.slots.as_ref().map_or(0, |slots| slots.len())
    }

    /// Whether it is a preflight that the app answers itself, without credentials.
    pub const fn is_app_preflight(&self) -> bool {
        self.preflight
    }
}

/// The gateway's own answer to a preflight: 204 with these fields.
#[derive(Clone, Debug)]
pub struct PreflightAnswer {
    /// Fields of the answer; none where the origin is not allowed.
    pub fields: Vec<(HeaderName, HeaderValue)>,
}

/// The outcome.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Answer with this refusal.
    Deny(Refusal),
    /// Forward, with this leave.
    Forward(Grant),
    /// Tell about the resource: 200 with this JSON document (RFC 9728).
    Metadata(String),
    /// Answer the preflight.
    Preflight(PreflightAnswer),
    /// Send the client to https.
    Redirect(Redirect),
}

/// A verdict and what was learnt on the way, for the answer's fields and for the records.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The outcome.
    pub verdict: Verdict,
    /// The route, once found.
    pub route: Option<Arc<Route>>,
    /// Who answers other origins, where the gateway does.
    pub cors: Option<Arc<CorsPolicy>>,
    /// Who asked, once identified.
    pub principal: Option<Arc<Principal>>,
    /// What the credential is bound to.
    pub bound: Bound,
    /// How the limits that counted this request stand.
    pub standings: Vec<(Limiter, Standing)>,
    /// What rules that only report would have refused it for, in the order in which they were asked.
    pub would_deny: Vec<WouldDeny>,
}
