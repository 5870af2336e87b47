//! Rules about clients' addresses.

use ipnet::IpNet;

use crate::advice::facts::Facts;
use crate::advice::places::is_too_wide;
use crate::advice::rule::{Found, Reference, Rule, Severity};
use crate::at::At;
use crate::raw::clients::TrustedProxies;
use crate::raw::network::Network;
use crate::read::Items;

/// The rules.
pub(super) const RULES: &[Rule] = &[
    Rule {
        number: "A002",
        name: "any-proxy-trusted",
        severity: Severity::High,
        title: "Every peer is believed about the client's address",
        why: "every client can choose its own address, and with it its limits and rules",
        fix: "list the networks of the proxies in `trusted_proxies`",
        references: &[Reference::Asvs("15.3.4"), Reference::Rfc(7239, "8.1")],
        find: any_proxy,
    },
    Rule {
        number: "A025",
        name: "wide-trusted-proxies",
        severity: Severity::High,
        title: "Strangers are among the trusted proxies",
        why: "whoever has an address in so large a part of the internet can choose the address that limits \
              and rules see",
        fix: "list the networks that the proxies really have",
        references: &[Reference::Asvs("15.3.4"), Reference::Rfc(7239, "8.1")],
        find: wide_proxies,
    },
    Rule {
        number: "A026",
        name: "wide-proxy-protocol",
        severity: Severity::High,
        title: "Strangers may announce their address themselves",
        why: "whoever has an address in so large a part of the internet can send a PROXY header, and so \
              choose the address that limits and rules see",
        fix: "list the networks that the balancers really have",
        references: &[Reference::Asvs("15.3.4")],
        find: wide_proxy_protocol,
    },
    Rule {
        number: "A027",
        name: "allow-everybody",
        severity: Severity::Low,
        title: "An allow-list has every address on it",
        why: "`allow` reads as a bound and is none",
        fix: "list the networks that may come, or take `allow` out",
        references: &[Reference::Api(8)],
        find: allow_everybody,
    },
    Rule {
        number: "A028",
        name: "narrow-ipv6-client",
        severity: Severity::Low,
        title: "One IPv6 client counts as many",
        why: "every network has at least 64 bits of addresses for its hosts: a client that changes among them \
              meets no limit by address",
        fix: "leave `ipv6_prefix` at 64, or set it to what providers give a customer, 56 or 48",
        references: &[Reference::Rfc(4291, "2.5.1"), Reference::Api(4)],
        find: narrow_ipv6,
    },
];

/// The longest prefix that one network of hosts has.
const INTERFACE_PREFIX: u8 = 64;

fn any_proxy(facts: &Facts<'_>, found: &mut Found) {
    if matches!(facts.file.clients.trusted_proxies, TrustedProxies::Any(_)) {
        let at = At::root().key("clients").key("trusted_proxies");
        found.note(at, "every peer is believed about the client's address");
    }
}

fn wide_proxies(facts: &Facts<'_>, found: &mut Found) {
    let TrustedProxies::Networks(networks) = &facts.file.clients.trusted_proxies else { return };
    let at = At::root().key("clients").key("trusted_proxies");
    for (at, Network(network)) in networks.at(&at).filter(|(_, network)| is_too_wide(network.0)) {
        found.note(at, format!("{} trusted", share(*network)));
    }
}

fn wide_proxy_protocol(facts: &Facts<'_>, found: &mut Found) {
    for (at, listener) in facts.listeners() {
        let from = listener.proxy_protocol.as_ref().and_then(|proxies| proxies.from.as_ref());
        let at = at.key("proxy_protocol").key("from");
        for (at, network) in from.iter().flat_map(|list| list.at(&at)) {
            if is_too_wide(network.0) {
                found.note(at, format!("{} believed", share(network.0)));
            }
        }
    }
}

/// How much of the internet a network is.
fn share(network: IpNet) -> String {
    if network.prefix_len() == 0 {
        return format!("`{network}`, every address there is, is");
    }
    format!("`{network}`, a large part of the internet, is")
}

fn allow_everybody(facts: &Facts<'_>, found: &mut Found) {
    let root = At::root();
    everybody(facts.file.clients.allow.as_ref(), &root.key("clients"), found);
    let default = facts.file.defaults.clients.as_ref();
    everybody(
        default.and_then(|rules| rules.allow.as_ref()),
        &root.key("defaults").key("clients"),
        found,
    );
    for route in facts.routes() {
        let own = route.raw.clients.as_ref().and_then(|rules| rules.allow.as_ref());
        everybody(own, &route.at.key("clients"), found);
    }
}

fn everybody(allow: Option<&Items<Network>>, at: &At, found: &mut Found) {
    let at = at.key("allow");
    for (at, network) in allow.iter().flat_map(|list| list.at(&at)) {
        if network.0.prefix_len() == 0 {
            found.note(at, format!("`{}` lets every address come", network.0));
        }
    }
}

fn narrow_ipv6(facts: &Facts<'_>, found: &mut Found) {
    let prefix = facts.file.clients.ipv6_prefix;
    let counts = facts.limits().next().is_some() || facts.file.clients.limit.is_some();
    if prefix > INTERFACE_PREFIX && counts {
        let at = At::root().key("clients").key("ipv6_prefix");
        found.note(at, format!("{prefix} bits make one client"));
    }
}
