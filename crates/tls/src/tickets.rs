//! Session tickets (RFC 8446 §4.6.1, RFC 5077), under keys that are thrown away in time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::{Clock, Timestamp};
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;

use crate::TlsError;

/// How long a key makes tickets; for as long again it still reads them.
pub(crate) const PERIOD: Duration = Duration::from_hours(6);

/// Makes and reads tickets. Whoever had its memory could resume a session only until the key of its
/// ticket is gone, and read recorded TLS 1.2 until then alone: no longer than two periods.
pub(crate) struct Tickets {
    clock: Clock,
    keys: Mutex<Keys>,
}

struct Keys {
    current: Arc<dyn ProducesTickets>,
    previous: Option<Arc<dyn ProducesTickets>>,
    /// When `current` was made, by both clocks: one may be set back, the other stands still while
    /// the machine sleeps.
    since: (Timestamp, Duration),
}

impl Tickets {
    /// With a new key.
    pub(crate) fn new(clock: Clock) -> Result<Self, TlsError> {
        let since = (clock.now(), clock.monotonic());
        let keys = Keys { current: make()?, previous: None, since };
        Ok(Self { clock, keys: Mutex::new(keys) })
    }

    /// Throws keys away whose time is over. Called with each ticket, and from time to time, so that
    /// it happens where nobody connects too.
    pub(crate) fn rotate(&self) {
        let mut keys = self.keys.lock();
        let age = self.age(&keys);
        if age < PERIOD {
            return;
        }
        // Without randomness no tickets are made and none are read: full handshakes go on.
        let new = make().unwrap_or_else(|_| Arc::new(Nothing));
        let old = std::mem::replace(&mut keys.current, new);
        keys.previous = (age < PERIOD * 2).then_some(old);
        keys.since = (self.clock.now(), self.clock.monotonic());
    }

    fn age(&self, keys: &Keys) -> Duration {
        let (time, monotonic) = keys.since;
        self.clock.now().since(time).max(self.clock.monotonic().saturating_sub(monotonic))
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(PERIOD.as_secs() * 2).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.rotate();
        let current = Arc::clone(&self.keys.lock().current);
        current.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.rotate();
        let (current, previous) = {
            let keys = self.keys.lock();
            (Arc::clone(&keys.current), keys.previous.clone())
        };
        current.decrypt(cipher).or_else(|| previous?.decrypt(cipher))
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

/// AES-256-CBC and HMAC-SHA-256, as RFC 5077 §4 recommends.
fn make() -> Result<Arc<dyn ProducesTickets>, TlsError> {
    Ticketer::new().map_err(TlsError::library)
}

/// Makes no tickets.
#[derive(Debug)]
struct Nothing;

impl ProducesTickets for Nothing {
    fn enabled(&self) -> bool {
        false
    }

    fn lifetime(&self) -> u32 {
        0
    }

    fn encrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> (Tickets, Clock) {
        let clock = Clock::manual(Timestamp::from_unix_seconds(1_700_000_000));
        (Tickets::new(clock.clone()).unwrap(), clock)
    }

    const SECOND: Duration = Duration::from_secs(1);
    const NEARLY: Duration = Duration::from_secs(PERIOD.as_secs() - 1);

    #[test]
    fn a_ticket_is_read_for_two_periods_at_most() {
        let (tickets, clock) = start();
        let first = tickets.encrypt(b"session").unwrap();
        assert!(!first.windows(7).any(|part| part == b"session"));
        clock.advance(NEARLY);
        let late = tickets.encrypt(b"session").unwrap();
        clock.advance(SECOND);
        for ticket in [&first, &late] {
            assert_eq!(tickets.decrypt(ticket).as_deref(), Some(&b"session"[..]));
        }
        clock.advance(NEARLY);
        assert!(tickets.decrypt(&late).is_some());
        clock.advance(SECOND);
        assert!(tickets.decrypt(&first).is_none());
        assert!(tickets.decrypt(&late).is_none());
        assert_eq!(u64::from(tickets.lifetime()), 2 * PERIOD.as_secs());
    }

    #[test]
    fn new_tickets_are_under_the_new_key() {
        let (tickets, clock) = start();
        let old = tickets.encrypt(b"session").unwrap();
        clock.advance(PERIOD);
        let new = tickets.encrypt(b"session").unwrap();
        assert_ne!(old[..16], new[..16], "the name of the key");
        clock.advance(PERIOD);
        assert!(tickets.decrypt(&new).is_some());
        assert!(tickets.decrypt(&old).is_none());
    }

    #[test]
    fn keys_of_an_idle_process_go_too() {
        let (tickets, clock) = start();
        let ticket = tickets.encrypt(b"session").unwrap();
        clock.advance(PERIOD);
        tickets.rotate();
        assert!(tickets.keys.lock().previous.is_some());
        clock.advance(PERIOD * 2);
        tickets.rotate();
        assert!(tickets.keys.lock().previous.is_none());
        assert!(tickets.decrypt(&ticket).is_none());
    }

    #[test]
    fn what_others_made_is_not_read() {
        let (tickets, _) = start();
        let ticket = tickets.encrypt(b"session").unwrap();
        let (others, _) = start();
        assert!(others.decrypt(&ticket).is_none());
        for length in 0..ticket.len() {
            assert!(tickets.decrypt(&ticket[..length]).is_none(), "{length}");
        }
        for place in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[place] ^= 1;
            assert!(tickets.decrypt(&changed).is_none(), "{place}");
        }
        assert!(tickets.decrypt(&[0; 4096]).is_none());
        assert!(Nothing.encrypt(b"session").is_none());
        assert!(Nothing.decrypt(&ticket).is_none());
    }
}
