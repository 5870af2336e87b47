//! Rules about other origins.

use crate::advice::facts::Facts;
use crate::advice::rule::{Found, Reference, Rule, Severity};
use crate::at::At;
use crate::raw::cors::Cors;

/// The rules.
pub(super) const RULES: &[Rule] = &[
    Rule {
        number: "A008",
        name: "cors-any-origin",
        severity: Severity::Low,
        title: "Every origin may read the answers",
        why: "scripts of every site can read these answers",
        fix: "list the origins that need them",
        references: &[Reference::Asvs("3.4.2"), Reference::Api(8)],
        find: any_origin,
    },
    Rule {
        number: "A022",
        name: "cors-cleartext-origin",
        severity: Severity::Low,
        title: "An origin without TLS may read the answers",
        why: "anybody on the way can put a script into a page that comes by http, and read with it",
        fix: "serve that page by https, and write the origin with https://",
        references: &[Reference::Asvs("3.4.2"), Reference::Asvs("12.2.1")],
        find: cleartext,
    },
    Rule {
        number: "A023",
        name: "cors-any-subdomain",
        severity: Severity::Low,
        title: "Every subdomain may call with the user's cookies",
        why: "one subdomain that is taken over, or that shows what users upload, can act as every user",
        fix: "list the origins one by one, or take `credentials` out",
        references: &[Reference::Asvs("3.4.2"), Reference::Api(8)],
        find: any_subdomain,
    },
    Rule {
        number: "A024",
        name: "cors-null-origin",
        severity: Severity::High,
        title: "Pages without an origin may call with the user's cookies",
        why: "every site can have the origin `null`, by a sandboxed frame, and then act as the user",
        fix: "take `null` out, or take `credentials` out",
        references: &[Reference::Asvs("3.4.2"), Reference::Api(8)],
        find: null_origin,
    },
];

/// Each origin, with its policy.
fn origins<'f>(facts: &'f Facts<'_>) -> impl Iterator<Item = (At, &'f Cors, &'f str)> {
    facts.cors().flat_map(|(at, policy)| {
        let at = at.key("origins");
        let all = policy.origins.iter().flat_map(|list| list.at(&at));
        all.map(|(at, origin)| (at, policy, origin.as_str())).collect::<Vec<_>>()
    })
}

fn any_origin(facts: &Facts<'_>, found: &mut Found) {
    for (at, policy, origin) in origins(facts) {
        let Some(list) = at.parent().cloned() else { continue };
        match origin {
            "*" => found.note(list, "every origin may read the answers"),
            "null" if !policy.credentials => {
                found.note(
                    list,
                    "every origin may read the answers, from a sandboxed frame as `null`",
                );
            }
            _ => {}
        }
    }
}

fn cleartext(facts: &Facts<'_>, found: &mut Found) {
    for (at, _, origin) in origins(facts) {
        let Some(authority) = origin.strip_prefix("http://") else { continue };
        if !is_loopback(authority) {
            found.note(at, format!("`{origin}` is an origin without TLS"));
        }
    }
}

/// Whether the authority of an origin is on the user's own machine.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) | None => authority,
    };
    host == "localhost"
        || host.ends_with(".localhost")
        || host == "[::1]"
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

fn any_subdomain(facts: &Facts<'_>, found: &mut Found) {
    for (at, policy, origin) in origins(facts) {
        if policy.credentials && origin.contains("://*.") {
            found.note(at, format!("every host of `{origin}` may call with cookies"));
        }
    }
}

fn null_origin(facts: &Facts<'_>, found: &mut Found) {
    for (at, policy, origin) in origins(facts) {
        if policy.credentials && origin == "null" {
            found.note(at, "the origin `null` may call with cookies");
        }
    }
}
