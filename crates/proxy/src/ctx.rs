//! What is carried through the phases of one request.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use portcullis_core::{ConnMeta, Denial, Fault, Principal, Refusal, RequestId, Timestamp};
use portcullis_policy::{
    Bound, CorsPolicy, Decision, Endpoint, Grant, Route, Steps, UpgradeToken, Verdict, WouldDeny,
};

use crate::guard::{Cut, Watch};
use crate::intake::Request;
use crate::pool::{Lease, Target};
use crate::record::Record;
use crate::serving::Serving;
use crate::stages;
use crate::tunnel::Gate;

/// One request's context. Its record is written when it is dropped, so that a request that is cut
/// off leaves one too.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each notes that something came to pass")]
pub struct Ctx {
    pub(crate) serving: Arc<Serving>,
    /// The stages that were asked.
    pub(crate) steps: Steps,
    pub(crate) started: Duration,
    pub(crate) time: Timestamp,
    pub(crate) id: RequestId,
    pub(crate) conn: Option<Arc<ConnMeta>>,
    pub(crate) client: Option<IpAddr>,
    pub(crate) hops: Vec<IpAddr>,
    pub(crate) https: bool,
    pub(crate) request: Option<Request>,
    pub(crate) raw: Option<RawRequest>,
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) cors: Option<Arc<CorsPolicy>>,
    pub(crate) principal: Option<Arc<Principal>>,
    pub(crate) bound: Bound,
    /// What rules that only report would have refused it for.
    pub(crate) would_deny: Vec<WouldDeny>,
    pub(crate) rate_fields: Vec<(http::HeaderName, http::HeaderValue)>,
    pub(crate) grant: Option<Grant>,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) pending: Option<Refusal>,
    pub(crate) manner: Manner,
    pub(crate) watch: Arc<Watch>,
    /// That of an upgrade's upstream connection.
    pub(crate) gate: Option<Arc<Gate>>,
    /// Length of the client's body, once it was read whole.
    pub(crate) whole: Option<u64>,
    /// What was read of the client's body and goes before the rest of it.
    pub(crate) held: Option<Bytes>,
    /// Whether the client has sent the whole of its body.
    pub(crate) body_ended: bool,
    /// Whether the answer is one that goes on for as long as both sides like.
    pub(crate) streaming: bool,
    pub(crate) tries: u32,
    /// Attempts that met a pooled connection which was closed.
    pub(crate) stale: u32,
    pub(crate) on_new_connection: bool,
    /// The hold on the endpoint of the attempt under way.
    pub(crate) lease: Option<Lease>,
    pub(crate) tried: Vec<Target>,
    /// Interim answers (1xx) so far.
    pub(crate) interim: u32,
    /// A final answer came, so that nothing is tried again.
    pub(crate) answer_begun: bool,
    pub(crate) body_in: u64,
    pub(crate) body_out: u64,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) upstream_address: Option<String>,
    pub(crate) upstream_started: Option<Duration>,
    pub(crate) upstream_took: Option<Duration>,
    pub(crate) status: Option<u16>,
    pub(crate) preflight: bool,
    /// Whether the verdict was an answer of ours, and no refusal.
    pub(crate) answered: bool,
    /// Whether it was an authority's, and never judged.
    pub(crate) for_authority: bool,
    pub(crate) aborted: bool,
    /// Whether all phases ran; not so where the request was cut off from outside.
    pub(crate) finished: bool,
}

/// How a request is to be passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The client asks for an event stream.
    Events,
    /// A call with messages in both directions, none of which waits for others.
    Grpc,
    /// One request, one answer.
    #[default]
    Ordinary,
    /// The connection is to be turned into another protocol.
    Upgrade(UpgradeToken),
}

/// What the log shows of a request, as received.
#[derive(Clone, Debug)]
pub(crate) struct RawRequest {
    pub(crate) method: http::Method,
    pub(crate) host: String,
    pub(crate) target: String,
    pub(crate) version: &'static str,
}

impl Manner {
    /// Whether the app may wait until the whole of a small body was read.
    pub(crate) const fn waits_for_body(self) -> bool {
        matches!(self, Self::Events | Self::Ordinary)
    }
}

impl Ctx {
    pub(crate) fn new(serving: Arc<Serving>) -> Self {
        let (started, time) = (serving.clock.monotonic(), serving.clock.now());
        Self {
            serving,
            steps: Steps::default(),
            started,
            time,
            id: RequestId::new(time),
            conn: None,
            client: None,
            hops: Vec::new(),
            https: false,
            request: None,
            raw: None,
            route: None,
            cors: None,
            principal: None,
            bound: Bound::default(),
            would_deny: Vec::new(),
            rate_fields: Vec::new(),
            grant: None,
            refusal: None,
            pending: None,
            manner: Manner::default(),
            watch: Watch::current(),
            gate: None,
            whole: None,
            held: None,
            body_ended: false,
            streaming: false,
            tries: 0,
            stale: 0,
            on_new_connection: false,
            lease: None,
            tried: Vec::new(),
            interim: 0,
            answer_begun: false,
            body_in: 0,
            body_out: 0,
            endpoint: None,
            upstream_address: None,
            upstream_started: None,
            upstream_took: None,
            status: None,
            preflight: false,
            answered: false,
            for_authority: false,
            aborted: false,
            finished: false,
        }
    }

    /// Whether the connection was turned into another protocol: what passes is no body any more.
    pub(crate) fn is_tunnel(&self) -> bool {
        matches!(self.manner, Manner::Upgrade(_)) && self.streaming
    }

    /// What is left of the route's total time; zero once it is over.
    pub(crate) fn remaining(&self) -> Duration {
        let total = self.route.as_ref().map_or(Duration::from_mins(1), |r| r.timeouts.total);
        total.saturating_sub(self.serving.clock.monotonic().saturating_sub(self.started))
    }
}

impl Ctx {
    /// Keeps what was learnt for the answer and the record.
    pub(crate) fn note_decision(&mut self, decision: Decision) -> Verdict {
        let Decision { verdict, route, cors, principal, bound, standings, would_deny } = decision;
        self.bound = bound;
        self.would_deny = would_deny;
        self.rate_fields = portcullis_policy::limits::fields(&standings);
        self.route = route;
        self.cors = cors;
        self.principal = principal;
        self.answered = stages::is_own_answer(&verdict);
        verdict
    }

    /// Why `size` bytes of the client's body are too many; what is only reported is noted, once.
    pub(crate) fn judge_size(&mut self, size: u64) -> Result<(), Denial> {
        let rules = self.route.as_ref().map(|route| &route.body);
        let maximum = rules.map_or(0, |rules| rules.maximum);
        if size <= maximum {
            return Ok(());
        }
        let denial = Denial::BodyTooLarge { maximum };
        let report = rules.and_then(|rules| Some((rules.report_only.as_ref()?, rules.origin)));
        let Some((_, origin)) = report.filter(|(report, _)| report.is_active()) else {
            return Err(denial);
        };
        let would = WouldDeny { refusal: denial.into(), origin };
        if !self.would_deny.contains(&would) {
            self.would_deny.push(would);
        }
        Ok(())
    }

    /// Why it got no answer, where the guard ended it.
    fn note_cut(&mut self) {
        let Some(cut) = self.watch.cut() else { return };
        self.aborted = true;
        if self.status.is_some() || self.refusal.is_some() {
            return;
        }
        self.refusal = Some(match cut {
            Cut::Late | Cut::Silent => self.blamed(Fault::UpstreamTimeout.into()),
            Cut::Slow => Denial::RequestTimeout.into(),
        });
    }

    /// An app that waits for the rest of a body is not the one that is late.
    pub(crate) fn blamed(&self, refusal: Refusal) -> Refusal {
        let has_body = self.request.as_ref().is_some_and(|request| request.has_body);
        if refusal == Fault::UpstreamTimeout.into() && has_body && !self.body_ended {
            return Denial::RequestTimeout.into();
        }
        refusal
    }
}

impl Drop for Ctx {
    fn drop(&mut self) {
        self.note_cut();
        let recorder = Arc::clone(&self.serving.recorder);
        recorder.record(&Record::of(self));
    }
}
