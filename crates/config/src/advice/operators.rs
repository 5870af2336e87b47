//! Rules about the listeners for operators.

use crate::advice::facts::Facts;
use crate::advice::rule::{Found, Reference, Rule, Severity};
use crate::at::At;
use crate::snapshot::ListenAddress;

/// The rules.
pub(super) const RULES: &[Rule] = &[
    Rule {
        number: "A007",
        name: "admin-exposed",
        severity: Severity::High,
        title: "The admin listener can be reached from other machines",
        why: "the admin listener shows the configuration and speaks cleartext",
        fix: "listen on 127.0.0.1 or on a unix socket",
        references: &[Reference::Asvs("12.3.1"), Reference::Asvs("13.4.5"), Reference::Api(8)],
        find: admin,
    },
    Rule {
        number: "A063",
        name: "probes-exposed",
        severity: Severity::Low,
        title: "Metrics can be read from other machines without a token",
        why: "they name routes, issuers and upstreams, and tell how much of what is going on",
        fix: "listen on 127.0.0.1; where probes come over the network, let only those through that ask",
        references: &[Reference::Asvs("13.4.5"), Reference::Api(8)],
        find: probes,
    },
];

fn admin(facts: &Facts<'_>, found: &mut Found) {
    if let ListenAddress::Tcp(address) = facts.snapshot.admin.address
        && !address.ip().is_loopback()
    {
        let at = At::root().key("admin").key("address");
        found.note(at, format!("the admin listener can be reached from elsewhere: {address}"));
    }
}

fn probes(facts: &Facts<'_>, found: &mut Found) {
    let address = facts.snapshot.admin.probes;
    if !address.ip().is_loopback() {
        let at = At::root().key("admin").key("probes");
        found.note(at, format!("the probes listener can be reached from elsewhere: {address}"));
    }
}
