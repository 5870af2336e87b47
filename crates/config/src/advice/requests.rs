//! Rules about what a request may bring and how long it may take.

use crate::advice::facts::Facts;
use crate::advice::rule::{Found, Reference, Rule, Severity};
use crate::units::Duration;

/// The rules.
pub(super) const RULES: &[Rule] = &[
    Rule {
        number: "A044",
        name: "large-body",
        severity: Severity::Low,
        title: "Bodies may be very large",
        why: "a few clients at once can fill the memory or the disk of the app",
        fix: "take what the app needs, on the one route that needs it, and bound it by a limit",
        references: &[Reference::Api(4), Reference::Asvs("5.2.1")],
        find: large_body,
    },
    Rule {
        number: "A045",
        name: "long-request",
        severity: Severity::Low,
        title: "A request may take hours",
        why: "each one holds a connection here and one to the app for as long as its client likes",
        fix: "set `timeouts.total` to what the slowest good request takes; sockets and streams of the app's \
              are not held by it",
        references: &[Reference::Api(4), Reference::Asvs("15.2.2")],
        find: long_request,
    },
    Rule {
        number: "A046",
        name: "sockets-unlimited",
        severity: Severity::Low,
        title: "One client may open any number of sockets",
        why: "limits by rate count a socket once, however long it stays: one client can collect all that the \
              app has",
        fix: "give the route a limit with `concurrent`",
        references: &[Reference::Api(4), Reference::Asvs("15.2.2")],
        find: sockets,
    },
];

/// Bytes of a body that few apps need.
const LARGE_BODY: u64 = 100 * 1024 * 1024;
const LONG_REQUEST: Duration = Duration::minutes(60);

fn large_body(facts: &Facts<'_>, found: &mut Found) {
    for route in facts.routes() {
        let own = route.raw.request.body.maximum.as_ref();
        let default = route.defaults().request.body.maximum.as_ref();
        let said = route.said(&["request", "body", "maximum"], own, default);
        if let Some((at, size)) = said.filter(|(_, size)| size.bytes() > LARGE_BODY) {
            found.note(at, format!("a body may have {size}"));
        }
    }
}

fn long_request(facts: &Facts<'_>, found: &mut Found) {
    for route in facts.routes() {
        let own = route.raw.timeouts.total.as_ref();
        let said =
            route.said(&["timeouts", "total"], own, route.defaults().timeouts.total.as_ref());
        if let Some((at, total)) = said.filter(|(_, total)| **total > LONG_REQUEST) {
            found.note(at, format!("a request may take {total}"));
        }
    }
}

fn sockets(facts: &Facts<'_>, found: &mut Found) {
    for route in facts.routes() {
        let default = route.defaults().upgrade.as_ref();
        let Some((at, _)) = route.said(&["upgrade"], route.raw.upgrade.as_ref(), default) else {
            continue;
        };
        if !route.limits().any(|limit| limit.concurrent.is_some()) {
            let message =
                format!("nothing counts the open sockets of the route `{}`", route.name());
            found.note(at, message);
        }
    }
}
