//! Rules about where tokens stand.

use crate::advice::facts::Facts;
use crate::advice::routes::RouteFacts;
use crate::advice::rule::{Found, Reference, Rule, Severity};
use crate::at::At;
use crate::raw::issuers::TokenPlace;

/// The rules.
pub(super) const RULES: &[Rule] = &[
    Rule {
        number: "A006",
        name: "token-in-query",
        severity: Severity::Low,
        title: "Tokens are taken from the query",
        why: "URLs with tokens end in histories and in logs of others",
        fix: "send tokens in the `Authorization` field",
        references: &[Reference::Rfc(9700, "4.3.2"), Reference::Asvs("14.2.1")],
        find: in_query,
    },
    Rule {
        number: "A020",
        name: "token-cookie-name",
        severity: Severity::Low,
        title: "A cookie with a token can be set by other hosts or by http",
        why: "a neighbouring host, or anybody on the way of one http request, can plant a cookie of this name \
              and so have somebody act under an account of theirs",
        fix: "name the cookie `__Host-…`: browsers then take it from this host alone, over https",
        references: &[Reference::Asvs("3.3.1"), Reference::Asvs("3.3.3")],
        find: cookie_name,
    },
    Rule {
        number: "A021",
        name: "cookie-token-posts",
        severity: Severity::Low,
        title: "A form of another site can post with the user's token",
        why: "browsers send cookies along with what other sites post: unless the cookie is SameSite, every \
              site can act as the user",
        fix: "take only `request.body.types` that a form cannot send, such as [application/json], and have the \
              cookie set with SameSite=Lax or Strict",
        references: &[Reference::Asvs("3.5.1"), Reference::Asvs("3.3.2"), Reference::Asvs("3.5.2")],
        find: posts,
    },
];

/// What forms, and scripts without a preflight, can send.
const OF_FORMS: [&str; 3] =
    ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];

/// Each place where tokens are taken from.
fn places<'f>(facts: &'f Facts<'_>) -> impl Iterator<Item = (At, &'f TokenPlace)> {
    facts.issuers().flat_map(|(at, issuer)| {
        issuer.read_token_from.at(&at.key("read_token_from")).collect::<Vec<_>>()
    })
}

fn in_query(facts: &Facts<'_>, found: &mut Found) {
    for (at, place) in places(facts) {
        if let TokenPlace::Query(name) = place {
            found.note(at, format!("tokens are taken from the query, as `{name}`"));
        }
    }
}

fn cookie_name(facts: &Facts<'_>, found: &mut Found) {
    for (at, place) in places(facts) {
        if let TokenPlace::Cookie(name) = place
            && !name.starts_with("__Host-")
        {
            found.note(at, format!("the cookie `{name}` is not bound to this host"));
        }
    }
}

fn posts(facts: &Facts<'_>, found: &mut Found) {
    let by_cookie: Vec<&str> = facts
        .issuers()
        .filter(|(_, issuer)| {
            issuer.read_token_from.iter().any(|place| matches!(place, TokenPlace::Cookie(_)))
        })
        .filter_map(|(_, issuer)| issuer.name.as_deref())
        .collect();
    for route in facts.routes() {
        let takes_cookie = route.issuers().any(|name| by_cookie.contains(&name));
        if takes_cookie && route.methods().contains(&"POST") && takes_forms(&route) {
            let message =
                format!("the route `{}` takes POST with a token from a cookie", route.name());
            found.note(route.access_at(), message);
        }
    }
}

fn takes_forms(route: &RouteFacts<'_>) -> bool {
    let default = route.defaults().request.body.types.as_ref();
    let Some(types) = route.raw.request.body.types.as_ref().or(default) else { return true };
    types.iter().any(|kind| {
        let kind = kind.to_ascii_lowercase();
        let whole = kind.strip_suffix('*');
        OF_FORMS.iter().any(|form| whole.map_or(*form == kind, |start| form.starts_with(start)))
    })
}
