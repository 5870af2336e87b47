//! `http-01`: what an authority asks for is answered before anything is judged (RFC 8555 §8.3).

use http::{Method, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;
use portcullis_core::{Authority, ConnMeta, Denial, Fault, Host, Refusal, Secret};
use portcullis_policy::{CHALLENGES, Pipeline};
use portcullis_tls::acme::token_of;

use crate::answer;
use crate::ctx::Ctx;
use crate::intake::{Request, authority_text, leaves_challenges};

/// What such requests are recorded and counted as.
pub(crate) const ROUTE: &str = "acme";

/// What the stage saw of a request for an answer that nobody wants.
pub(crate) const NONE_PENDING: &str = "no such challenge";

/// What is to be answered; `None` where the request is one like any other. On a listener that
/// redirects nothing but pending challenges is below their path, whatever the host. What is not
/// well formed is judged like anything else that is not.
pub(crate) async fn outcome(req: &RequestHeader, ctx: &Ctx) -> Option<Result<Secret, Refusal>> {
    let conn = ctx.conn.as_ref().filter(|conn| conn.tls.is_none())?;
    if let Some(found) = pending(req, ctx).await {
        return Some(found.map_err(Refusal::from));
    }
    let is_nothing = is_nothing(&ctx.serving.pipeline, req, conn, ctx.https);
    is_nothing.then(|| Err(Denial::RouteNotFound.into()))
}

/// Whether a request that came in cleartext asks for an answer that nobody wants, where nothing else
/// is. In this order: reading the head whole is for the few that come so far.
pub(crate) fn is_nothing(
    pipeline: &Pipeline,
    req: &RequestHeader,
    conn: &ConnMeta,
    https: bool,
) -> bool {
    req.uri.path().starts_with(CHALLENGES)
        && pipeline.transport.is_redirect(&conn.listener)
        && !leaves_challenges(req)
        && Request::read(req, false, https).is_ok()
}

async fn pending(req: &RequestHeader, ctx: &Ctx) -> Option<Result<Secret, Fault>> {
    let challenges = ctx.serving.challenges.as_ref()?;
    let token = asked(req)?;
    let Host::Name(host) = Authority::parse(authority_text(req).ok()?).ok()?.host else {
        return None;
    };
    let found = challenges.http_01(&host, token).await.transpose()?;
    Some(found.map_err(|error| Fault::StateUnavailable { reason: error.to_string().into() }))
}

/// The token that a request asks for. Its path is taken as it came: what would be normalised first
/// is no authority's.
fn asked(req: &RequestHeader) -> Option<&str> {
    let reads = matches!(req.method, Method::GET | Method::HEAD);
    if reads && req.uri.query().is_none() { token_of(req.uri.path()) } else { None }
}

/// Answers with `outcome`, whatever else may be configured.
pub(crate) async fn answer(
    session: &mut Session,
    ctx: &mut Ctx,
    outcome: Result<Secret, Refusal>,
) -> pingora::Result<()> {
    ctx.for_authority = true;
    let key_authorization = match outcome {
        Ok(key_authorization) => key_authorization,
        Err(refusal) => return answer::refuse(session, ctx, refusal).await,
    };
    let metrics = &ctx.serving.recorder.metrics.edge;
    metrics.challenges.with_label_values(&["http-01"]).inc();
    let mut head = ResponseHeader::build(200, Some(20))?;
    head.insert_header(header::CONTENT_TYPE, "application/octet-stream")?;
    head.insert_header(header::CACHE_CONTROL, "no-store")?;
    // Whoever sends a body with it is not waited for.
    let close = !session.as_downstream_mut().is_body_empty();
    answer::write(session, ctx, head, key_authorization.expose().to_vec(), close).await
}
