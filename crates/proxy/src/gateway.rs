//! The phases of pingora's `HttpProxy`, each in a few lines: what is decided is decided in policy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use portcullis_core::forwarded::ClientView;
use portcullis_core::{ConnMeta, Denial, Fault, Refusal};
use portcullis_policy::{Decision, Verdict};

use crate::ctx::{Ctx, Manner};
use crate::judging::{self, Judged};
use crate::pool::Attempt;
use crate::serving::Serving;
use crate::{
    acme, answer, answer_gate, body, faults, request_fields, response_fields, retries, streams,
    tunnel,
};

/// The gateway as pingora drives it.
#[derive(Debug)]
pub struct Gateway {
    serving: Arc<ArcSwap<Serving>>,
    draining: Arc<AtomicBool>,
}

impl Gateway {
    /// Serves whatever snapshot stands in `serving` when a request comes. While `draining`, each
    /// answer is the last of its HTTP/1.1 connection.
    pub fn new(serving: Arc<ArcSwap<Serving>>, draining: Arc<AtomicBool>) -> Self {
        Self { serving, draining }
    }

    fn close_if_draining(&self, session: &mut Session) {
        if self.draining.load(Ordering::Relaxed) {
            session.as_downstream_mut().set_keepalive(None);
        }
    }

    async fn decide(
        &self,
        session: &mut Session,
        ctx: &mut Ctx,
        client: ClientView,
    ) -> Result<Decision, Refusal> {
        let has_body = !session.as_downstream_mut().is_body_empty();
        request_fields::settle(session.req_header_mut());
        let req = session.req_header();
        let Some(conn) = ctx.conn.clone() else {
            let reason = "a connection that the edge does not know".into();
            return Err(Fault::Internal { reason }.into());
        };
        let serving = Arc::clone(&ctx.serving);
        let judged = judging::judge(
            &serving.pipeline,
            req,
            has_body,
            ctx.https,
            &conn,
            &client,
            &mut ctx.steps,
        );
        let Judged { request, outcome } = judged.await;
        ctx.request = request;
        outcome
    }
}

fn set_timeouts(session: &mut Session, ctx: &Ctx) {
    let req = session.req_header();
    let is_http10 = req.version == http::Version::HTTP_10;
    let close = is_http10 || request_fields::wants_close(&req.headers);
    let remaining = ctx.remaining();
    let downstream = session.as_downstream_mut();
    // Unset, pingora waits for ever once the first request is done.
    downstream.set_keepalive((!close).then(|| ctx.serving.idle.as_secs().max(1)));
    downstream.set_read_timeout(Some(remaining));
    downstream.set_write_timeout(Some(ctx.serving.write));
    // RFC 9110 §15.2.
    downstream.set_ignore_info_resp(is_http10);
    // Who has said all it wants to say may still listen (RFC 9112 §9.6).
    downstream.set_abort_on_close(false);
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Ctx;

    fn new_ctx(&self) -> Ctx {
        Ctx::new(self.serving.load_full())
    }

    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<()> {
        ctx.conn = session
            .digest()
            .and_then(|digest| digest.proxy_digest.as_ref())
            .and_then(|proxy| proxy.user_data.as_ref())
            .and_then(|data| data.downcast_ref::<Arc<ConnMeta>>())
            .cloned();
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
        ctx.note_raw(session.req_header());
        let client = ctx.note_client(&session.req_header().headers);
        if let Some(outcome) = acme::outcome(session.req_header(), ctx).await {
            set_timeouts(session, ctx);
            self.close_if_draining(session);
            return acme::answer(session, ctx, outcome).await.map(|()| true);
        }
        let decided = self.decide(session, ctx, client).await;
        let verdict = match decided {
            Ok(decision) => ctx.note_decision(decision),
            Err(refusal) => Verdict::Deny(refusal),
        };
        set_timeouts(session, ctx);
        self.close_if_draining(session);
        match verdict {
            Verdict::Deny(refusal) => answer::refuse(session, ctx, refusal).await.map(|()| true),
            Verdict::Preflight(given) => {
                answer::preflight(session, ctx, given).await.map(|()| true)
            }
            Verdict::Metadata(document) => {
                answer::metadata(session, ctx, document).await.map(|()| true)
            }
            Verdict::Redirect(to) => answer::redirect(session, ctx, to).await.map(|()| true),
            Verdict::Forward(grant) => {
                ctx.manner = streams::manner(session, &grant);
                ctx.grant = Some(grant);
                request_fields::drop_nominated(session.req_header_mut());
                tunnel::ask(session.req_header_mut(), ctx.manner)?;
                streams::watch(session, ctx);
                body::take_in(session, ctx).await?;
                Ok(false)
            }
        }
    }

    async fn upstream_peer(&self, _: &mut Session, ctx: &mut Ctx) -> Result<Box<HttpPeer>> {
        let Some(grant) = ctx.grant.clone() else {
            return Error::e_explain(
                ErrorType::InternalError,
                "nothing is forwarded without leave",
            );
        };
        ctx.tries += 1;
        let upstream = &grant.route().forward.upstream;
        if ctx.tries > 1 {
            let retries = &ctx.serving.recorder.metrics.upstreams.retries;
            retries.with_label_values(&[&upstream.name]).inc();
        }
        let serving = Arc::clone(&ctx.serving);
        let Some(pool) = serving.pools.get(&upstream.name) else {
            return Error::e_explain(ErrorType::InternalError, "the upstream has no pool");
        };
        let wait = streams::read_timeout(ctx, &grant);
        // The hold of the attempt before is let go first: it counts for the choice.
        ctx.lease = None;
        let attempt = Attempt {
            client: ctx.client,
            tried: &ctx.tried,
            read: wait,
            is_call: ctx.manner == Manner::Grpc,
            on_new_connection: ctx.on_new_connection,
        };
        match pool.peer(&attempt).await {
            Ok((mut peer, lease)) => {
                if matches!(ctx.manner, Manner::Upgrade(_)) {
                    tunnel::prepare(&mut peer, ctx, wait);
                }
                ctx.upstream_address = Some(lease.member.label.to_string());
                ctx.endpoint = Some(lease.member.endpoint.clone());
                ctx.tried.push(lease.target.clone());
                ctx.lease = Some(lease);
                ctx.upstream_started.get_or_insert_with(|| serving.clock.monotonic());
                Ok(Box::new(peer))
            }
            Err(fault) => {
                count_failure(ctx, "unavailable");
                ctx.pending = Some(fault.into());
                Err(Error::explain(ErrorType::HTTPStatus(503), "no endpoint"))
            }
        }
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        req: &mut RequestHeader,
        ctx: &mut Ctx,
    ) -> Result<()> {
        let (Some(grant), Some(request), Some(endpoint)) =
            (&ctx.grant, &ctx.request, &ctx.endpoint)
        else {
            return Error::e_explain(
                ErrorType::InternalError,
                "nothing is forwarded without leave",
            );
        };
        request_fields::rewrite(ctx, grant, request, endpoint, req)?;
        // Each attempt sends the body from its start.
        ctx.body_in = 0;
        tunnel::close_gate(ctx);
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Ctx,
    ) -> Result<()> {
        body::prepend(ctx, body);
        ctx.body_in += body.as_ref().map_or(0, |chunk| chunk.len() as u64);
        ctx.watch.note_received(ctx.body_in);
        ctx.watch.note_passed();
        if end_of_stream {
            ctx.body_ended = true;
            ctx.watch.set_rate(None);
        }
        if !ctx.is_tunnel()
            && let Err(denial) = ctx.judge_size(ctx.body_in)
        {
            ctx.pending = Some(denial.into());
            return Err(Error::explain(ErrorType::HTTPStatus(413), "body too large"));
        }
        if !ctx.streaming && ctx.remaining().is_zero() {
            ctx.pending = Some(Denial::RequestTimeout.into());
            return Err(Error::explain(ErrorType::HTTPStatus(408), "total time is over"));
        }
        // An empty last chunk would be written to an HTTP/1.1 upstream as a second terminator.
        if end_of_stream && body.as_ref().is_some_and(Bytes::is_empty) {
            *body = None;
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        _: &mut Session,
        answer: &mut ResponseHeader,
        ctx: &mut Ctx,
    ) -> Result<()> {
        let asked_to_switch = matches!(ctx.manner, Manner::Upgrade(_));
        if let Err(reason) = answer_gate::judge(answer, ctx.interim, asked_to_switch) {
            ctx.pending = Some(Fault::UpstreamFailed { reason: reason.into() }.into());
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, reason).into_up());
        }
        if answer.status.is_informational() && answer.status != StatusCode::SWITCHING_PROTOCOLS {
            ctx.interim += 1;
        } else {
            ctx.answer_begun = true;
            if let Some(lease) = &ctx.lease {
                lease.succeeded();
            }
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        answer: &mut ResponseHeader,
        ctx: &mut Ctx,
    ) -> Result<()> {
        tunnel::judge(session, ctx, answer)?;
        if answer.status.is_informational() {
            if answer.status == http::StatusCode::CONTINUE {
                // The client had ours, or did not ask for one.
                session.as_downstream_mut().set_ignore_info_resp(true);
            }
            return Ok(());
        }
        let now = ctx.serving.clock.monotonic();
        ctx.upstream_took = ctx.upstream_started.map(|started| now.saturating_sub(started));
        ctx.status = Some(answer.status.as_u16());
        self.close_if_draining(session);
        streams::note_answer(session, ctx, answer);
        // RFC 9110 §2.5: the version is the gateway's own, whatever the app speaks.
        if answer.version == http::Version::HTTP_10 {
            answer.set_version(http::Version::HTTP_11);
        }
        response_fields::apply(session, ctx, answer)
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Ctx,
    ) -> Result<Option<Duration>> {
        ctx.body_out += body.as_ref().map_or(0, |chunk| chunk.len() as u64);
        ctx.watch.note_passed();
        if !end_of_stream && !ctx.streaming && ctx.remaining().is_zero() {
            return Error::e_explain(ErrorType::ReadTimedout, "total time is over");
        }
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        ctx: &mut Ctx,
        mut error: Box<Error>,
    ) -> Box<Error> {
        note_failure(ctx, &error);
        // Not a byte was sent, so that any method may be tried again.
        error.set_retry(ctx.tries <= retries::allowed(ctx) && !ctx.remaining().is_zero());
        error
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        ctx: &mut Ctx,
        reused: bool,
    ) -> Box<Error> {
        let again = retries::is_due(session, ctx, &error, reused);
        if error.esource() == &pingora::ErrorSource::Upstream && !(again && reused) {
            note_failure(ctx, &error);
        }
        error.set_retry(again);
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Ctx,
    ) -> FailToProxy {
        let refusal = ctx.pending.take().or_else(|| faults::refusal(error));
        let late = ctx.gate.is_some() && tunnel::is_late(error);
        let refusal = if late { Some(Fault::UpstreamTimeout.into()) } else { refusal };
        let refusal = refusal.map(|refusal| ctx.blamed(refusal));
        let written = ctx.is_tunnel()
            || session.response_written().is_some_and(|r| !r.status.is_informational());
        tracing::debug!(request_id = %ctx.id, %error, "not proxied");
        let mut code = 0;
        match refusal {
            Some(refusal) if !written => {
                code = refusal.status();
                if answer::refuse(session, ctx, refusal).await.is_err() {
                    ctx.aborted = true;
                }
            }
            Some(_) | None => ctx.aborted = true,
        }
        FailToProxy { error_code: code, can_reuse_downstream: false }
    }

    async fn logging(&self, _: &mut Session, _: Option<&Error>, ctx: &mut Ctx) {
        ctx.finished = true;
    }

    fn suppress_error_log(&self, _: &Session, _: &Ctx, _: &Error) -> bool {
        // Each request leaves one record; pingora's own line would carry path and query.
        true
    }

    fn request_summary(&self, _: &Session, ctx: &Ctx) -> String {
        format!("request {}", ctx.id)
    }
}

/// An endpoint failed an attempt: counted, and held against it.
fn note_failure(ctx: &Ctx, error: &Error) {
    count_failure(ctx, faults::kind(error));
    if let Some(lease) = &ctx.lease {
        lease.failed();
    }
}

fn count_failure(ctx: &Ctx, kind: &str) {
    let Some(grant) = &ctx.grant else { return };
    let failures = &ctx.serving.recorder.metrics.upstreams.failures;
    failures.with_label_values(&[&*grant.route().forward.upstream.name, kind]).inc();
}
