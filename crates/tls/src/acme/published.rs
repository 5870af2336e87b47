//! Answers that the gateway serves itself, kept where every replica finds them.

use std::sync::Arc;

use async_trait::async_trait;
use portcullis_state::{Durable, DurableError, Kind};

use super::token::is_token;
use super::{Challenge, ChallengeType, SolveError, Solver};

/// Answers `http-01` and `tls-alpn-01`: the key authorization is kept in the durable store, where
/// the [`super::Challenges`] of any process that shares it find it.
#[derive(Clone, Debug)]
pub struct Published {
    durable: Arc<dyn Durable>,
}

impl Published {
    /// Publishes through `durable`.
    pub fn new(durable: Arc<dyn Durable>) -> Self {
        Self { durable }
    }

    /// Takes away what is left of orders for `name` that nobody goes on with. For whoever holds its
    /// lease.
    pub(super) async fn clear(&self, name: &str) -> Result<(), DurableError> {
        let of_name = http_01_key(name, "");
        for (key, _) in self.durable.list(Kind::Challenge).await? {
            if key.starts_with(&of_name) || key == tls_alpn_01_key(name) {
                self.durable.remove(Kind::Challenge, &key).await?;
            }
        }
        Ok(())
    }

    async fn remove(&self, challenge: &Challenge) -> Result<(), DurableError> {
        let Some(key) = record_key(challenge) else { return Ok(()) };
        // There may be the answer of a later order in its place.
        if self.durable.get(Kind::Challenge, &key).await?.as_ref()
            != Some(&challenge.key_authorization)
        {
            return Ok(());
        }
        self.durable.remove(Kind::Challenge, &key).await
    }
}

#[async_trait]
impl Solver for Published {
    async fn present(&self, challenge: &Challenge) -> Result<(), SolveError> {
        let key = record_key(challenge).ok_or_else(|| {
            let reason = match challenge.kind {
                ChallengeType::Dns01 => "the gateway serves no DNS",
                ChallengeType::Http01 | ChallengeType::TlsAlpn01 => {
                    "the authority's token is none (RFC 8555 §8.3)"
                }
            };
            challenge.unsolved(reason)
        })?;
        self.durable
            .put(Kind::Challenge, &key, &challenge.key_authorization)
            .await
            .map_err(|error| challenge.unsolved(error.to_string()))
    }

    async fn withdraw(&self, challenge: &Challenge) {
        if let Err(error) = self.remove(challenge).await {
            tracing::warn!(?challenge, %error, "the answer to a challenge was not taken away");
        }
    }
}

/// Where the answer is kept; `None` where there can be none.
fn record_key(challenge: &Challenge) -> Option<String> {
    let Challenge { kind, name, token, .. } = challenge;
    match kind {
        ChallengeType::Http01 => is_token(token).then(|| http_01_key(name, token)),
        ChallengeType::TlsAlpn01 => Some(tls_alpn_01_key(name)),
        ChallengeType::Dns01 => None,
    }
}

pub(super) fn http_01_key(name: &str, token: &str) -> String {
    format!("http-01/{name}/{token}")
}

/// The token is no part of it: a handshake does not say which one is meant.
pub(super) fn tls_alpn_01_key(name: &str) -> String {
    format!("tls-alpn-01/{name}")
}
