//! Rules about the security fields of answers.

use crate::advice::facts::Facts;
use crate::advice::routes::RouteFacts;
use crate::advice::rule::{Found, Reference, Rule, Severity};
use crate::at::At;
use crate::raw::response_headers::{FieldRule, TransportRule};

/// The rules.
pub(super) const RULES: &[Rule] = &[
    Rule {
        number: "A057",
        name: "weak-transport-security",
        severity: Severity::Low,
        title: "Browsers are not told to keep to https for a year",
        why: "a browser that forgets it asks by http again, and whoever is on the way can answer",
        fix: "leave `strict_transport_security` out, or give it a `max-age` of at least 31536000",
        references: &[Reference::Asvs("3.4.1"), Reference::Rfc(6797, "6.1.1")],
        find: transport,
    },
    Rule {
        number: "A058",
        name: "content-sniffing",
        severity: Severity::Low,
        title: "Browsers may guess what an answer is",
        why: "a file that a user uploaded can so become a page with scripts of this host",
        fix: "leave `content_type_options` out: it is `nosniff` then",
        references: &[Reference::Asvs("3.4.4"), Reference::Api(8)],
        find: sniffing,
    },
    Rule {
        number: "A059",
        name: "framing",
        severity: Severity::Low,
        title: "Other sites may show the pages in a frame",
        why: "a site that lays a page of yours under its own can have users click on what they do not see",
        fix: "keep `frame-ancestors` in `content_security_policy`, or leave `frame_options` out",
        references: &[Reference::Asvs("3.4.6")],
        find: framing,
    },
    Rule {
        number: "A060",
        name: "weak-content-security-policy",
        severity: Severity::Low,
        title: "Pages may run scripts from anywhere",
        why: "text of an attacker that gets into a page runs as a script of this host",
        fix: "allow scripts by host, nonce or hash; 'unsafe-inline', 'unsafe-eval' and * undo the policy",
        references: &[Reference::Asvs("3.4.3")],
        find: content_policy,
    },
    Rule {
        number: "A061",
        name: "server-shown",
        severity: Severity::Low,
        title: "Answers say what the app is made with",
        why: "who knows of a hole in a version finds those who run it",
        fix: "leave `server` and `x_powered_by` out: they are removed then",
        references: &[Reference::Asvs("13.4.6"), Reference::Api(8)],
        find: server,
    },
    Rule {
        number: "A062",
        name: "referrer-leak",
        severity: Severity::Low,
        title: "Other sites learn the URLs of pages",
        why: "paths and queries tell what a user does, and can carry secrets",
        fix: "leave `referrer_policy` out: it is `no-referrer` where the app says nothing",
        references: &[Reference::Asvs("3.4.5")],
        find: referrer,
    },
];

/// A year, in seconds (ASVS 3.4.1).
const YEAR: u64 = 31_536_000;

/// What a rule sends where the app says nothing.
fn value(rule: &FieldRule) -> Option<&str> {
    match rule {
        FieldRule::IfMissing(value) | FieldRule::Value(value) => Some(value),
        FieldRule::Keep | FieldRule::Remove => None,
    }
}

fn transport(facts: &Facts<'_>, found: &mut Found) {
    if !facts.speaks_tls() {
        return;
    }
    for route in facts.routes() {
        let said =
            route.field("strict_transport_security", |all| all.strict_transport_security.as_ref());
        let Some((at, rule)) = said else { continue };
        let age = match rule {
            TransportRule::IfMissing(text) | TransportRule::Value(text) => max_age(text),
            TransportRule::IncludeSubdomains(_) | TransportRule::Keep => continue,
            TransportRule::Remove => 0,
        };
        if age < YEAR {
            found.note(at, format!("browsers keep to https for {age} s"));
        }
    }
}

/// `max-age` of a value (RFC 6797 §6.1.1); 0 where it has none.
fn max_age(text: &str) -> u64 {
    let directives = text.split(';').filter_map(|directive| directive.split_once('='));
    let mut ages = directives.filter(|(name, _)| name.trim().eq_ignore_ascii_case("max-age"));
    ages.next().and_then(|(_, age)| age.trim().trim_matches('"').parse().ok()).unwrap_or(0)
}

fn sniffing(facts: &Facts<'_>, found: &mut Found) {
    for route in facts.routes() {
        let said = route.field("content_type_options", |all| all.content_type_options.as_ref());
        let Some((at, rule)) = said else { continue };
        if value(rule).is_none_or(|value| !value.trim().eq_ignore_ascii_case("nosniff")) {
            found.note(at, "`nosniff` is not sent");
        }
    }
}

fn framing(facts: &Facts<'_>, found: &mut Found) {
    for route in facts.routes() {
        let policy =
            route.field("content_security_policy", |all| all.content_security_policy.as_ref());
        let options = route.field("frame_options", |all| all.frame_options.as_ref());
        let by_policy = match &policy {
            Some((_, rule)) => value(rule).is_some_and(|text| text.contains("frame-ancestors")),
            None => true,
        };
        let by_options = match &options {
            Some((_, rule)) => value(rule).is_some(),
            None => true,
        };
        let at = options.map(|(at, _)| at).or(policy.map(|(at, _)| at));
        if let Some(at) = at.filter(|_| !by_policy && !by_options) {
            found.note(at, "neither field keeps other sites from framing");
        }
    }
}

fn content_policy(facts: &Facts<'_>, found: &mut Found) {
    for route in facts.routes() {
        let said =
            route.field("content_security_policy", |all| all.content_security_policy.as_ref());
        let Some((at, rule)) = said else { continue };
        match rule {
            FieldRule::Remove => found.note(at, "`Content-Security-Policy` is taken out"),
            FieldRule::Keep => {}
            FieldRule::IfMissing(text) | FieldRule::Value(text) => {
                if let Some(source) = weak_source(text) {
                    found.note(at, format!("scripts may come by {source}"));
                }
            }
        }
    }
}

/// A source of scripts that undoes the policy. 'unsafe-inline' counts for nothing beside a nonce or
/// a hash (Content Security Policy Level 3 §6.7.3.2).
fn weak_source(policy: &str) -> Option<&str> {
    let directive = |name: &str| {
        policy.split(';').find_map(|directive| {
            let mut words = directive.split_ascii_whitespace();
            words.next().filter(|first| first.eq_ignore_ascii_case(name)).map(|_| words)
        })
    };
    let sources: Vec<&str> =
        directive("script-src").or_else(|| directive("default-src"))?.collect();
    let is_bound = sources.iter().any(|source| {
        ["'nonce-", "'sha256-", "'sha384-", "'sha512-"].iter().any(|kind| source.starts_with(kind))
    });
    sources.into_iter().find(|source| match source.to_ascii_lowercase().as_str() {
        "'unsafe-inline'" => !is_bound,
        "'unsafe-eval'" | "*" | "data:" | "http:" | "https:" => true,
        _ => false,
    })
}

fn server(facts: &Facts<'_>, found: &mut Found) {
    for route in facts.routes() {
        for said in [
            route.field("server", |all| all.server.as_ref()),
            route.field("x_powered_by", |all| all.x_powered_by.as_ref()),
        ] {
            note_kept(said, found);
        }
    }
}

fn note_kept(said: Option<(At, &FieldRule)>, found: &mut Found) {
    if let Some((at, FieldRule::Keep)) = said {
        found.note(at, "the app's own value is shown");
    }
}

fn referrer(facts: &Facts<'_>, found: &mut Found) {
    let leaks = |route: &RouteFacts<'_>| {
        let (at, rule) = route.field("referrer_policy", |all| all.referrer_policy.as_ref())?;
        let last = value(rule).and_then(|value| value.rsplit(',').next()).map(str::trim);
        match (rule, last) {
            (FieldRule::Remove, _) => Some((at, "`Referrer-Policy` is taken out".to_owned())),
            (_, Some(policy @ ("unsafe-url" | "no-referrer-when-downgrade"))) => {
                Some((at, format!("`{policy}` tells other sites the whole URL")))
            }
            _ => None,
        }
    };
    for (at, message) in facts.routes().filter_map(|route| leaks(&route)) {
        found.note(at, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_transport_security_is_read_as_browsers_do() {
        assert_eq!(max_age("max-age=31536000; includeSubDomains"), YEAR);
        assert_eq!(max_age("includeSubDomains ; Max-Age = \"60\""), 60);
        assert_eq!(max_age("includeSubDomains"), 0);
        assert_eq!(max_age("max-age=soon"), 0);
    }

    #[test]
    fn sources_that_undo_a_policy() {
        assert_eq!(weak_source("script-src 'self' 'unsafe-inline'"), Some("'unsafe-inline'"));
        assert_eq!(weak_source("default-src *; script-src 'self'"), None);
        assert_eq!(weak_source("default-src https:"), Some("https:"));
        assert_eq!(weak_source("script-src 'nonce-abc' 'unsafe-inline'"), None);
        assert_eq!(weak_source("style-src 'unsafe-inline'"), None);
        assert_eq!(weak_source(""), None);
    }
}
