//! The certificates of one name, and which of them a client can do with.

use std::sync::Arc;

use portcullis_core::Timestamp;
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme, SupportedCipherSuite};

use crate::{CertifiedPair, provider};

/// All certificates for one name, the most wanted first: elliptic curves before RSA, whose
/// handshakes cost a server many times more; among equals the order they came in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Candidates(Vec<Arc<CertifiedPair>>);

/// The signatures that a client can verify, by the version that will be spoken with it. rustls does
/// not show which that will be.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    /// `None` where it has no cipher suite of TLS 1.3; one that has some may still not speak it.
    tls13: Option<Vec<SignatureScheme>>,
    tls12: Vec<SignatureScheme>,
}

/// How well a certificate suits a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// In TLS 1.2 alone, to a client that seems to speak TLS 1.3.
    Older,
    /// In TLS 1.3 alone.
    Newer,
    /// Whatever will be spoken.
    Any,
}

impl Candidates {
    /// One more, less wanted than its equals.
    pub(crate) fn add(&mut self, pair: Arc<CertifiedPair>) {
        let rank = rank(&pair);
        let place = self.0.partition_point(|other| self::rank(other) <= rank);
        self.0.insert(place, pair);
    }

    /// The most wanted.
    pub(crate) fn first(&self) -> Option<&Arc<CertifiedKey>> {
        self.0.first().map(|pair| pair.certified_key())
    }

    /// The most wanted of those that suit the client of `offer` best; one that is not in force at
    /// `now` only where there is no other.
    ///
    /// Where none does: `None` to a client of TLS 1.3. A client of TLS 1.2 is given any, as rustls
    /// refuses it before a certificate is sent: with `protocol_version` or `handshake_failure`,
    /// which only it can tell apart.
    pub(crate) fn choose(&self, offer: &Offer, now: Timestamp) -> Option<&Arc<CertifiedKey>> {
        let mut best = None;
        for pair in &self.0 {
            let Some(fit) = offer.fit(pair.certified_key()) else { continue };
            let mark = (pair.check_in_force(now).is_ok(), fit);
            if best.is_none_or(|(top, _)| mark > top) {
                best = Some((mark, pair));
            }
        }
        let any = if offer.tls13.is_some() { None } else { self.0.first() };
        best.map(|(_, pair)| pair).or(any).map(|pair| pair.certified_key())
    }
}

impl Offer {
    /// What is offered in `hello`.
    ///
    /// rustls does not show `signature_algorithms_cert` (RFC 8446 §4.2.3) either, which is about the
    /// signatures within a chain; these are of the kind of its leaf nearly always.
    pub(crate) fn new(hello: &ClientHello<'_>) -> Self {
        let suites = provider().cipher_suites.clone();
        let common = suites.into_iter().filter(|it| hello.cipher_suites().contains(&it.suite()));
        let (newer, older): (Vec<_>, Vec<_>) = common.partition(|suite| suite.tls13().is_some());
        let schemes = hello.signature_schemes().iter().copied();
        let tls13 = schemes.clone().filter(|scheme| is_of_tls13(*scheme)).collect();
        Self {
            tls13: (!newer.is_empty()).then_some(tls13),
            tls12: schemes.filter(|scheme| is_of_suites(*scheme, &older)).collect(),
        }
    }

    fn fit(&self, key: &CertifiedKey) -> Option<Fit> {
        let signs = |schemes: &[SignatureScheme]| key.key.choose_scheme(schemes).is_some();
        match (self.tls13.as_deref().map(signs), signs(&self.tls12)) {
            (Some(true) | None, true) => Some(Fit::Any),
            (Some(true), false) => Some(Fit::Newer),
            (Some(false), true) => Some(Fit::Older),
            (Some(false) | None, false) => None,
        }
    }
}

/// RFC 8446 §4.2.3: PKCS #1 and SHA-1 do not sign handshakes.
fn is_of_tls13(scheme: SignatureScheme) -> bool {
    !matches!(
        scheme,
        SignatureScheme::ECDSA_SHA1_Legacy
            | SignatureScheme::RSA_PKCS1_SHA1
            | SignatureScheme::RSA_PKCS1_SHA256
            | SignatureScheme::RSA_PKCS1_SHA384
            | SignatureScheme::RSA_PKCS1_SHA512
    )
}

/// RFC 5246 §7.4.1.4.1: in TLS 1.2 the suite says which kind of key signs.
fn is_of_suites(scheme: SignatureScheme, suites: &[SupportedCipherSuite]) -> bool {
    let signs = |suite: &SupportedCipherSuite| match suite {
        SupportedCipherSuite::Tls12(suite) => suite.sign.contains(&scheme),
        SupportedCipherSuite::Tls13(_) => false,
    };
    suites.iter().any(signs)
}

/// What most clients know comes first, and what costs most to sign with last.
fn rank(pair: &CertifiedPair) -> u8 {
    let algorithm = pair.certified_key().key.algorithm();
    if algorithm == SignatureAlgorithm::ECDSA {
        0
    } else if algorithm == SignatureAlgorithm::RSA {
        2
    } else {
        1
    }
}
