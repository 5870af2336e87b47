//! What an expression reads of a request, found when it is asked for.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use cel::common::traits::{Container, Indexer};
use cel::common::types::{CelBool, CelInt, CelList, CelMap, CelNull, CelString, CelTimestamp};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use chrono::{DateTime, Utc};
use http::HeaderName;
use portcullis_core::field_name::is_same;
use portcullis_core::forwarded::ClientView;
use portcullis_core::{CredentialKind, Head, Host, Principal, Timestamp};

use super::claims::{Facts, MOST_ELEMENTS};
use super::equal::Budget;
use super::path::PathVariables;
use super::pattern::Pattern;
use super::query::parameter;

/// Elements that one evaluation goes through, all macros together.
pub(super) const MOST_STEPS: u32 = 2000;

/// Something that an expression reads. The expression has a number in its place.
#[derive(Clone, Debug)]
pub(super) enum Read {
    /// What is left to compare.
    Budget,
    Claim(CelString<'static>),
    Claims,
    ClientAddress,
    ContentLength,
    HasClaim(CelString<'static>),
    HasHeader(HeaderName),
    HasQuery(Box<str>),
    Header(HeaderName),
    Host,
    Https,
    Method,
    Now,
    Path,
    Pattern(Pattern),
    Principal(Field),
    Query(Box<str>),
    /// One more element of a macro.
    Step,
    Variable(Box<str>),
    /// `principal` itself: null, or something that is not.
    Whole,
}

/// A field of `principal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Expires,
    Iss,
    Issuer,
    Kind,
    Roles,
    Scopes,
    Subject,
}

/// A request as a policy is asked about it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who calls; `None` is nobody in particular.
    pub principal: Option<&'a Principal>,
    /// The head of the request.
    pub head: &'a Head<'a>,
    /// The client.
    pub client: &'a ClientView,
    /// The variables of the route's path.
    pub variables: &'a PathVariables,
}

/// One evaluation: the request, and what came to light.
pub(super) struct Reader<'a> {
    asked: Asked<'a>,
    now: Timestamp,
    reads: &'a [Read],
    steps: AtomicU32,
    budget: Budget,
    why: OnceLock<String>,
}

static NULL: CelNull = CelNull;

type Value<'b> = CowVal<'b, 'b>;

impl<'a> Reader<'a> {
    pub(super) const fn new(asked: Asked<'a>, now: Timestamp, reads: &'a [Read]) -> Self {
        let (steps, budget) = (AtomicU32::new(0), Budget::new());
        Self { asked, now, reads, steps, budget, why: OnceLock::new() }
    }

    /// Why something could not be had.
    pub(super) fn why(&self) -> Option<&str> {
        self.why.get().map(String::as_str)
    }

    fn read<'b>(&'b self, read: &'b Read) -> Result<Value<'b>, Cow<'static, str>> {
        let Asked { head, client, variables, .. } = self.asked;
        Ok(match read {
            Read::Budget => CowVal::Borrowed(&self.budget),
            Read::Claim(name) => return self.claim(name),
            Read::Claims => CowVal::Borrowed(self.claims()?),
            Read::ClientAddress => text(client.address.to_string()),
            Read::ContentLength => match (head.content_length, head.has_body) {
                (Some(length), _) => whole(length),
                (None, false) => whole(0),
                (None, true) => return Err("the length of the body is not known".into()),
            },
            Read::HasClaim(name) => truth(self.has_claim(name)?),
            Read::HasHeader(name) => truth(self.header(name)?.is_some()),
            Read::HasQuery(name) => truth(self.query(name)?.is_some()),
            Read::Header(name) => {
                let value = self.header(name)?;
                text(value.ok_or_else(|| format!("no such field {name}"))?)
            }
            Read::Host => match &head.authority.host {
                Host::Name(name) => text(&**name),
                host @ (Host::V4(_) | Host::V6(_)) => text(host.to_string()),
            },
            Read::Https => truth(head.https),
            Read::Method => text(head.method.as_str()),
            Read::Now => time(self.now),
            Read::Path => text(head.path.as_str()),
            Read::Pattern(pattern) => CowVal::Borrowed(pattern),
            Read::Principal(field) => return self.field(*field),
            Read::Query(name) => {
                let value = self.query(name)?;
                text(value.ok_or_else(|| format!("no such parameter {name}"))?)
            }
            Read::Step if self.steps.fetch_add(1, Ordering::Relaxed) >= MOST_STEPS => {
                return Err(format!("more than {MOST_STEPS} elements").into());
            }
            Read::Step => truth(true),
            Read::Variable(name) => text(variables.text(name, head.path.as_str())?),
            Read::Whole => match self.asked.principal {
                Some(_) => truth(true),
                None => CowVal::Borrowed(&NULL),
            },
        })
    }

    fn facts(&self) -> Option<&Facts> {
        let principal = self.asked.principal?;
        principal.derived.get_or_make(|| Facts::of(principal))
    }

    fn claims(&self) -> Result<&CelMap<'static>, Cow<'static, str>> {
        let facts = self.facts().ok_or(ANONYMOUS)?;
        facts.claims.as_ref().ok_or_else(too_many)
    }

    fn claim(&self, name: &CelString<'static>) -> Result<Value<'_>, Cow<'static, str>> {
        if self.asked.principal.is_none() {
            return Err(no_claim(name));
        }
        self.claims()?.get(name).map_err(|_| no_claim(name))
    }

    fn has_claim(&self, name: &CelString<'static>) -> Result<bool, Cow<'static, str>> {
        if self.asked.principal.is_none() {
            return Ok(false);
        }
        Ok(self.claims()?.contains(name).unwrap_or(false))
    }

    fn field(&self, field: Field) -> Result<Value<'_>, Cow<'static, str>> {
        let principal = self.asked.principal.ok_or(ANONYMOUS)?;
        let list = |of: fn(&Facts) -> Option<&CelList<'static>>| {
            let list = self.facts().and_then(of).ok_or_else(too_many)?;
            Ok(CowVal::Borrowed(list))
        };
        Ok(match field {
            Field::Expires => time(principal.expires),
            Field::Iss => text(&*principal.issuer),
            Field::Issuer => text(&*principal.issuer_name),
            Field::Kind => text(kind(principal.credential)),
            Field::Roles => return list(|facts| facts.roles.as_ref()),
            Field::Scopes => return list(|facts| facts.scopes.as_ref()),
            Field::Subject => text(&*principal.subject),
        })
    }

    fn header(&self, name: &HeaderName) -> Result<Option<&str>, Cow<'static, str>> {
        let headers = &self.asked.head.headers;
        if let Some(other) = headers.keys().find(|other| *other != name && is_same(other, name)) {
            return Err(format!("the field {name} stands there as {other}").into());
        }
        let mut values = headers.get_all(name).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(format!("the field {name} stands there twice").into());
        }
        value.to_str().map(Some).map_err(|_| format!("the field {name} is not ASCII").into())
    }

    fn query(&self, name: &str) -> Result<Option<Cow<'_, str>>, Cow<'static, str>> {
        let query = self.asked.head.query.unwrap_or_default();
        parameter(query, name).map_err(Cow::Owned)
    }
}

impl VariableResolver for Reader<'_> {
    /// `None` fails the evaluation: nothing that cannot be had is ever a value.
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let number: usize = name.strip_prefix('@')?.parse().ok()?;
        match self.read(self.reads.get(number)?) {
            Ok(value) => Some(value),
            Err(why) => {
                self.why.get_or_init(|| why.into_owned());
                None
            }
        }
    }
}

const ANONYMOUS: &str = "nobody is identified";

fn no_claim(name: &str) -> Cow<'static, str> {
    format!("no such claim {name}").into()
}

fn too_many() -> Cow<'static, str> {
    format!("a list or a mapping of more than {MOST_ELEMENTS} elements").into()
}

/// What a principal's credential is called in expressions.
pub(super) const KINDS: [&str; 3] = ["api_key", "client_certificate", "token"];

const fn kind(kind: CredentialKind) -> &'static str {
    let [api_key, certificate, token] = KINDS;
    match kind {
        CredentialKind::ApiKey => api_key,
        CredentialKind::Certificate => certificate,
        CredentialKind::Token => token,
    }
}

pub(super) fn truth<'b, 'v>(value: bool) -> CowVal<'b, 'v> {
    static TRUE: CelBool = CelBool::TRUE;
    static FALSE: CelBool = CelBool::FALSE;
    let value: &'static dyn Val = if value { &TRUE } else { &FALSE };
    CowVal::Borrowed(value)
}

fn text<'b>(text: impl Into<Cow<'b, str>>) -> Value<'b> {
    CowVal::owned(match text.into() {
        Cow::Borrowed(text) => CelString::from(text),
        Cow::Owned(text) => CelString::from(text),
    })
}

fn whole<'b>(number: u64) -> Value<'b> {
    CowVal::owned(CelInt::from(i64::try_from(number).unwrap_or(i64::MAX)))
}

fn time<'b>(at: Timestamp) -> Value<'b> {
    let seconds = i64::try_from(at.unix_seconds()).unwrap_or(i64::MAX);
    let nanos = u32::try_from(at.unix_nanos() % 1_000_000_000).unwrap_or_default();
    let at = DateTime::from_timestamp(seconds, nanos).unwrap_or(DateTime::<Utc>::MAX_UTC);
    CowVal::owned(CelTimestamp::from(at.fixed_offset()))
}
