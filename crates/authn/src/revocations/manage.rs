//! Making revocations, showing them, taking them back, and forgetting those that are over.

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::Timestamp;
use portcullis_state::{Durable, DurableError, Kind};
use thiserror::Error;

use super::Revocations;
use super::record::{Revocation, Revoked, Term};
use crate::IssuerSettings;

/// Most revocations that are kept at once.
pub const MAXIMUM: usize = 100_000;

/// Longest `iss`, `jti` or subject, in bytes.
const LONGEST: usize = 1024;

/// What is to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRevocation {
    /// The `iss` of the tokens.
    pub issuer: String,
    /// Which of them.
    pub revoked: Revoked,
    /// When the tokens end, where that is known.
    pub expires: Option<Timestamp>,
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(&'static str),
    /// There are as many as are kept.
    #[error(
        "there are {MAXIMUM} revocations: revoke a subject, or the whole issuer by issued_before"
    )]
    Full,
    /// The store failed.
    #[error(transparent)]
    Durable(#[from] DurableError),
}

impl Revocations {
    /// Revokes. On disk when this returns, and counts here at once.
    ///
    /// It is kept until the tokens have ended: as `expires` says, or as the longest life that
    /// `settings` allow, and for their leeway twice. Where neither is known it is kept until it is taken
    /// back.
    pub async fn revoke(
        &self,
        new: NewRevocation,
        settings: Option<&IssuerSettings>,
    ) -> Result<Revocation, RevocationError> {
        let now = self.clock.now();
        new.check(now)?;
        let term = new.term(now, settings);
        let NewRevocation { issuer, revoked, .. } = new;
        let mut revocation = Revocation::new(issuer, revoked, now, term);
        let durable = self.store()?;
        if let Some(before) = durable.get(Kind::Revocation, &revocation.id).await? {
            if let Some(before) = Revocation::read(revocation.id.clone(), &before) {
                // What was revoked for longer before stays so.
                revocation.term = revocation.term.longer(before.term);
                revocation.created = before.created;
            }
        } else if durable.list(Kind::Revocation).await?.len() >= MAXIMUM {
            return Err(RevocationError::Full);
        }
        durable.put(Kind::Revocation, &revocation.id, &revocation.record()).await?;
        self.mirror.refresh().await?;
        Ok(revocation)
    }

    /// Those that are not over, the latest first.
    pub async fn list(&self) -> Result<Vec<Revocation>, DurableError> {
        let now = self.clock.now();
        let records = self.store()?.list(Kind::Revocation).await?;
        let read = records.into_iter().filter_map(|(id, record)| Revocation::read(id, &record));
        let mut all: Vec<Revocation> =
            read.filter(|one| !one.term.is_over(now, Duration::ZERO)).collect();
        all.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        Ok(all)
    }

    /// Takes one back; `None` where there is none of this id. What it revoked is good again, until it
    /// ends.
    pub async fn restore(&self, id: &str) -> Result<Option<Revocation>, DurableError> {
        let durable = self.store()?;
        let Some(record) = durable.get(Kind::Revocation, id).await? else { return Ok(None) };
        durable.remove(Kind::Revocation, id).await?;
        self.mirror.refresh().await?;
        Ok(Revocation::read(id.to_owned(), &record))
    }

    /// Forgets those that are over, where no issuer's clock may be off by more than `leeway`.
    pub async fn sweep(&self, leeway: Duration) -> Result<(), DurableError> {
        let now = self.clock.now();
        let durable = self.store()?;
        for (id, record) in durable.list(Kind::Revocation).await? {
            let read = Revocation::read(id.clone(), &record);
            if read.is_some_and(|one| one.term.is_over(now, leeway)) {
                durable.remove(Kind::Revocation, &id).await?;
            }
        }
        Ok(())
    }

    fn store(&self) -> Result<&Arc<dyn Durable>, DurableError> {
        let none = || DurableError::Unavailable { reason: "no store is open".to_owned() };
        self.mirror.durable().ok_or_else(none)
    }
}

impl NewRevocation {
    fn check(&self, now: Timestamp) -> Result<(), RevocationError> {
        let text = match &self.revoked {
            Revoked::Jti(text) | Revoked::Subject(text) => text,
            Revoked::IssuedBefore(_) => "-",
        };
        if self.issuer.is_empty() || text.is_empty() {
            return Err(RevocationError::Invalid("issuer, jti and subject are not empty"));
        }
        if self.issuer.len() > LONGEST || text.len() > LONGEST {
            return Err(RevocationError::Invalid(
                "issuer, jti and subject have at most 1024 bytes",
            ));
        }
        if self.expires.is_some_and(|expires| expires <= now) {
            return Err(RevocationError::Invalid(
                "`expires` is over: such tokens are good no more",
            ));
        }
        Ok(())
    }

    fn term(&self, now: Timestamp, settings: Option<&IssuerSettings>) -> Term {
        let leeway = settings.map_or(Duration::ZERO, |settings| settings.leeway);
        let last_issued = match self.revoked {
            Revoked::IssuedBefore(time) => time.max(now),
            Revoked::Jti(_) | Revoked::Subject(_) => now,
        };
        let longest = settings.and_then(|settings| settings.maximum_lifetime);
        let until = self.expires.or_else(|| Some(last_issued.plus(longest?)));
        Term { until, leeway }
    }
}
