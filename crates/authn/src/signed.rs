//! Signed tokens: those that were verified, and those that have yet to be.

use std::sync::Arc;

use portcullis_core::{Clock, Principal};

use crate::claims::{self, Times};
use crate::compact::Compact;
use crate::issuer::Digest;
use crate::key_cache::Keys;
use crate::key_set::Miss;
use crate::source::MAXIMUM_TIME;
use crate::token_cache::TokenCache;
use crate::{IssuerSettings, KeyCache, TokenFailure, principal, strict_json};

/// How many verified tokens are remembered per issuer.
const REMEMBERED: usize = 10_000;

/// How often newer keys are awaited for one token: those that came first may not be new enough.
const ROUNDS: usize = 2;

const NO_KEY: &str = "no key has the kid of the token";

/// The keys of an issuer of JWTs, and the tokens it has verified with them.
#[derive(Debug)]
pub(crate) struct Signed {
    settings: Arc<IssuerSettings>,
    keys: KeyCache,
    clock: Clock,
    verified: TokenCache<Digest, Verified>,
}

/// A token whose signature was good under a key of `generation`. That is all it says: its claims are
/// judged again each time.
#[derive(Clone, Debug)]
struct Verified {
    principal: Arc<Principal>,
    times: Times,
    generation: u64,
}

impl Signed {
    pub(crate) fn new(settings: Arc<IssuerSettings>, keys: KeyCache, clock: Clock) -> Self {
        Self { settings, keys, clock, verified: TokenCache::new(REMEMBERED) }
    }

    /// The keys it verifies with.
    #[cfg(test)]
    pub(crate) const fn keys(&self) -> &KeyCache {
        &self.keys
    }

    /// How many tokens are remembered.
    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.verified.len()
    }

    /// Judges a token that was verified before; `None` where it was not, or under other keys.
    pub(crate) fn recall(&self, digest: &Digest) -> Option<Result<Arc<Principal>, TokenFailure>> {
        let generation = self.keys.usable_generation()?;
        let known = self.verified.find(digest)?;
        if known.generation != generation {
            return None;
        }
        let now = self.clock.now();
        let judged = claims::judge(&self.settings, &known.principal.claims, &known.times, now);
        if judged.is_err() {
            self.verified.forget(digest);
        }
        Some(judged.map(|()| known.principal).map_err(TokenFailure::because))
    }

    /// Reads and verifies a token that is not known.
    pub(crate) async fn verify_anew(
        &self,
        token: &str,
        digest: Digest,
    ) -> Result<Arc<Principal>, TokenFailure> {
        let (token, principal, times) = self.read(token).map_err(TokenFailure::because)?;
        let waited = tokio::time::timeout(MAXIMUM_TIME, self.verify_signature(&token)).await;
        let generation = waited.unwrap_or(Err(TokenFailure::because(NO_KEY)))?;
        let principal = Arc::new(principal);
        let known = Verified { principal: Arc::clone(&principal), times, generation };
        self.verified.put(digest, known);
        Ok(principal)
    }

    /// All that can be refused before keys and signatures come in, so that a token that would be
    /// refused anyway costs little and makes nobody fetch keys.
    fn read<'a>(&self, token: &'a str) -> Result<(Compact<'a>, Principal, Times), &'static str> {
        let token = Compact::parse(token)?;
        if !self.settings.algorithms.contains(&token.header.alg) {
            return Err("the alg is not one of the issuer's");
        }
        if !token.header.type_is_one_of(&self.settings.token_types) {
            return Err("the typ is not one that is taken");
        }
        let claims =
            strict_json::object(&token.payload).map_err(|_| "the claims are not usable JSON")?;
        let times = Times::read(&claims)?;
        claims::judge(&self.settings, &claims, &times, self.clock.now())?;
        let principal = principal::build(&self.settings, claims, &times)?;
        Ok((token, principal, times))
    }

    /// Generation of the keys under which the signature is good.
    async fn verify_signature(&self, token: &Compact<'_>) -> Result<u64, TokenFailure> {
        let mut keys = self.usable_keys()?;
        let mut rounds = 0..ROUNDS;
        loop {
            match keys.set.verifies(token) {
                Ok(true) => return Ok(keys.generation),
                Ok(false) => return Err(TokenFailure::wrong("the signature is not good")),
                Err(Miss::Unfit) => {
                    return Err(TokenFailure::wrong("the key named does not fit the token"));
                }
                Err(Miss::Unknown) => {
                    rounds.next().ok_or_else(|| self.no_key())?;
                    let newer = self.keys.newer_than(keys.generation).await;
                    keys = newer.ok_or_else(|| self.no_key())?;
                }
            }
        }
    }

    /// While the issuer does not answer, its newest key may be one that is not known here.
    fn no_key(&self) -> TokenFailure {
        match self.keys.status().last_error {
            None => TokenFailure::wrong(NO_KEY),
            Some(_) => TokenFailure::because(NO_KEY),
        }
    }

    fn usable_keys(&self) -> Result<Arc<Keys>, TokenFailure> {
        let unavailable = || TokenFailure::KeysUnavailable { retry_after: self.keys.retry_after() };
        self.keys.usable().ok_or_else(unavailable)
    }
}
