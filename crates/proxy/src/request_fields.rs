//! What the app receives: nothing the client may not say, and what the gateway says of it.

use std::borrow::Cow;
use std::collections::HashSet;

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use pingora::http::RequestHeader;
use pingora::{Error, ErrorType, Result};
use portcullis_core::field_name::folded;
use portcullis_core::request_id::REQUEST_ID_HEADER;
use portcullis_policy::{Endpoint, Grant, HostHeader, ReadFrom, TokenMode};

use crate::credentials;
use crate::ctx::{Ctx, Manner};
use crate::identity_fields::{self, Known};
use crate::intake::Request;

/// Fields that tell of hops, rewrite targets or methods, or speak for proxies; apps and frameworks
/// believe them, so that no client may say them.
const RESERVED: [&str; 38] = [
    "base-url",
    "cf-connecting-ip",
    "client-cert",
    "client-cert-chain",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "front-end-https",
    "proxy",
    "proxy-authorization",
    "proxy-connection",
    "remote-user",
    "true-client-ip",
    "via",
    "x-accel-redirect",
    "x-authenticated-user",
    "x-client-cert",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-envoy-original-path",
    "x-goog-authenticated-user-email",
    "x-goog-authenticated-user-id",
    "x-goog-iap-jwt-assertion",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-middleware-subrequest",
    "x-original-url",
    "x-real-ip",
    "x-remote-user",
    "x-request-id",
    "x-rewrite-url",
    "x-sendfile",
    "x-url-scheme",
    "x-waws-unencoded-url",
    "x-webauth-user",
];

/// Every field that begins so is reserved too.
const RESERVED_PREFIXES: [&str; 8] = [
    "ssl-client-",
    "x-amzn-oidc-",
    "x-forwarded-",
    "x-ms-client-principal",
    "x-original-",
    "x-portcullis-",
    "x-ssl-client-",
    "x-ssl-cert",
];

/// Drops what the client nominated in `Connection`, in the request as received: nominated fields go
/// first, ours are added after (RFC 9110 §7.6.1).
pub(crate) fn drop_nominated(req: &mut RequestHeader) {
    let nominated = nominated(&req.headers);
    req.remove_header(&header::CONNECTION);
    for name in nominated {
        // The gate refuses a nominated Host; it stays, whatever is said.
        if name != "host" {
            req.remove_header(name.as_str());
        }
    }
}

/// Makes the head what it will be behind the gateway, before it is judged: the fields that `Connection`
/// nominates are for this hop alone and never reach the app, so that no rule may lean on them; and the
/// cookies are one field. What this hop itself reads stays until it is forwarded.
pub(crate) fn settle(req: &mut RequestHeader) {
    if nominates_more(&req.headers) {
        for name in nominated(&req.headers) {
            if name != "host" && !is_of_this_hop(&name) {
                req.remove_header(name.as_str());
            }
        }
    }
    join_cookies(req);
}

/// Fields of this hop, which are read until the request is forwarded.
fn is_of_this_hop(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "close",
        "connection",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
    ];
    NAMES.iter().any(|one| one.eq_ignore_ascii_case(name))
}

/// Whether `Connection` names any field but those of this hop.
fn nominates_more(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONNECTION).iter().any(|value| {
        let Ok(text) = value.to_str() else { return false };
        text.split(',').map(str::trim).any(|name| !name.is_empty() && !is_of_this_hop(name))
    })
}

/// What `Connection` nominates, but for the fields that frame a message: they stay, whatever is
/// said.
pub(crate) fn nominated(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !matches!(name.as_str(), "" | "content-length" | "transfer-encoding"))
        .collect()
}

/// Makes one `Cookie` field of those that HTTP/2 splits it into (RFC 9113 §8.2.3): apps that speak
/// HTTP/1.1 read one of several.
fn join_cookies(req: &mut RequestHeader) {
    let cookies = req.headers.get_all(header::COOKIE);
    if cookies.iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = cookies.iter().map(HeaderValue::as_bytes).collect();
    // Of values that are values comes one.
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        req.insert_header(header::COOKIE, joined).ok();
    }
}

/// Takes out reserved fields in every spelling: case, any other sign for `-`, as which servers in the
/// manner of CGI read them, duplicates.
fn strip(ctx: &Ctx, req: &mut RequestHeader) {
    let is_hidden =
        |name: &&HeaderName| is_reserved(ctx, name) || is_second_spelling(&req.headers, name);
    let reserved: Vec<HeaderName> = req.headers.keys().filter(is_hidden).cloned().collect();
    for name in reserved {
        req.remove_header(&name);
    }
}

fn is_reserved(ctx: &Ctx, name: &HeaderName) -> bool {
    let text = folded(name);
    RESERVED_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        || ctx.serving.reserved_fields.contains(&*text)
}

/// Fields that rules judge, or that say what a message is, by how their names begin.
const JUDGED_PREFIXES: [&str; 5] =
    ["access-control-", "content-", "if-", "sec-", "transfer-encoding"];

/// Whether an app in the manner of CGI would take it for another field: one that is there too, or one
/// that was judged by its own name.
fn is_second_spelling(headers: &HeaderMap, name: &HeaderName) -> bool {
    match folded(name) {
        Cow::Borrowed(_) => false,
        Cow::Owned(folded) => {
            JUDGED_PREFIXES.iter().any(|prefix| folded.starts_with(prefix))
                || headers.contains_key(&*folded)
        }
    }
}

/// Rewrites the head for the upstream, after hop-by-hop fields are gone.
pub(crate) fn rewrite(
    ctx: &Ctx,
    grant: &Grant,
    request: &Request,
    endpoint: &Endpoint,
    req: &mut RequestHeader,
) -> Result<()> {
    let forward = &grant.route().forward;
    strip(ctx, req);
    credentials::strip_key(ctx, grant, req);
    let query = request.query.as_deref();
    let target =
        upstream_target(grant, request, credentials::judged_place(grant, &req.headers, query))?;
    credentials::strip(grant, query, req)?;
    req.set_raw_path(target.as_bytes())?;
    let host = match forward.upstream.host_header {
        HostHeader::Endpoint => endpoint.authority(),
        HostHeader::Keep => request.authority.to_string(),
    };
    req.insert_header(header::HOST, host)?;
    let may_send_trailers = req.version == Version::HTTP_2 && takes_trailers(&req.headers);
    for name in [header::EXPECT, header::TRAILER, header::TE] {
        req.remove_header(&name);
    }
    if may_send_trailers {
        req.insert_header(header::TE, "trailers")?;
    }
    req.remove_header("http2-settings");
    if !matches!(ctx.manner, Manner::Upgrade(_)) {
        req.remove_header(&header::UPGRADE);
    }
    if let Some(length) = ctx.whole {
        req.remove_header(&header::TRANSFER_ENCODING);
        req.insert_header(header::CONTENT_LENGTH, length.to_string())?;
    }
    let hops: Vec<String> = ctx.hops.iter().map(ToString::to_string).collect();
    req.insert_header("X-Forwarded-For", hops.join(", "))?;
    req.insert_header("X-Forwarded-Proto", if ctx.https { "https" } else { "http" })?;
    req.insert_header("X-Forwarded-Host", request.authority.to_string())?;
    req.insert_header(REQUEST_ID_HEADER, ctx.id.as_str())?;
    tell_identity(ctx, grant, req)
}

/// The canonical path minus `strip_prefix`, and the query as it came but for a token in it.
fn upstream_target(grant: &Grant, request: &Request, judged: Option<&ReadFrom>) -> Result<String> {
    let forward = &grant.route().forward;
    let path = request.path.as_str();
    let path = match &forward.strip_prefix {
        None => path,
        Some(stripped) => match path.strip_prefix(&**stripped) {
            Some("") => "/",
            Some(rest) => rest,
            None => return Error::e_explain(ErrorType::InternalError, "path without its prefix"),
        },
    };
    if !path.starts_with('/') || path.starts_with("//") {
        return Error::e_explain(ErrorType::InternalError, "target that is no path");
    }
    let Some(query) = &request.query else { return Ok(path.to_owned()) };
    let hidden: Vec<&str> = credentials::token_places(grant)
        .filter(|place| Some(*place) != judged)
        .filter_map(|place| match place {
            ReadFrom::Query(name) => Some(name.as_str()),
            ReadFrom::Authorization | ReadFrom::Cookie(_) => None,
        })
        .collect();
    if hidden.is_empty() {
        return Ok(format!("{path}?{query}"));
    }
    let kept: Vec<&str> =
        query.split('&').filter(|pair| !credentials::names_any(pair, &hidden)).collect();
    Ok(if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) })
}

fn tell_identity(ctx: &Ctx, grant: &Grant, req: &mut RequestHeader) -> Result<()> {
    let rules = &grant.route().forward.identity;
    let tls = ctx.conn.as_ref().and_then(|conn| conn.tls.as_ref());
    let certificate = tls.and_then(|tls| tls.client.as_ref()).map(|shown| &*shown.certificate);
    let known = Known { principal: grant.principal().map(|principal| &**principal), certificate };
    for (name, what) in &rules.headers {
        if let Some(value) = identity_fields::value(what, known) {
            req.insert_header(name.clone(), value)?;
        }
    }
    let Some(principal) = known.principal else { return Ok(()) };
    if rules.token != TokenMode::Signed {
        return Ok(());
    }
    let signer = ctx.serving.identity.as_ref();
    match signer.map(|signer| signer.sign(Some(principal), &rules.audience)) {
        Some(Ok(token)) => req.insert_header(ctx.serving.identity_header.clone(), &*token),
        Some(Err(_)) | None => {
            Error::e_explain(ErrorType::InternalError, "the identity token could not be signed")
        }
    }
}

/// Names that a client may not say on any route, folded.
pub fn reserved_fields<'a>(
    identity: impl IntoIterator<Item = &'a HeaderName>,
    identity_header: &'a HeaderName,
) -> HashSet<Box<str>> {
    let own = identity.into_iter().chain([identity_header]).map(HeaderName::as_str);
    RESERVED.into_iter().chain(own).map(|name| name.replace('_', "-").into_boxed_str()).collect()
}

/// `TE: trailers`: what gRPC asks for. It is hop-by-hop, and means something between peers that both
/// speak HTTP/2.
fn takes_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::TE)
        .iter()
        .any(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers"))
}

/// Whether the client asked for its connection to end.
pub(crate) fn wants_close(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("close"))
}
