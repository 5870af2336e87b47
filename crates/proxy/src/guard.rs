//! What ends a request that its own phases do not see: the wall clock around the whole of it.
//!
//! pingora's phases run when something happens. A request in which nothing does (a body that stops
//! half-way on an HTTP/2 stream, a client that does not read) is ended from outside: the connection
//! of HTTP/1.1 closes, the stream of HTTP/2 is reset, others on it go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::proxy::HttpProxy;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::Gateway;
use crate::body::due;

/// What listeners serve.
pub type App = Guarded<HttpProxy<Gateway>>;

/// How much later than a request's own phases the guard ends it: they can still write an answer.
const SLACK: Duration = Duration::from_millis(250);

/// Longest time between two looks at a request.
const LOOK: Duration = Duration::from_secs(1);

tokio::task_local! {
    static WATCH: Arc<Watch>;
}

/// An app whose requests end when their time is over.
#[derive(Debug)]
pub struct Guarded<A> {
    app: Arc<A>,
}

impl<A> Guarded<A> {
    /// Guards the requests of `app`.
    pub const fn new(app: Arc<A>) -> Self {
        Self { app }
    }
}

#[async_trait]
impl<A> HttpServerApp for Guarded<A>
where
    A: HttpServerApp + Send + Sync + 'static,
{
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &watch::Receiver<bool>,
    ) -> Option<ReusedHttpStream> {
        let watch = Arc::new(Watch::new());
        let served = WATCH.scope(Arc::clone(&watch), self.app.process_new_http(session, shutdown));
        tokio::select! {
            biased;
            reused = served => reused,
            () = watch.over() => None,
        }
    }

    async fn http_cleanup(&self) {
        self.app.http_cleanup().await;
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.app.server_options()
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.app.h2_options()
    }
}

/// Why the guard ended a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Its time was over.
    Late,
    /// Nothing passed for too long.
    Silent,
    /// The client's body came too slowly.
    Slow,
}

/// What the phases of one request tell the guard. Times are milliseconds since the start.
#[derive(Debug)]
pub(crate) struct Watch {
    started: Instant,
    /// The end; `u64::MAX` as long as there is none.
    until: AtomicU64,
    /// Longest silence; `u64::MAX` where there is no bound.
    silence: AtomicU64,
    /// When something passed last.
    passed: AtomicU64,
    /// Bytes a second that the client's body must have; 0 where there is no bound.
    rate: AtomicU64,
    received: AtomicU64,
    cut: AtomicU8,
}

impl Watch {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            until: AtomicU64::new(u64::MAX),
            silence: AtomicU64::new(u64::MAX),
            passed: AtomicU64::new(0),
            rate: AtomicU64::new(0),
            received: AtomicU64::new(0),
            cut: AtomicU8::new(0),
        }
    }

    /// The one of the request that is being served; outside of the guard, one that nobody looks at.
    pub(crate) fn current() -> Arc<Self> {
        WATCH.try_with(Arc::clone).unwrap_or_else(|_| Arc::new(Self::new()))
    }

    /// Ends the request `left` from now; `None` takes the bound away.
    pub(crate) fn set_end(&self, left: Option<Duration>) {
        let end = left.map_or(u64::MAX, |left| self.now().saturating_add(millis(left + SLACK)));
        self.until.store(end, Ordering::Relaxed);
    }

    /// Ends the request when nothing passed for `silence`.
    pub(crate) fn set_silence(&self, silence: Duration) {
        self.note_passed();
        self.silence.store(millis(silence), Ordering::Relaxed);
    }

    /// Notes that bytes passed, in either direction.
    pub(crate) fn note_passed(&self) {
        self.passed.store(self.now(), Ordering::Relaxed);
    }

    /// Asks for `rate` bytes a second of the client's body from its start on.
    pub(crate) fn set_rate(&self, rate: Option<u64>) {
        self.rate.store(rate.unwrap_or_default(), Ordering::Relaxed);
    }

    /// Notes how many bytes of the client's body have come.
    pub(crate) fn note_received(&self, received: u64) {
        self.received.store(received, Ordering::Relaxed);
    }

    /// Why the guard ended the request; `None` where it did not.
    pub(crate) fn cut(&self) -> Option<Cut> {
        [Cut::Late, Cut::Silent, Cut::Slow]
            .into_iter()
            .find(|cut| *cut as u8 + 1 == self.cut.load(Ordering::Relaxed))
    }

    /// Resolves when the request is to be ended.
    async fn over(&self) {
        loop {
            let wait = match self.look() {
                Ok(wait) => wait,
                Err(cut) => {
                    self.cut.store(cut as u8 + 1, Ordering::Relaxed);
                    return;
                }
            };
            sleep(wait).await;
        }
    }

    /// How long nothing has to be done, or why the request ends.
    fn look(&self) -> Result<Duration, Cut> {
        let now = self.now();
        let left = self.until.load(Ordering::Relaxed).saturating_sub(now);
        if left == 0 {
            return Err(Cut::Late);
        }
        let silence = self.silence.load(Ordering::Relaxed);
        let silent_at = self.passed.load(Ordering::Relaxed).saturating_add(silence);
        if silent_at <= now {
            return Err(Cut::Silent);
        }
        let rate = self.rate.load(Ordering::Relaxed);
        if rate > 0 && millis(due(self.received.load(Ordering::Relaxed), rate)) <= now {
            return Err(Cut::Slow);
        }
        Ok(Duration::from_millis(left.min(silent_at.saturating_sub(now))).min(LOOK))
    }

    fn now(&self) -> u64 {
        millis(self.started.elapsed())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_end_can_be_set_moved_and_taken_away() {
        let watch = Watch::new();
        assert_eq!(watch.look(), Ok(LOOK));
        watch.set_end(Some(Duration::from_millis(100)));
        assert_eq!(watch.look(), Ok(Duration::from_millis(350)));
        watch.set_end(None);
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(watch.look(), Ok(LOOK));
        watch.set_end(Some(Duration::ZERO));
        watch.over().await;
        assert_eq!(watch.cut(), Some(Cut::Late));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_counts_from_the_last_bytes() {
        let watch = Watch::new();
        watch.set_silence(Duration::from_secs(5));
        tokio::time::advance(Duration::from_secs(4)).await;
        watch.note_passed();
        tokio::time::advance(Duration::from_secs(4)).await;
        assert!(watch.look().is_ok());
        watch.over().await;
        assert_eq!(watch.cut(), Some(Cut::Silent));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_must_keep_up_with_its_rate() {
        let watch = Watch::new();
        watch.set_rate(Some(500));
        watch.note_received(1000);
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(watch.look().is_ok());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(watch.look(), Err(Cut::Slow));
        watch.set_rate(None);
        assert!(watch.look().is_ok());
    }

    #[test]
    fn a_watch_outside_of_the_guard_is_harmless() {
        assert_eq!(Watch::current().cut(), None);
    }
}
