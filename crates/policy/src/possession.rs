//! Whether a token is used by the holder it was issued to.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use portcullis_authn::dpop::Asked;
use portcullis_authn::{Binding, ProofFailure};
use portcullis_core::{ChallengeError, ConnMeta, Denial, Fault, Head, Principal, Scheme};

use crate::certificates::shown;
use crate::penalty::Failed;
use crate::{Demand, TokenWay};

/// What a token is bound to, as far as its holder has shown to have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// The certificate of the connection.
    pub certificate: bool,
    /// A key, by which the client signed a proof of the request.
    pub key: bool,
    /// The nonce of the client's next proof, where it is another than that of this one.
    pub nonce: Option<Arc<str>>,
}

impl fmt::Display for Bound {
    /// Follows the name of a principal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.certificate {
            f.write_str(", token bound to the certificate of the connection")?;
        }
        if self.key {
            f.write_str(", token bound to a key: the DPoP proof is good")?;
        }
        Ok(())
    }
}

/// A token, and under which scheme it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Presented<'a> {
    pub(crate) token: &'a str,
    pub(crate) scheme: Scheme,
}

/// Judges the bindings of a token that is good.
pub(crate) fn judge(
    demand: &Demand,
    way: &TokenWay,
    principal: &Principal,
    presented: Presented<'_>,
    (head, conn): (&Head<'_>, &ConnMeta),
) -> Result<Bound, Failed> {
    let proof = way.issuer.settings().proof;
    let invalid = |reason| refused(demand, presented.scheme, ChallengeError::InvalidToken, reason);
    let binding = Binding::read(&principal.claims).map_err(invalid)?;
    let thumbprint = shown(conn).map(|certificate| certificate.thumbprint.as_str());
    let certificate = binding.judge_certificate(proof.certificate, thumbprint).map_err(invalid)?;
    let is_dpop = presented.scheme == Scheme::Dpop;
    let Some(jkt) = binding.judge_key(proof.dpop, is_dpop).map_err(invalid)? else {
        return Ok(Bound { certificate, ..Bound::default() });
    };
    let nonce = judge_proof(demand, presented.token, jkt, proof.nonce_required, head)?;
    Ok(Bound { certificate, key: true, nonce })
}

fn judge_proof(
    demand: &Demand,
    token: &str,
    jkt: &str,
    nonce_required: bool,
    head: &Head<'_>,
) -> Result<Option<Arc<str>>, Failed> {
    let Some(proofs) = &demand.dpop else {
        let reason = "a route that takes DPoP without what it needs".into();
        return Err(Fault::Internal { reason }.into());
    };
    let Head { method, authority, path, https, headers, .. } = head;
    let asked = Asked { method, https: *https, authority, path, token };
    proofs.judge(headers, &asked, jkt, nonce_required).map_err(|failure| match failure {
        ProofFailure::Full => {
            let reason = "no more DPoP proofs can be remembered".into();
            Fault::StateUnavailable { reason }.into()
        }
        ProofFailure::Invalid(reason) => {
            let reason = format!("DPoP proof: {reason}");
            refused(demand, Scheme::Dpop, ChallengeError::InvalidDpopProof, reason).into()
        }
        ProofFailure::Wrong(reason) => {
            let reason = format!("DPoP proof: {reason}");
            let error = ChallengeError::InvalidDpopProof;
            Failed::wrong(refused(demand, Scheme::Dpop, error, reason))
        }
        ProofFailure::NonceNeeded(reason) => {
            let error = Some((Scheme::Dpop, ChallengeError::UseDpopNonce));
            let mut challenge = demand.challenge(error);
            challenge.nonce = proofs.nonce();
            let reason = format!("DPoP proof: {reason}").into();
            Denial::CredentialInvalid { challenge, reason }.into()
        }
        ProofFailure::OtherKey => {
            let reason = "the token is bound to another key";
            Failed::wrong(refused(demand, Scheme::Dpop, ChallengeError::InvalidToken, reason))
        }
        ProofFailure::Unready => {
            let reason = "the system gives no random bytes".into();
            Fault::StateUnavailable { reason }.into()
        }
    })
}

fn refused(
    demand: &Demand,
    scheme: Scheme,
    error: ChallengeError,
    reason: impl Into<Cow<'static, str>>,
) -> Denial {
    let challenge = demand.challenge(Some((scheme, error)));
    Denial::CredentialInvalid { challenge, reason: reason.into() }
}
