//! The handshake in which an authority asks whether a name is ours (RFC 8737).

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};

use super::Challenges;
use crate::{Alert, TlsError, provider};

/// The ALPN identifier of a proof (RFC 8737 §6.2).
const ACME_TLS: &[u8] = b"acme-tls/1";

/// Whether a client asks for a proof, and for nothing else: `acme-tls/1` is the whole of what it
/// offers.
pub fn asks_for_proof(hello: &ClientHello<'_>) -> bool {
    hello
        .alpn()
        .is_some_and(|mut offered| offered.next() == Some(ACME_TLS) && offered.next().is_none())
}

impl Challenges {
    /// The configuration of the one handshake that proves `name`, or the alert to send instead. It
    /// is a listener's own in nothing: either version of TLS will do, no client certificate is
    /// asked for, and no session comes of it or is taken up again.
    pub async fn proof(&self, name: &str) -> Result<Arc<ServerConfig>, Alert> {
        let found = self.tls_alpn_01(name).await.map_err(|error| {
            tracing::debug!(name, %error, "an authority's handshake cannot be answered");
            Alert::InternalError
        })?;
        let certificate = found.ok_or(Alert::NoApplicationProtocol)?;
        server_config(certificate).map_err(|_| Alert::InternalError)
    }
}

fn server_config(certificate: Arc<CertifiedKey>) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::library)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Only(certificate)));
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Only(Arc<CertifiedKey>);

impl ResolvesServerCert for Only {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
