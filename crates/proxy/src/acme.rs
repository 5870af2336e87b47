//! `http-01`: what an authority asks for is answered before anything is judged (RFC 8555 §8.3).

use http::{Method, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;
use portcullis_core::{Authority, Fault, Host, Secret};
use portcullis_tls::acme::token_of;

use crate::answer;
use crate::ctx::Ctx;
use crate::intake::authority_text;

/// What such requests are recorded and counted as.
pub(crate) const ROUTE: &str = "acme";

/// What is to be answered where it is pending; `None` where the request is one like any other.
pub(crate) async fn pending(req: &RequestHeader, ctx: &Ctx) -> Option<Result<Secret, Fault>> {
    let is_clear = ctx.conn.as_ref().is_some_and(|conn| conn.tls.is_none());
    let challenges = ctx.serving.challenges.as_ref().filter(|_| is_clear)?;
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
    outcome: Result<Secret, Fault>,
) -> pingora::Result<()> {
    ctx.for_authority = true;
    let key_authorization = match outcome {
        Ok(key_authorization) => key_authorization,
        Err(fault) => return answer::refuse(session, ctx, fault.into()).await,
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
