//! Rules about limits.

use crate::advice::facts::{Facts, named};
use crate::advice::routes::RouteFacts;
use crate::advice::rule::{Found, Reference, Rule, Severity};
use crate::raw::limits::{Limit, LimitKey};

/// The rules.
pub(super) const RULES: &[Rule] = &[
    Rule {
        number: "A009",
        name: "public-route-unlimited",
        severity: Severity::Low,
        title: "A public route has no limit",
        why: "nothing holds a client that calls this without a credential as fast as it can",
        fix: "give the route a limit by address, or set `clients.limit`",
        references: &[Reference::Api(4), Reference::Asvs("2.4.1")],
        find: public_unlimited,
    },
    Rule {
        number: "A029",
        name: "credentials-unlimited",
        severity: Severity::Low,
        title: "Credentials can be tried without a limit",
        why: "limits by principal count after the credential was found good: nothing holds a client whose \
              credentials are wrong, and each costs a verification",
        fix: "give the route a limit by address too, or set `clients.limit`",
        references: &[Reference::Api(4), Reference::Api(2), Reference::Asvs("2.4.1")],
        find: credentials_unlimited,
    },
    Rule {
        number: "A030",
        name: "limit-by-token",
        severity: Severity::Low,
        title: "A limit starts anew with each token",
        why: "a caller who fetches a new token gets a full bucket with it",
        fix: "use `key: principal`, or a claim that says who it is and not which token it is",
        references: &[Reference::Api(4), Reference::Asvs("2.4.1")],
        find: by_token,
    },
    Rule {
        number: "A031",
        name: "limit-too-high",
        severity: Severity::Low,
        title: "A limit of one client is so high that it holds nobody",
        why: "a limit that no client ever meets protects nothing and reads as if it did",
        fix: "measure what clients need and allow a few times that",
        references: &[Reference::Api(4), Reference::Asvs("2.4.1")],
        find: too_high,
    },
];

/// Claims that say which token it is, not whose.
const OF_TOKENS: [&str; 9] =
    ["at_hash", "auth_time", "exp", "iat", "jti", "nbf", "nonce", "session_state", "sid"];

/// Requests a second, of one client, that no client of an API makes.
const HIGH_RATE: u64 = 1000;
/// Requests at once, of one client.
const HIGH_BURST: u32 = 10_000;

fn is_by_address(limit: &Limit) -> bool {
    matches!(limit.key, Some(LimitKey::Address))
}

fn public_unlimited(facts: &Facts<'_>, found: &mut Found) {
    if facts.snapshot.pipeline.flood.is_some() {
        return;
    }
    let is_open = |route: &RouteFacts<'_>| {
        route.is_public() && !route.limits().any(|limit| facts.refuses(limit))
    };
    for route in facts.routes().filter(is_open) {
        found.note(route.access_at(), format!("the public route `{}` has no limit", route.name()));
    }
}

fn credentials_unlimited(facts: &Facts<'_>, found: &mut Found) {
    if facts.snapshot.pipeline.flood.is_some() {
        return;
    }
    let is_open = |route: &RouteFacts<'_>| {
        let tries = route.issuers().next().is_some() || route.takes_keys();
        tries && !route.limits().any(|limit| is_by_address(limit) && facts.refuses(limit))
    };
    for route in facts.routes().filter(is_open) {
        let message = format!("the route `{}` has no limit by address", route.name());
        found.note(route.access_at(), message);
    }
}

fn by_token(facts: &Facts<'_>, found: &mut Found) {
    for (at, limit) in facts.limits() {
        let Some(LimitKey::Claim(path)) = &limit.key else { continue };
        let mut path = path.iter();
        if let (Some(claim), None) = (path.next(), path.next())
            && OF_TOKENS.contains(&claim.as_str())
        {
            found.note(at.key("key"), format!("`{claim}` is another one in each token"));
        }
    }
}

fn too_high(facts: &Facts<'_>, found: &mut Found) {
    for (at, limit) in facts.limits() {
        let name = named(limit.name.as_ref());
        if matches!(limit.key, Some(LimitKey::Claim(_))) {
            continue;
        }
        let Some(rate) = limit.rate else { continue };
        let seconds = rate.period.as_secs().max(1);
        if u64::from(rate.count.get()) >= HIGH_RATE * seconds {
            found.note(at.key("rate"), format!("`{name}` allows one client {rate}"));
        } else if let Some(burst) = limit.burst.filter(|burst| burst.get() >= HIGH_BURST) {
            found.note(at.key("burst"), format!("`{name}` allows one client {burst} at once"));
        }
    }
}
