//! HTTP to the authority: our trust, deadlines and bounds, and what the library above does not
//! pass on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{LOCATION, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use parking_lot::Mutex;
use portcullis_core::{Clock, Timestamp};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::failure::{Failure, Refused};
use crate::{TlsError, provider};

/// The largest answer that is read, in bytes. A chain is a few KiB.
const MAXIMUM_BODY: usize = 512 * 1024;

/// For one request and its answer.
const TIME: Duration = Duration::from_secs(30);

/// For a connection to come about.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// When an authority that says nothing about it is asked for its window of renewal again (RFC 9773
/// §4.3.3).
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("21600");

const AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));

/// What stands before the type of a problem (RFC 8555 §6.7).
const PROBLEM: &str = "urn:ietf:params:acme:error:";

tokio::task_local! {
    static NOTES: Arc<Mutex<Notes>>;
}

/// What the last answers of a task said beside their bodies.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// `Location`, where there was one.
    location: Option<String>,
    /// `Retry-After`, where there was one.
    retry_after: Option<Duration>,
}

/// Runs `work` so that [`take_location`] and [`take_retry_after`] know of its requests.
pub(super) async fn noting<F: Future>(work: F) -> F::Output {
    NOTES.scope(Arc::default(), work).await
}

/// Where the last answer pointed; once.
pub(super) fn take_location() -> Option<String> {
    NOTES.try_with(|notes| notes.lock().location.take()).ok().flatten()
}

/// How long the last answer asked to wait; once.
pub(super) fn take_retry_after() -> Option<Duration> {
    NOTES.try_with(|notes| notes.lock().retry_after.take()).ok().flatten()
}

/// The client of one authority.
#[derive(Clone, Debug)]
pub(super) struct AuthorityClient {
    client: reqwest::Client,
    /// Whether the directory itself is asked in cleartext, on this machine.
    is_local: bool,
    clock: Clock,
}

/// The roots in `pem`: at least one.
pub fn roots_of(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let refused = |reason: String| TlsError::InvalidChain { reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        roots.add(certificate).map_err(|error| refused(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(refused("there is no certificate".to_owned()));
    }
    Ok(roots)
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let (added, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        tracing::warn!(
            "the system has no CA certificates (package ca-certificates), so no authority can be \
             reached without `certificates.acme.trust`"
        );
    }
    roots
}

impl AuthorityClient {
    /// Trusts the certificates in `trust_pem`, or those of the system.
    pub(super) fn new(
        directory: &str,
        trust_pem: Option<&[u8]>,
        clock: Clock,
    ) -> Result<Self, Failure> {
        let library = |error: &dyn std::fmt::Display| Failure::Library(error.to_string());
        let roots = trust_pem.map(roots_of).transpose().map_err(|error| library(&error))?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| library(&error))?
            .with_root_certificates(roots.unwrap_or_else(system_roots))
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            // A proxy named in the environment would be a setting that the file does not show.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIME)
            .timeout(TIME)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .map_err(|error| library(&error))?;
        let is_local = directory.parse::<Uri>().is_ok_and(|url| url.scheme_str() == Some("http"));
        Ok(Self { client, is_local, clock })
    }

    async fn send(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Failure> {
        let (mut parts, body) = request.into_parts();
        let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes);
        parts.headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let (method, url) = (parts.method, parts.uri.to_string());
        if !is_secure(&parts.uri, self.is_local) {
            return Err(Failure::Unreachable(format!("{url} is not an https URL (RFC 8555 §6.1)")));
        }
        let sent = self
            .client
            .request(method.clone(), &url)
            .headers(parts.headers)
            .body(body)
            .send()
            .await
            .map_err(|error| unreachable(&url, &error))?;
        let (status, mut headers) = (sent.status(), sent.headers().clone());
        let body = read(&url, sent).await?;
        let retry_after = retry_after(&headers, self.clock.now());
        let is_bad_nonce = status == StatusCode::BAD_REQUEST && problem(&body).is_of("badNonce");
        // A redirect is no answer either: what it points to is not followed.
        if !status.is_success() && !is_bad_nonce {
            return Err(refused(url, status, &body, retry_after).into());
        }
        note(&headers, retry_after);
        if method == Method::GET {
            headers.entry(RETRY_AFTER).or_insert(ASK_AGAIN);
        }
        let mut response = Response::new(Full::new(body));
        // The library takes 200 alone for the answer to a request for a nonce.
        let is_nonce = method == Method::HEAD && status.is_success();
        *response.status_mut() = if is_nonce { StatusCode::OK } else { status };
        *response.headers_mut() = headers;
        Ok(BytesResponse::from(response))
    }
}

impl HttpClient for AuthorityClient {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.clone();
        Box::pin(async move {
            client.send(request).await.map_err(|failure| Error::Other(Box::new(failure)))
        })
    }
}

/// Whether nobody on the way can read or change what is said: by https, or, where the directory `is_local`
/// too, on this machine. No authority elsewhere may aim us at what listens here.
fn is_secure(url: &Uri, is_local: bool) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    url.scheme_str() == Some("https") || (is_local && is_loopback)
}

fn unreachable(url: &str, error: &reqwest::Error) -> Failure {
    use std::error::Error as _;
    let mut text = format!("{url}: the request failed");
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    if error.is_timeout() {
        text.push_str(": no answer in time");
    }
    Failure::Unreachable(text)
}

async fn read(url: &str, mut response: reqwest::Response) -> Result<Bytes, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(url, &error))? {
        if body.len() + chunk.len() > MAXIMUM_BODY {
            let text = format!("{url} answered with more than {MAXIMUM_BODY} bytes");
            return Err(Failure::Unreachable(text));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

/// A problem document (RFC 9457), as much of it as is used.
#[derive(Debug, Default, Deserialize)]
struct Problem {
    r#type: Option<String>,
    detail: Option<String>,
}

impl Problem {
    fn kind(&self) -> Option<&str> {
        let kind = self.r#type.as_deref()?;
        Some(kind.strip_prefix(PROBLEM).unwrap_or(kind))
    }

    fn is_of(&self, kind: &str) -> bool {
        self.kind() == Some(kind)
    }
}

fn problem(body: &[u8]) -> Problem {
    serde_json::from_slice(body).unwrap_or_default()
}

fn refused(url: String, status: StatusCode, body: &[u8], retry_after: Option<Duration>) -> Refused {
    let problem = problem(body);
    let kind = problem.kind().map(str::to_owned);
    Refused { url, status: status.as_u16(), kind, detail: problem.detail, retry_after }
}

fn note(headers: &HeaderMap, retry_after: Option<Duration>) {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let set = |notes: &Arc<Mutex<Notes>>| *notes.lock() = Notes { location, retry_after };
    NOTES.try_with(set).ok();
}

/// The longest that is waited because an authority says so: more than any limit of a public one, and
/// less than the life of a certificate.
const LONGEST_WAIT: Duration = Duration::from_hours(8 * 24);

/// `Retry-After` in seconds or as a date (RFC 9110 §10.2.3), within bounds.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    said_after(headers, now).map(|said| said.min(LONGEST_WAIT))
}

fn said_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().map_or(LONGEST_WAIT, Duration::from_secs));
    }
    let date = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    let date = u64::try_from(date.unix_timestamp()).ok()?;
    Some(Timestamp::from_unix_seconds(date).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &'static str, expected: Option<u64>) {
        let now = Timestamp::from_unix_seconds(1_700_000_000);
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
        assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        check("900", Some(900));
        check(" 0 ", Some(0));
        check("Tue, 14 Nov 2023 22:14:20 GMT", Some(60));
        check("Tue, 14 Nov 2023 22:00:00 GMT", Some(0));
        check("99999999999", Some(8 * 86_400));
        check("99999999999999999999999", Some(8 * 86_400));
        check("soon", None);
        check("-5", None);
        check("", None);
    }

    #[test]
    fn what_is_said_off_the_machine_is_said_by_https() {
        let is_secure = |url: &'static str| is_secure(&Uri::from_static(url), true);
        for url in
            ["https://ca.test/d", "http://127.0.0.1:1/d", "http://[::1]/", "http://localhost/"]
        {
            assert!(is_secure(url), "{url}");
        }
        for url in ["http://ca.test/d", "http://localhost.ca.test/", "http://10.0.0.1/", "/d"] {
            assert!(!is_secure(url), "{url}");
        }
        let aimed = Uri::from_static("http://127.0.0.1:1/d");
        assert!(!super::is_secure(&aimed, false), "by an authority elsewhere");
    }

    #[test]
    fn trust_has_a_certificate() {
        for pem in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(roots_of(pem.as_bytes()).is_err(), "{pem}");
        }
    }
}
