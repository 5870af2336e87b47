//! What a new snapshot takes over from the one before: counters and keys outlive a reload.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_authn::{ApiKeys, DpopProofs, IntrospectionServer, KeyCache, Revocations};
use portcullis_core::Clock;
use portcullis_limit::{Limiter, Penalties, Slots};

/// Handles by name. A compile reads them and changes nothing: a refused file leaves all as it was.
/// The first start, and `check`, hand over an empty one.
#[derive(Clone, Debug)]
pub struct Handover {
    /// Counters by name of the limit; taken with [`Limiter::with_quota`].
    pub limiters: HashMap<Arc<str>, Limiter>,
    /// Slots by name of the limit; taken with [`Slots::with_maximum`].
    pub slots: HashMap<Arc<str>, Slots>,
    /// Penalties by name of the limit; taken with [`Penalties::with_penalty`].
    pub penalties: HashMap<Arc<str>, Penalties>,
    /// Keys by name of the issuer; taken where [`KeyCache::same_source`] says so.
    pub keys: HashMap<Arc<str>, KeyCache>,
    /// Introspection servers by name of the issuer; taken where [`IntrospectionServer::is_same`] says so.
    pub servers: HashMap<Arc<str>, IntrospectionServer>,
    /// The API keys: one handle for the life of the process.
    pub api_keys: Arc<ApiKeys>,
    /// DPoP proofs that were seen: one memory for the process, whatever the file says.
    pub dpop: Arc<DpopProofs>,
    /// Revocations: one handle for the life of the process. `None` where there is no store to keep
    /// them, and nothing is revoked.
    pub revocations: Option<Arc<Revocations>>,
    /// The clock of the process.
    pub clock: Clock,
}

impl Handover {
    /// Nothing to take over.
    pub fn empty(clock: Clock) -> Self {
        let api_keys = ApiKeys::new(clock.clone());
        let dpop = Arc::new(DpopProofs::new(clock.clone()));
        Self {
            limiters: HashMap::new(),
            slots: HashMap::new(),
            penalties: HashMap::new(),
            keys: HashMap::new(),
            servers: HashMap::new(),
            api_keys,
            dpop,
            revocations: None,
            clock,
        }
    }
}
