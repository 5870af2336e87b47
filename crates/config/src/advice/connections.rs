//! Rules about connections.

use crate::advice::facts::Facts;
use crate::advice::rule::{Found, Reference, Rule, Severity};
use crate::at::At;
use crate::units::Duration;

/// The rules.
pub(super) const RULES: &[Rule] = &[
    Rule {
        number: "A047",
        name: "one-client-may-take-all",
        severity: Severity::Low,
        title: "One client may have all connections",
        why: "a single address can keep everybody else out",
        fix: "keep `per_client` far below `maximum`",
        references: &[Reference::Api(4), Reference::Asvs("15.2.2")],
        find: one_client,
    },
    Rule {
        number: "A048",
        name: "slow-clients",
        severity: Severity::Low,
        title: "Clients may be slow for minutes",
        why: "a client that sends a byte now and then holds a connection for so long, and a few thousand of \
              them hold all",
        fix: "stay near the defaults; give single routes more time where they need it",
        references: &[Reference::Api(4), Reference::Asvs("15.2.2")],
        find: slow_clients,
    },
    Rule {
        number: "A049",
        name: "many-streams",
        severity: Severity::Low,
        title: "One HTTP/2 connection may have thousands of requests under way",
        why: "bounds by connection hold a client only as far as one connection cannot do the work of all",
        fix: "leave `streams_per_connection` at 128, or near it",
        references: &[Reference::Rfc(9113, "10.5"), Reference::Api(4)],
        find: many_streams,
    },
];

const MANY_STREAMS: u32 = 1000;
/// Bytes a second that every line has.
const LEAST_RATE: u64 = 50;

fn connections() -> At {
    At::root().key("connections")
}

fn one_client(facts: &Facts<'_>, found: &mut Found) {
    let terms = &facts.file.connections;
    if terms.per_client >= terms.maximum {
        let (one, all) = (terms.per_client, terms.maximum);
        let at = connections();
        let said = ["per_client", "maximum"].map(|key| at.key(key));
        let at = said.into_iter().find(|at| facts.says(at)).unwrap_or(at);
        found.note(at, format!("one client may have {one} of {all} connections"));
    }
}

fn slow_clients(facts: &Facts<'_>, found: &mut Found) {
    let (terms, at) = (&facts.file.connections, connections());
    let times = [
        (at.key("tls_handshake"), terms.tls_handshake, 1, "a handshake"),
        (at.key("request_head").key("time"), terms.request_head.time, 1, "the head of a request"),
        (at.key("write"), terms.write, 5, "one write to the client"),
        (at.key("idle"), terms.idle, 15, "the pause between two requests"),
    ];
    for (at, time, minutes, what) in times {
        if time > Duration::minutes(minutes) {
            found.note(at, format!("{what} may take {time}"));
        }
    }
    let rate = terms.request_body.minimum_rate;
    if rate.bytes() < LEAST_RATE {
        let at = at.key("request_body").key("minimum_rate");
        found.note(at, format!("a body may come at {rate}"));
    }
}

fn many_streams(facts: &Facts<'_>, found: &mut Found) {
    let streams = facts.file.connections.streams_per_connection;
    if streams.get() > MANY_STREAMS {
        let at = connections().key("streams_per_connection");
        found.note(at, format!("one connection may have {streams} requests under way"));
    }
}
