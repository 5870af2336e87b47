//! One name: what is kept for it is served, and what is missing or due is ordered, by whichever
//! process holds the lease.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use instant_acme::{Account, CertificateIdentifier};
use portcullis_core::{Secret, Timestamp, random};
use portcullis_state::Kind;
use tokio::sync::watch;

use super::engine::{Halt, Shared};
use super::failure::Failure;
use super::lease::Lease;
use super::order::Work;
use super::record::{CertificateRecord, NameRecord, RenewalRecord};
use super::schedule::{self, Draw, Next, Term};
use super::settings::AcmePlan;
use super::{Moment, http};
use crate::{CertifiedPair, TlsError};

/// When an authority that has no windows of renewal, or fails to tell one, is asked again.
const ASK_LATER: Duration = Duration::from_hours(6);

/// The work for one name.
pub(super) struct NameTask {
    pub(super) shared: Arc<Shared>,
    pub(super) name: String,
    pub(super) holder: String,
    pub(super) plan: Arc<ArcSwap<AcmePlan>>,
    pub(super) stop: watch::Receiver<Halt>,
    /// What was given to the store, and by which plan.
    pub(super) served: Option<(Secret, Arc<AcmePlan>)>,
    /// Why no attempt can be made, as it was told last.
    pub(super) held_up: Option<String>,
}

/// The certificate that is kept for a name.
pub(super) struct Kept {
    raw: Secret,
    record: CertificateRecord,
    pair: Result<CertifiedPair, TlsError>,
}

impl Kept {
    fn term(&self, directory: &str) -> Option<Term> {
        let pair = self.pair.as_ref().ok()?;
        Some(Term {
            not_before: pair.not_before(),
            not_after: pair.not_after(),
            is_of_this_directory: self.record.directory == directory,
        })
    }
}

impl NameTask {
    /// Looks again and again, until stopped.
    pub(super) async fn run(mut self) {
        // What a task before this one told holds no more.
        self.shared.events.held_up(&self.name, None);
        loop {
            let wait = self.look().await;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = self.stop.changed() => return,
            }
            if *self.stop.borrow() != Halt::No {
                return;
            }
        }
    }

    async fn look(&mut self) -> Duration {
        let pace = self.shared.pace;
        let looked = self.try_look().await;
        match &looked {
            Err(Failure::Stopped | Failure::LeaseLost | Failure::Elsewhere) => {}
            looked => self.tell(looked.as_ref().err()),
        }
        looked.unwrap_or(pace.busy)
    }

    /// Says what holds the name up, and that nothing does any more, once each.
    fn tell(&mut self, failure: Option<&Failure>) {
        let reason = failure.map(Failure::shown);
        if reason == self.held_up {
            return;
        }
        if let Some(failure) = &reason {
            tracing::error!(name = self.name, failure, "no certificate can be ordered");
        }
        self.shared.events.held_up(&self.name, reason.as_deref());
        self.held_up = reason;
    }

    async fn try_look(&mut self) -> Result<Duration, Failure> {
        let pace = self.shared.pace;
        let kept = self.serve_kept().await?;
        let record = self.record().await?;
        let now = self.shared.clock.now();
        let term = kept.and_then(|kept| kept.term(&record.directory));
        match schedule::next(now, term, &record) {
            Next::Order | Next::AskRenewal => {
                let done = self.attempt(record.failures > 0).await?;
                Ok(if done { Duration::ZERO } else { pace.busy })
            }
            Next::Wait(until) => {
                let is_settled = term.is_some_and(|term| now < schedule::due_at(term, &record));
                let longest = if is_settled { pace.idle } else { pace.busy };
                Ok(until.since(now).min(longest))
            }
        }
    }

    /// Takes the lease and works; `false` where another process has it.
    async fn attempt(&mut self, is_failing: bool) -> Result<bool, Failure> {
        let permits = self.shared.permits.of(is_failing);
        let permit = tokio::select! {
            permit = permits.acquire_owned() => permit,
            _ = self.stop.changed() => return Err(Failure::Stopped),
        };
        let (durable, pace) = (&self.shared.durable, &self.shared.pace);
        let name = format!("acme/{}", self.name);
        let Some(lease) = Lease::take(durable, name, &self.holder, pace.lease).await? else {
            return Ok(false);
        };
        let done = http::noting(self.work(&lease)).await;
        lease.release().await;
        drop(permit);
        done.map(|()| true)
    }

    /// What is to be done, judged once more now that nobody else writes.
    async fn work(&mut self, lease: &Lease) -> Result<(), Failure> {
        let kept = self.serve_kept().await?;
        let mut record = self.record().await?;
        if let Some(kept) = &kept {
            self.reconcile(kept, &mut record).await?;
        }
        let now = self.shared.clock.now();
        let term = kept.as_ref().and_then(|kept| kept.term(&record.directory));
        let outcome = match schedule::next(now, term, &record) {
            Next::Wait(_) => Ok(()),
            Next::AskRenewal => self.ask_renewal(kept, &mut record).await,
            Next::Order => self.order(lease, kept, &mut record).await,
        };
        match outcome {
            Err(failure) if !failure.is_no_attempt() => self.note(failure, lease, record).await,
            other => other,
        }
    }

    /// A process that died after it kept the certificate did not get to write that down.
    async fn reconcile(&self, kept: &Kept, record: &mut NameRecord) -> Result<(), Failure> {
        let key = record.order.as_ref().and_then(|order| order.key.as_ref());
        if key == Some(&kept.record.key)
            && let Ok(pair) = &kept.pair
        {
            self.note_issued(pair, record).await?;
        }
        Ok(())
    }

    async fn order(
        &mut self,
        lease: &Lease,
        kept: Option<Kept>,
        record: &mut NameRecord,
    ) -> Result<(), Failure> {
        let plan = self.plan.load_full();
        let account = self.account(&plan).await?;
        let replaces = kept.filter(|kept| kept.record.directory == record.directory);
        let replaces = replaces.and_then(|kept| kept.pair.ok());
        let replaces = replaces.and_then(|pair| pair.certified_key().cert.first().cloned());
        let mut work = Work {
            account,
            plan: Arc::clone(&plan),
            name: &self.name,
            record,
            replaces,
            durable: &self.shared.durable,
            events: &*self.shared.events,
            clock: &self.shared.clock,
            lease,
            pace: &self.shared.pace,
            stop: self.stop.clone(),
        };
        let issued = work.run().await?;
        self.take(issued, lease, record).await
    }

    async fn account(&self, plan: &AcmePlan) -> Result<Account, Failure> {
        self.shared.accounts.open(&plan.settings).await
    }

    /// Checks what was issued, keeps it and serves it.
    async fn take(
        &mut self,
        issued: CertificateRecord,
        lease: &Lease,
        record: &mut NameRecord,
    ) -> Result<(), Failure> {
        let now = self.shared.clock.now();
        let pair = match check(&self.name, &issued, now) {
            Ok(pair) => pair,
            Err(error) => {
                if !matches!(error, TlsError::NotYetValid { .. }) {
                    record.order = None;
                }
                return Err(error.into());
            }
        };
        lease.check().await?;
        issued.save(&*self.shared.durable, &self.name).await?;
        self.note_issued(&pair, record).await?;
        self.shared.events.issued(&self.name);
        let (name, until) = (&self.name, pair.not_after().rfc3339());
        tracing::info!(event = "certificate-issued", name, until, "certificate issued");
        self.serve_kept().await?;
        Ok(())
    }

    async fn note_issued(
        &self,
        pair: &CertifiedPair,
        record: &mut NameRecord,
    ) -> Result<(), Failure> {
        let (not_before, not_after) = (pair.not_before(), pair.not_after());
        let now = self.shared.clock.now();
        let term = Term { not_before, not_after, is_of_this_directory: true }.from(now);
        let validations_elsewhere = std::mem::take(&mut record.validations_elsewhere);
        *record = NameRecord { validations_elsewhere, ..NameRecord::new(&record.directory) };
        record.renew_at = Some(Moment(schedule::renew_at(term, draw()?)));
        record.issued_at = Some(Moment(now));
        record.save(&*self.shared.durable, &self.name).await?;
        Ok(())
    }

    /// Asks when the authority wants the certificate replaced. That it does not say is no failure.
    async fn ask_renewal(
        &self,
        kept: Option<Kept>,
        record: &mut NameRecord,
    ) -> Result<(), Failure> {
        let said = self.renewal_info(kept).await;
        let now = self.shared.clock.now();
        let before = record.renewal_info.take();
        let before = before.map_or((None, None), |old| (old.start, old.end));
        let asked = match said {
            Ok((start, end, again)) => {
                if before != (Some(start), Some(end)) && start <= end {
                    record.renew_at = Some(Moment(schedule::within(start.0, end.0, draw()?)));
                }
                let ask_at = Moment(schedule::ask_again(now, again));
                RenewalRecord { start: Some(start), end: Some(end), ask_at }
            }
            Err(failure) => {
                tracing::debug!(name = self.name, %failure, "no window of renewal");
                let ask_at = Moment(now.plus(failure.retry_after().unwrap_or(ASK_LATER)));
                RenewalRecord { start: before.0, end: before.1, ask_at }
            }
        };
        record.renewal_info = Some(asked);
        record.save(&*self.shared.durable, &self.name).await?;
        Ok(())
    }

    /// Start and end of the window, and how long it is to be believed.
    async fn renewal_info(
        &self,
        kept: Option<Kept>,
    ) -> Result<(Moment, Moment, Duration), Failure> {
        let none = || Failure::Unreachable("no authority key identifier".to_owned());
        let pair = kept.and_then(|kept| kept.pair.ok()).ok_or_else(none)?;
        let leaf = pair.certified_key().cert.first().ok_or_else(none)?;
        let id = CertificateIdentifier::try_from(leaf).map_err(|_| none())?;
        let account = self.account(&self.plan.load_full()).await?;
        let (info, again) = account.renewal_info(&id).await?;
        let window = info.suggested_window;
        Ok((moment(window.start), moment(window.end), again))
    }

    /// Remembers that an attempt failed, and when the next one may be.
    async fn note(
        &self,
        failure: Failure,
        lease: &Lease,
        mut record: NameRecord,
    ) -> Result<(), Failure> {
        let now = self.shared.clock.now();
        if failure.is_of_kind("accountDoesNotExist") {
            self.shared.accounts.forget(&self.plan.load().settings).await?;
        }
        let next = if let Failure::Full(until) = failure {
            until
        } else {
            record.failures = record.failures.saturating_add(1);
            let backoff = schedule::backoff(record.failures, &self.shared.pace, draw()?);
            now.plus(backoff.max(failure.retry_after().unwrap_or_default()))
        };
        // The bound of validations holds on top, so that the last error stays the one that counts.
        let full = schedule::validations_full(&record.validations, now);
        let next = full.map_or(next, |full| full.max(next));
        if !matches!(failure, Failure::Full(_)) {
            record.last_error = Some(failure.shown());
            self.shared.events.failed(&self.name);
        }
        let (name, next_attempt, failure) = (&self.name, next.rfc3339(), failure.shown());
        tracing::warn!(event = "certificate-failed", name, failure, next_attempt, "no certificate");
        record.next_attempt = Some(Moment(next));
        lease.check().await?;
        record.save(&*self.shared.durable, &self.name).await?;
        Ok(())
    }

    /// What is kept for this name at the directory that is asked now.
    async fn record(&self) -> Result<NameRecord, Failure> {
        let record = NameRecord::load(&*self.shared.durable, &self.name).await?;
        let directory = &self.plan.load().settings.directory;
        // What another authority said holds nothing up.
        let is_ours = record.directory == *directory;
        Ok(if is_ours { record } else { record.moved_to(directory, self.shared.clock.now()) })
    }

    /// Gives what is kept to the store, where it is not served yet.
    async fn serve_kept(&mut self) -> Result<Option<Kept>, Failure> {
        let kept = kept(&self.shared, &self.name).await?;
        let plan = self.plan.load_full();
        if let Some(kept) = &kept {
            let is_served = self
                .served
                .as_ref()
                .is_some_and(|(raw, of)| *raw == kept.raw && Arc::ptr_eq(of, &plan));
            if !is_served {
                serve(&self.name, kept, &plan);
                self.served = Some((kept.raw.clone(), plan));
            }
        }
        Ok(kept)
    }
}

/// What is kept for `name`, whether it can be served or not.
pub(super) async fn kept(shared: &Shared, name: &str) -> Result<Option<Kept>, Failure> {
    let Some(raw) = shared.durable.get(Kind::Certificate, name).await? else { return Ok(None) };
    let record = CertificateRecord::read(name, &raw)?;
    let pair = check(name, &record, shared.clock.now());
    Ok(Some(Kept { raw, record, pair }))
}

/// Serves what is kept.
pub(super) fn serve(name: &str, kept: &Kept, plan: &AcmePlan) {
    let installed = match &kept.pair {
        Ok(pair) => plan.store.install(name, pair.clone()),
        Err(error) => Err(error.clone()),
    };
    if let Err(error) = installed {
        tracing::warn!(name, %error, "the certificate that is kept is not served");
    }
}

/// Whether what was issued is for the name, belongs to its key and is in force.
pub(super) fn check(
    name: &str,
    issued: &CertificateRecord,
    now: Timestamp,
) -> Result<CertifiedPair, TlsError> {
    let pair = CertifiedPair::from_pem(issued.chain.as_bytes(), issued.key.0.expose(), now)?;
    if pair.names().iter().any(|of| of == name) {
        Ok(pair)
    } else {
        Err(TlsError::OtherName { name: name.to_owned() })
    }
}

fn draw() -> Result<Draw, Failure> {
    let none = || Failure::Library("the system gives no random bytes".to_owned());
    Ok(Draw::new(u16::from_ne_bytes(random::bytes().ok_or_else(none)?)))
}

/// As precise as it is kept, or every window would be a new one. What lies beyond all times is kept as
/// the last of them, and what lies before as the first.
fn moment(at: time::OffsetDateTime) -> Moment {
    Moment(Timestamp::from_unix_seconds(u64::try_from(at.unix_timestamp()).unwrap_or_default()))
}
