//! Fetching from an issuer over HTTP: https with our own trust, bounded in size, time and redirects.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, header};
use portcullis_core::Secret;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
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
    Transport { url: Url, reason: String, broken_off: bool },
}

/// An HTTP client for one issuer, made when it is first needed.
#[derive(Debug)]
pub(crate) struct Fetcher {
    client: OnceCell<Client>,
    /// The only roots that are trusted; `None` for those of the system.
    roots: Option<RootCertStore>,
    /// What is done with a redirect.
    redirects: Redirects,
}

#[derive(Clone, Copy, Debug)]
enum Redirects {
    /// No credential goes anywhere but where it was meant to go.
    Never,
    WithinOrigin,
}

/// A form to send (`application/x-www-form-urlencoded`).
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) authorization: Option<Secret>,
    pub(crate) body: Secret,
}

impl Fetcher {
    /// A client that trusts the certificates in `trust_pem`, or those of the system.
    pub(crate) fn new(trust_pem: Option<&[u8]>) -> Result<Self, AuthnError> {
        let roots = trust_pem.map(roots_of).transpose()?;
        Ok(Self { client: OnceCell::new(), roots, redirects: Redirects::WithinOrigin })
    }

    /// The same for forms with credentials in them: no redirect is followed.
    pub(crate) fn for_forms(trust_pem: Option<&[u8]>) -> Result<Self, AuthnError> {
        Ok(Self { redirects: Redirects::Never, ..Self::new(trust_pem)? })
    }

    /// The body at `url`, where it is answered with 200.
    pub(crate) async fn get(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let client = self.client().await?;
        let sent = client.get(url.clone()).send().await;
        read(sent.map_err(|error| transport(url, error))?, url).await
    }

    /// The body of the answer to `form`, where it is answered with 200.
    pub(crate) async fn post(&self, url: &Url, form: &Form) -> Result<Vec<u8>, FetchError> {
        const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        let mut request = self.client().await?.post(url.clone());
        request = request.header(header::CONTENT_TYPE, FORM).header(header::ACCEPT, JSON);
        if let Some(authorization) = &form.authorization {
            let value = HeaderValue::from_bytes(authorization.expose());
            let mut value = value.map_err(|error| FetchError::Client(error.to_string()))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        let sent = request.body(form.body.expose().to_vec()).send().await;
        read(sent.map_err(|error| transport(url, error))?, url).await
    }

    async fn client(&self) -> Result<&Client, FetchError> {
        self.client.get_or_try_init(|| async { self.connect() }).await
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
            .redirect(self.redirects.policy())
            .connect_timeout(Duration::from_secs(3))
            .pool_idle_timeout(Duration::from_secs(5))
            .build()
            .map_err(|error| client_error(&chain(&error)))
    }
}

impl Redirects {
    fn policy(self) -> Policy {
        match self {
            Self::Never => Policy::none(),
            Self::WithinOrigin => Policy::custom(|attempt| {
                let start = attempt.previous().first();
                let same = start.is_some_and(|start| start.origin() == attempt.url().origin());
                if same && attempt.previous().len() <= MAXIMUM_REDIRECTS {
                    attempt.follow()
                } else {
                    attempt.error("a redirect to another origin, or one too many")
                }
            }),
        }
    }
}

impl FetchError {
    /// Whether the connection ended without an answer, as an idle one does that is taken just when the
    /// server closes it.
    pub(crate) const fn is_broken_off(&self) -> bool {
        matches!(self, Self::Transport { broken_off: true, .. })
    }
}

fn transport(url: &Url, error: reqwest::Error) -> FetchError {
    let broken_off = error.is_request() && !error.is_connect() && !error.is_timeout();
    let reason = chain(&error.without_url());
    FetchError::Transport { url: url.clone(), reason, broken_off }
}

/// The body of an answer of 200, up to the largest that is read.
async fn read(mut response: Response, url: &Url) -> Result<Vec<u8>, FetchError> {
    let too_large = || FetchError::TooLarge { url: url.clone() };
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status { url: url.clone(), status: response.status() });
    }
    if response.content_length().is_some_and(|length| length > MAXIMUM_BODY as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| transport(url, error))? {
        if body.len() + chunk.len() > MAXIMUM_BODY {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Checks the URL of an issuer's server: https, or http to this very machine; no user, no fragment.
pub(crate) fn check_url(url: &Url) -> Result<(), &'static str> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL has a user or password in it");
    }
    if url.fragment().is_some() {
        return Err("the URL has a fragment");
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(url) => Ok(()),
        "http" => Err("plain http is spoken on loopback alone; https is needed"),
        _ => Err("this is asked over https alone"),
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
