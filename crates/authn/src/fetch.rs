//! Fetching from an issuer over HTTP: https with our own trust, bounded in size, time and redirects.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use thiserror::Error;
use tokio::sync::OnceCell;
use url::{Host, Url};

use crate::AuthnError;

/// The largest answer that is read, in bytes.
const MAXIMUM_BODY: usize = 256 * 1024;

/// How many redirects within one origin are followed.
const MAXIMUM_REDIRECTS: usize = 3;

/// Why nothing was fetched. The issuer, or the network between, must be looked at.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("the HTTP client could not be set up: {0}")]
    Client(String),
    #[error("{url} answered {status}")]
    Status { url: Url, status: StatusCode },
    #[error("{url} answered with more than {MAXIMUM_BODY} bytes")]
    TooLarge { url: Url },
    #[error("{url}: {reason}")]
    Transport { url: Url, reason: String },
}

/// An HTTP client for one issuer, made when it is first needed.
#[derive(Debug)]
pub(crate) struct Fetcher {
    client: OnceCell<Client>,
    /// The only roots that are trusted; `None` for those of the system.
    roots: Option<RootCertStore>,
}

impl Fetcher {
    /// A client that trusts the certificates in `trust_pem`, or those of the system.
    pub(crate) fn new(trust_pem: Option<&[u8]>) -> Result<Self, AuthnError> {
        let roots = trust_pem.map(roots_of).transpose()?;
        Ok(Self { client: OnceCell::new(), roots })
    }

    /// The body at `url`, where it is answered with 200.
    pub(crate) async fn get(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let transport = |error: reqwest::Error| FetchError::Transport {
            url: url.clone(),
            reason: chain(&error.without_url()),
        };
        let too_large = || FetchError::TooLarge { url: url.clone() };
        let client = self.client.get_or_try_init(|| async { self.connect() }).await?;
        let mut response = client.get(url.clone()).send().await.map_err(transport)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status { url: url.clone(), status: response.status() });
        }
        if response.content_length().is_some_and(|length| length > MAXIMUM_BODY as u64) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > MAXIMUM_BODY {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn connect(&self) -> Result<Client, FetchError> {
        let client_error = |error: &dyn std::fmt::Display| FetchError::Client(error.to_string());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| client_error(&error))?
            .with_root_certificates(self.roots.clone().unwrap_or_else(system_roots))
            .with_no_client_auth();
        Client::builder()
            .tls_backend_preconfigured(config)
            // A proxy named in the environment would be a setting that the file does not show.
            .no_proxy()
            .redirect(Policy::custom(|attempt| {
                let start = attempt.previous().first();
                let same = start.is_some_and(|start| start.origin() == attempt.url().origin());
                if same && attempt.previous().len() <= MAXIMUM_REDIRECTS {
                    attempt.follow()
                } else {
                    attempt.error("a redirect to another origin, or one too many")
                }
            }))
            .connect_timeout(Duration::from_secs(3))
            .pool_idle_timeout(Duration::from_secs(5))
            .build()
            .map_err(|error| client_error(&chain(&error)))
    }
}

/// Checks a URL of keys: https, or http to this very machine; no user, no fragment.
pub(crate) fn check_url(url: &Url) -> Result<(), &'static str> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL of keys has no user or password in it");
    }
    if url.fragment().is_some() {
        return Err("a URL of keys has no fragment");
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(url) => Ok(()),
        "http" => Err("keys over plain http are taken from loopback alone; https is needed"),
        _ => Err("keys are fetched over https"),
    }
}

/// Whether `url` points at this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn roots_of(pem: &[u8]) -> Result<RootCertStore, AuthnError> {
    let refused = |reason: String| AuthnError::Trust { reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        roots.add(certificate).map_err(|error| refused(error.to_string()))?;
    }
    if roots.is_empty() { Err(refused("it is empty".to_owned())) } else { Ok(roots) }
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!(
            "the system has no CA certificates (package ca-certificates), so no issuer can be \
             reached over https without `trust`"
        );
    }
    roots
}

/// An error with its causes, on one line.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        #[track_caller]
        fn check(url: &str, expected: bool) {
            assert_eq!(check_url(&url.parse().unwrap()).is_ok(), expected, "{url}");
        }
        for url in [
            "https://idp.test/jwks",
            "https://10.0.0.1:8443/jwks?x=1",
            "http://127.0.0.1:8080/jwks",
            "http://127.1.2.3/jwks",
            "http://[::1]/jwks",
            "http://localhost/jwks",
        ] {
            check(url, true);
        }
        for url in [
            "http://idp.test/jwks",
            "http://10.0.0.1/jwks",
            "http://localhost.evil.test/jwks",
            "http://127.0.0.1.evil.test/jwks",
            "http://127.0.0.1@evil.test/jwks",
            "https://user@idp.test/jwks",
            "https://idp.test/jwks#x",
            "file:///etc/passwd",
            "ftp://idp.test/jwks",
            "data:,x",
        ] {
            check(url, false);
        }
    }

    #[test]
    fn trust_without_a_certificate_is_refused() {
        for pem in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let refused = Fetcher::new(Some(pem.as_bytes()));
            assert!(matches!(refused, Err(AuthnError::Trust { .. })), "{pem}");
        }
        assert!(Fetcher::new(None).is_ok());
    }
}
