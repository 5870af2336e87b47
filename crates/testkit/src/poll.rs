//! Waiting for something to become true, with a deadline instead of a guess.

use std::time::Duration;

use portcullis_core::clock::Clock;

/// Time between two looks.
const STEP: Duration = Duration::from_millis(20);

/// Asks `probe` until it answers, at most for `limit`; panics with `what` when the time is over.
#[track_caller]
pub fn until<T>(limit: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let clock = Clock::system();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(clock.monotonic() < limit, "waited {limit:?} in vain: {what}");
        std::thread::sleep(STEP);
    }
}

/// Like [`until`] for a condition.
#[track_caller]
pub fn until_true(limit: Duration, what: &str, mut probe: impl FnMut() -> bool) {
    until(limit, what, || probe().then_some(()));
}
