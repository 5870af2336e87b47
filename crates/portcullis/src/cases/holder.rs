//! The client of a case that has a key: a proof beside each request (RFC 9449).

use std::sync::Arc;
use std::time::Duration;

use portcullis_authn::{Alg, IssuerSettings, ProofOf, StandIn, dpop};
use portcullis_config::cases::DpopCase;
use portcullis_core::Timestamp;

use super::mint::{Keys, Whose};
use crate::trial::Trial;

/// The key and what it proves with it.
#[derive(Debug)]
pub(super) struct Holder {
    case: DpopCase,
    key: Arc<StandIn>,
    signer: Arc<StandIn>,
    uses_nonces: bool,
}

impl Holder {
    /// A client of tokens of the issuer with these settings.
    pub(super) fn new(
        case: DpopCase,
        settings: &IssuerSettings,
        keys: &mut Keys,
    ) -> Result<Self, String> {
        let key = keys.of(Whose::Client, Alg::Es256)?;
        let signer = if case == DpopCase::OtherKey {
            keys.of(Whose::Other, Alg::Es256)?
        } else {
            Arc::clone(&key)
        };
        let uses_nonces = settings.proof.nonce_required && case != DpopCase::WithoutNonce;
        Ok(Self { case, key, signer, uses_nonces })
    }

    /// The thumbprint that its tokens are bound to.
    pub(super) fn thumbprint(&self) -> Option<String> {
        self.key.thumbprint()
    }

    /// Whether its last proof came with a request before.
    pub(super) fn replays(&self) -> bool {
        self.case == DpopCase::Replayed
    }

    /// Adds the proof to the request of this number.
    pub(super) fn prove(
        &self,
        trial: &mut Trial,
        token: &str,
        number: u32,
        now: Timestamp,
    ) -> Result<(), String> {
        if self.case == DpopCase::Missing {
            return Ok(());
        }
        let scheme = if trial.https { "https" } else { "http" };
        let path = trial.target.split('?').next().unwrap_or_default();
        let other = if trial.method == "GET" { "POST" } else { "GET" };
        let of = ProofOf {
            method: if self.case == DpopCase::OtherRequest { other } else { &trial.method },
            target: &format!("{scheme}://{}{path}", trial.authority),
            jti: &format!("proof {}", if self.replays() { 0 } else { number }),
            issued: if self.case == DpopCase::Old { before(now) } else { now },
            nonce: self.uses_nonces.then_some("a nonce of the gateway"),
        };
        let proof = self.signer.prove(&of, token).ok_or("the proof cannot be signed")?;
        trial.field(dpop::FIELD, &proof)
    }
}

/// Longer ago than a proof may have been made.
fn before(now: Timestamp) -> Timestamp {
    let seconds = now.unix_seconds().saturating_sub(Duration::from_mins(10).as_secs());
    Timestamp::from_unix_seconds(seconds)
}
