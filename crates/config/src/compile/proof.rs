//! `issuers[].proof`, and what routes need for it.

use std::sync::Arc;

use portcullis_authn::{DpopProofs, Possession, Proof, ReadFrom, dpop};
use portcullis_policy::{Access, CorsPolicy, Demand, RouteCors, TokenWay};

use crate::at::At;
use crate::compile::Context;
use crate::problem::{Problem, Problems};
use crate::raw::issuers as raw;

impl raw::Proof {
    /// `at` is that of the issuer, whose tokens are looked for at `places`.
    pub(super) fn compile(
        self,
        places: Option<&[ReadFrom]>,
        at: &At,
        problems: &mut Problems,
    ) -> Option<Proof> {
        let Self { certificate, dpop, nonce } = self;
        let dpop = dpop.compile();
        if nonce.is_some() && dpop == Possession::None {
            let at = at.key("proof").key("nonce");
            let problem = Problem::new(at, "this has no effect: `dpop` is `none`");
            problems
                .push(problem.on_key().help("say `dpop: optional` or `dpop: required` beside it"));
            return None;
        }
        let only_fields = |places: &[ReadFrom]| *places == [ReadFrom::Authorization];
        if dpop == Possession::Required && !places.is_none_or(only_fields) {
            let message = "a token that is bound to a key stands in `Authorization` alone";
            let problem = Problem::new(at.key("read_token_from"), message).on_key();
            problems.push(problem.help("leave it out, or say `dpop: optional`"));
            return None;
        }
        Some(Proof {
            certificate: certificate.compile(),
            dpop,
            nonce_required: nonce == Some(raw::Nonce::Required),
        })
    }
}

impl raw::Possession {
    const fn compile(self) -> Possession {
        match self {
            Self::None => Possession::None,
            Self::Optional => Possession::Optional,
            Self::Required => Possession::Required,
        }
    }
}

fn takes_dpop(way: &TokenWay) -> bool {
    way.issuer.settings().proof.dpop != Possession::None
}

/// The memory of the process, where one of the ways needs it.
pub(super) fn memory(tokens: &[TokenWay], context: &Context<'_>) -> Option<Arc<DpopProofs>> {
    tokens.iter().any(takes_dpop).then(|| Arc::clone(&context.options.handover.dpop))
}

/// Shows scripts the nonce that their next proof should contain, where the route takes any.
pub(super) fn exposing_nonce(cors: RouteCors, access: &Access) -> RouteCors {
    match (cors, access) {
        (RouteCors::Policy(policy), Access::AnyOf(Demand { dpop: Some(_), .. })) => {
            let mut policy = CorsPolicy::clone(&policy);
            policy.expose_headers.push(dpop::NONCE_FIELD.into());
            RouteCors::Policy(Arc::new(policy))
        }
        (cors, _) => cors,
    }
}
