//! Rules about the signed token that tells an app who is calling.

use crate::advice::facts::Facts;
use crate::advice::routes::RouteFacts;
use crate::advice::rule::{Found, Reference, Rule, Severity};
use crate::at::At;
use crate::raw::forward::TokenMode;
use crate::units::Duration;

/// The rules.
pub(super) const RULES: &[Rule] = &[
    Rule {
        number: "A067",
        name: "long-identity-token",
        severity: Severity::Low,
        title: "Signed tokens for apps are good for long",
        why: "an app that logs or passes on such a token gives away its caller's identity for so long",
        fix: "leave `identity.lifetime` at 60s: each request has a token of its own",
        references: &[Reference::Rfc(6750, "5.3")],
        find: long_lived,
    },
    Rule {
        number: "A068",
        name: "shared-identity-audience",
        severity: Severity::Low,
        title: "One signed token is good for several apps",
        why: "an app can call the other one as its own caller, with the token that it was sent",
        fix: "give each upstream an `audience` of its own, or leave it out: it is the upstream's name then",
        references: &[Reference::Asvs("9.2.4"), Reference::Rfc(8725, "3.9")],
        find: shared_audience,
    },
];

const LONG_LIFE: Duration = Duration::minutes(10);

fn is_signed(route: &RouteFacts<'_>) -> bool {
    route.token().is_some_and(|(_, mode)| mode == TokenMode::Signed)
}

fn long_lived(facts: &Facts<'_>, found: &mut Found) {
    let life = facts.file.identity.lifetime;
    if life > LONG_LIFE && facts.routes().any(|route| is_signed(&route)) {
        let at = At::root().key("identity").key("lifetime");
        found.note(at, format!("signed tokens are good for {life}"));
    }
}

fn shared_audience(facts: &Facts<'_>, found: &mut Found) {
    let mut seen: Vec<(String, &str)> = Vec::new();
    for route in facts.routes().filter(is_signed) {
        let Some(upstream) = route.upstream() else { continue };
        let own = route.raw.forward.as_ref().and_then(|one| one.identity.audience.as_ref());
        let default = route.defaults().forward.identity.audience.as_ref();
        let said = route.said(&["forward", "identity", "audience"], own, default);
        let audience = said.as_ref().map_or(upstream, |(_, audience)| audience.as_str());
        let other = seen.iter().find(|(known, of)| known == audience && *of != upstream);
        if let Some((_, other)) = other {
            let at = said.as_ref().map_or_else(|| route.at.key("forward"), |(at, _)| at.clone());
            found.note(at, format!("`{audience}` is what tokens for `{other}` say too"));
        }
        seen.push((audience.to_owned(), upstream));
    }
}
