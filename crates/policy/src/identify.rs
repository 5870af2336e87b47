//! From a request to a principal: where credentials are looked for, and which of several counts.
//!
//! Explicit ones (`Authorization`, a query parameter, the field of API keys) come before ambient ones (a
//! cookie, the certificate of the connection). Two explicit ones are refused, whatever they are: which
//! of them somebody further on would believe cannot be told. A wrong one is never rescued by another.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderValue;
use portcullis_authn::bearer::{self, Bearer};
use portcullis_authn::{KeyFailure, ReadFrom, TokenFailure, unverified_issuer};
use portcullis_core::forwarded::ClientView;
use portcullis_core::{ChallengeError, ConnMeta, Denial, Fault, Head, Principal, Scheme};

use crate::penalty::Failed;
use crate::possession::{self, Bound, Presented};
use crate::{Demand, KeyWay, TokenWay, certificates};

/// What a request sent to say who it is.
pub(crate) enum Sent<'h> {
    /// The value of the field of API keys.
    Key(&'h KeyWay, &'h HeaderValue),
    Token(Found<'h>),
    /// Where a token is expected, something that is none.
    NoToken(&'static str),
}

/// A token and the kind of place it came from.
pub(crate) struct Found<'h> {
    pub(crate) token: Cow<'h, str>,
    place: &'h ReadFrom,
    scheme: Scheme,
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

/// Verifies the one credential that counts. `Ok(None)`: none was sent. The certificate of the connection
/// counts where the request has no credential of its own. `client` is whose address the lists of API
/// keys are held against.
pub(crate) async fn identify(
    demand: &Demand,
    sent: Option<&Sent<'_>>,
    head: &Head<'_>,
    conn: &ConnMeta,
    client: &ClientView,
) -> Result<Option<Caller>, Failed> {
    match sent {
        None => Ok(certificates::identify(&demand.certificates, conn)),
        Some(Sent::Key(way, value)) => by_key(demand, way, value, client).map(Some),
        Some(Sent::NoToken(reason)) => Err(invalid(demand, Scheme::Bearer, *reason).into()),
        Some(Sent::Token(found)) => by_token(demand, found, head, conn).await.map(Some),
    }
}

fn by_key(
    demand: &Demand,
    way: &KeyWay,
    value: &HeaderValue,
    client: &ClientView,
) -> Result<Caller, Failed> {
    // What is not text is no key, and is judged as such.
    let presented = value.to_str().unwrap_or("not text");
    match way.keys.verify(presented, client.address) {
        Ok(principal) => Ok(Caller { principal, ambient: false, bound: Bound::default() }),
        Err(KeyFailure::Wrong(reason)) => {
            Err(Failed::wrong(invalid(demand, Scheme::ApiKey, reason)))
        }
        Err(KeyFailure::Ended(reason)) => Err(invalid(demand, Scheme::ApiKey, reason).into()),
        Err(failure @ KeyFailure::Unavailable) => {
            Err(Fault::StateUnavailable { reason: failure.to_string().into() }.into())
        }
    }
}

async fn by_token(
    demand: &Demand,
    found: &Found<'_>,
    head: &Head<'_>,
    conn: &ConnMeta,
) -> Result<Caller, Failed> {
    let Some(way) = choose(&demand.tokens, found) else {
        let reason = "no issuer of this route issued the token";
        return Err(invalid(demand, found.scheme, reason).into());
    };
    match way.issuer.verify(&found.token).await {
        Ok(principal) => {
            let presented = Presented { token: &found.token, scheme: found.scheme };
            let bound = possession::judge(demand, way, &principal, presented, (head, conn))?;
            let ambient = matches!(found.place, ReadFrom::Cookie(_));
            Ok(Caller { principal, ambient, bound })
        }
        Err(TokenFailure::Wrong(reason)) => {
            Err(Failed::wrong(invalid(demand, found.scheme, reason)))
        }
        Err(TokenFailure::Invalid(reason)) => Err(invalid(demand, found.scheme, reason).into()),
        Err(
            failure @ (TokenFailure::KeysUnavailable { retry_after }
            | TokenFailure::ServerUnavailable { retry_after, .. }),
        ) => {
            let issuer = way.issuer.settings().name.to_string();
            let reason = failure.to_string().into();
            Err(Fault::IssuerUnavailable { issuer, reason, retry_after }.into())
        }
        Err(failure @ TokenFailure::StateUnavailable) => {
            Err(Fault::StateUnavailable { reason: failure.to_string().into() }.into())
        }
    }
}

/// The refusal of a request without a credential that counts. Where only certificates do, there is no
/// challenge that a 401 could carry (RFC 9110 §15.5.2): a connection without one is a 403.
pub fn missing(demand: &Demand, conn: &ConnMeta) -> Denial {
    if demand.tokens.is_empty() && demand.api_keys.is_none() {
        return match certificates::shown(conn) {
            Some(_) => Denial::CertificateNotAllowed,
            None => Denial::CertificateMissing,
        };
    }
    Denial::CredentialMissing { challenge: demand.challenge(None) }
}

fn invalid(demand: &Demand, scheme: Scheme, reason: impl Into<Cow<'static, str>>) -> Denial {
    let error = Some((scheme, ChallengeError::InvalidToken));
    Denial::CredentialInvalid { challenge: demand.challenge(error), reason: reason.into() }
}

/// Finds the one credential that counts.
pub(crate) fn find<'h>(demand: &'h Demand, head: &Head<'h>) -> Result<Option<Sent<'h>>, Denial> {
    let mut explicit = find_key(demand, head)?;
    for place in places(&demand.tokens) {
        let Some(sent) = find_explicit(place, head)? else { continue };
        if explicit.replace(sent).is_some() {
            return Err(Denial::AmbiguousCredentials);
        }
    }
    Ok(explicit.or_else(|| find_ambient(&demand.tokens, head)))
}

/// The field of API keys; where the route takes none it is a field like any other.
fn find_key<'h>(demand: &'h Demand, head: &Head<'h>) -> Result<Option<Sent<'h>>, Denial> {
    let Some(way) = &demand.api_keys else { return Ok(None) };
    let mut values = head.headers.get_all(&way.field).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match values.next() {
        None => Ok(Some(Sent::Key(way, value))),
        Some(_) => Err(Denial::AmbiguousCredentials),
    }
}

fn find_explicit<'h>(place: &'h ReadFrom, head: &Head<'h>) -> Result<Option<Sent<'h>>, Denial> {
    let (token, scheme) = match place {
        ReadFrom::Authorization => match bearer::from_authorization(head.headers) {
            Bearer::Absent => return Ok(None),
            Bearer::Dpop(token) => (Cow::Borrowed(token), Scheme::Dpop),
            Bearer::Malformed(reason) => return Ok(Some(Sent::NoToken(reason))),
            Bearer::Token(token) => (Cow::Borrowed(token), Scheme::Bearer),
        },
        ReadFrom::Query(name) => {
            let found = bearer::from_query(head.query.unwrap_or_default(), name);
            match found.map_err(|_| Denial::AmbiguousCredentials)? {
                None => return Ok(None),
                Some(token) => (token, Scheme::Bearer),
            }
        }
        ReadFrom::Cookie(_) => return Ok(None),
    };
    Ok(Some(Sent::Token(Found { token, place, scheme })))
}

fn find_ambient<'h>(ways: &'h [TokenWay], head: &Head<'h>) -> Option<Sent<'h>> {
    places(ways).find_map(|place| match place {
        ReadFrom::Cookie(name) => match bearer::from_cookie(head.headers, name).transpose()? {
            Ok(token) => {
                let token = Cow::Borrowed(token);
                Some(Sent::Token(Found { token, place, scheme: Scheme::Bearer }))
            }
            Err(reason) => Some(Sent::NoToken(reason)),
        },
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
/// token names. What names none of them is for the one whose tokens are opaque.
fn choose<'w>(ways: &'w [TokenWay], found: &Found<'_>) -> Option<&'w TokenWay> {
    let mut fitting = ways.iter().filter(|w| w.issuer.settings().read_from.contains(found.place));
    let first = fitting.next()?;
    let name = &first.issuer.settings().name;
    if fitting.clone().all(|way| way.issuer.settings().name == *name) {
        return Some(first);
    }
    let mut fitting = std::iter::once(first).chain(fitting);
    match unverified_issuer(&found.token) {
        Some(named) => fitting.find(|way| *way.issuer.settings().issuer == *named),
        None => fitting.find(|way| way.issuer.is_opaque()),
    }
}
