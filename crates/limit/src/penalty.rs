//! What wrong credentials cost: a delay that grows while they keep coming.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// A named penalty: from the failure number `after` on, each one lets nothing of its pair pass for a
/// time that grows by `factor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Penalty {
    /// Name of the limit in the file, the log and metrics.
    pub name: Arc<str>,
    /// The failure that begins the first delay.
    pub after: NonZeroU32,
    /// The first delay.
    pub first: Duration,
    /// How many times longer each delay is than the one before.
    pub factor: NonZeroU32,
    /// The longest delay. A pair is forgotten as long after its last delay.
    pub maximum: Duration,
    /// Pairs kept in memory at most.
    pub maximum_keys: usize,
}

impl Penalty {
    /// How long nothing of a pair passes after its failure number `failures`; zero before `after`.
    pub fn delay(&self, failures: u32) -> Duration {
        let Some(beyond) = failures.checked_sub(self.after.get()) else { return Duration::ZERO };
        // A factor of two or more is past any maximum long before the power is past 64 bits.
        let grown = u64::from(self.factor.get()).saturating_pow(beyond);
        let grown = u32::try_from(grown).unwrap_or(u32::MAX);
        self.first.saturating_mul(grown).min(self.maximum)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn penalty(after: u32, first: u64, factor: u32, maximum: u64) -> Penalty {
        let number = |n| NonZeroU32::new(n).unwrap();
        let (first, maximum) = (Duration::from_millis(first), Duration::from_millis(maximum));
        let (after, factor) = (number(after), number(factor));
        Penalty { name: "x".into(), after, first, factor, maximum, maximum_keys: 100 }
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        let penalty = penalty(3, 1000, 2, 900_000);
        let delays: Vec<u64> = (0..14).map(|n| penalty.delay(n).as_secs()).collect();
        assert_eq!(delays, [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900]);
        assert_eq!(penalty.delay(u32::MAX).as_secs(), 900);
    }

    proptest! {
        #[test]
        fn a_delay_never_shrinks_and_never_exceeds_its_bounds(
            after in 1_u32..1000,
            first in 1_u64..100_000,
            factor in 1_u32..=10,
            more in 0_u64..100_000_000,
            failures in any::<u32>(),
        ) {
            let penalty = penalty(after, first, factor, first + more);
            let delay = penalty.delay(failures);
            prop_assert_eq!(delay.is_zero(), failures < after);
            prop_assert!(delay <= penalty.maximum);
            prop_assert!(delay.is_zero() || delay >= penalty.first);
            prop_assert!(penalty.delay(failures.saturating_add(1)) >= delay);
        }
    }
}
