//! The one writer of answers that are ours: refusals, preflights, and what an authority asks for.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::HttpTask;
use pingora::proxy::Session;
use portcullis_core::problem::Problem;
use portcullis_core::{Refusal, request_id::REQUEST_ID_HEADER};
use portcullis_policy::{DPOP_NONCE_FIELD, PreflightAnswer, Redirect};

use crate::ctx::Ctx;
use crate::response_fields::Answer;

/// Content types whose clients read a status from `grpc-status` (gRPC over HTTP/2).
const GRPC: &[u8] = b"application/grpc";

/// Writes `refusal`, and notes it for the record.
pub(crate) async fn refuse(
    session: &mut Session,
    ctx: &mut Ctx,
    refusal: Refusal,
) -> pingora::Result<()> {
    let problem = if is_call(session.req_header()) {
        grpc(&refusal)
    } else {
        Problem::new(&refusal, &ctx.id)
    };
    // A body that nobody read would be taken for the next request: the connection ends.
    let close = ctx.request.as_ref().is_none_or(|request| request.has_body);
    ctx.refusal = Some(refusal);
    let mut answer = ResponseHeader::build(problem.status, Some(24))?;
    for (name, value) in &problem.fields {
        answer.insert_header(name.clone(), value.clone())?;
    }
    answer.insert_header(header::CACHE_CONTROL, "no-store")?;
    write(session, ctx, answer, problem.body, close).await
}

/// Answers a preflight: 204, and no body.
pub(crate) async fn preflight(
    session: &mut Session,
    ctx: &mut Ctx,
    given: PreflightAnswer,
) -> pingora::Result<()> {
    ctx.preflight = true;
    let close = ctx.request.as_ref().is_none_or(|request| request.has_body);
    let mut answer = ResponseHeader::build(204, Some(20))?;
    for (name, value) in given.fields {
        answer.insert_header(name, value)?;
    }
    // The fields are the preflight's own: those of ordinary answers do not belong on it.
    ctx.cors = None;
    answer.append_header(
        header::VARY,
        "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    )?;
    write(session, ctx, answer, Vec::new(), close).await
}

/// Tells about a resource (RFC 9728 §3.2), to whichever page asks.
pub(crate) async fn metadata(
    session: &mut Session,
    ctx: &mut Ctx,
    document: String,
) -> pingora::Result<()> {
    let close = ctx.request.as_ref().is_none_or(|request| request.has_body);
    let mut answer = ResponseHeader::build(200, Some(16))?;
    answer.insert_header(header::CONTENT_TYPE, "application/json")?;
    answer.insert_header(header::CACHE_CONTROL, "max-age=60")?;
    answer.insert_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")?;
    write(session, ctx, answer, document.into_bytes(), close).await
}

/// Sends the client to https: 308, and no body. Nobody may keep it: behind a proxy that ends TLS,
/// one URL has this answer or the app's by how the client came to the proxy.
pub(crate) async fn redirect(
    session: &mut Session,
    ctx: &mut Ctx,
    to: Redirect,
) -> pingora::Result<()> {
    let close = ctx.request.as_ref().is_none_or(|request| request.has_body);
    let mut answer = ResponseHeader::build(308, Some(16))?;
    answer.insert_header(header::LOCATION, to.location)?;
    answer.insert_header(header::CACHE_CONTROL, "no-store")?;
    write(session, ctx, answer, Vec::new(), close).await
}

pub(crate) async fn write(
    session: &mut Session,
    ctx: &mut Ctx,
    mut answer: ResponseHeader,
    body: Vec<u8>,
    close: bool,
) -> pingora::Result<()> {
    let default = &ctx.serving.pipeline.default_headers;
    let policy = ctx.route.as_ref().map_or(default, |route| &route.response_headers);
    policy.apply_own(&mut Answer(&mut answer), ctx.https);
    add_common(session, ctx, &mut answer)?;
    if answer.status != http::StatusCode::NO_CONTENT {
        answer.insert_header(header::CONTENT_LENGTH, body.len().to_string())?;
    }
    ctx.status = Some(answer.status.as_u16());
    let is_head = session.req_header().method == Method::HEAD;
    let downstream = session.as_downstream_mut();
    if close {
        downstream.set_keepalive(None);
    }
    if body.is_empty() || is_head {
        // Head and end at once: a gRPC client reads its status from the last head of a stream, and
        // one that an empty DATA frame follows is not the last.
        let whole = vec![HttpTask::Header(Box::new(answer), true)];
        session.write_response_tasks(whole).await.map(|_| ())
    } else {
        downstream.write_response_header(Box::new(answer)).await?;
        ctx.body_out += body.len() as u64;
        downstream.write_response_body(Bytes::from(body), true).await
    }
}

/// Fields that stand on every answer, the app's too.
pub(crate) fn add_common(
    session: &Session,
    ctx: &Ctx,
    answer: &mut ResponseHeader,
) -> pingora::Result<()> {
    answer.insert_header(REQUEST_ID_HEADER, ctx.id.as_str())?;
    for (name, value) in &ctx.rate_fields {
        answer.insert_header(name.clone(), value.clone())?;
    }
    if let Some(nonce) = &ctx.bound.nonce {
        answer.insert_header(DPOP_NONCE_FIELD, &**nonce)?;
    }
    if let Some(policy) = &ctx.cors {
        for (name, value) in policy.answer_fields(&session.req_header().headers) {
            answer.insert_header(name, value)?;
        }
        answer.append_header(header::VARY, "Origin")?;
    }
    Ok(())
}

/// Whether a request is a gRPC call: HTTP/1.1 has none, whatever its type says.
pub(crate) fn is_call(req: &RequestHeader) -> bool {
    req.version == http::Version::HTTP_2 && is_grpc(&req.headers)
}

/// Whether the content is one of gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
        let bytes = kind.as_bytes();
        bytes.starts_with(GRPC) && matches!(bytes.get(GRPC.len()), None | Some(b'+' | b';'))
    })
}

/// A trailers-only answer: the status travels in the head.
fn grpc(refusal: &Refusal) -> Problem {
    let code = match refusal.status() {
        401 => 16,
        403 => 7,
        404 => 12,
        413 | 429 => 8,
        502..=504 => 14,
        500 => 13,
        _ => 3,
    };
    let message = refusal.title().replace(' ', "%20");
    let mut fields = vec![
        (header::CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
        (HeaderName::from_static("grpc-status"), HeaderValue::from(code)),
    ];
    if let Ok(message) = HeaderValue::try_from(message) {
        fields.push((HeaderName::from_static("grpc-message"), message));
    }
    Problem { status: 200, fields, body: Vec::new() }
}

#[cfg(test)]
mod tests {
    use portcullis_core::{Denial, Fault};

    use super::*;

    #[track_caller]
    fn check(refusal: impl Into<Refusal>, code: &str) {
        let problem = grpc(&refusal.into());
        assert_eq!(problem.status, 200);
        let status = problem.fields.iter().find(|(name, _)| name == "grpc-status");
        assert_eq!(status.map(|(_, value)| value.to_str().unwrap()), Some(code));
    }

    #[test]
    fn grpc_clients_get_their_own_codes() {
        check(Denial::CredentialMissing { challenge: Box::default() }, "16");
        check(Denial::ClientNotAllowed, "7");
        check(Denial::RouteNotFound, "12");
        check(Denial::BodyTooLarge { maximum: 1 }, "8");
        check(Fault::UpstreamTimeout, "14");
        check(Denial::HostNotAllowed, "3");
    }

    #[test]
    fn only_grpc_types_count() {
        let headers =
            |value| HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]);
        assert!(is_grpc(&headers("application/grpc")));
        assert!(is_grpc(&headers("application/grpc+proto")));
        assert!(!is_grpc(&headers("application/grpc-web")));
        assert!(!is_grpc(&headers("application/json")));
    }
}
