//! Tickets of sessions in which a certificate was shown: the certificate is verified again before one
//! of them is honoured, as a resumed handshake shows it no more (RFC 8446 §4.6.1).

use std::fmt;
use std::sync::Arc;

use portcullis_core::Clock;
use rustls::pki_types::CertificateDer;
use rustls::server::ProducesTickets;
use rustls::server::danger::ClientCertVerifier;

use crate::client_verifier::unix_time;

/// Makes and honours tickets of one generation of trust.
pub(crate) struct ClientTickets {
    keys: Arc<dyn ProducesTickets>,
    verifier: Arc<dyn ClientCertVerifier>,
    clock: Clock,
}

impl ClientTickets {
    pub(crate) fn new(
        keys: Arc<dyn ProducesTickets>,
        verifier: Arc<dyn ClientCertVerifier>,
        clock: Clock,
    ) -> Self {
        Self { keys, verifier, clock }
    }

    /// Whether the session may go on: the client showed no certificate and need not, or the one it
    /// showed is good today.
    fn is_good(&self, session: &[u8]) -> bool {
        match shown(session) {
            Some(Shown::Nothing) => !self.verifier.client_auth_mandatory(),
            Some(Shown::Chain(sent)) => sent.split_first().is_some_and(|(leaf, chain)| {
                let now = unix_time(self.clock.now());
                self.verifier.verify_client_cert(leaf, chain, now).is_ok()
            }),
            None => false,
        }
    }
}

impl ProducesTickets for ClientTickets {
    fn enabled(&self) -> bool {
        self.keys.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.keys.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.keys.decrypt(cipher).filter(|session| self.is_good(session))
    }
}

impl fmt::Debug for ClientTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTickets").finish_non_exhaustive()
    }
}

/// What a client showed in the session that a ticket stands for.
enum Shown<'s> {
    Nothing,
    Chain(Vec<CertificateDer<'s>>),
}

/// Reads it out of the session as rustls writes it. `None`, and so no resumption, if that is not what
/// it is: a test tells when a new rustls writes it otherwise.
fn shown(session: &[u8]) -> Option<Shown<'_>> {
    let rest = match session.split_first()? {
        (0, rest) => rest,
        (1, rest) => after_name(rest)?,
        (_, _) => return None,
    };
    // Version and cipher suite, the secret, whether it is an extended one.
    let (_, rest) = rest.split_at_checked(4)?;
    let (_, rest) = prefixed(rest, 1)?;
    match rest.split_at_checked(2)? {
        ([0 | 1, 0], _) => Some(Shown::Nothing),
        ([0 | 1, 1], rest) => {
            let (mut list, _) = prefixed(rest, 3)?;
            let mut chain = Vec::new();
            while !list.is_empty() {
                let (one, rest) = prefixed(list, 3)?;
                chain.push(CertificateDer::from(one));
                list = rest;
            }
            Some(Shown::Chain(chain))
        }
        (_, _) => None,
    }
}

fn after_name(bytes: &[u8]) -> Option<&[u8]> {
    prefixed(bytes, 1).map(|(_, rest)| rest)
}

/// Bytes after their length in `width` bytes, and what follows them.
fn prefixed(bytes: &[u8], width: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(width)?;
    let length = length.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
    rest.split_at_checked(length)
}
