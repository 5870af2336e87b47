//! What strangers ask for: the answers that are pending, by name.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use portcullis_core::Secret;
use portcullis_state::{Durable, DurableError, Kind};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use thiserror::Error;
use tokio::sync::Semaphore;

use super::published::{http_01_key, tls_alpn_01_key};
use super::token::is_token;
use crate::{TlsError, provider};

/// Look-ups that run at once; more of them wait for their turn. Anybody may cause one.
const AT_ONCE: usize = 8;

/// Why it cannot be said whether a challenge is pending.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The store failed.
    #[error(transparent)]
    Durable(#[from] DurableError),
    /// What is kept is no key authorization, or no certificate could be made of it.
    #[error("the answer to a challenge cannot be used: {0}")]
    Unusable(String),
}

/// The pending answers of the names that certificates are ordered for. Clones share it.
#[derive(Clone)]
pub struct Challenges(Arc<Shared>);

struct Shared {
    durable: Arc<dyn Durable>,
    names: HashSet<Box<str>>,
    turns: Semaphore,
}

impl Challenges {
    /// Looks answers up in `durable`, for `names` alone. A wildcard is proved by DNS, so that
    /// there is nothing to look up for it.
    pub fn new<N: AsRef<str>>(
        durable: Arc<dyn Durable>,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        let names = names.into_iter().filter_map(|name| canonical(name.as_ref())).collect();
        Self(Arc::new(Shared { durable, names, turns: Semaphore::new(AT_ONCE) }))
    }

    /// Whether certificates are ordered for `host`.
    pub fn is_ordered(&self, host: &str) -> bool {
        canonical(host).is_some_and(|host| self.0.names.contains(&host))
    }

    /// The key authorization that is to be served at `host` for `token` (RFC 8555 §8.3).
    pub async fn http_01(&self, host: &str, token: &str) -> Result<Option<Secret>, LookupError> {
        let Some(host) = self.ordered(host).filter(|_| is_token(token)) else { return Ok(None) };
        self.look_up(&http_01_key(&host, token)).await
    }

    /// The certificate that proves `name` in a handshake (RFC 8737 §3), signed by itself.
    pub async fn tls_alpn_01(&self, name: &str) -> Result<Option<Arc<CertifiedKey>>, LookupError> {
        let Some(name) = self.ordered(name) else { return Ok(None) };
        let Some(answer) = self.look_up(&tls_alpn_01_key(&name)).await? else { return Ok(None) };
        let made = proof(&name, &answer);
        made.map(Some).map_err(|error| LookupError::Unusable(error.to_string()))
    }

    fn ordered(&self, name: &str) -> Option<Box<str>> {
        canonical(name).filter(|name| self.0.names.contains(name))
    }

    async fn look_up(&self, key: &str) -> Result<Option<Secret>, LookupError> {
        let turn = self.0.turns.acquire().await;
        let turn = turn.map_err(|closed| LookupError::Unusable(closed.to_string()))?;
        let found = self.0.durable.get(Kind::Challenge, key).await;
        drop(turn);
        Ok(found?)
    }
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenges").field("names", &self.0.names).finish_non_exhaustive()
    }
}

/// In lower case, without a trailing dot; `None` for a wildcard.
fn canonical(name: &str) -> Option<Box<str>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    (!name.is_empty() && !name.contains('*')).then(|| name.to_ascii_lowercase().into_boxed_str())
}

/// The certificate for `name` alone, with the digest of the key authorization in a critical
/// extension (RFC 8737 §3).
fn proof(name: &str, key_authorization: &Secret) -> Result<Arc<CertifiedKey>, TlsError> {
    let key = KeyPair::generate().map_err(TlsError::library)?;
    let mut params = CertificateParams::new([name.to_owned()]).map_err(TlsError::library)?;
    params.distinguished_name = DistinguishedName::new();
    let digest = digest(&SHA256, key_authorization.expose());
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
    let certificate = params.self_signed(&key).map_err(TlsError::library)?;
    let der = PrivateKeyDer::try_from(key.serialize_der()).map_err(TlsError::library)?;
    let signer = provider().key_provider.load_private_key(der).map_err(TlsError::library)?;
    // Nothing that checks it as a server's certificate would take the critical extension.
    Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signer)))
}
