//! Rules about issuers: whose tokens are taken, for how long, and what of them counts.

use url::Url;

use crate::advice::facts::{Facts, named};
use crate::advice::rule::{Found, Reference, Rule, Severity};
use crate::compile::is_loopback;
use crate::raw::issuers::{Issuer, Keys};
use crate::units::Duration;

/// The rules.
pub(super) const RULES: &[Rule] = &[
    Rule {
        number: "A001",
        name: "loopback-issuer",
        severity: Severity::High,
        title: "An issuer's keys come from this machine",
        why: "whoever can open a port on this machine can issue tokens; this is for demos",
        fix: "name the issuer of production, by https",
        references: &[Reference::Api(2), Reference::Asvs("9.1.3")],
        find: loopback,
    },
    Rule {
        number: "A012",
        name: "unbounded-token-lifetime",
        severity: Severity::Low,
        title: "Tokens of an issuer may live as long as it likes",
        why: "a stolen token is good until it ends, and a mistake at the issuer can make that years",
        fix: "set `maximum_lifetime` to what the issuer gives out, an hour or less if it can be",
        references: &[Reference::Rfc(6750, "5.3"), Reference::Api(2)],
        find: unbounded,
    },
    Rule {
        number: "A013",
        name: "long-token-lifetime",
        severity: Severity::Low,
        title: "Tokens may live for more than a day",
        why: "a stolen token is good until it ends, whatever becomes of its owner meanwhile",
        fix: "let the issuer give out tokens for an hour or less, and set `maximum_lifetime` to that",
        references: &[Reference::Rfc(6750, "5.3"), Reference::Asvs("7.4.1")],
        find: long_lived,
    },
    Rule {
        number: "A014",
        name: "loose-clock",
        severity: Severity::Low,
        title: "Expired tokens are taken for minutes",
        why: "`leeway` is for clocks that differ by seconds; every token lives longer by it",
        fix: "keep the clocks together by NTP and `leeway` at 2m or less",
        references: &[Reference::Rfc(7519, "4.1.4"), Reference::Asvs("9.2.1")],
        find: loose_clock,
    },
    Rule {
        number: "A015",
        name: "subject-not-required",
        severity: Severity::Low,
        title: "Tokens may lack the claim that says who it is",
        why: "all callers without a subject are one and the same to limits, logs and the app",
        fix: "add the first key of `claims.subject` to `required_claims`",
        references: &[Reference::Asvs("10.3.3"), Reference::Rfc(9068, "2.2")],
        find: no_subject,
    },
    Rule {
        number: "A016",
        name: "reassignable-subject",
        severity: Severity::Low,
        title: "The subject is a claim that can pass to somebody else",
        why: "names and mail addresses are changed and given out anew: who gets one inherits what was its \
              owner's",
        fix: "use `sub`, and hand the other claim to the app in a field of its own",
        references: &[Reference::Asvs("10.3.3"), Reference::Api(2)],
        find: reassignable,
    },
    Rule {
        number: "A017",
        name: "audience-of-everybody",
        severity: Severity::High,
        title: "The audience is one that tokens for others have too",
        why: "a token that some other app was given is taken here: that app can act as its users",
        fix: "have the issuer put an audience of this API's own into its tokens, and name that one",
        references: &[Reference::Asvs("9.2.3"), Reference::Rfc(8725, "3.9"), Reference::Api(2)],
        find: shared_audience,
    },
    Rule {
        number: "A018",
        name: "other-token-types",
        severity: Severity::High,
        title: "Tokens that are no access tokens are taken",
        why: "a token that was made for another purpose lets its holder in",
        fix: "list only `at+jwt`, and `JWT` where the issuer does not say it better",
        references: &[Reference::Asvs("9.2.2"), Reference::Rfc(8725, "3.11")],
        find: other_types,
    },
    Rule {
        number: "A019",
        name: "stale-keys",
        severity: Severity::Low,
        title: "Keys that the issuer withdrew are trusted for days",
        why: "an issuer withdraws a key because somebody else has it, and that one can sign until then",
        fix: "keep `every` at 24h or less and `usable_without_issuer` at 7d or less",
        references: &[Reference::Asvs("11.1.1"), Reference::Api(2)],
        find: stale_keys,
    },
];

/// An hour's tokens may be taken a little late, not a day's.
const LONG_LIFE: Duration = Duration::minutes(24 * 60);
/// "A few minutes" at most (RFC 7519 §4.1.4).
const LONG_LEEWAY: Duration = Duration::minutes(2);
const LONG_REFRESH: Duration = Duration::minutes(24 * 60);
const LONG_OUTAGE: Duration = Duration::minutes(7 * 24 * 60);

/// Claims that a person can have from another, or choose (`OpenID` Connect Core §5.7).
const REASSIGNABLE: [&str; 8] =
    ["email", "mail", "name", "nickname", "phone_number", "preferred_username", "upn", "username"];

/// What issuers put into the tokens of every client: Keycloak, Okta, Microsoft Graph by its two names.
const AUDIENCES: [&str; 4] = [
    "account",
    "api://default",
    "https://graph.microsoft.com",
    "00000003-0000-0000-c000-000000000000",
];

/// Types of tokens that say something else than who may call.
const OTHER_TYPES: [&str; 11] = [
    "client-authentication+jwt",
    "dpop+jwt",
    "entity-statement+jwt",
    "id_token+jwt",
    "kb+jwt",
    "logout+jwt",
    "oauth-authz-req+jwt",
    "rt+jwt",
    "secevent+jwt",
    "token-introspection+jwt",
    "vc+sd-jwt",
];

fn loopback(facts: &Facts<'_>, found: &mut Found) {
    for (at, issuer) in facts.issuers() {
        let (place, text) = match &issuer.keys {
            Keys::Discover => (at.key("issuer"), issuer.issuer.as_ref()),
            Keys::File(_) => continue,
            Keys::Url(url) => (at.key("keys").key("url"), Some(url)),
        };
        if let Some(url) = text.and_then(|text| Url::parse(text).ok()).filter(is_loopback) {
            found.note(place, format!("keys come from this machine: {url}"));
        }
    }
}

fn unbounded(facts: &Facts<'_>, found: &mut Found) {
    for (at, issuer) in facts.issuers().filter(|(_, issuer)| issuer.maximum_lifetime.is_none()) {
        let name = named(issuer.name.as_ref());
        found.note(at, format!("tokens of `{name}` may live for any time"));
    }
}

fn long_lived(facts: &Facts<'_>, found: &mut Found) {
    for (at, issuer) in facts.issuers() {
        if let Some(life) = issuer.maximum_lifetime.filter(|life| *life > LONG_LIFE) {
            found.note(at.key("maximum_lifetime"), format!("tokens may live for {life}"));
        }
    }
}

fn loose_clock(facts: &Facts<'_>, found: &mut Found) {
    for (at, issuer) in facts.issuers().filter(|(_, issuer)| issuer.leeway > LONG_LEEWAY) {
        let leeway = issuer.leeway;
        found.note(at.key("leeway"), format!("tokens are taken for {leeway} after their end"));
    }
}

fn no_subject(facts: &Facts<'_>, found: &mut Found) {
    for (at, issuer) in facts.issuers() {
        let Some(subject) = issuer.claims.subject.iter().next() else { continue };
        if !issuer.required_claims.iter().any(|claim| claim == subject) {
            let at = if facts.says(&at.key("required_claims")) {
                at.key("required_claims")
            } else {
                at.key("claims").key("subject")
            };
            found.note(
                at,
                format!("a token without `{subject}` is taken, for nobody in particular"),
            );
        }
    }
}

fn reassignable(facts: &Facts<'_>, found: &mut Found) {
    for (at, issuer) in facts.issuers() {
        let last = issuer.claims.subject.iter().last();
        if let Some(claim) = last.filter(|claim| REASSIGNABLE.contains(&claim.as_str())) {
            let at = at.key("claims").key("subject");
            found.note(at, format!("callers are known by `{claim}`"));
        }
    }
}

fn shared_audience(facts: &Facts<'_>, found: &mut Found) {
    for (at, issuer) in facts.issuers() {
        let list_at = at.key("audience");
        for (at, audience) in issuer.audience.iter().flat_map(|list| list.at(&list_at)) {
            if is_shared(audience, issuer) {
                found.note(at, format!("`{audience}` is in tokens for other apps as well"));
            }
        }
    }
}

/// Whether the issuer puts `audience` into tokens for whomever.
fn is_shared(audience: &str, issuer: &Issuer) -> bool {
    let bare = audience.trim_end_matches('/');
    let own = named(issuer.issuer.as_ref()).trim_end_matches('/');
    let rest = bare.strip_prefix(own).filter(|_| !own.is_empty());
    let of_issuer = rest.is_some_and(|rest| rest.is_empty() || rest == "/userinfo");
    of_issuer || AUDIENCES.contains(&bare)
}

fn other_types(facts: &Facts<'_>, found: &mut Found) {
    for (at, issuer) in facts.issuers() {
        for (at, kind) in issuer.token_types.at(&at.key("token_types")) {
            let lower = kind.to_ascii_lowercase();
            let bare = lower.strip_prefix("application/").unwrap_or(&lower);
            if OTHER_TYPES.contains(&bare) {
                found.note(at, format!("`{kind}` is no type of access tokens"));
            }
        }
    }
}

fn stale_keys(facts: &Facts<'_>, found: &mut Found) {
    for (at, issuer) in facts.issuers() {
        let refresh = &issuer.keys_refresh;
        let at = at.key("keys_refresh");
        if refresh.every > LONG_REFRESH {
            found.note(at.key("every"), format!("keys are asked for every {}", refresh.every));
        }
        if refresh.usable_without_issuer > LONG_OUTAGE {
            let time = refresh.usable_without_issuer;
            let message = format!("keys are used for {time} while the issuer cannot be asked");
            found.note(at.key("usable_without_issuer"), message);
        }
    }
}
