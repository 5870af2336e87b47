//! Rules about who may call.

use std::collections::HashSet;

use crate::advice::facts::Facts;
use crate::advice::routes::RouteFacts;
use crate::advice::rule::{Found, Reference, Rule, Severity};
use crate::read::Items;

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
    Rule {
        number: "A069",
        name: "object-of-another",
        severity: Severity::Low,
        title: "Nothing compares the caller with whose the object is",
        why: "the path names a user or a tenant, and any caller may write another one there: if the app \
              forgets to look once, everybody reads everything",
        fix: "compare them in a policy, such as `principal.subject == path.user_id`, and name it in \
              `access.policies`",
        references: &[Reference::Api(1), Reference::Asvs("8.2.2"), Reference::Asvs("8.4.1")],
        find: object_of_another,
    },
    Rule {
        number: "A070",
        name: "any-api-key-writes",
        severity: Severity::Low,
        title: "Any API key suffices to change something",
        why: "a key that was made for reading, or for another part of the API, can write here",
        fix: "ask for scopes: `{api_key: {scopes: […]}}`, or list `methods: [GET]`",
        references: &[Reference::Api(5), Reference::Asvs("8.2.1")],
        find: any_key_writes,
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
        .filter(|route| !route.lets_anybody_in() && !route.takes_any_token())
        .flat_map(|route| route.issuers().collect::<Vec<_>>())
        .collect();
    let is_careless = |route: &RouteFacts<'_>| {
        route.writes()
            && !route.lets_anybody_in()
            && route.takes_any_token()
            && route.issuers().any(|issuer| careful.contains(issuer))
    };
    for route in facts.routes().filter(is_careless) {
        let name = route.name();
        let message =
            format!("the route `{name}` takes methods that change something with any token");
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

/// Names of path variables that say whose something is.
const OWNERS: [&str; 12] = [
    "account",
    "customer",
    "member",
    "merchant",
    "org",
    "organisation",
    "organization",
    "owner",
    "patient",
    "tenant",
    "user",
    "username",
];

/// Whether a path variable says whose something is.
fn names_owner(segment: &str) -> bool {
    let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return false;
    };
    let name = name.to_ascii_lowercase();
    let bare = name.strip_suffix("_id").or_else(|| name.strip_suffix("id")).unwrap_or(&name);
    OWNERS.contains(&bare)
}

fn object_of_another(facts: &Facts<'_>, found: &mut Found) {
    let is_guarded = |route: &RouteFacts<'_>| {
        let rules = route.rules();
        rules.is_some_and(|rules| {
            let mut policies = rules.policies.iter().flat_map(Items::iter);
            policies.any(|name| facts.is_in_force(name)) || rules.roles.is_some()
        })
    };
    for route in facts.routes().filter(|route| !route.is_public() && !is_guarded(route)) {
        if let Some(variable) = route.path().split('/').find(|segment| names_owner(segment)) {
            let message = format!("any caller may write anybody into `{variable}`");
            found.note(route.access_at(), message);
        }
    }
}

fn any_key_writes(facts: &Facts<'_>, found: &mut Found) {
    let is_careless = |route: &RouteFacts<'_>| {
        !route.lets_anybody_in() && route.takes_any_key() && route.writes()
    };
    for route in facts.routes().filter(is_careless) {
        let name = route.name();
        let message =
            format!("the route `{name}` takes methods that change something with any key");
        found.note(route.access_at(), message);
    }
}
