//! One generation of trust: the verifier of the handshakes, and the keys of their tickets.

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::{Clock, Timestamp};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ProducesTickets, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use crate::client_anchors::{Anchors, Summary};
use crate::client_tickets::ClientTickets;
use crate::tickets::Tickets;
use crate::{ClientMode, ClientTerms, TlsError, provider, read_client_certificate};

/// Trust as it was read at one time. Sessions of one are never resumed under another.
#[derive(Debug)]
pub(crate) struct Verifier {
    generation: u64,
    content: [u8; 32],
    summary: Summary,
    handshake: Arc<Checked>,
    tickets: Arc<dyn ProducesTickets>,
}

impl Verifier {
    pub(crate) fn new(
        terms: &ClientTerms,
        anchors: Anchors,
        generation: u64,
        clock: &Clock,
    ) -> Result<Self, TlsError> {
        let Anchors { roots, crls, summary, content } = anchors;
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider())
            .with_crls(crls)
            .enforce_revocation_expiration();
        let builder = match terms.mode {
            ClientMode::Optional => builder.allow_unauthenticated(),
            ClientMode::Required => builder,
        };
        let inner = builder.build().map_err(TlsError::library)?;
        let handshake = Arc::new(Checked(inner));
        let keys = Arc::new(Tickets::new(clock.clone())?);
        let tickets =
            Arc::new(ClientTickets::new(keys, Arc::clone(&handshake) as _, clock.clone()));
        Ok(Self { generation, content, summary, handshake, tickets })
    }

    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) const fn summary(&self) -> Summary {
        self.summary
    }

    pub(crate) fn same_content(&self, anchors: &Anchors) -> bool {
        self.content == anchors.content
    }

    pub(crate) fn for_handshakes(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.handshake) as _
    }

    pub(crate) fn tickets(&self) -> Arc<dyn ProducesTickets> {
        Arc::clone(&self.tickets)
    }

    pub(crate) fn verify_at(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Result<(), Error> {
        self.handshake.verify_client_cert(leaf, chain, unix_time(now)).map(|_| ())
    }

    /// What of `chain` is needed to get from `leaf` to the trust: a client may send whatever it
    /// likes beside.
    pub(crate) fn path<'c>(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'c>],
        now: Timestamp,
    ) -> Vec<CertificateDer<'c>> {
        let mut path = chain.to_vec();
        let mut at = 0;
        while at < path.len() {
            let mut without = path.clone();
            without.remove(at);
            if self.verify_at(leaf, &without, now).is_ok() {
                path = without;
            } else {
                at += 1;
            }
        }
        path
    }
}

/// Beside what RFC 5280 asks, a certificate must be one that we can read in full.
#[derive(Debug)]
struct Checked(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Checked {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        read_client_certificate(leaf, chain)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        self.0.verify_client_cert(leaf, chain, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// The time of the handshakes is the time of everything else.
#[derive(Debug)]
pub(crate) struct HandshakeTime(pub(crate) Clock);

impl TimeProvider for HandshakeTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0.now()))
    }
}

pub(crate) fn unix_time(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(at.unix_seconds()))
}
