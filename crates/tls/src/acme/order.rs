//! One order, from its placing to the chain: every step that cannot be taken twice is written down
//! before it is taken.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeStatus, Identifier, NewOrder,
    Order, OrderStatus,
};
use portcullis_core::{Clock, Secret};
use portcullis_state::Durable;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;

use super::engine::Halt;
use super::failure::Failure;
use super::http;
use super::lease::Lease;
use super::record::{CertificateRecord, KeyText, NameRecord, OrderRecord};
use super::schedule;
use super::settings::{AcmeEvents, AcmePlan, Pace};
use super::{Challenge, ChallengeType};

/// Longest wait between two looks at an order, whatever the authority says.
const LONGEST_STEP: Duration = Duration::from_secs(15);

/// The work on one order.
pub(super) struct Work<'w> {
    pub(super) account: Account,
    pub(super) plan: Arc<AcmePlan>,
    pub(super) name: &'w str,
    pub(super) record: &'w mut NameRecord,
    /// The leaf that is to be replaced.
    pub(super) replaces: Option<CertificateDer<'static>>,
    pub(super) durable: &'w Arc<dyn Durable>,
    pub(super) events: &'w dyn AcmeEvents,
    pub(super) clock: &'w Clock,
    pub(super) lease: &'w Lease,
    pub(super) pace: &'w Pace,
    pub(super) stop: watch::Receiver<Halt>,
}

/// The authorization of an order, as far as it is needed.
struct Authorization {
    status: AuthorizationStatus,
    /// The challenge of the kind that is wanted, and whether the authority was asked to look.
    challenge: Option<(Challenge, ChallengeStatus)>,
    problem: Option<String>,
}

impl Work<'_> {
    /// Places an order or goes on with the one under way, to its end.
    pub(super) async fn run(&mut self) -> Result<CertificateRecord, Failure> {
        let known = self.record.order.as_ref().map(|known| known.url.clone());
        let mut order = if let Some(url) = known {
            self.resume(url).await?
        } else {
            self.plan.solvers.published.clear(self.name).await?;
            self.place().await?
        };
        let started = self.clock.monotonic();
        loop {
            self.checkpoint().await?;
            match order.state().status {
                OrderStatus::Pending => self.prove(&mut order).await?,
                OrderStatus::Ready => self.finalize(&mut order).await?,
                OrderStatus::Processing => {}
                OrderStatus::Valid => return self.fetch(&mut order).await,
                OrderStatus::Invalid => return Err(self.invalid(&mut order).await),
            }
            if !matches!(order.state().status, OrderStatus::Valid) {
                self.wait(started).await?;
                order.refresh().await?;
            }
        }
    }

    async fn resume(&mut self, url: String) -> Result<Order, Failure> {
        self.checkpoint().await?;
        let order = self.account.order(url).await.map_err(Failure::from);
        if let Err(failure) = &order
            && failure.is_final()
        {
            // The authority does not know it any more.
            self.give_up().await?;
        }
        order
    }

    async fn place(&mut self) -> Result<Order, Failure> {
        self.checkpoint().await?;
        let has_window = self.record.renewal_info.as_ref().is_some_and(|info| info.start.is_some());
        let replaces = self.replaces.take().filter(|_| has_window);
        let replaces =
            replaces.as_ref().and_then(|leaf| CertificateIdentifier::try_from(leaf).ok());
        let identifiers = [Identifier::Dns(self.name.to_owned())];
        let mut order = self.ask_for(&identifiers, replaces.clone()).await;
        let is_refused = matches!(&order, Err(failure) if failure.is_final());
        if replaces.is_some() && is_refused {
            // What is replaced is a hint (RFC 9773 §5): another one may have replaced it already.
            order = self.ask_for(&identifiers, None).await;
        }
        let order = order?;
        self.record.order =
            Some(OrderRecord { url: order.url().to_owned(), asked_at: None, key: None });
        self.record.save(&**self.durable, self.name).await?;
        tracing::info!(name = self.name, order = order.url(), "order placed");
        self.events.ordered(self.name);
        Ok(order)
    }

    async fn ask_for(
        &self,
        identifiers: &[Identifier],
        replaces: Option<CertificateIdentifier<'_>>,
    ) -> Result<Order, Failure> {
        let wanted = NewOrder::new(identifiers);
        let wanted = match replaces {
            Some(replaces) => wanted.replaces(replaces.into_owned()),
            None => wanted,
        };
        http::take_location();
        match self.account.new_order(&wanted).await {
            Ok(order) => Ok(order),
            // The order may be there though the library does not like how it was confirmed.
            Err(error) => match http::take_location() {
                Some(url) => Ok(self.account.order(url).await?),
                None => Err(error.into()),
            },
        }
    }

    /// Shows the answer to the challenge until the authority has decided.
    async fn prove(&mut self, order: &mut Order) -> Result<(), Failure> {
        let kind = self.plan.settings.challenge_for(self.name);
        let found = self.authorization(order, kind, false).await?;
        if found.status == AuthorizationStatus::Valid {
            return Ok(());
        }
        if found.status != AuthorizationStatus::Pending {
            return self.not_valid(found).await;
        }
        let none = || Failure::Invalid(format!("the authority offers no {}", kind.as_str()));
        let (challenge, status) = found.challenge.ok_or_else(none)?;
        if status == ChallengeStatus::Pending
            && !self.was_asked()
            && let Some(until) =
                schedule::validations_full(&self.record.validations, self.clock.now())
        {
            return Err(Failure::Full(until));
        }
        let solver = self.plan.solvers.of(kind).ok_or_else(|| {
            Failure::Unsolved(challenge.unsolved("`certificates.acme.dns` says no way to do it"))
        })?;
        let shown = solver.present(&challenge).await;
        let outcome = match shown {
            Ok(()) => self.validate(order, kind, status).await,
            Err(error) => Err(error.into()),
        };
        if !self.is_left(&outcome) {
            solver.withdraw(&challenge).await;
        }
        outcome
    }

    /// Whether the answer stays for whoever goes on with the order: the authority may still look.
    fn is_left(&self, outcome: &Result<(), Failure>) -> bool {
        match outcome {
            Ok(()) | Err(Failure::Unsolved(_)) => false,
            Err(Failure::Stopped) => *self.stop.borrow() == Halt::Leaves,
            Err(_) => self.record.order.is_some(),
        }
    }

    async fn validate(
        &mut self,
        order: &mut Order,
        kind: ChallengeType,
        status: ChallengeStatus,
    ) -> Result<(), Failure> {
        // Some authorities do not say that they were told: a second time would be a second look, for an
        // answer that may be gone by then.
        if status == ChallengeStatus::Pending && !self.was_asked() {
            self.checkpoint().await?;
            let now = self.clock.now();
            schedule::forget_old(&mut self.record.validations, now);
            self.record.validations.push(super::Moment(now));
            self.record.save(&**self.durable, self.name).await?;
            self.ask_to_look(order, kind).await?;
            if let Some(order) = &mut self.record.order {
                order.asked_at = Some(super::Moment(self.clock.now()));
            }
            self.record.save(&**self.durable, self.name).await?;
        }
        let started = self.clock.monotonic();
        loop {
            self.wait(started).await?;
            self.checkpoint().await?;
            let found = self.authorization(order, kind, true).await?;
            match found.status {
                AuthorizationStatus::Pending => {}
                AuthorizationStatus::Valid => return Ok(()),
                AuthorizationStatus::Deactivated
                | AuthorizationStatus::Expired
                | AuthorizationStatus::Invalid
                | AuthorizationStatus::Revoked => return self.not_valid(found).await,
            }
        }
    }

    /// Whether the authority was told to look so lately that it may still be about to.
    fn was_asked(&self) -> bool {
        let asked = self.record.order.as_ref().and_then(|order| order.asked_at);
        asked.is_some_and(|asked| self.clock.now().since(asked.0) < self.pace.patience)
    }

    async fn ask_to_look(&self, order: &mut Order, kind: ChallengeType) -> Result<(), Failure> {
        let mut authorizations = order.authorizations();
        let Some(authorization) = authorizations.next().await else { return Ok(()) };
        let mut authorization = authorization?;
        let Some(mut challenge) = authorization.challenge(of_library(kind)) else { return Ok(()) };
        challenge.set_ready().await?;
        Ok(())
    }

    async fn not_valid(&mut self, found: Authorization) -> Result<(), Failure> {
        self.give_up().await?;
        let without = || format!("the authorization is {:?}", found.status).to_lowercase();
        Err(Failure::Invalid(found.problem.unwrap_or_else(without)))
    }

    /// The order's one authorization; asked for anew where it may have changed.
    async fn authorization(
        &self,
        order: &mut Order,
        kind: ChallengeType,
        anew: bool,
    ) -> Result<Authorization, Failure> {
        let mut authorizations = order.authorizations();
        let none = || Failure::Unreachable("the order has no authorization".to_owned());
        let mut handle = authorizations.next().await.ok_or_else(none)??;
        if anew {
            handle.refresh().await?;
        }
        let status = handle.status;
        let problem = handle.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        let problem = problem.map(ToString::to_string);
        let challenge = handle.challenge(of_library(kind)).map(|handle| {
            let challenge = Challenge {
                kind,
                name: self.name.strip_prefix("*.").unwrap_or(self.name).to_owned(),
                token: handle.token.clone(),
                key_authorization: Secret::new(handle.key_authorization().as_str()),
            };
            (challenge, handle.status)
        });
        Ok(Authorization { status, challenge, problem })
    }

    /// Asks for the certificate of a key that is written down before.
    async fn finalize(&mut self, order: &mut Order) -> Result<(), Failure> {
        let library = |error: rcgen::Error| Failure::Library(error.to_string());
        let known = self.record.order.as_ref().and_then(|order| order.key.as_ref());
        let key = match known.and_then(|key| key.0.expose_str()) {
            Some(pem) => KeyPair::from_pem(pem).map_err(library)?,
            None => KeyPair::generate().map_err(library)?,
        };
        let text = KeyText(Secret::new(key.serialize_pem()));
        self.record.order =
            Some(OrderRecord { url: order.url().to_owned(), asked_at: None, key: Some(text) });
        self.record.save(&**self.durable, self.name).await?;
        let mut params = CertificateParams::new([self.name.to_owned()]).map_err(library)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key).map_err(library)?;
        self.checkpoint().await?;
        let asked = order.finalize_csr(request.der()).await.map_err(Failure::from);
        if let Err(failure) = &asked
            && failure.is_final()
        {
            self.give_up().await?;
        }
        asked
    }

    async fn fetch(&mut self, order: &mut Order) -> Result<CertificateRecord, Failure> {
        let key = self.record.order.as_ref().and_then(|order| order.key.clone());
        let Some(key) = key else {
            self.give_up().await?;
            let text = "the certificate was issued for a key that is not known";
            return Err(Failure::Invalid(text.to_owned()));
        };
        let none = || Failure::Unreachable("the order has no certificate".to_owned());
        let chain = order.certificate().await?.ok_or_else(none)?;
        let directory = self.plan.settings.directory.clone();
        Ok(CertificateRecord { directory, chain, key })
    }

    async fn invalid(&mut self, order: &mut Order) -> Failure {
        let said = order.state().error.as_ref().map(ToString::to_string);
        let kind = self.plan.settings.challenge_for(self.name);
        let found = self.authorization(order, kind, true).await.ok();
        let problem = found.and_then(|found| found.problem).or(said);
        match self.give_up().await {
            Ok(()) => {
                Failure::Invalid(problem.unwrap_or_else(|| "the order is invalid".to_owned()))
            }
            Err(failure) => failure,
        }
    }

    /// The next attempt places another order.
    async fn give_up(&mut self) -> Result<(), Failure> {
        self.record.order = None;
        self.record.save(&**self.durable, self.name).await?;
        Ok(())
    }

    /// Whether to go on: the lease is ours, and nobody said stop.
    async fn checkpoint(&self) -> Result<(), Failure> {
        if *self.stop.borrow() != Halt::No {
            return Err(Failure::Stopped);
        }
        self.lease.check().await
    }

    /// Waits as long as the authority says, within bounds.
    async fn wait(&mut self, started: Duration) -> Result<(), Failure> {
        let said = http::take_retry_after().unwrap_or(self.pace.step);
        let step = said.clamp(self.pace.step.min(LONGEST_STEP), LONGEST_STEP);
        if self.clock.monotonic().saturating_sub(started) + step > self.pace.patience {
            return Err(Failure::TooSlow(self.pace.patience));
        }
        tokio::select! {
            () = tokio::time::sleep(step) => Ok(()),
            _ = self.stop.changed() => Err(Failure::Stopped),
        }
    }
}

const fn of_library(kind: ChallengeType) -> instant_acme::ChallengeType {
    match kind {
        ChallengeType::Dns01 => instant_acme::ChallengeType::Dns01,
        ChallengeType::Http01 => instant_acme::ChallengeType::Http01,
        ChallengeType::TlsAlpn01 => instant_acme::ChallengeType::TlsAlpn01,
    }
}
