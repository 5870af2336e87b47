//! Nonces (RFC 9449 §8): proof that a proof was made since this process began, and lately.
//!
//! None is stored. A nonce is the number of a stretch of time and its HMAC under a key of the process.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use portcullis_core::{Clock, random};

use crate::compact::{decode, encode};

/// Seconds of one nonce. It is taken during the next stretch too: for 5 to 10 minutes in all.
const STRETCH: u64 = 300;

/// Bytes of the number.
const NUMBER: usize = 8;

/// Bytes of its HMAC that are sent.
const TAG: usize = 16;

pub(super) struct Nonces {
    key: hmac::Key,
    clock: Clock,
    believing_all: bool,
}

/// What is known of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is the one to be used now.
    Current,
    /// It is the one before.
    Last,
    /// It is another, or none of ours.
    Not,
}

impl Nonces {
    /// `None` where the system gives no random bytes.
    pub(super) fn new(clock: Clock) -> Option<Self> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random::bytes::<32>()?);
        Some(Self { key, clock, believing_all: false })
    }

    /// Takes each nonce for the one to be used now.
    pub(super) fn believing_all(self) -> Self {
        Self { believing_all: true, ..self }
    }

    /// The one to be used now.
    pub(super) fn current(&self) -> Arc<str> {
        self.of(self.stretch()).into()
    }

    pub(super) fn find(&self, nonce: &str) -> Known {
        if self.believing_all {
            return Known::Current;
        }
        let Some(number) = self.number(nonce) else { return Known::Not };
        match self.stretch().checked_sub(number) {
            Some(0) => Known::Current,
            Some(1) => Known::Last,
            Some(_) | None => Known::Not,
        }
    }

    /// Which stretch of time it is, whatever is done to the time of day.
    fn stretch(&self) -> u64 {
        self.clock.monotonic().as_secs() / STRETCH
    }

    fn of(&self, number: u64) -> String {
        let number = number.to_be_bytes();
        let tag = hmac::sign(&self.key, &number);
        encode(&[&number, tag.as_ref().get(..TAG).unwrap_or_default()].concat())
    }

    /// The number of a nonce of ours.
    fn number(&self, nonce: &str) -> Option<u64> {
        let bytes = decode(nonce)?;
        let (number, tag) = bytes.split_at_checked(NUMBER)?;
        let expected = hmac::sign(&self.key, number);
        let expected = expected.as_ref().get(..TAG)?;
        aws_lc_rs::constant_time::verify_slices_are_equal(tag, expected).ok()?;
        number.try_into().ok().map(u64::from_be_bytes)
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portcullis_core::Timestamp;

    use super::*;

    #[test]
    fn a_nonce_is_good_for_its_stretch_and_the_next() {
        let clock = Clock::manual(Timestamp::from_unix_seconds(1_800_000_000));
        let nonces = Nonces::new(clock.clone()).unwrap();
        let first = nonces.current();
        assert_eq!(first.len(), 32);
        assert_eq!((nonces.find(&first), nonces.current() == first), (Known::Current, true));
        clock.advance(Duration::from_secs(299));
        assert_eq!(nonces.find(&first), Known::Current);
        clock.advance(Duration::from_secs(1));
        assert_eq!(
            (nonces.find(&first), nonces.find(&nonces.current())),
            (Known::Last, Known::Current)
        );
        clock.advance(Duration::from_secs(299));
        assert_eq!(nonces.find(&first), Known::Last);
        clock.advance(Duration::from_secs(1));
        assert_eq!(nonces.find(&first), Known::Not);
    }

    #[test]
    fn only_ours_are_known() {
        let clock = Clock::manual(Timestamp::from_unix_seconds(1_800_000_000));
        let nonces = Nonces::new(clock.clone()).unwrap();
        let good = nonces.current();
        for odd in ["", "x", &good[..31], &good[..11], &format!("{good}A"), &format!("{good}=")] {
            assert_eq!(nonces.find(odd), Known::Not, "{odd}");
        }
        for at in 0..good.len() {
            let mut changed = good.to_string().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(nonces.find(std::str::from_utf8(&changed).unwrap()), Known::Not, "{at}");
        }
        let other = Nonces::new(clock.clone()).unwrap();
        assert_eq!(other.find(&good), Known::Not, "of another process");
        assert_eq!(nonces.find(&nonces.of(1)), Known::Not, "of the future");
        assert_eq!(Nonces::new(clock).unwrap().believing_all().find("x"), Known::Current);
    }
}
