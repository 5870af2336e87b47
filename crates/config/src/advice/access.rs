//! Rules about who may call.

use std::collections::HashSet;

use crate::advice::facts::Facts;
use crate::advice::routes::RouteFacts;
use crate::advice::rule::{Found, Reference, Rule, Severity};

/// The rules.
pub(super) const RULES: &[Rule] = &[
    Rule {
        number: "A003",
        name: "public-writes",
        severity: Severity::Low,
        title: "A public route takes methods that change something",
        why: "anybody can change something behind the gateway",
        fix: "list `methods: [GET]`, or ask for a credential",
        references: &[Reference::Api(5), Reference::Asvs("8.2.1"), Reference::Rfc(9110, "9.2.1")],
        find: public_writes,
    },
    Rule {
        number: "A039",
        name: "writes-without-permission",
        severity: Severity::Low,
        title: "A route that changes something asks for a token and for nothing that it may",
        why: "other routes ask the same issuer's tokens for scopes or roles: here a token that was given out \
              for reading suffices to write",
        fix: "ask for a scope or a role, or list `methods: [GET]`",
        references: &[Reference::Api(5), Reference::Asvs("8.2.1"), Reference::Asvs("10.3.2")],
        find: writes_without_permission,
    },
    Rule {
        number: "A041",
        name: "anonymous-writes",
        severity: Severity::Low,
        title: "A route that lets everybody in takes methods that change something",
        why: "`anonymous` suffices here, so that anybody can change something behind the gateway",
        fix: "make two routes of it: reading for everybody, writing with a credential",
        references: &[Reference::Api(5), Reference::Asvs("8.2.1"), Reference::Rfc(9110, "9.2.1")],
        find: anonymous_writes,
    },
];

fn public_writes(facts: &Facts<'_>, found: &mut Found) {
    for route in facts.routes().filter(|route| route.is_public() && route.writes()) {
        let name = route.name();
        let message = format!("the public route `{name}` takes methods that change something");
        found.note(route.access_at(), message);
    }
}

fn writes_without_permission(facts: &Facts<'_>, found: &mut Found) {
    let careful: HashSet<&str> = facts
        .routes()
        .filter(|route| !route.asks_for_no_permission())
        .flat_map(|route| route.issuers().collect::<Vec<_>>())
        .collect();
    let is_careless = |route: &RouteFacts<'_>| {
        route.writes()
            && !route.lets_anybody_in()
            && route.asks_for_no_permission()
            && route.issuers().any(|issuer| careful.contains(issuer))
    };
    for route in facts.routes().filter(is_careless) {
        let message = format!(
            "the route `{}` takes methods that change something with any token",
            route.name()
        );
        found.note(route.access_at(), message);
    }
}

fn anonymous_writes(facts: &Facts<'_>, found: &mut Found) {
    let is_open = |route: &RouteFacts<'_>| !route.is_public() && route.lets_anybody_in();
    for route in facts.routes().filter(|route| is_open(route) && route.writes()) {
        let name = route.name();
        let message = format!("the route `{name}` takes methods that change something of anybody");
        found.note(route.access_at(), message);
    }
}
