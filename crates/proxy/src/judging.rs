//! One request head through the pipeline: the same for what comes in and for what is made up.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pingora::http::RequestHeader;
use portcullis_core::forwarded::ClientView;
use portcullis_core::{CanonicalPath, ConnMeta, Denial, Fault, Refusal};
use portcullis_policy::{Decision, Origin, Pipeline, Stage, Trace};

use crate::intake::{self, Request};
use crate::{acme, request_fields};

/// A request's head, as far as it could be read, and what is decided of it.
pub(crate) struct Judged {
    pub(crate) request: Option<Request>,
    pub(crate) outcome: Result<Decision, Refusal>,
}

/// Judges a head. The deny list and the flood guard hold those too who cannot be understood.
pub(crate) async fn judge<T: Trace>(
    pipeline: &Pipeline,
    req: &RequestHeader,
    has_body: bool,
    https: bool,
    conn: &ConnMeta,
    client: &ClientView,
    trace: &mut T,
) -> Judged {
    let refused = |refusal| Judged { request: None, outcome: Err(refusal) };
    let request = match Request::read(req, has_body, https) {
        Ok(request) => request,
        Err(denial) => return refused(unread(pipeline, client, denial, trace)),
    };
    if pipeline.transport.is_redirect(&conn.listener) && intake::leaves_challenges(req) {
        let reason = "dot segments below the challenges of ACME".into();
        return refused(unread(pipeline, client, Denial::Malformed { reason }, trace));
    }
    let head = request.head(&req.headers, https);
    let decision = pipeline.decide(&head, conn, client, trace).await;
    Judged { request: Some(request), outcome: Ok(decision) }
}

fn unread<T: Trace>(
    pipeline: &Pipeline,
    client: &ClientView,
    denial: Denial,
    trace: &mut T,
) -> Refusal {
    if let Err(refusal) = pipeline.admit_unread(client, trace) {
        return refusal;
    }
    trace.note(Stage::Head, Origin::default(), || denial.reason().into_owned());
    denial.into()
}

/// A request that nobody sent: what the head gate would let through of it.
#[derive(Clone, Debug)]
pub struct MadeUp {
    /// Its method.
    pub method: Method,
    /// Its target in origin form.
    pub target: String,
    /// Its fields, in their order.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// Whether a body follows.
    pub has_body: bool,
}

/// What is decided of a request that nobody sent.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Whose request it would be.
    pub client: ClientView,
    /// Whether the client's own connection would be TLS.
    pub https: bool,
    /// The path that is judged and forwarded; `None` where the head cannot be read.
    pub path: Option<CanonicalPath>,
    /// The decision, or why there is none.
    pub outcome: Result<Decision, Refusal>,
}

impl MadeUp {
    /// Judges it as if it came in on `conn`.
    pub async fn judge<T: Trace>(
        self,
        pipeline: &Pipeline,
        conn: &ConnMeta,
        trace: &mut T,
    ) -> Verdict {
        let Self { method, target, fields, has_body } = self;
        let headers: HeaderMap = fields.iter().cloned().collect();
        let client = pipeline.clients.trusted_proxies.view(conn.address(), &headers);
        let https = client.https.unwrap_or(conn.tls.is_some());
        let made = || {
            let mut req = RequestHeader::build(method, target.as_bytes(), Some(fields.len()))?;
            for (name, value) in &fields {
                req.append_header(name.clone(), value.clone())?;
            }
            Ok::<_, Box<pingora::Error>>(req)
        };
        let Ok(mut req) = made() else {
            let refusal = Fault::Internal { reason: "the request cannot be made".into() }.into();
            return Verdict { client, https, path: None, outcome: Err(refusal) };
        };
        if conn.tls.is_none() && acme::is_nothing(pipeline, &req, conn, https) {
            trace.note(Stage::Transport, Origin::default(), || acme::NONE_PENDING.to_owned());
            let outcome = Err(Denial::RouteNotFound.into());
            return Verdict { client, https, path: None, outcome };
        }
        request_fields::settle(&mut req);
        let judged = judge(pipeline, &req, has_body, https, conn, &client, trace).await;
        let path = judged.request.map(|request| request.path);
        Verdict { client, https, path, outcome: judged.outcome }
    }
}
