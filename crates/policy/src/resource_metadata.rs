//! What a client that has no token yet may learn of a resource (RFC 9728): who issues tokens for it, with
//! which scopes, and how they are bound.
//!
//! A resource is what stands before the first variable of a route's path, on one host. All routes that
//! begin there are one resource.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, header};
use portcullis_authn::dpop::ALGORITHMS;
use portcullis_authn::{Possession, ReadFrom};
use portcullis_core::{Challenge, Denial, Head, Refusal};
use serde_json::{Map, Value, json};

use crate::access::Access;
use crate::{AllowedHost, PathPattern, Route};

/// Where the metadata of all resources are (RFC 9728 §3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The resources of each entry of the allow-list, and that of each route that takes tokens.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    by_host: Vec<HashMap<Box<str>, Vec<Arc<Route>>>>,
    by_route: HashMap<Arc<str>, Box<str>>,
}

/// The metadata that are asked for, and the first route that they are about.
#[derive(Debug)]
pub(crate) struct Found<'t> {
    pub(crate) route: &'t Arc<Route>,
    routes: &'t [Arc<Route>],
    path: &'t str,
}

impl Resources {
    pub(crate) fn new(hosts: usize) -> Self {
        let by_host = std::iter::repeat_with(HashMap::new).take(hosts).collect();
        Self { by_host, by_route: HashMap::new() }
    }

    /// Notes a route that takes tokens; the others are no resource of an authorization server.
    pub(crate) fn add(&mut self, host: usize, pattern: &PathPattern, route: &Arc<Route>) {
        let takes_tokens =
            matches!(&route.access, Access::AnyOf(demand) if !demand.tokens.is_empty());
        let Some(resources) = self.by_host.get_mut(host).filter(|_| takes_tokens) else { return };
        let path: Box<str> = pattern.before_variables().into();
        let routes = resources.entry(path.clone()).or_default();
        if !routes.iter().any(|other| Arc::ptr_eq(other, route)) {
            routes.push(Arc::clone(route));
        }
        self.by_route.insert(Arc::clone(&route.name), path);
    }

    /// The resource whose metadata are at `path`; `None` where `path` is another's.
    pub(crate) fn find(&self, host: AllowedHost, path: &str) -> Option<Found<'_>> {
        let resource = path.strip_prefix(WELL_KNOWN)?;
        let (path, routes) = self.by_host.get(host.index())?.get_key_value(resource)?;
        Some(Found { route: routes.first()?, routes, path })
    }

    /// Says in the challenge of a refusal where the metadata of the route are (RFC 9728 §5.1).
    pub(crate) fn name_in(&self, refusal: &mut Refusal, route: &Route, head: &Head<'_>) {
        let Refusal::Denial(denial) = refusal else { return };
        if let Some(challenge) = challenge_of(denial)
            && let Some(path) = self.by_route.get(&route.name)
        {
            let base = base(head);
            challenge.resource_metadata = Some(format!("{base}{WELL_KNOWN}{path}"));
        }
    }
}

fn challenge_of(denial: &mut Denial) -> Option<&mut Challenge> {
    if let Denial::CredentialInvalid { challenge, .. }
    | Denial::CredentialMissing { challenge }
    | Denial::ScopeMissing { challenge } = denial
    {
        return Some(challenge);
    }
    None
}

/// Scheme and authority as the client used them.
fn base(head: &Head<'_>) -> String {
    let scheme = if head.https { "https" } else { "http" };
    format!("{scheme}://{}", head.authority)
}

impl Found<'_> {
    /// The document (RFC 9728 §2). `resource` is what the well-known part was put into to ask (§3.3).
    pub(crate) fn document(&self, head: &Head<'_>) -> Value {
        let mut issuers: Vec<&str> = Vec::new();
        let mut scopes: Vec<&str> = Vec::new();
        let mut methods: Vec<&str> = Vec::new();
        let (mut dpop, mut dpop_required, mut certificate) = (false, true, false);
        let demands = self.routes.iter().filter_map(|route| match &route.access {
            Access::AnyOf(demand) => Some(demand),
            Access::Public { .. } => None,
        });
        for way in demands.flat_map(|demand| &demand.tokens) {
            let settings = way.issuer.settings();
            add(&mut issuers, &settings.issuer);
            way.scopes.iter().for_each(|scope| add(&mut scopes, scope));
            settings.read_from.iter().filter_map(method).for_each(|one| add(&mut methods, one));
            dpop |= settings.proof.dpop != Possession::None;
            dpop_required &= settings.proof.dpop == Possession::Required;
            certificate |= settings.proof.certificate != Possession::None;
        }
        let mut document = Map::new();
        let mut say = |name: &str, value: Value| document.insert(name.to_owned(), value);
        say("resource", format!("{}{}", base(head), self.path).into());
        say("authorization_servers", json!(issuers));
        say("bearer_methods_supported", json!(methods));
        if !scopes.is_empty() {
            say("scopes_supported", json!(scopes));
        }
        if certificate {
            say("tls_client_certificate_bound_access_tokens", true.into());
        }
        if dpop {
            let algorithms: Vec<&str> = ALGORITHMS.split(' ').collect();
            say("dpop_signing_alg_values_supported", json!(algorithms));
            say("dpop_bound_access_tokens_required", dpop_required.into());
        }
        document.into()
    }
}

/// The method of RFC 6750 §2 that reads this place; a cookie is none, nor is a parameter of another
/// name.
fn method(place: &ReadFrom) -> Option<&'static str> {
    match place {
        ReadFrom::Authorization => Some("header"),
        ReadFrom::Query(name) if name == "access_token" => Some("query"),
        ReadFrom::Cookie(_) | ReadFrom::Query(_) => None,
    }
}

fn add<'a>(list: &mut Vec<&'a str>, one: &'a str) {
    if !list.contains(&one) {
        list.push(one);
    }
}

/// Methods by which the document is asked for.
pub(crate) fn is_read(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

/// What a page of any origin is told that wants to ask with fields of its own.
pub(crate) fn preflight_fields() -> Vec<(HeaderName, HeaderValue)> {
    let pairs = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    pairs.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
}
