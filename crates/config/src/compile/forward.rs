//! `forward` of a route.

use std::sync::Arc;

use http::HeaderName;
use portcullis_core::field_name::is_same;
use portcullis_policy::table::PathPattern;
use portcullis_policy::{CookieRules, Forward, IdentityRules, IdentityValue, SameSite, TokenMode};

use crate::at::At;
use crate::compile::check::{own_or_default, texts};
use crate::compile::identity::is_ours;
use crate::compile::routes::Known;
use crate::problem::{Problem, Problems};
use crate::raw::forward as raw;
use crate::read::Entries;

/// What a route's `forward` is compiled with.
pub(super) struct Around<'a> {
    /// The path of the route, where it could be read.
    pub(super) pattern: Option<&'a PathPattern>,
    /// The path as it was written.
    pub(super) path: &'a str,
    /// Whether the route is public, so that nobody is identified.
    pub(super) public: bool,
    pub(super) known: &'a Known<'a>,
}

impl raw::Forward {
    /// Compiles where the route goes; `default` is `defaults.forward`.
    pub(super) fn compile(
        self,
        at: &At,
        default: raw::DefaultForward,
        around: &Around<'_>,
        problems: &mut Problems,
    ) -> Option<Forward> {
        let Self { upstream, strip_prefix, identity, cookies } = self;
        let raw::DefaultForward {
            strip_prefix: default_prefix,
            identity: default_identity,
            cookies: default_cookies,
        } = default;
        let default_at = At::root().key("defaults").key("forward");
        let name = problems.required(at, "upstream", upstream);
        let upstream_at = at.key("upstream");
        let upstream = name.and_then(|name| {
            around
                .known
                .sections
                .upstreams
                .find(&name, &upstream_at, problems)
                .cloned()
                .ok_or(name)
                .ok()
        });
        let prefix = own_or_default(
            strip_prefix,
            at.key("strip_prefix"),
            default_prefix,
            default_at.key("strip_prefix"),
        );
        let strip_prefix = match prefix {
            Some((at, prefix)) => strip(&prefix, &at, around, problems).map(Some),
            None => Some(None),
        };
        let places = (at.key("identity"), default_at.key("identity"));
        let identity = identity.compile(&places, default_identity, around, problems);
        let cookies = cookies.compile(default_cookies);
        let upstream = upstream?;
        let (headers, token, audience) = identity?;
        let audience = audience.unwrap_or_else(|| Arc::clone(&upstream.name));
        let identity = IdentityRules { headers, token, audience };
        Some(Forward { upstream, strip_prefix: strip_prefix?, identity, cookies })
    }
}

fn strip(prefix: &str, at: &At, around: &Around<'_>, problems: &mut Problems) -> Option<Arc<str>> {
    if !prefix.starts_with('/') || prefix.ends_with('/') {
        let problem = Problem::new(at.clone(), format!("`{prefix}` is not a prefix of a path"));
        problems.push(problem.expected("one that begins with `/` and does not end with one"));
        return None;
    }
    let pattern = around.pattern?;
    if !pattern.starts_with(prefix) {
        let message = format!("no path of this route starts with `{prefix}`");
        problems.push(
            Problem::new(at.clone(), message).expected(format!("a part of `{}`", around.path)),
        );
        return None;
    }
    if prefix == around.path {
        let problem = Problem::new(at.clone(), "nothing would be left of the path");
        problems.push(problem.expected(format!("a shorter part of `{}`", around.path)));
        return None;
    }
    Some(Arc::from(prefix))
}

type Identity = (Vec<(HeaderName, IdentityValue)>, TokenMode, Option<Arc<str>>);

impl raw::ForwardIdentity {
    fn compile(
        self,
        (at, default_at): &(At, At),
        default: Self,
        around: &Around<'_>,
        problems: &mut Problems,
    ) -> Option<Identity> {
        let Self { headers, token, audience } = self;
        let Self { headers: default_headers, token: default_token, audience: default_audience } =
            default;
        let of_callers = |value: &raw::IdentityValue| !value.is_of_connection();
        if around.public && headers.as_ref().is_some_and(|all| all.values().any(of_callers)) {
            let message = "nobody is identified on a public route: these fields would be empty";
            problems.push(Problem::new(at.key("headers"), message).on_key());
            return None;
        }
        let headers =
            own_or_default(headers, at.key("headers"), default_headers, default_at.key("headers"));
        let headers = match headers {
            Some((at, entries)) => fields(entries, &at, around, problems),
            None => Some(Vec::new()),
        };
        let token = match token.or(default_token) {
            Some(raw::TokenMode::Original) => TokenMode::Original,
            Some(raw::TokenMode::Signed) => TokenMode::Signed,
            Some(raw::TokenMode::None) | None => TokenMode::None,
        };
        if audience.is_some() && token != TokenMode::Signed {
            let problem =
                Problem::new(at.key("audience"), "this has no effect without `token: signed`");
            problems.push(problem.on_key());
            return None;
        }
        let audience = audience.or(default_audience).map(Arc::from);
        Some((headers?, token, audience))
    }
}

/// Fields by which the app is told who calls.
fn fields(
    raw: Entries<raw::IdentityValue>,
    at: &At,
    around: &Around<'_>,
    problems: &mut Problems,
) -> Option<Vec<(HeaderName, IdentityValue)>> {
    let mut all: Vec<(HeaderName, IdentityValue)> = Vec::new();
    let mut sound = !problems.touch(at);
    for (at, text, value) in raw.into_at(at) {
        let value = value.compile(&at, problems);
        let name = HeaderName::try_from(&text).ok();
        let message = match &name {
            None => Some(format!("`{text}` is not the name of a field")),
            Some(name) if is_ours(name) || name == around.known.identity_header => {
                Some(format!("`{text}` has a meaning of its own and cannot tell who calls"))
            }
            Some(name) if all.iter().any(|(other, _)| is_same(other, name)) => {
                Some(format!("`{text}` is the same field as one before it to many servers"))
            }
            Some(_) => None,
        };
        match (message, name, value) {
            (None, Some(name), Some(value)) => all.push((name, value)),
            (Some(message), _, _) => {
                let problem = Problem::new(at, message).on_key();
                problems.push(problem.expected("a name of its own, such as `x-auth-subject`"));
                sound = false;
            }
            (None, _, _) => sound = false,
        }
    }
    sound.then_some(all)
}

impl raw::IdentityValue {
    /// Whether it tells of the connection's certificate, whoever calls.
    const fn is_of_connection(&self) -> bool {
        matches!(self, Self::Certificate | Self::CertificateChain | Self::CertificateThumbprint)
    }

    fn compile(self, at: &At, problems: &mut Problems) -> Option<IdentityValue> {
        Some(match self {
            Self::Certificate => IdentityValue::Certificate,
            Self::CertificateChain => IdentityValue::CertificateChain,
            Self::CertificateThumbprint => IdentityValue::CertificateThumbprint,
            Self::Claim(path) => IdentityValue::Claim(texts(path, &at.key("claim"), problems)?),
            Self::Issuer => IdentityValue::Issuer,
            Self::Roles => IdentityValue::Roles,
            Self::Scopes => IdentityValue::Scopes,
            Self::Subject => IdentityValue::Subject,
        })
    }
}

impl raw::Cookies {
    fn compile(self, default: Self) -> CookieRules {
        let Self { secure, http_only, same_site } = self;
        let Self { secure: default_secure, http_only: default_http_only, same_site: default_site } =
            default;
        CookieRules {
            secure: secure.or(default_secure).unwrap_or(false),
            http_only: http_only.or(default_http_only).unwrap_or(false),
            same_site: same_site.or(default_site).map(|same_site| match same_site {
                raw::SameSite::Lax => SameSite::Lax,
                raw::SameSite::Strict => SameSite::Strict,
            }),
        }
    }
}
