//! The credentials of a request on its way to the app: none, or the one that was judged.

use http::{HeaderMap, HeaderName, header};
use pingora::Result;
use pingora::http::RequestHeader;
use portcullis_core::CredentialKind;
use portcullis_core::field_name::is_same;
use portcullis_policy::bearer::from_cookie;
use portcullis_policy::{Access, DPOP_FIELD, Grant, ReadFrom, TokenMode};

use crate::ctx::Ctx;

/// An API key goes to no app, in whatever spelling, also where the route takes none; but for the key that
/// was judged, where the route hands credentials on as they came.
pub(crate) fn strip_key(ctx: &Ctx, grant: &Grant, req: &mut RequestHeader) {
    let Some(field) = &ctx.serving.key_field else { return };
    let is_handed_on = grant.route().forward.identity.token == TokenMode::Original
        && grant.route().access.key_field().is_some();
    let sent = req.headers.keys().filter(|name| is_same(name, field));
    let hidden: Vec<HeaderName> =
        sent.filter(|name| !is_handed_on || *name != field).cloned().collect();
    for name in hidden {
        req.remove_header(&name);
    }
}

/// The client's credential goes no further, unless the route hands it on as it came.
pub(crate) fn strip(grant: &Grant, query: Option<&str>, req: &mut RequestHeader) -> Result<()> {
    let judged = judged_place(grant, &req.headers, query);
    if matches!(grant.route().access, Access::Public { .. })
        && grant.route().forward.identity.token == TokenMode::Original
    {
        return Ok(());
    }
    if !matches!(judged, Some(ReadFrom::Authorization)) {
        req.remove_header(&header::AUTHORIZATION);
        req.remove_header(DPOP_FIELD);
    }
    for place in token_places(grant).filter(|place| Some(*place) != judged) {
        match place {
            ReadFrom::Cookie(name) => strip_cookie(name, req)?,
            ReadFrom::Authorization | ReadFrom::Query(_) => {}
        }
    }
    Ok(())
}

/// Where the token was that was judged, on a route that hands it on; what else looks like a credential
/// was not looked at, and an app that believes it would be wrong. Two explicit ones were refused, and
/// an explicit one goes before a cookie.
pub(crate) fn judged_place<'g>(
    grant: &'g Grant,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Option<&'g ReadFrom> {
    if grant.route().forward.identity.token != TokenMode::Original
        || grant.principal()?.credential != CredentialKind::Token
    {
        return None;
    }
    let is_there = |place: &&ReadFrom| match place {
        ReadFrom::Authorization => headers.contains_key(header::AUTHORIZATION),
        ReadFrom::Query(name) => {
            let mut pairs = query.unwrap_or_default().split('&');
            pairs.any(|pair| names_any(pair, &[name.as_str()]))
        }
        ReadFrom::Cookie(_) => false,
    };
    let is_cookie = |place: &&ReadFrom| match place {
        ReadFrom::Cookie(name) => matches!(from_cookie(headers, name), Ok(Some(_))),
        ReadFrom::Authorization | ReadFrom::Query(_) => false,
    };
    token_places(grant).find(is_there).or_else(|| token_places(grant).find(is_cookie))
}

pub(crate) fn token_places(grant: &Grant) -> impl Iterator<Item = &ReadFrom> {
    let ways = match &grant.route().access {
        Access::AnyOf(demand) => demand.tokens.as_slice(),
        Access::Public { .. } => &[],
    };
    ways.iter().flat_map(|way| &way.issuer.settings().read_from)
}

fn strip_cookie(name: &str, req: &mut RequestHeader) -> Result<()> {
    let kept: Vec<String> = req
        .headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .map(str::trim)
        .filter(|pair| pair.split('=').next().map(str::trim) != Some(name) && !pair.is_empty())
        .map(str::to_owned)
        .collect();
    req.remove_header(&header::COOKIE);
    if !kept.is_empty() {
        req.insert_header(header::COOKIE, kept.join("; "))?;
    }
    Ok(())
}

pub(crate) fn names_any(pair: &str, names: &[&str]) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    let decoded = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    names.contains(&&*decoded)
}
