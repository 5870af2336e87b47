//! The opaque tokens that one issuer's server was asked about: a bounded number, each for a short
//! time, and never two calls at once for one token.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::{Clock, Principal};
use tokio::sync::watch;

use super::answer::{Answer, judge_type};
use super::server::{IntrospectionServer, RETRY_AFTER};
use crate::claims::{self, Times};
use crate::issuer::Digest;
use crate::token_cache::TokenCache;
use crate::{IssuerSettings, TokenFailure, principal};

/// How many answers are remembered per issuer.
const REMEMBERED: usize = 10_000;

/// How many tokens may wait for an answer at once; one more is told to come back.
const WAITING: usize = 1_000;

/// The longest that the answer "not good" is used.
const LONGEST_INACTIVE: Duration = Duration::from_secs(10);

const INACTIVE: TokenFailure = TokenFailure::because("the issuer says that the token is not good");

/// A server, and what it said of tokens.
#[derive(Clone, Debug)]
pub(crate) struct Remembered(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Arc<IssuerSettings>,
    server: IntrospectionServer,
    clock: Clock,
    known: TokenCache<Digest, Known>,
    flights: Mutex<HashMap<Digest, watch::Receiver<Option<Outcome>>>>,
}

/// What the server said, used until this point of the monotonic clock.
#[derive(Clone, Debug)]
struct Known {
    outcome: Outcome,
    until: Duration,
}

/// A principal whose claims are judged on every request, or why there is none.
type Outcome = Result<(Arc<Principal>, Times), TokenFailure>;

impl Remembered {
    pub(crate) fn new(
        settings: Arc<IssuerSettings>,
        server: IntrospectionServer,
        clock: Clock,
    ) -> Self {
        let (known, flights) = (TokenCache::new(REMEMBERED), Mutex::default());
        Self(Arc::new(Shared { settings, server, clock, known, flights }))
    }

    /// What is known of a token; `None` where the server must be asked.
    pub(crate) fn recall(&self, digest: &Digest) -> Option<Result<Arc<Principal>, TokenFailure>> {
        let outcome = self.0.fresh(digest)?;
        self.0.server.note_remembered();
        Some(outcome.and_then(|known| self.0.judge(known)))
    }

    /// Asks the server, or waits for the answer that another request asks for already. The call goes
    /// on when whoever waits goes away.
    pub(crate) async fn ask(
        &self,
        token: &str,
        digest: Digest,
    ) -> Result<Arc<Principal>, TokenFailure> {
        let mut flight = match self.join(token, digest)? {
            Joined::Flight(flight) => flight,
            Joined::Landed(outcome) => return outcome.and_then(|known| self.0.judge(known)),
        };
        let answered = flight.wait_for(Option::is_some).await.ok();
        let outcome = answered.and_then(|outcome| outcome.clone());
        let outcome = outcome.unwrap_or_else(|| Err(unavailable("the call was cut off")));
        outcome.and_then(|known| self.0.judge(known))
    }

    fn join(&self, token: &str, digest: Digest) -> Result<Joined, TokenFailure> {
        let mut flights = self.0.flights.lock();
        if let Some(flight) = flights.get(&digest) {
            return Ok(Joined::Flight(flight.clone()));
        }
        // It may have landed since the caller looked.
        if let Some(outcome) = self.0.fresh(&digest) {
            return Ok(Joined::Landed(outcome));
        }
        if flights.len() >= WAITING {
            return Err(unavailable("too many tokens wait for an answer"));
        }
        let (landed, flight) = watch::channel(None);
        flights.insert(digest, flight.clone());
        drop(flights);
        let shared = Arc::clone(&self.0);
        let token = token.to_owned();
        tokio::spawn(async move {
            let flight = Flight { shared: &shared, digest };
            let outcome = shared.outcome(&token, digest).await;
            // It is known by now, and under way no more: nobody in between asks once more.
            drop(flight);
            landed.send_replace(Some(outcome));
        });
        Ok(Joined::Flight(flight))
    }
}

/// What whoever asks finds.
enum Joined {
    Flight(watch::Receiver<Option<Outcome>>),
    Landed(Outcome),
}

/// A call under way. However it ends, it is under way no more.
struct Flight<'a> {
    shared: &'a Shared,
    digest: Digest,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.shared.flights.lock().remove(&self.digest);
    }
}

impl Shared {
    fn fresh(&self, digest: &Digest) -> Option<Outcome> {
        let known = self.known.find(digest)?;
        (self.clock.monotonic() < known.until).then_some(known.outcome)
    }

    /// What the server says, remembered where it says anything.
    async fn outcome(&self, token: &str, digest: Digest) -> Outcome {
        let (outcome, life) = match self.server.ask(token).await {
            Err(reason) => return Err(unavailable(reason)),
            Ok(Answer::Inactive) => (Err(INACTIVE), self.inactive()),
            Ok(Answer::Active(claims)) => match self.read(claims) {
                Ok((principal, times)) => {
                    let left = principal.expires.since(self.clock.now());
                    (Ok((principal, times)), self.server.cache().min(left))
                }
                Err(reason) => (Err(TokenFailure::because(reason)), self.inactive()),
            },
        };
        let until = self.clock.monotonic().saturating_add(life);
        self.known.put(digest, Known { outcome: outcome.clone(), until });
        outcome
    }

    fn inactive(&self) -> Duration {
        (self.server.cache() / 3).min(LONGEST_INACTIVE)
    }

    fn read(
        &self,
        claims: serde_json::Map<String, serde_json::Value>,
    ) -> Result<(Arc<Principal>, Times), &'static str> {
        judge_type(&claims)?;
        let times = Times::read_optional(&claims)?;
        let principal = principal::build(&self.settings, claims, &times)?;
        Ok((Arc::new(principal), times))
    }

    fn judge(
        &self,
        (principal, times): (Arc<Principal>, Times),
    ) -> Result<Arc<Principal>, TokenFailure> {
        let now = self.clock.now();
        let judged = claims::judge_introspected(&self.settings, &principal.claims, &times, now);
        judged.map(|()| principal).map_err(TokenFailure::because)
    }
}

fn unavailable(reason: impl Into<std::borrow::Cow<'static, str>>) -> TokenFailure {
    TokenFailure::ServerUnavailable { reason: reason.into(), retry_after: RETRY_AFTER }
}
