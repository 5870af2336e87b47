//! DPoP (RFC 9449): whether a token that is bound to a key was sent by whoever has the key.
//!
//! A proof is a JWT of one request, signed with the key. All of it that needs no memory is judged by
//! `proof`, cheapest first; then the nonce, where there is one, and that it was not seen before.

mod nonces;
mod proof;
mod replays;
mod target;
mod thumbprint;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use portcullis_core::{Authority, CanonicalPath, Clock, Timestamp};

use crate::dpop::nonces::{Known, Nonces};
use crate::dpop::proof::Proof;
use crate::dpop::replays::{Noted, Replays};

pub(crate) use crate::dpop::thumbprint::of as thumbprint;

/// The field that a proof stands in.
pub const FIELD: &str = "dpop";

/// The field that tells a client the nonce of its next proof.
pub const NONCE_FIELD: &str = "dpop-nonce";

/// Algorithms that proofs may be signed with, as a challenge lists them.
pub const ALGORITHMS: &str = "ES256 ES384 EdDSA PS256 RS256";

/// How long ago a proof may have been made.
const OLDEST: Duration = Duration::from_mins(1);

/// How far ahead the clock of a client may be.
const AHEAD: Duration = Duration::from_secs(30);

/// The longest proof that is looked at, in bytes.
const MAXIMUM_LENGTH: usize = 8 * 1024;

/// The request that a proof must speak of, as its client sees it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a Method,
    /// Whether the client came by https.
    pub https: bool,
    /// Host and port; no port where it is that of the scheme.
    pub authority: &'a Authority,
    /// The path.
    pub path: &'a CanonicalPath,
    /// The token that came along.
    pub token: &'a str,
}

/// Why a proof was not accepted. Reasons are for the log alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofFailure {
    /// No proof that is not remembered can be let in, and there is no room to remember more.
    Full,
    /// It is not good: `invalid_dpop_proof`.
    Invalid(Cow<'static, str>),
    /// It is a forgery, or came before: `invalid_dpop_proof`.
    Wrong(&'static str),
    /// It needs a nonce that was given out here: `use_dpop_nonce`.
    NonceNeeded(&'static str),
    /// It is by another key than the token is bound to: `invalid_token`.
    OtherKey,
    /// The system gives no random bytes, so that no nonce can be made.
    Unready,
}

/// What can be told of the proofs that are remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProofStatus {
    /// Proofs that are remembered.
    pub held: usize,
    /// Proofs that came again.
    pub replays: u64,
    /// Proofs that were turned away because there was no room.
    pub turned_away: u64,
}

/// The proofs that were seen, and the nonces that were given out. It outlives reloads, not the
/// process.
#[derive(Debug)]
pub struct DpopProofs {
    clock: Clock,
    replays: Replays,
    nonces: Option<Nonces>,
    /// Proofs up to this second may have been seen by a process before this one.
    started: Option<Timestamp>,
}

impl DpopProofs {
    /// Nothing was seen yet, by this process.
    pub fn new(clock: Clock) -> Self {
        let started = Some(Timestamp::from_unix_seconds(clock.now().unix_seconds()));
        Self { nonces: Nonces::new(clock.clone()), replays: Replays::default(), clock, started }
    }

    /// For a made-up request: nothing was ever seen, and any nonce is one of ours.
    pub fn rehearsal(clock: Clock) -> Self {
        let nonces = Nonces::new(clock.clone()).map(Nonces::believing_all);
        Self { nonces, replays: Replays::default(), clock, started: None }
    }

    /// Judges the proof of a request whose token is good and bound to the key `jkt`, and remembers it.
    /// Gives the nonce that the client should take next, where it has none or an old one and uses any.
    pub fn judge(
        &self,
        headers: &HeaderMap,
        asked: &Asked<'_>,
        jkt: &str,
        nonce_required: bool,
    ) -> Result<Option<Arc<str>>, ProofFailure> {
        let now = self.clock.now();
        let proof = Proof::read(only_field(headers)?)?;
        proof.judge(asked, jkt, now)?;
        let next = self.judge_nonce(&proof, nonce_required)?;
        match self.replays.note(jkt, &proof.jti, proof.issued.plus(OLDEST), now) {
            Noted::Before => Err(ProofFailure::Wrong("it was used before")),
            Noted::Forgotten => Err(ProofFailure::invalid("the clock of the gateway went back")),
            Noted::Full => Err(ProofFailure::Full),
            Noted::New => Ok(next),
        }
    }

    /// The nonce to be used now; `None` where none can be made.
    pub fn nonce(&self) -> Option<Arc<str>> {
        self.nonces.as_ref().map(Nonces::current)
    }

    /// What is remembered, once what needs not be is forgotten.
    pub fn status(&self) -> ProofStatus {
        self.replays.status(self.clock.now())
    }

    /// A nonce that was sent must be one of ours. One is needed where the file says so, and where a
    /// proof is so old that the process before this one may have seen it: it cannot have had ours.
    fn judge_nonce(
        &self,
        proof: &Proof<'_>,
        required: bool,
    ) -> Result<Option<Arc<str>>, ProofFailure> {
        let nonces = self.nonces.as_ref().ok_or(ProofFailure::Unready)?;
        let Some(nonce) = &proof.nonce else {
            let is_old = self.started.is_some_and(|started| proof.issued <= started);
            return match (required, is_old) {
                (true, _) => Err(ProofFailure::NonceNeeded("it has no nonce")),
                (_, true) => {
                    Err(ProofFailure::NonceNeeded("it may have been used before the start"))
                }
                (false, false) => Ok(None),
            };
        };
        match nonces.find(nonce) {
            Known::Current => Ok(None),
            Known::Last => Ok(Some(nonces.current())),
            Known::Not => Err(ProofFailure::NonceNeeded("its nonce is not, or no longer, ours")),
        }
    }
}

impl ProofFailure {
    const fn invalid(reason: &'static str) -> Self {
        Self::Invalid(Cow::Borrowed(reason))
    }
}

/// The value of the one `DPoP` field (RFC 9449 §4.3, check 1).
fn only_field(headers: &HeaderMap) -> Result<&str, ProofFailure> {
    let mut values = headers.get_all(FIELD).iter();
    let value = values.next().ok_or(ProofFailure::invalid("there is none"))?;
    if values.next().is_some() {
        return Err(ProofFailure::invalid("there are more than one"));
    }
    if value.len() > MAXIMUM_LENGTH {
        return Err(ProofFailure::invalid("it is too long"));
    }
    value.to_str().map_err(|_| ProofFailure::invalid("it is not ASCII"))
}

#[cfg(test)]
mod tests;
