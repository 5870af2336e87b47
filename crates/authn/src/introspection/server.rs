//! One introspection server: asked with a deadline, by a bounded number of calls at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::{Clock, Timestamp};
use serde_json::Value;
use thiserror::Error;
use tokio::sync::Semaphore;

use super::answer::Answer;
use super::{IntrospectionSettings, client};
use crate::fetch::{FetchError, Fetcher, check_url};
use crate::{AuthnError, IssuerSettings};

/// How many calls to one server are under way at once.
const CALLS_AT_ONCE: usize = 64;

/// When a client may try again after a failure.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How an introspection server is, for metrics and `/readyz`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntrospectionStatus {
    /// Calls made, ever.
    pub calls: u64,
    /// Calls without an answer that says anything of the token, ever.
    pub failures: u64,
    /// Tokens that were answered from what is remembered, ever.
    pub remembered: u64,
    /// Why the last call failed; `None` if it did not, or there was none.
    pub last_error: Option<String>,
}

/// A server and what became of the calls to it. It outlives a reload; clones share it.
#[derive(Clone, Debug)]
pub struct IntrospectionServer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    name: Arc<str>,
    issuer: Arc<str>,
    settings: IntrospectionSettings,
    fetcher: Fetcher,
    clock: Clock,
    places: Semaphore,
    book: Arc<Book>,
    /// What is answered in the place of the server; `None` in it: nothing, it is down.
    given: OnceLock<Option<Value>>,
}

/// What outlives even other settings.
#[derive(Debug, Default)]
struct Book {
    calls: AtomicU64,
    failures: AtomicU64,
    remembered: AtomicU64,
    last_error: Mutex<Option<String>>,
}

/// Why a call told nothing of the token.
#[derive(Debug, Error)]
enum CallError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("{0}")]
    Answer(&'static str),
    #[error("the client assertion could not be signed")]
    Signing,
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

impl IntrospectionServer {
    /// The server that `issuer` names. Fails where its URL or the trust is unusable.
    pub fn new(
        issuer: &IssuerSettings,
        settings: IntrospectionSettings,
        clock: Clock,
    ) -> Result<Self, AuthnError> {
        Self::with(issuer, settings, clock, Arc::default())
    }

    /// The same server by new settings; the counts go on.
    pub fn renewed(
        &self,
        issuer: &IssuerSettings,
        settings: IntrospectionSettings,
        clock: Clock,
    ) -> Result<Self, AuthnError> {
        Self::with(issuer, settings, clock, Arc::clone(&self.0.book))
    }

    fn with(
        issuer: &IssuerSettings,
        settings: IntrospectionSettings,
        clock: Clock,
        book: Arc<Book>,
    ) -> Result<Self, AuthnError> {
        check_url(&settings.url)
            .map_err(|reason| AuthnError::KeyUrl { url: settings.url.to_string(), reason })?;
        let fetcher = Fetcher::for_forms(settings.trust_pem.as_deref())?;
        Ok(Self(Arc::new(Shared {
            name: Arc::clone(&issuer.name),
            issuer: Arc::clone(&issuer.issuer),
            settings,
            fetcher,
            clock,
            places: Semaphore::new(CALLS_AT_ONCE),
            book,
            given: OnceLock::new(),
        })))
    }

    /// Answers `answer` in the place of the server, whatever the token, for good: nobody is asked any
    /// more. `None`: the server is down. For tests of a configuration; nothing that serves calls this.
    pub fn stand_in(&self, answer: Option<Value>) {
        self.0.given.set(answer).ok();
    }

    /// Whether it serves an issuer with these settings as it is.
    pub fn is_same(&self, issuer: &IssuerSettings, settings: &IntrospectionSettings) -> bool {
        self.0.issuer == issuer.issuer && self.0.settings == *settings
    }

    /// How it is.
    pub fn status(&self) -> IntrospectionStatus {
        let book = &self.0.book;
        IntrospectionStatus {
            calls: book.calls.load(Ordering::Relaxed),
            failures: book.failures.load(Ordering::Relaxed),
            remembered: book.remembered.load(Ordering::Relaxed),
            last_error: book.last_error.lock().clone(),
        }
    }

    pub(crate) fn note_remembered(&self) {
        self.0.book.remembered.fetch_add(1, Ordering::Relaxed);
    }

    /// How long good answers are used.
    pub(crate) fn cache(&self) -> Duration {
        self.0.settings.cache
    }

    /// What the server says of `token`; the error says why it says nothing.
    pub(crate) async fn ask(&self, token: &str) -> Result<Answer, String> {
        let shared = &*self.0;
        let limit = shared.settings.timeout;
        let asked = tokio::time::timeout(limit, shared.call(token)).await;
        match asked.unwrap_or(Err(CallError::Timeout(limit))) {
            Ok(answer) => {
                shared.note_success();
                Ok(answer)
            }
            Err(error) => Err(shared.note_failure(&error)),
        }
    }
}

impl Shared {
    async fn call(&self, token: &str) -> Result<Answer, CallError> {
        let _place = self.places.acquire().await.map_err(|_| CallError::Answer("shutting down"))?;
        self.book.calls.fetch_add(1, Ordering::Relaxed);
        let asked = match self.given.get() {
            Some(Some(answer)) => Ok(answer.to_string().into_bytes()),
            Some(None) => Err(CallError::Answer("the server is down")),
            None => self.post(token).await,
        };
        let body = match asked {
            // The server closed an idle connection just when it was taken; asking changes nothing.
            Err(CallError::Fetch(error)) if error.is_broken_off() => self.post(token).await,
            other => other,
        };
        Answer::read(&body?).map_err(CallError::Answer)
    }

    async fn post(&self, token: &str) -> Result<Vec<u8>, CallError> {
        let now: Timestamp = self.clock.now();
        let form = client::request(&self.settings, &self.issuer, token, now);
        let form = form.ok_or(CallError::Signing)?;
        Ok(self.fetcher.post(&self.settings.url, &form).await?)
    }

    fn note_success(&self) {
        if self.book.last_error.lock().take().is_some() {
            tracing::info!(issuer = %self.name, "the introspection server answers again");
        }
    }

    fn note_failure(&self, error: &CallError) -> String {
        self.book.failures.fetch_add(1, Ordering::Relaxed);
        let text = error.to_string();
        let last = self.book.last_error.lock().replace(text.clone());
        // One line for each kind of failure, not for each request.
        if last.as_ref() != Some(&text) {
            tracing::warn!(issuer = %self.name, %error, "a token could not be introspected");
        }
        text
    }
}
