//! Where an issuer's key set is read: named by its configuration, at a URL, or in a file.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;
use url::Url;

use crate::fetch::{FetchError, Fetcher, check_url, is_loopback};
use crate::{AuthnError, IssuerSettings, KeySource};

/// How long a whole fetch may take, discovery and key set together.
pub(crate) const MAXIMUM_TIME: Duration = Duration::from_secs(5);

/// The largest key set file that is read, in bytes.
const MAXIMUM_FILE: u64 = 256 * 1024;

/// Where `OpenID` Connect Discovery 1.0 §4 puts an issuer's configuration.
const CONFIGURATION: &str = "/.well-known/openid-configuration";

/// Why there is no key set.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    #[error("{0} is not an OpenID configuration with issuer and jwks_uri")]
    Configuration(Url),
    #[error("the fetch was cut off")]
    CutOff,
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("{path}: {source}", path = path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the issuer calls itself {found:?}, the configuration says {configured:?}")]
    Issuer { found: String, configured: Arc<str> },
    #[error("the jwks_uri {url:?} is not usable: {reason}")]
    KeyUrl { url: String, reason: &'static str },
    #[error("the key set is not usable: {0}")]
    KeySet(&'static str),
    #[error("no answer within {MAXIMUM_TIME:?}")]
    Timeout,
}

/// The place of a key set, checked.
#[derive(Debug)]
pub(crate) enum Source {
    Discover { issuer: Arc<str>, configuration: Url, fetcher: Fetcher },
    File(PathBuf),
    Url { url: Url, fetcher: Fetcher },
}

impl Source {
    pub(crate) fn new(settings: &IssuerSettings) -> Result<Self, AuthnError> {
        let refused = |url: &str, reason| AuthnError::KeyUrl { url: url.to_owned(), reason };
        let fetcher = || Fetcher::new(settings.trust_pem.as_deref());
        match &settings.keys {
            KeySource::Discover => {
                let issuer = &settings.issuer;
                let configuration = format!("{}{CONFIGURATION}", issuer.trim_end_matches('/'));
                let configuration: Url =
                    configuration.parse().map_err(|_| refused(issuer, "it is not a URL"))?;
                check_url(&configuration).map_err(|reason| refused(issuer, reason))?;
                if issuer.contains('?') {
                    return Err(refused(issuer, "an issuer has no query"));
                }
                Ok(Self::Discover {
                    issuer: Arc::clone(issuer),
                    configuration,
                    fetcher: fetcher()?,
                })
            }
            KeySource::File(path) => Ok(Self::File(path.clone())),
            KeySource::None => Err(refused(&settings.issuer, "its tokens are opaque")),
            KeySource::Url(url) => {
                check_url(url).map_err(|reason| refused(url.as_str(), reason))?;
                Ok(Self::Url { url: url.clone(), fetcher: fetcher()? })
            }
        }
    }

    /// Whether it is a file, which costs nothing to read often.
    pub(crate) const fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// The bytes of the key set.
    pub(crate) async fn load(&self) -> Result<Vec<u8>, LoadError> {
        let loaded = async {
            match self {
                Self::Discover { issuer, configuration, fetcher } => {
                    let url = discover(issuer, configuration, fetcher).await?;
                    Ok(fetcher.get(&url).await?)
                }
                Self::File(path) => read_file(path.clone()).await,
                Self::Url { url, fetcher } => Ok(fetcher.get(url).await?),
            }
        };
        tokio::time::timeout(MAXIMUM_TIME, loaded).await.map_err(|_| LoadError::Timeout)?
    }
}

#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

/// The key set's URL in the issuer's configuration, which must be that of this very issuer: the names
/// are compared byte for byte (`OpenID` Connect Discovery 1.0 §4.3).
async fn discover(issuer: &Arc<str>, at: &Url, fetcher: &Fetcher) -> Result<Url, LoadError> {
    let body = fetcher.get(at).await?;
    let configuration: Configuration =
        serde_json::from_slice(&body).map_err(|_| LoadError::Configuration(at.clone()))?;
    let Configuration { issuer: found, jwks_uri } = configuration;
    if found != **issuer {
        let found = found.chars().take(200).collect();
        return Err(LoadError::Issuer { found, configured: Arc::clone(issuer) });
    }
    key_url(&jwks_uri, at).map_err(|reason| LoadError::KeyUrl { url: jwks_uri, reason })
}

/// The `jwks_uri` of the configuration found `at` this URL.
fn key_url(jwks_uri: &str, at: &Url) -> Result<Url, &'static str> {
    let url: Url = jwks_uri.parse().map_err(|_| "it is not a URL")?;
    check_url(&url)?;
    // An issuer elsewhere must not make the gateway ask its own machine.
    if is_loopback(&url) && !is_loopback(at) {
        return Err("it points at this machine, and the issuer is another");
    }
    Ok(url)
}

async fn read_file(path: PathBuf) -> Result<Vec<u8>, LoadError> {
    tokio::task::spawn_blocking(move || {
        read_capped(&path).map_err(|source| LoadError::File { path, source })
    })
    .await
    .map_err(|_| LoadError::CutOff)?
}

fn read_capped(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAXIMUM_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAXIMUM_FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::settings;

    fn configuration_of(issuer: &str) -> Result<String, String> {
        let settings = IssuerSettings { issuer: issuer.into(), ..settings() };
        match Source::new(&settings) {
            Ok(Source::Discover { configuration, .. }) => Ok(configuration.into()),
            Ok(_) => Err("another source".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_configuration_stands_below_the_issuer() {
        #[track_caller]
        fn check(issuer: &str, expected: &str) {
            assert_eq!(configuration_of(issuer).as_deref(), Ok(expected), "{issuer}");
        }
        let root = "https://idp.test/.well-known/openid-configuration";
        check("https://idp.test", root);
        check("https://idp.test/", root);
        let below = "https://idp.test/r1/.well-known/openid-configuration";
        check("https://idp.test/r1", below);
        check("https://idp.test/r1/", below);
    }

    #[test]
    fn an_issuer_elsewhere_cannot_point_at_this_machine() {
        #[track_caller]
        fn check(jwks_uri: &str, at: &str, expected: Result<(), &'static str>) {
            let read = key_url(jwks_uri, &at.parse().unwrap()).map(|_| ());
            assert_eq!(read, expected, "{jwks_uri} named at {at}");
        }
        let (elsewhere, here) = ("https://idp.test/x", "http://127.0.0.1:8080/x");
        check("https://keys.test/jwks", elsewhere, Ok(()));
        check("https://keys.test/jwks", here, Ok(()));
        check("http://localhost:8080/jwks", here, Ok(()));
        let refused = Err("it points at this machine, and the issuer is another");
        for url in
            ["http://127.0.0.1/jwks", "https://127.0.0.1/", "https://localhost/", "http://[::1]/"]
        {
            check(url, elsewhere, refused);
        }
        check("jwks", elsewhere, Err("it is not a URL"));
    }

    #[test]
    fn an_issuer_that_cannot_be_asked_is_refused() {
        for issuer in
            ["", "idp", "http://idp.test", "urn:x", "https://idp.test?x=1", "https://idp.test#x"]
        {
            assert!(configuration_of(issuer).is_err(), "{issuer}");
        }
    }
}
