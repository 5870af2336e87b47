//! Whether the body of a request keeps up with the rate it must have, and whether the client takes
//! what is written to it.
//!
//! Only the time in which somebody waits for the client counts: an app that takes a body slowly is no
//! fault of the client's.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Rate and patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Bytes a second, on average.
    pub(crate) rate: u64,
    /// Waiting time that is free.
    pub(crate) grace: Duration,
}

/// The pace of one body.
#[derive(Debug)]
pub(crate) struct Pace {
    terms: Terms,
    received: u64,
    waited: Duration,
    since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// Nothing came yet.
    pub(crate) const fn new(terms: Terms) -> Self {
        Self { terms, received: 0, waited: Duration::ZERO, since: None, alarm: None }
    }

    /// More came: the wait for it is over.
    pub(crate) fn note_received(&mut self, bytes: usize) {
        self.pause();
        self.received = self.received.saturating_add(bytes as u64);
    }

    /// Nobody waits for the client now.
    pub(crate) fn pause(&mut self) {
        if let Some(since) = self.since.take() {
            self.waited = self.waited.saturating_add(since.elapsed());
        }
    }

    /// Nothing is there and somebody waits. Ready once the client has been waited for too long.
    pub(crate) fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let left = self.allowed().saturating_sub(self.waited);
        let Some(end) = since.checked_add(left) else { return Poll::Pending };
        if end <= now {
            return Poll::Ready(());
        }
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep(Duration::ZERO)));
        if alarm.deadline() != end {
            alarm.as_mut().reset(end);
        }
        alarm.as_mut().poll(cx)
    }

    /// How long all that has come so far may have been waited for.
    fn allowed(&self) -> Duration {
        let bytes = self.received.saturating_mul(1000);
        let millis = bytes.checked_div(self.terms.rate).unwrap_or(u64::MAX);
        self.terms.grace.saturating_add(Duration::from_millis(millis))
    }
}

/// How long a client has left what was written to it unread.
#[derive(Debug)]
pub(crate) struct Stall {
    limit: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    /// A client may leave it for `limit`.
    pub(crate) const fn new(limit: Duration) -> Self {
        Self { limit, alarm: None }
    }

    /// It took something.
    pub(crate) fn end(&mut self) {
        self.alarm = None;
    }

    /// It takes nothing. Ready once that has gone on for too long.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        self.alarm.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::time::{advance, timeout};

    const TERMS: Terms = Terms { rate: 500, grace: Duration::from_secs(10) };

    /// Whether the client is found too slow within `time` of waiting.
    async fn is_overdue_within(pace: &mut Pace, time: Duration) -> bool {
        timeout(time, poll_fn(|cx| pace.poll_overdue(cx))).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn silence_has_the_grace() {
        let mut pace = Pace::new(TERMS);
        assert!(!is_overdue_within(&mut pace, Duration::from_millis(9_900)).await);
        assert!(is_overdue_within(&mut pace, Duration::from_millis(200)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_buys_time_at_the_rate() {
        let mut pace = Pace::new(TERMS);
        for _ in 0..100 {
            assert!(!is_overdue_within(&mut pace, Duration::from_secs(1)).await);
            pace.note_received(500);
        }
        // 100 s went by, which 50 000 bytes pay for, and the grace is still whole.
        assert!(!is_overdue_within(&mut pace, Duration::from_millis(9_900)).await);
        assert!(is_overdue_within(&mut pace, Duration::from_millis(200)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_found_however_steady() {
        let mut pace = Pace::new(TERMS);
        let mut seconds = 0;
        while !is_overdue_within(&mut pace, Duration::from_secs(1)).await {
            pace.note_received(10);
            seconds += 1;
            assert!(seconds < 15, "a body of ten bytes a second goes on");
        }
        assert!(seconds >= 9);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_waits_is_free() {
        let mut pace = Pace::new(TERMS);
        for _ in 0..10 {
            assert!(!is_overdue_within(&mut pace, Duration::from_millis(900)).await);
            pace.pause();
            advance(Duration::from_mins(1)).await;
        }
        assert!(!is_overdue_within(&mut pace, Duration::from_millis(900)).await);
        assert!(is_overdue_within(&mut pace, Duration::from_millis(200)).await);
    }
}
