//! From a request to a principal: where credentials are looked for, and which of several counts.
//!
//! Explicit ones (`Authorization`, a query parameter) come before ambient ones (a cookie). Two
//! explicit ones are refused. A wrong one is never rescued by another.

use std::borrow::Cow;
use std::sync::Arc;

use portcullis_authn::bearer::{self, Bearer};
use portcullis_authn::{ReadFrom, TokenFailure, unverified_issuer};
use portcullis_core::{
    Challenge, ChallengeError, ConnMeta, Denial, Fault, Head, Principal, Refusal,
};

use crate::access::CertificateWay;
use crate::{Way, certificates};

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
    /// Whether it is a certificate, which has neither scopes nor roles.
    pub by_certificate: bool,
}

/// Finds the one credential that counts and verifies it. `Ok(None)`: none was sent. The certificate of
/// the connection counts where the request has no credential of its own.
pub async fn identify(
    ways: &[Way],
    certificates: &[CertificateWay],
    head: &Head<'_>,
    conn: &ConnMeta,
) -> Result<Option<Caller>, Refusal> {
    let Some(found) = find(ways, head)? else {
        return Ok(certificates::identify(certificates, conn));
    };
    let Some(way) = choose(ways, &found) else {
        return Err(invalid(ways, "no issuer of this route issued the token").into());
    };
    match way.issuer.verify(&found.token).await {
        Ok(principal) => {
            let ambient = matches!(found.place, ReadFrom::Cookie(_));
            Ok(Some(Caller { principal, ambient, by_certificate: false }))
        }
        Err(TokenFailure::Invalid(reason)) => Err(invalid(ways, reason).into()),
        Err(TokenFailure::KeysUnavailable { retry_after }) => {
            let issuer = way.issuer.settings().name.to_string();
            Err(Fault::IssuerUnavailable { issuer, retry_after }.into())
        }
    }
}

/// The refusal of a request without a credential that counts. Where only certificates do, there is no
/// challenge that a 401 could carry (RFC 9110 §15.5.2): a connection without one is a 403.
pub fn missing(ways: &[Way], conn: &ConnMeta) -> Denial {
    if ways.is_empty() {
        return match certificates::shown(conn) {
            Some(_) => Denial::CertificateNotAllowed,
            None => Denial::CertificateMissing,
        };
    }
    Denial::CredentialMissing { challenge: Challenge { error: None, scope: scope(ways) } }
}

fn invalid(ways: &[Way], reason: impl Into<Cow<'static, str>>) -> Denial {
    let challenge = Challenge { error: Some(ChallengeError::InvalidToken), scope: scope(ways) };
    Denial::CredentialInvalid { challenge, reason: reason.into() }
}

/// Scopes for a challenge, where there is but one answer to what would do.
fn scope(ways: &[Way]) -> String {
    match ways {
        [way] => way.scopes.join(" "),
        _ => String::new(),
    }
}

fn find<'h>(ways: &'h [Way], head: &Head<'h>) -> Result<Option<Found<'h>>, Refusal> {
    let mut explicit = None;
    for place in places(ways) {
        let token = match place {
            ReadFrom::Authorization => match bearer::from_authorization(head.headers) {
                Bearer::Absent => continue,
                Bearer::Malformed(reason) => return Err(invalid(ways, reason).into()),
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
    Ok(explicit.or_else(|| find_ambient(ways, head)))
}

fn find_ambient<'h>(ways: &'h [Way], head: &Head<'h>) -> Option<Found<'h>> {
    places(ways).find_map(|place| match place {
        ReadFrom::Cookie(name) => {
            let token = Cow::Borrowed(bearer::from_cookie(head.headers, name)?);
            Some(Found { token, place })
        }
        ReadFrom::Authorization | ReadFrom::Query(_) => None,
    })
}

/// Every place that one of the ways reads, each once.
fn places(ways: &[Way]) -> impl Iterator<Item = &ReadFrom> {
    let all = || ways.iter().flat_map(|way| &way.issuer.settings().read_from);
    all()
        .enumerate()
        .filter(move |(n, place)| all().take(*n).all(|other| other != *place))
        .map(|(_, place)| place)
}

/// The way that judges the token: the only one that reads its place, or the one whose issuer the
/// token names.
fn choose<'w>(ways: &'w [Way], found: &Found<'_>) -> Option<&'w Way> {
    let mut fitting = ways.iter().filter(|w| w.issuer.settings().read_from.contains(found.place));
    let first = fitting.next()?;
    let name = &first.issuer.settings().name;
    if fitting.clone().all(|way| way.issuer.settings().name == *name) {
        return Some(first);
    }
    let named = unverified_issuer(&found.token)?;
    std::iter::once(first).chain(fitting).find(|way| *way.issuer.settings().issuer == *named)
}
