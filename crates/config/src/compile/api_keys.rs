//! `api_keys`, and the entries of `any_of` that take one.

use std::sync::Arc;

use http::HeaderName;
use portcullis_core::field_name::{folded, is_same};
use portcullis_policy::{KeyWay, Route};

use crate::at::At;
use crate::compile::Context;
use crate::compile::access::scope_list;
use crate::compile::check::non_empty;
use crate::compile::identity::is_ours;
use crate::problem::{Problem, Problems};
use crate::raw::access::KeyScopes;
use crate::raw::api_keys::ApiKeys;
use crate::snapshot::ApiKeyTerms;

/// Fields that speak of something else, beside those of the gateway: what is told by proxies, by caches
/// or by browsers of their own accord is no secret of the client.
const OTHERS: [&str; 17] = [
    "accept-encoding",
    "accept-language",
    "cache-control",
    "client-cert",
    "client-ip",
    "dpop",
    "if-match",
    "if-none-match",
    "pragma",
    "priority",
    "referer",
    "set-cookie",
    "true-client-ip",
    "user-agent",
    "www-authenticate",
    "x-client-ip",
    "x-real-ip",
];

/// The field that carries a key, read before the routes.
pub(super) fn field(raw: &ApiKeys, problems: &mut Problems) -> HeaderName {
    let at = At::root().key("api_keys").key("header");
    let fallback = HeaderName::from_static("x-api-key");
    let message = match HeaderName::try_from(&raw.header) {
        Err(_) => format!("`{}` is not the name of a field", raw.header),
        Ok(name) if has_meaning(&name) => format!("`{name}` has a meaning of its own"),
        // Servers in the manner of CGI, and proxies before us, take it for another, or drop it.
        Ok(name) if name.as_str().contains('_') => {
            format!("`{name}` is `{}` to some and nothing to others", folded(&name))
        }
        Ok(name) => return name,
    };
    problems.push(Problem::new(at, message).expected("a name of its own, such as `x-api-key`"));
    fallback
}

fn has_meaning(name: &HeaderName) -> bool {
    let name_folded = folded(name);
    let prefixes = ["sec-", "x-original-", "x-portcullis-", "x-ssl-"];
    is_ours(name)
        || OTHERS.contains(&&*name_folded)
        || prefixes.iter().any(|prefix| name_folded.starts_with(prefix))
}

/// The keys, and their field where any route takes them. One that apps are told who calls by cannot carry
/// them.
pub(super) fn terms(
    field: &HeaderName,
    routes: &[Arc<Route>],
    identity_fields: &[HeaderName],
    context: &Context<'_>,
    problems: &mut Problems,
) -> ApiKeyTerms {
    let taken = routes.iter().any(|route| route.access.key_field().is_some());
    if taken && identity_fields.iter().any(|other| is_same(other, field)) {
        let message = format!("`{field}` tells apps who calls, and cannot carry a key as well");
        let problem = Problem::new(At::root().key("api_keys").key("header"), message);
        problems.push(problem.expected("a name of its own, such as `x-api-key`"));
    }
    let keys = Arc::clone(&context.options.handover.api_keys);
    ApiKeyTerms { keys, field: taken.then(|| field.clone()) }
}

/// Any key.
pub(super) fn any(field: &HeaderName, at: &At, context: &Context<'_>) -> KeyWay {
    let keys = Arc::clone(&context.options.handover.api_keys);
    KeyWay { keys, field: field.clone(), scopes: Vec::new(), origin: context.origin(at) }
}

impl KeyScopes {
    /// A key with these scopes; `at` is that of the mapping.
    pub(super) fn compile(
        self,
        field: &HeaderName,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<KeyWay> {
        let Some(scopes) = self.scopes else {
            if !problems.touch(at) {
                let problem = Problem::new(at.clone(), "`scopes` is missing");
                problems.push(problem.help("write `api_key` alone, if any key will do"));
            }
            return None;
        };
        let scopes_at = at.key("scopes");
        let scopes = non_empty(scopes, &scopes_at, problems)?;
        let scopes = scope_list(scopes, &scopes_at, problems)?;
        Some(KeyWay { scopes, ..any(field, at, context) })
    }
}
