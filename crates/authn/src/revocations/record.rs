//! What is kept of a revocation, and what is shown of it: the same.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use portcullis_core::{Secret, Timestamp};
use serde::{Deserialize, Serialize};

/// Which tokens of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The one with this `jti`.
    Jti(String),
    /// All of this subject that may have been issued until now; those without `iat` too.
    Subject(String),
    /// All that may have been issued before this time; those without `iat` too.
    IssuedBefore(Timestamp),
}

/// A revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Its id.
    pub id: String,
    /// The `iss` of the tokens.
    pub issuer: String,
    /// Which of them.
    pub revoked: Revoked,
    /// When it was made.
    pub created: Timestamp,
    /// How long it is kept.
    pub term: Term,
}

/// How long a revocation is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// When its tokens end; `None`: it is kept until it is taken back.
    pub until: Option<Timestamp>,
    /// How far the issuer's clock could be off when it was made. Where it may be off further since,
    /// that counts.
    pub leeway: Duration,
}

impl Term {
    /// Whether it is over at `now`, where the issuer's clock may be off by `leeway`: it may have been
    /// ahead when it issued, and its tokens are taken a little after they end.
    pub fn is_over(&self, now: Timestamp, leeway: Duration) -> bool {
        let leeway = self.leeway.max(leeway);
        self.until.is_some_and(|until| until.plus(leeway).plus(leeway) <= now)
    }

    /// The longer of both.
    pub(super) fn longer(self, other: Self) -> Self {
        let until = match (self.until, other.until) {
            (Some(until), Some(before)) => Some(until.max(before)),
            _ => None,
        };
        Self { until, leeway: self.leeway.max(other.leeway) }
    }
}

/// As the store has it; nanoseconds since the Unix epoch. What a later version says and this one does
/// not know makes the record unreadable: it may be what revokes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    issuer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issued_before: Option<u64>,
    created: u64,
    until: Option<u64>,
    #[serde(default)]
    leeway: u64,
}

impl Revocation {
    /// With the id that these tokens have: the same revocation made twice is one. Each subject's is
    /// one of its own, since later tokens are meant by it.
    pub(super) fn new(issuer: String, revoked: Revoked, created: Timestamp, term: Term) -> Self {
        let (kind, what, time) = match &revoked {
            Revoked::Jti(jti) => ("jti", jti.as_str(), 0),
            Revoked::Subject(subject) => ("subject", subject.as_str(), created.unix_nanos()),
            Revoked::IssuedBefore(time) => ("issued_before", "", time.unix_nanos()),
        };
        let text = serde_json::json!([kind, issuer, what, time]).to_string();
        let digest = digest(&SHA256, text.as_bytes());
        let number =
            digest.as_ref().iter().take(12).fold(0_u128, |n, byte| n << 8 | u128::from(*byte));
        let id = format!("{number:024x}");
        Self { id, issuer, revoked, created, term }
    }

    /// Reads a record; `None` where it is none that this version understands.
    pub(super) fn read(id: String, record: &Secret) -> Option<Self> {
        let Record { issuer, jti, subject, issued_before, created, until, leeway } =
            serde_json::from_slice(record.expose()).ok()?;
        let revoked = match (jti, subject, issued_before) {
            (Some(jti), None, None) => Revoked::Jti(jti),
            (None, Some(subject), None) => Revoked::Subject(subject),
            (None, None, Some(time)) => Revoked::IssuedBefore(Timestamp::from_unix_nanos(time)),
            _ => return None,
        };
        let created = Timestamp::from_unix_nanos(created);
        let until = until.map(Timestamp::from_unix_nanos);
        let term = Term { until, leeway: Duration::from_nanos(leeway) };
        Some(Self { id, issuer, revoked, created, term })
    }

    /// What is kept of it.
    pub(super) fn record(&self) -> Secret {
        let (jti, subject, issued_before) = match &self.revoked {
            Revoked::Jti(jti) => (Some(jti.clone()), None, None),
            Revoked::Subject(subject) => (None, Some(subject.clone()), None),
            Revoked::IssuedBefore(time) => (None, None, Some(time.unix_nanos())),
        };
        let record = Record {
            issuer: self.issuer.clone(),
            jti,
            subject,
            issued_before,
            created: self.created.unix_nanos(),
            until: self.term.until.map(Timestamp::unix_nanos),
            leeway: u64::try_from(self.term.leeway.as_nanos()).unwrap_or(u64::MAX),
        };
        Secret::new(serde_json::to_vec(&record).unwrap_or_default())
    }
}
