//! `redirect_to`, `forwarded_http` and `external_port` of listeners.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::Arc;

use http::HeaderName;
use portcullis_core::forwarded::TrustedProxies;
use portcullis_policy::{ReadFrom, Role, ToHttps, Transport};

use crate::at::At;
use crate::compile::Context;
use crate::compile::issuers::IssuerTerms;
use crate::problem::{Problem, Problems};
use crate::raw::listeners::{ForwardedHttp, Listener, Protocol};
use crate::read::Items;
use crate::snapshot::ListenerPlan;

/// The port that no URL of https needs to say.
pub(super) const HTTPS: NonZeroU16 = match NonZeroU16::new(443) {
    Some(port) => port,
    None => NonZeroU16::MIN,
};

/// Names of all listeners of the file, whatever mistakes they have.
pub(super) struct Declared {
    with_tls: Vec<String>,
    without: Vec<String>,
}

impl Declared {
    pub(super) fn of(raw: &Items<Listener>) -> Self {
        let speaks_tls =
            |listener: &&Listener| !listener.cleartext && listener.redirect_to.is_none();
        let (with_tls, without): (Vec<_>, Vec<_>) = raw.iter().partition(speaks_tls);
        let names =
            |list: Vec<&Listener>| list.into_iter().filter_map(|l| l.name.clone()).collect();
        Self { with_tls: names(with_tls), without: names(without) }
    }
}

/// What the listener does with what comes in; `None` where a mistake was noted.
pub(super) fn compile(
    raw: &Listener,
    at: &At,
    declared: &Declared,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<Role> {
    let port = raw.external_port.unwrap_or(HTTPS);
    let to = |key: &str| ToHttps { port, origin: context.origin(&at.key(key)) };
    match (&raw.redirect_to, raw.forwarded_http) {
        (None, None) => {
            if raw.external_port.is_some() {
                let message = "this has no effect: nobody is sent to https by this listener";
                let problem = Problem::new(at.key("external_port"), message).on_key();
                let help = "it goes with `redirect_to`, or with `forwarded_http` behind a proxy";
                problems.push(problem.help(help));
                return None;
            }
            Some(Role::Serves)
        }
        (Some(_), Some(_)) => {
            let message = "a redirect listener serves nothing, whatever a proxy says";
            let problem = Problem::new(at.key("forwarded_http"), message).on_key();
            problems.push(problem.help("take out one of `redirect_to` and `forwarded_http`"));
            None
        }
        (Some(name), None) => {
            let sound = fits_redirect(raw, at, context, problems);
            let found = is_known(name, &at.key("redirect_to"), declared, problems);
            (sound && found).then(|| Role::Redirects(to("redirect_to")))
        }
        (None, Some(ForwardedHttp::Redirect)) => {
            if !raw.cleartext {
                let message = "a listener with TLS takes no http, whatever a proxy says";
                let problem = Problem::new(at.key("forwarded_http"), message).on_key();
                problems.push(problem.help("behind a proxy that ends TLS, say `cleartext: true`"));
                return None;
            }
            Some(Role::AsForwarded(to("forwarded_http")))
        }
    }
}

/// Notes keys that mean nothing beside `redirect_to`.
fn fits_redirect(raw: &Listener, at: &At, context: &Context<'_>, problems: &mut Problems) -> bool {
    let before = problems.len();
    if context.says(&at.key("cleartext")) {
        let message = "a redirect listener has no TLS, and serves nothing in cleartext";
        let problem = Problem::new(at.key("cleartext"), message).on_key();
        problems.push(problem.help("take out `cleartext`, or `redirect_to` to serve in cleartext"));
    }
    // With `cleartext: true` beside it the listener's own check speaks of `tls`.
    if raw.tls.is_some() && !raw.cleartext {
        let message = "a redirect listener has no TLS settings";
        problems
            .push(Problem::new(at.key("tls"), message).on_key().help("take out one of the two"));
    }
    if let Some(protocols) = &raw.protocols
        && !protocols.is_empty()
        && !protocols.iter().any(|protocol| *protocol == Protocol::Http11)
    {
        let message = "whoever has yet to be sent to https speaks http/1.1";
        let problem = Problem::new(at.key("protocols"), message);
        problems.push(problem.expected("`http/1.1` among them, or no `protocols` at all"));
    }
    problems.len() == before
}

fn is_known(name: &str, at: &At, declared: &Declared, problems: &mut Problems) -> bool {
    if declared.with_tls.iter().any(|one| one == name) {
        return true;
    }
    if declared.without.iter().any(|one| one == name) {
        let message =
            format!("the listener `{name}` has no TLS: nobody can be sent there by https");
        let problem = Problem::new(at.clone(), message);
        problems.push(match &*declared.with_tls {
            [] => problem.help("add a listener without `cleartext`: it speaks TLS"),
            names => problem.expected(format!("one with TLS: {}", names.join(", "))),
        });
        return false;
    }
    let message = format!("there is no listener with the name `{name}`");
    let problem = Problem::new(at.clone(), message);
    problems.push(match &*declared.with_tls {
        [] => problem.help("add a listener without `cleartext`: it speaks TLS"),
        names => problem.one_of(name, names),
    });
    false
}

/// Where nobody is believed, nobody could ever say that a client came by https.
pub(super) fn check_proxies(
    listeners: &[ListenerPlan],
    trusted: &TrustedProxies,
    problems: &mut Problems,
) {
    if trusted.any || !trusted.networks.is_empty() {
        return;
    }
    let root = At::root().key("listeners");
    for (index, listener) in listeners.iter().enumerate() {
        if matches!(listener.role, Role::AsForwarded(_)) {
            let at = root.index(index).key("forwarded_http");
            let message =
                "every request would be sent to https again and again: no proxy is trusted";
            let problem = Problem::new(at, message).on_key();
            problems.push(problem.help("list the proxies in `clients.trusted_proxies`"));
        }
    }
}

/// The stage of the pipeline.
pub(super) fn transport(
    listeners: &[ListenerPlan],
    issuers: &HashMap<Arc<str>, IssuerTerms>,
    key_field: Option<&HeaderName>,
) -> Transport {
    let roles = listeners.iter().map(|plan| (Arc::clone(&plan.name), plan.role));
    let mut parameters: Vec<Box<str>> = Vec::new();
    for place in issuers.values().flat_map(|terms| &terms.issuer.settings().read_from) {
        if let ReadFrom::Query(name) = place
            && !parameters.iter().any(|have| **have == **name)
        {
            parameters.push(name.as_str().into());
        }
    }
    Transport::new(roles, parameters).with_key_field(key_field.cloned())
}
