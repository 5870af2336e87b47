//! The project's clock as governor wants it.

use governor::nanos::Nanos;
use portcullis_core::Clock;

/// Reads the monotonic time of a [`Clock`], so that a test can move it by hand.
#[derive(Clone, Debug)]
pub(crate) struct Ticks(pub(crate) Clock);

impl governor::clock::Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let nanos = self.0.monotonic().as_nanos();
        Nanos::new(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}
