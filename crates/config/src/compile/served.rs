//! The sections that say what is served: defaults, routes, identity.

use std::sync::Arc;

use http::HeaderName;
use portcullis_authn::ReadFrom;
use portcullis_policy::{CorsPolicy, HeaderPolicy, Route, RouteCors, RouteTable, TokenMode};

use crate::at::At;
use crate::compile::hosts::Hosts;
use crate::compile::names::Named;
use crate::compile::policies::Hidden;
use crate::compile::routes::{self, Known};
use crate::compile::sections::Sections;
use crate::compile::{Context, api_keys, identity, policies};
use crate::problem::Problems;
use crate::raw::defaults::Defaults;
use crate::raw::identity::Identity;
use crate::raw::routes as raw;
use crate::read::Items;
use crate::snapshot::{ApiKeyTerms, IdentityTerms};

/// The sections as they were read.
pub(super) struct Served {
    pub(super) defaults: Defaults,
    pub(super) identity: Identity,
    pub(super) routes: Option<Items<raw::Route>>,
}

/// The sections, compiled.
pub(super) struct ServedTerms {
    pub(super) table: RouteTable,
    pub(super) default_cors: Option<Arc<CorsPolicy>>,
    pub(super) default_headers: Arc<HeaderPolicy>,
    pub(super) identity: IdentityTerms,
    pub(super) identity_fields: Vec<HeaderName>,
    pub(super) api_keys: ApiKeyTerms,
}

impl Served {
    /// Compiles the sections. `None` where a mistake was noted.
    pub(super) fn compile(
        self,
        hosts: &Hosts,
        sections: &Sections,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<ServedTerms> {
        let Self { defaults, identity, routes } = self;
        let header = identity::header(&identity, problems);
        let default_headers = default_headers(&defaults, problems);
        let safe_headers = HeaderPolicy::default();
        let known = Known {
            hosts,
            sections,
            defaults: &defaults,
            default_headers: default_headers.as_ref().unwrap_or(&safe_headers),
            identity_header: &header,
        };
        let routes = routes::compile(routes, &known, context, problems);
        let default_cors = default_cors(&defaults, &sections.cors, problems);
        let is_used = routes.as_ref().is_some_and(|(_, routes)| routes.iter().any(wants_token));
        let identity = identity.compile(header.clone(), is_used, hosts, context, problems);
        let (table, routes) = routes?;
        let identity_fields = identity_fields(&routes, header);
        let key_field = &sections.key_field;
        check_reads(sections, &identity_fields, problems);
        let api_keys = api_keys::terms(key_field, &routes, &identity_fields, context, problems);
        Some(ServedTerms {
            table,
            default_cors: default_cors?,
            default_headers: Arc::new(default_headers?),
            identity: identity?,
            identity_fields,
            api_keys,
        })
    }
}

/// Policies read neither credentials nor what apps are told by.
fn check_reads(sections: &Sections, identity_fields: &[HeaderName], problems: &mut Problems) {
    let places =
        sections.issuers.compiled().values().flat_map(|one| &one.issuer.settings().read_from);
    let mut parameters: Vec<&str> = places
        .filter_map(|place| match place {
            ReadFrom::Query(name) => Some(&**name),
            ReadFrom::Authorization | ReadFrom::Cookie(_) => None,
        })
        .collect();
    parameters.sort_unstable();
    parameters.dedup();
    let fields = identity_fields.iter().chain([&sections.key_field]).collect();
    policies::check_reads(&sections.policies, &Hidden { fields, parameters }, problems);
}

fn default_headers(defaults: &Defaults, problems: &mut Problems) -> Option<HeaderPolicy> {
    let at = At::root().key("defaults").key("response_headers");
    defaults.response_headers.clone().compile(&at, &HeaderPolicy::default(), problems)
}

/// The outer `None` is a mistake, the inner one that nobody answers before a route was found.
#[expect(clippy::option_option, reason = "a mistake and nothing said are two things")]
fn default_cors(
    defaults: &Defaults,
    policies: &Named<Arc<CorsPolicy>>,
    problems: &mut Problems,
) -> Option<Option<Arc<CorsPolicy>>> {
    let at = At::root().key("defaults").key("cors");
    let said = defaults.cors.clone().map(|name| (at, name));
    match routes::compile_cors(said, policies, problems)? {
        RouteCors::App | RouteCors::Off => Some(None),
        RouteCors::Policy(policy) => Some(Some(policy)),
    }
}

fn wants_token(route: &Arc<Route>) -> bool {
    route.forward.identity.token == TokenMode::Signed
}

fn identity_fields(routes: &[Arc<Route>], identity_header: HeaderName) -> Vec<HeaderName> {
    let named = routes.iter().flat_map(|route| &route.forward.identity.headers);
    let mut fields: Vec<HeaderName> = named.map(|(name, _)| name.clone()).collect();
    fields.push(identity_header);
    fields.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    fields.dedup();
    fields
}
