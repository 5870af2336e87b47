//! From a request to a principal: where credentials are looked for, and which of several counts.
//!
//! Explicit ones (`Authorization`, a query parameter) come before ambient ones (a cookie). Two
//! explicit ones are refused. A wrong one is never rescued by another.

use std::borrow::Cow;
use std::sync::Arc;

use portcullis_authn::bearer::{self, Bearer};
use portcullis_authn::{ReadFrom, TokenFailure, unverified_issuer};
use portcullis_core::{ChallengeError, ConnMeta, Denial, Fault, Head, Principal, Refusal, Scheme};

use crate::possession::Bound;
use crate::{Demand, TokenWay, certificates, possession};

/// A token and the kind of place it came from.
struct Found<'h> {
    token: Cow<'h, str>,
    place: &'h ReadFrom,
}

/// Who calls, and how that became known.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whom the credential stands for.
    pub principal: Arc<Principal>,
    /// Whether browsers send the credential by themselves.
    pub ambient: bool,
    /// What it is bound to that the holder has shown to have.
    pub bound: Bound,
}

/// Finds the one credential that counts and verifies it. `Ok(None)`: none was sent. The certificate of
/// the connection counts where the request has no credential of its own.
pub async fn identify(
    demand: &Demand,
    head: &Head<'_>,
    conn: &ConnMeta,
) -> Result<Option<Caller>, Refusal> {
    let Some(found) = find(demand, head)? else {
        return Ok(certificates::identify(&demand.certificates, conn));
    };
    let Some(way) = choose(&demand.tokens, &found) else {
        return Err(invalid(demand, "no issuer of this route issued the token").into());
    };
    match way.issuer.verify(&found.token).await {
        Ok(principal) => {
            let bound = possession::judge(way, &principal, conn);
            let bound = bound.map_err(|reason| invalid(demand, reason))?;
            let ambient = matches!(found.place, ReadFrom::Cookie(_));
            Ok(Some(Caller { principal, ambient, bound }))
        }
        Err(TokenFailure::Invalid(reason)) => Err(invalid(demand, reason).into()),
        Err(TokenFailure::KeysUnavailable { retry_after }) => {
            let issuer = way.issuer.settings().name.to_string();
            Err(Fault::IssuerUnavailable { issuer, retry_after }.into())
        }
        Err(failure @ TokenFailure::StateUnavailable) => {
            Err(Fault::StateUnavailable { reason: failure.to_string().into() }.into())
        }
    }
}

/// The refusal of a request without a credential that counts. Where only certificates do, there is no
/// challenge that a 401 could carry (RFC 9110 §15.5.2): a connection without one is a 403.
pub fn missing(demand: &Demand, conn: &ConnMeta) -> Denial {
    if demand.tokens.is_empty() {
        return match certificates::shown(conn) {
            Some(_) => Denial::CertificateNotAllowed,
            None => Denial::CertificateMissing,
        };
    }
    Denial::CredentialMissing { challenge: demand.challenge(None) }
}

fn invalid(demand: &Demand, reason: impl Into<Cow<'static, str>>) -> Denial {
    let error = Some((Scheme::Bearer, ChallengeError::InvalidToken));
    Denial::CredentialInvalid { challenge: demand.challenge(error), reason: reason.into() }
}

fn find<'h>(demand: &'h Demand, head: &Head<'h>) -> Result<Option<Found<'h>>, Refusal> {
    let mut explicit = None;
    for place in places(&demand.tokens) {
        let token = match place {
            ReadFrom::Authorization => match bearer::from_authorization(head.headers) {
                Bearer::Absent => continue,
                Bearer::Malformed(reason) => return Err(invalid(demand, reason).into()),
                Bearer::Token(token) => Cow::Borrowed(token),
            },
            ReadFrom::Query(name) => match bearer::from_query(head.query.unwrap_or_default(), name)
            {
                Ok(None) => continue,
                Ok(Some(token)) => token,
                Err(_) => return Err(Denial::AmbiguousCredentials.into()),
            },
            ReadFrom::Cookie(_) => continue,
        };
        if explicit.replace(Found { token, place }).is_some() {
            return Err(Denial::AmbiguousCredentials.into());
        }
    }
    Ok(explicit.or_else(|| find_ambient(&demand.tokens, head)))
}

fn find_ambient<'h>(ways: &'h [TokenWay], head: &Head<'h>) -> Option<Found<'h>> {
    places(ways).find_map(|place| match place {
        ReadFrom::Cookie(name) => {
            let token = Cow::Borrowed(bearer::from_cookie(head.headers, name)?);
            Some(Found { token, place })
        }
        ReadFrom::Authorization | ReadFrom::Query(_) => None,
    })
}

/// Every place that one of the ways reads, each once.
fn places(ways: &[TokenWay]) -> impl Iterator<Item = &ReadFrom> {
    let all = || ways.iter().flat_map(|way| &way.issuer.settings().read_from);
    all()
        .enumerate()
        .filter(move |(n, place)| all().take(*n).all(|other| other != *place))
        .map(|(_, place)| place)
}

/// The way that judges the token: the only one that reads its place, or the one whose issuer the
/// token names.
fn choose<'w>(ways: &'w [TokenWay], found: &Found<'_>) -> Option<&'w TokenWay> {
    let mut fitting = ways.iter().filter(|w| w.issuer.settings().read_from.contains(found.place));
    let first = fitting.next()?;
    let name = &first.issuer.settings().name;
    if fitting.clone().all(|way| way.issuer.settings().name == *name) {
        return Some(first);
    }
    let named = unverified_issuer(&found.token)?;
    std::iter::once(first).chain(fitting).find(|way| *way.issuer.settings().issuer == *named)
}
