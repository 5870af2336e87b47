//! What happens at the edge, told to whoever counts and logs it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use portcullis_core::{ConnMeta, Denial, Refusal, RequestId};
use portcullis_tls::Alert;
use rustls::{AlertDescription, CertificateError};
use thiserror::Error;

use crate::h2_gate::Ended;

/// A limit on connections that turned one away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    /// The process has as many as it may.
    Maximum,
    /// This client has as many as it may.
    PerClient,
}

impl Cap {
    /// A stable word for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Maximum => "maximum",
            Self::PerClient => "per_client",
        }
    }
}

/// Why a connection ended before it could carry a request.
#[derive(Debug, Error)]
pub enum HandshakeFailure {
    /// We answered the `ClientHello` with an alert.
    #[error("refused with {}", .0.as_str())]
    Alert(Alert),
    /// The certificate of the client cannot be read.
    #[error("{0}")]
    Certificate(&'static str),
    /// No protocol of the listener was agreed on.
    #[error("the client did not ask for a protocol of this listener")]
    NoProtocol,
    /// The HTTP/2 preface did not come, or was something else.
    #[error("no HTTP/2 connection preface")]
    NoPreface,
    /// It was not complete in time.
    #[error("not complete in time")]
    TimedOut,
    /// A balancer that must announce its client did not, or not in time.
    #[error("no header of the PROXY protocol")]
    ProxyProtocol,
    /// rustls or the socket failed; alerts and versions that do not match are here.
    #[error(transparent)]
    Tls(io::Error),
}

impl HandshakeFailure {
    /// A stable word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Alert(alert) => alert.as_str(),
            Self::Certificate(_) => "bad_certificate",
            Self::NoPreface => "no_preface",
            Self::NoProtocol => "no_protocol",
            Self::ProxyProtocol => "proxy_protocol",
            Self::TimedOut => "timed_out",
            Self::Tls(error) => certificate_alert(error).unwrap_or("tls"),
        }
    }
}

/// The alert that a client is sent whose certificate is missing or not good; `None` where something
/// else ended the handshake.
fn certificate_alert(error: &io::Error) -> Option<&'static str> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    if let rustls::Error::InvalidCertificate(error) = error {
        return Some(alert_of(error));
    }
    (*error == rustls::Error::NoCertificatesPresented).then_some("certificate_required")
}

#[expect(clippy::wildcard_enum_match_arm, reason = "rustls may add kinds; each has an alert")]
fn alert_of(error: &CertificateError) -> &'static str {
    match AlertDescription::from(error.clone()) {
        AlertDescription::AccessDenied => "access_denied",
        AlertDescription::BadCertificate => "bad_certificate",
        AlertDescription::CertificateExpired => "certificate_expired",
        AlertDescription::CertificateRevoked => "certificate_revoked",
        AlertDescription::DecryptError => "decrypt_error",
        AlertDescription::UnknownCA => "unknown_ca",
        AlertDescription::UnsupportedCertificate => "unsupported_certificate",
        _ => "certificate_unknown",
    }
}

/// A request that was answered here and never became one of the proxy's.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// The connection it came on.
    pub connection: &'a ConnMeta,
    /// The id in the answer.
    pub id: &'a RequestId,
    /// Why, with the status.
    pub refusal: &'a Refusal,
    /// `HTTP/1.1` or `HTTP/2`.
    pub protocol: &'static str,
    /// The method, where one was read.
    pub method: Option<&'a str>,
    /// From the first byte of the head to the refusal.
    pub lasted: Duration,
}

/// Told of everything that happens at the edge. Called on the connection's task: must not block.
pub trait EdgeEvents: Send + Sync + 'static {
    /// A connection is ready to carry requests.
    fn opened(&self, connection: &ConnMeta) {
        let _ = connection;
    }

    /// A connection that was `opened` is over.
    fn closed(&self, connection: &ConnMeta, lasted: Duration) {
        let _ = (connection, lasted);
    }

    /// A connection was accepted and closed at once. A unix socket has no `peer`.
    fn turned_away(&self, listener: &str, peer: Option<SocketAddr>, cap: Cap) {
        let _ = (listener, peer, cap);
    }

    /// A connection ended before it could carry a request. After `opened` only where the HTTP/2
    /// preface is what failed.
    fn handshake_failed(
        &self,
        listener: &str,
        peer: Option<SocketAddr>,
        failure: &HandshakeFailure,
    ) {
        let _ = (listener, peer, failure);
    }

    /// A handshake proved a name to an authority (RFC 8737), and ended there.
    fn proved(&self, listener: &str, peer: Option<SocketAddr>) {
        let _ = (listener, peer);
    }

    /// An HTTP/2 connection was ended for what the client did on it.
    fn ended(&self, connection: &ConnMeta, ended: Ended) {
        let _ = (connection, ended);
    }

    /// What a client is answered whose request the gate denies: whoever knows of clients that may not
    /// come, or come too often, says so here.
    fn refusal(&self, connection: &ConnMeta, denial: Denial) -> Refusal {
        let _ = connection;
        denial.into()
    }

    /// A request was refused by the gate.
    fn refused(&self, refused: &Refused<'_>) {
        let _ = refused;
    }
}

/// Nobody listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl EdgeEvents for Unwatched {}
