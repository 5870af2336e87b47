//! Rules about listeners.

use crate::advice::facts::{Facts, named};
use crate::advice::rule::{Found, Reference, Rule, Severity};
use crate::raw::clients::TrustedProxies;
use crate::snapshot::ListenAddress;

/// The rules.
pub(super) const RULES: &[Rule] = &[
    Rule {
        number: "A011",
        name: "redirect-to-other-port",
        severity: Severity::Low,
        title: "Clients are sent to a port where nothing may be",
        why: "clients are sent to port 443, where this listener is only found if something forwards it",
        fix: "set `external_port` to the port that clients reach https on, 443 if that is it",
        references: &[Reference::Rfc(9110, "4.2.2")],
        find: redirects,
    },
    Rule {
        number: "A034",
        name: "cleartext-listener",
        severity: Severity::High,
        title: "Requests are taken in cleartext from other machines",
        why: "whoever is on the way reads and changes everything, tokens among it, and nothing in the file \
              says that a proxy ends TLS before",
        fix: "give the listener TLS; or listen on loopback or a unix socket; or name the proxies that end TLS \
              in `clients.trusted_proxies`, best with `forwarded_http: redirect`",
        references: &[Reference::Asvs("12.2.1"), Reference::Rfc(6750, "5.3"), Reference::Api(8)],
        find: cleartext,
    },
];

fn redirects(facts: &Facts<'_>, found: &mut Found) {
    for (at, listener) in facts.listeners() {
        let says_port = listener.external_port.is_some();
        let Some(name) = listener.redirect_to.as_deref().filter(|_| !says_port) else { continue };
        let target = facts.snapshot.listeners.iter().find(|plan| *plan.name == *name);
        if let Some(ListenAddress::Tcp(address)) = target.map(|plan| &plan.address)
            && !matches!(address.port(), 0 | 443)
        {
            let message = format!("the listener `{name}` is on port {}", address.port());
            found.note(at.key("redirect_to"), message);
        }
    }
}

fn cleartext(facts: &Facts<'_>, found: &mut Found) {
    let proxies = match &facts.file.clients.trusted_proxies {
        TrustedProxies::Any(_) => true,
        TrustedProxies::Networks(networks) => !networks.is_empty(),
    };
    if proxies {
        return;
    }
    for (at, listener) in facts.listeners().filter(|(_, listener)| listener.cleartext) {
        let name = named(listener.name.as_ref());
        let plan = facts.snapshot.listeners.iter().find(|plan| *plan.name == *name);
        if let Some(ListenAddress::Tcp(address)) = plan.map(|plan| &plan.address)
            && !address.ip().is_loopback()
        {
            let message = format!("the listener `{name}` takes cleartext on {address}");
            found.note(at.key("cleartext"), message);
        }
    }
}
