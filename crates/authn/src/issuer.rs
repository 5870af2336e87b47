//! One issuer as the routes see it: token in, principal out.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use portcullis_core::{Clock, Principal};

use crate::compact::MAXIMUM_LENGTH;
use crate::introspection::Remembered;
use crate::signed::Signed;
use crate::{
    IntrospectionServer, IssuerSettings, KeyCache, Revocations, TokenFailure, unverified_issuer,
};

/// An issuer of one snapshot: its settings, how its tokens are verified, and those that were.
#[derive(Debug)]
pub struct Issuer {
    settings: Arc<IssuerSettings>,
    tokens: Tokens,
    revocations: Option<Arc<Revocations>>,
}

/// What kind of tokens it issues.
#[derive(Debug)]
enum Tokens {
    /// JWTs, verified with its keys.
    Signed(Signed),
    /// Others, of which its server is asked.
    Opaque(Remembered),
}

/// SHA-256 of a token.
pub(crate) type Digest = [u8; 32];

impl Issuer {
    /// An issuer of JWTs that judges by `settings` with `keys`.
    pub fn new(settings: IssuerSettings, keys: KeyCache, clock: Clock) -> Self {
        let settings = Arc::new(settings);
        let tokens = Tokens::Signed(Signed::new(Arc::clone(&settings), keys, clock));
        Self { settings, tokens, revocations: None }
    }

    /// An issuer of opaque tokens: `server` is asked, and what it says is judged by `settings`.
    pub fn opaque(settings: IssuerSettings, server: IntrospectionServer, clock: Clock) -> Self {
        let settings = Arc::new(settings);
        let tokens = Tokens::Opaque(Remembered::new(Arc::clone(&settings), server, clock));
        Self { settings, tokens, revocations: None }
    }

    /// Refuses tokens that were revoked. Without it none is.
    #[must_use]
    pub fn with_revocations(mut self, revocations: Option<Arc<Revocations>>) -> Self {
        self.revocations = revocations;
        self
    }

    /// The settings it judges by.
    pub fn settings(&self) -> &IssuerSettings {
        &self.settings
    }

    /// Whether its tokens are opaque, so that none need say of itself who issued it.
    pub const fn is_opaque(&self) -> bool {
        matches!(self.tokens, Tokens::Opaque(_))
    }

    #[cfg(test)]
    fn signed(&self) -> &Signed {
        match &self.tokens {
            Tokens::Signed(signed) => signed,
            Tokens::Opaque(_) => unreachable!("an issuer of opaque tokens has no keys"),
        }
    }

    #[cfg(test)]
    pub(crate) fn keys(&self) -> &KeyCache {
        self.signed().keys()
    }

    /// The principal of `token`, or why there is none.
    ///
    /// A token that was verified before is answered without waiting. One that names an unknown key
    /// waits for a fetch, at most five seconds, where one is under way or the cooldown allows one. An
    /// opaque one waits for the server's answer, at most the time-out of the settings.
    pub async fn verify(&self, token: &str) -> Result<Arc<Principal>, TokenFailure> {
        let principal = self.verify_even_revoked(token).await?;
        // On every request: a token that was verified before may have been revoked since.
        if let Some(revocations) = &self.revocations {
            revocations.judge(&principal, self.settings.leeway)?;
        }
        Ok(principal)
    }

    /// The same for a token that may have been revoked. It opens no door: it is for whoever revokes.
    pub async fn verify_even_revoked(&self, token: &str) -> Result<Arc<Principal>, TokenFailure> {
        if token.len() > MAXIMUM_LENGTH {
            return Err(TokenFailure::because("the token is too long"));
        }
        let digest = digest(&SHA256, token.as_bytes()).as_ref().try_into().unwrap_or_default();
        match self.recall(&digest) {
            Some(answer) => answer,
            // On the heap, so that the future of the common case stays small.
            None => Box::pin(self.verify_anew(token, digest)).await,
        }
    }

    fn recall(&self, digest: &Digest) -> Option<Result<Arc<Principal>, TokenFailure>> {
        match &self.tokens {
            Tokens::Signed(signed) => signed.recall(digest),
            Tokens::Opaque(remembered) => remembered.recall(digest),
        }
    }

    async fn verify_anew(
        &self,
        token: &str,
        digest: Digest,
    ) -> Result<Arc<Principal>, TokenFailure> {
        match &self.tokens {
            Tokens::Signed(signed) => signed.verify_anew(token, digest).await,
            Tokens::Opaque(remembered) => {
                // No server is shown what another has issued.
                let named = unverified_issuer(token);
                if named.is_some_and(|named| *named != *self.settings.issuer) {
                    return Err(TokenFailure::because("the token is one of another issuer"));
                }
                remembered.ask(token, digest).await
            }
        }
    }
}

#[cfg(test)]
mod tests;
