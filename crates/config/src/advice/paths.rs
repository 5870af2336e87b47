//! Rules about paths: what should not be open, and what can be reached another way.

use crate::advice::facts::Facts;
use crate::advice::routes::RouteFacts;
use crate::advice::rule::{Found, Reference, Rule, Severity};

/// The rules.
pub(super) const RULES: &[Rule] = &[
    Rule {
        number: "A036",
        name: "public-operators-path",
        severity: Severity::High,
        title: "A path for operators is open to everybody",
        why: "consoles, metrics, debug pages and version control show how the app works, and often let \
              whoever calls them change it",
        fix: "ask for a role, and bound `clients.allow`; or do not route it at all",
        references: &[Reference::Asvs("13.4.5"), Reference::Api(5), Reference::Api(9)],
        find: public_operators,
    },
    Rule {
        number: "A037",
        name: "public-api-documentation",
        severity: Severity::Low,
        title: "The description of the API is open to everybody",
        why: "it lists every path and parameter, those too that were meant for few",
        fix: "keep it open only if outsiders are meant to read it; else ask for a credential",
        references: &[Reference::Asvs("13.4.5"), Reference::Api(9)],
        find: public_documentation,
    },
    Rule {
        number: "A038",
        name: "public-catch-all",
        severity: Severity::Low,
        title: "Every path that no other route names is public",
        why: "other routes ask for a credential: a path of the app that nobody thought of asks for none",
        fix: "list the public paths one by one, and let `/{*rest}` ask for a credential or leave it out",
        references: &[Reference::Api(9), Reference::Api(5), Reference::Asvs("8.2.1")],
        find: public_catch_all,
    },
    Rule {
        number: "A040",
        name: "operators-path-for-all-users",
        severity: Severity::High,
        title: "A path for operators is open to every user",
        why: "any good token suffices: one of the least user, or of a client that signed up today",
        fix: "ask for a role or a scope that only operators have",
        references: &[Reference::Api(5), Reference::Asvs("8.2.1"), Reference::Asvs("8.4.2")],
        find: operators_for_users,
    },
    Rule {
        number: "A042",
        name: "strip-prefix-bypass",
        severity: Severity::High,
        title: "A route without a credential reaches paths of the app that another one guards",
        why: "what `strip_prefix` leaves of its paths is what the app sees: behind the prefix lie the guarded \
              paths as well",
        fix: "strip less, give the open part of the app an upstream of its own, or name the open paths one by \
              one",
        references: &[Reference::Api(5), Reference::Api(1), Reference::Asvs("8.3.1")],
        find: strip_prefix_bypass,
    },
    Rule {
        number: "A043",
        name: "encoded-slash-bypass",
        severity: Severity::Low,
        title: "Encoded slashes reach an app that guards paths",
        why: "an app that decodes %2F sees another path than the gateway judged: `/open/..%2Fadmin` can be \
              `/admin` to it",
        fix: "take `encoded_slash` out, or be sure that the app splits the path before it decodes it",
        references: &[Reference::Asvs("1.1.1"), Reference::Rfc(3986, "2.2"), Reference::Api(5)],
        find: encoded_slash,
    },
];

/// First segments, or files, that are for operators.
const FOR_OPERATORS: [&str; 25] = [
    ".env",
    ".git",
    ".svn",
    "_debug",
    "actuator",
    "admin",
    "administration",
    "administrator",
    "console",
    "debug",
    "grafana",
    "h2-console",
    "hangfire",
    "heapdump",
    "jolokia",
    "management",
    "manager",
    "metrics",
    "phpinfo.php",
    "phpmyadmin",
    "pprof",
    "prometheus",
    "server-info",
    "server-status",
    "threaddump",
];

/// Segments that describe the API.
const DOCUMENTATION: [&str; 14] = [
    "api-docs",
    "apidocs",
    "asyncapi.json",
    "asyncapi.yaml",
    "docs",
    "graphiql",
    "openapi",
    "openapi.json",
    "openapi.yaml",
    "redoc",
    "swagger",
    "swagger-ui",
    "swagger.json",
    "swagger.yaml",
];

/// The literal segments of a path, up to the first variable, in lower case.
fn literals(path: &str) -> impl Iterator<Item = String> {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    segments.take_while(|segment| !segment.starts_with('{')).map(str::to_ascii_lowercase)
}

fn has_segment(route: &RouteFacts<'_>, known: &[&str]) -> bool {
    literals(route.path()).any(|segment| known.contains(&segment.as_str()))
}

/// Whether only some addresses may come.
fn is_bounded(route: &RouteFacts<'_>) -> bool {
    let rules = route.raw.clients.as_ref().or(route.defaults().clients.as_ref());
    let global = route.file.clients.allow.as_ref();
    [rules.and_then(|rules| rules.allow.as_ref()), global]
        .into_iter()
        .flatten()
        .any(|allow| allow.iter().all(|network| network.0.prefix_len() > 0))
}

fn public_operators(facts: &Facts<'_>, found: &mut Found) {
    let is_open = |route: &RouteFacts<'_>| route.lets_anybody_in() && !is_bounded(route);
    for route in facts.routes().filter(is_open) {
        if has_segment(&route, &FOR_OPERATORS) {
            let message = format!("`{}` is open to everybody", route.path());
            found.note(route.at.key("path"), message);
        }
    }
}

fn public_documentation(facts: &Facts<'_>, found: &mut Found) {
    let is_open = |route: &RouteFacts<'_>| route.lets_anybody_in() && !is_bounded(route);
    for route in facts.routes().filter(is_open) {
        if has_segment(&route, &DOCUMENTATION) {
            let message = format!("`{}` tells everybody about the API", route.path());
            found.note(route.at.key("path"), message);
        }
    }
}

fn public_catch_all(facts: &Facts<'_>, found: &mut Found) {
    let guards = facts.routes().any(|route| !route.lets_anybody_in());
    for route in facts.routes().filter(|route| guards && route.lets_anybody_in()) {
        if segments(route.path()).eq([Segment::Rest]) {
            let message = format!("the route `{}` opens every other path", route.name());
            found.note(route.at.key("path"), message);
        }
    }
}

fn operators_for_users(facts: &Facts<'_>, found: &mut Found) {
    for route in facts.routes().filter(|route| !route.lets_anybody_in() && !is_bounded(route)) {
        let any_user = route.asks_for_no_permission() && route.issuers().next().is_some();
        if any_user && has_segment(&route, &FOR_OPERATORS) {
            let message = format!("`{}` is open to whoever has a token", route.path());
            found.note(route.at.key("path"), message);
        }
    }
}

fn strip_prefix_bypass(facts: &Facts<'_>, found: &mut Found) {
    let routes: Vec<_> = facts.routes().collect();
    for open in routes.iter().filter(|route| route.lets_anybody_in()) {
        let Some((at, _)) = open.strip_prefix() else { continue };
        let guarded = routes.iter().find(|other| reaches(open, other));
        if let Some(guarded) = guarded {
            let (open, guarded) = (open.name(), guarded.name());
            let message = format!("by the route `{open}` the app's paths of `{guarded}` are open");
            found.note(at, message);
        }
    }
}

/// Whether requests of `open` can have, for the app, a path and a method of `guarded`. Where the same
/// is stripped of both, the more specific of the two was chosen: the guarded one.
fn reaches(open: &RouteFacts<'_>, guarded: &RouteFacts<'_>) -> bool {
    let stripped = |route: &RouteFacts<'_>| route.strip_prefix().map(|(_, prefix)| prefix.clone());
    let methods = guarded.methods();
    !guarded.lets_anybody_in()
        && open.upstream().is_some()
        && open.upstream() == guarded.upstream()
        && stripped(open) != stripped(guarded)
        && open.methods().iter().any(|method| methods.contains(method))
        && overlap(&at_app(open), &at_app(guarded))
}

/// What the app sees of a route's path.
fn at_app<'a>(route: &RouteFacts<'a>) -> Vec<Segment<'a>> {
    let stripped = route.strip_prefix().map_or(0, |(_, prefix)| segments(prefix).count());
    segments(route.path()).skip(stripped).collect()
}

/// A segment of a path pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segment<'a> {
    Literal(&'a str),
    Rest,
    Variable,
}

fn segments(path: &str) -> impl Iterator<Item = Segment<'_>> {
    let body = path.strip_prefix('/').unwrap_or(path);
    body.split('/').map(|segment| match segment.strip_prefix('{') {
        Some(inner) if inner.starts_with('*') => Segment::Rest,
        Some(_) => Segment::Variable,
        None => Segment::Literal(segment),
    })
}

/// Whether some path is of both.
fn overlap(one: &[Segment<'_>], other: &[Segment<'_>]) -> bool {
    match (one.split_first(), other.split_first()) {
        (None, None) | (Some((Segment::Rest, _)), _) | (_, Some((Segment::Rest, _))) => true,
        (None, Some(_)) | (Some(_), None) => false,
        (Some((Segment::Literal(one), _)), Some((Segment::Literal(other), _))) if one != other => {
            false
        }
        (Some((_, one)), Some((_, other))) => overlap(one, other),
    }
}

fn encoded_slash(facts: &Facts<'_>, found: &mut Found) {
    let routes: Vec<_> = facts.routes().collect();
    for open in routes.iter().filter(|route| route.lets_anybody_in()) {
        let said = open.said(
            &["encoded_slash"],
            open.raw.encoded_slash.as_ref(),
            open.defaults().encoded_slash.as_ref(),
        );
        let Some((at, true)) = said.map(|(at, passes)| (at, *passes)) else { continue };
        let is_guarded = |other: &&RouteFacts<'_>| {
            !other.lets_anybody_in() && other.upstream() == open.upstream()
        };
        if let Some(guarded) = routes.iter().find(is_guarded) {
            let message =
                format!("%2F reaches the app of `{}`, which asks for a credential", guarded.name());
            found.note(at, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, expected: bool) {
        let all = |path| segments(path).collect::<Vec<_>>();
        assert_eq!(overlap(&all(one), &all(other)), expected, "{one} {other}");
        assert_eq!(overlap(&all(other), &all(one)), expected, "{other} {one}");
    }

    #[test]
    fn patterns_overlap_where_a_path_is_of_both() {
        check("/a", "/a", true);
        check("/a", "/b", false);
        check("/a", "/{x}", true);
        check("/a/b", "/{x}", false);
        check("/{x}/b", "/a/{y}", true);
        check("/{x}/b", "/a/c", false);
        check("/a/{*rest}", "/a", true);
        check("/a/{*rest}", "/b/{*rest}", false);
        check("/{*rest}", "/b/c", true);
        check("/", "/{*rest}", true);
        check("/", "/a", false);
    }
}
