//! The sections whose entries routes use by name.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderName;
use portcullis_limit::{Limiter, Penalties, Slots};
use portcullis_policy::cel::Policy;
use portcullis_policy::{CorsPolicy, FloodGuard, UpstreamSettings};

use crate::at::At;
use crate::compile::check::non_empty;
use crate::compile::issuers::IssuerTerms;
use crate::compile::limits::{Counter, Limit};
use crate::compile::names::Named;
use crate::compile::report_only::Reports;
use crate::compile::unused::note_unused;
use crate::compile::{Context, api_keys, policies, report_only};
use crate::problem::Problems;
use crate::raw::api_keys::ApiKeys;
use crate::raw::report_only as raw;
use crate::raw::{cors, issuers, limits, upstreams};
use crate::read::{Entries, Items};
use crate::snapshot::FLOOD_GUARD;

/// What is declared, by section.
pub(super) struct Sections {
    pub(super) issuers: Named<IssuerTerms>,
    /// The field that carries API keys.
    pub(super) key_field: HeaderName,
    pub(super) policies: Named<Arc<Policy>>,
    pub(super) limits: Named<Limit>,
    pub(super) cors: Named<Arc<CorsPolicy>>,
    pub(super) upstreams: Named<Arc<UpstreamSettings>>,
    /// What only reports.
    pub(super) reports: Reports,
}

/// The sections as they are written.
pub(super) struct Declared {
    pub(super) issuers: Items<issuers::Issuer>,
    pub(super) api_keys: ApiKeys,
    pub(super) policies: Entries<String>,
    pub(super) limits: Items<limits::Limit>,
    pub(super) cors: Items<cors::Cors>,
    pub(super) upstreams: Option<Items<upstreams::Upstream>>,
    pub(super) report_only: Items<raw::ReportOnly>,
}

impl Declared {
    /// Compiles the sections; entries with mistakes are declared all the same.
    pub(super) fn compile(self, context: &Context<'_>, problems: &mut Problems) -> Sections {
        note_unused(context.tree, problems);
        let Self { issuers, api_keys: keys, policies, limits, cors, upstreams, report_only } = self;
        let (root, tree) = (At::root(), context.tree);
        let mut all = Sections {
            issuers: Named::new("issuer", "issuers", tree, problems),
            key_field: api_keys::field(&keys, problems),
            policies: Named::of_keys("policy", "policies", tree),
            limits: Named::new("limit", "limits", tree, problems),
            cors: Named::new("cors policy", "cors", tree, problems),
            upstreams: Named::new("upstream", "upstreams", tree, problems),
            reports: Reports::default(),
        };
        for (at, raw) in issuers.into_at(&root.key("issuers")) {
            all.issuers.extend(raw.compile(&at, context, problems));
        }
        for (at, raw) in limits.into_at(&root.key("limits")) {
            all.limits.extend(raw.compile(&at, context, problems));
        }
        for (at, raw) in cors.into_at(&root.key("cors")) {
            all.cors.extend(raw.compile(&at, context, problems));
        }
        policies::compile(policies, &mut all.policies, context, problems);
        all.reports =
            report_only::compile(report_only, &all.limits, &all.policies, context, problems);
        all.reports.mark(&mut all.limits);
        let at = root.key("upstreams");
        let upstreams = problems.required(&root, "upstreams", upstreams);
        let upstreams = upstreams.and_then(|list| non_empty(list, &at, problems));
        for (at, raw) in upstreams.unwrap_or_default().into_at(&at) {
            all.upstreams.extend(raw.compile(&at, context, problems));
        }
        all
    }
}

impl Sections {
    /// Every counter, the flood guard's among them.
    pub(super) fn limiters(&self, flood: Option<&FloodGuard>) -> HashMap<Arc<str>, Limiter> {
        let limits = self.limits.compiled().iter();
        let named = limits.filter_map(|(name, limit)| match &limit.counter {
            Counter::Rate(limiter) => Some((Arc::clone(name), limiter.clone())),
            Counter::Slots(_) | Counter::Penalty(_) => None,
        });
        named.chain(flood.map(|guard| (FLOOD_GUARD.into(), guard.limiter.clone()))).collect()
    }

    /// Every counter of requests at once.
    pub(super) fn slots(&self) -> HashMap<Arc<str>, Slots> {
        let limits = self.limits.compiled().iter();
        let named = limits.filter_map(|(name, limit)| match &limit.counter {
            Counter::Rate(_) | Counter::Penalty(_) => None,
            Counter::Slots(slots) => Some((Arc::clone(name), slots.clone())),
        });
        named.collect()
    }

    /// Every penalty, by name of its limit.
    pub(super) fn penalties(&self) -> HashMap<Arc<str>, Penalties> {
        let limits = self.limits.compiled().iter();
        let named = limits.filter_map(|(name, limit)| match &limit.counter {
            Counter::Rate(_) | Counter::Slots(_) => None,
            Counter::Penalty(penalties) => Some((Arc::clone(name), penalties.clone())),
        });
        named.collect()
    }
}
