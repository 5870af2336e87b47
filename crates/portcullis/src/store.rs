//! The durable store of the process: opened at start, the same until its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_authn::identity::generate_key_pem;
use portcullis_config::snapshot::{IdentityTerms, Snapshot, StateTerms};
use portcullis_core::{Clock, Secret};
use portcullis_state::{
    Durable, DurableError, EncryptionKey, Kind, MemoryDurable, OpenError, SqliteDurable,
    StateError, StateFolder, made_key,
};
use thiserror::Error;

/// The file of the store in the state folder, where the configuration names none.
const FILE: &str = "state.db";

/// Where the identity token's key is in the store.
const IDENTITY: &str = "identity";

/// Where versions without a store kept the identity token's key, in the state folder.
const IDENTITY_FILE: &str = "identity.pem";

/// Why there is no store, or not what is needed of it.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// Whether there is one cannot be told.
    #[error("state.durable: {0}")]
    Hidden(#[from] std::io::Error),
    /// It cannot be opened.
    #[error("state.durable: {0}")]
    Open(#[from] OpenError),
    /// The identity token's key cannot be had.
    #[error("the identity token's key: {0}")]
    Identity(#[from] DurableError),
    /// A file of the state folder cannot be read.
    #[error("state folder: {0}")]
    Folder(#[from] StateError),
    /// The file says something else than at the start.
    #[error("a change of {0} needs a restart")]
    Changed(&'static str),
}

/// The store that `terms` ask for, if there is one already; nothing is made. Blocks on the disk.
pub(crate) fn look(
    terms: &StateTerms,
    folder: &Path,
    clock: Clock,
) -> Result<Option<SqliteDurable>, StoreError> {
    let file = place(terms, folder);
    if !file.try_exists()? {
        return Ok(None);
    }
    let key = match given_key(terms) {
        Some(key) => key,
        None => made_key(&StateFolder::open(folder)?, &file)?,
    };
    Ok(SqliteDurable::open_existing(&file, key, clock)?)
}

/// For who judges made-up requests: the store that `terms` ask for, or an empty one where there is none
/// yet. Nothing is made. Blocks on the disk.
pub(crate) fn look_or_empty(
    terms: &StateTerms,
    folder: &Path,
    clock: Clock,
) -> Result<Arc<dyn Durable>, StoreError> {
    Ok(match look(terms, folder, clock.clone())? {
        Some(store) => Arc::new(store),
        None => Arc::new(MemoryDurable::new(clock)),
    })
}

/// The store, and what the file said of it.
#[derive(Debug)]
pub(crate) struct Store {
    durable: Arc<dyn Durable>,
    terms: StateTerms,
    folder: StateFolder,
}

/// Where the store is that `terms` ask for, with this state folder.
fn place(terms: &StateTerms, folder: &Path) -> PathBuf {
    terms.durable.clone().unwrap_or_else(|| folder.join(FILE))
}

/// The key that `terms` give; `None` where it is one that is made.
fn given_key(terms: &StateTerms) -> Option<EncryptionKey> {
    terms.encryption_key.as_ref().and_then(EncryptionKey::new)
}

impl Store {
    /// Opens the store that `terms` ask for. Blocks on the disk.
    pub(crate) fn open(
        terms: StateTerms,
        folder: StateFolder,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let file = place(&terms, folder.path());
        let key = given_key(&terms).map_or_else(|| made_key(&folder, &file), Ok)?;
        let durable = Arc::new(SqliteDurable::open(&file, key, clock)?);
        Ok(Self { durable, terms, folder })
    }

    /// The file it is.
    pub(crate) fn file(&self) -> PathBuf {
        place(&self.terms, self.folder.path())
    }

    /// The records and leases.
    pub(crate) fn durable(&self) -> &Arc<dyn Durable> {
        &self.durable
    }

    /// Puts the kept keys into `snapshot`, where the file gives none. Fails where it asks for
    /// another store than this one.
    pub(crate) async fn complete(&self, snapshot: &mut Snapshot) -> Result<(), StoreError> {
        let asked = &snapshot.state;
        let folder = self.folder.path();
        if place(asked, folder) != place(&self.terms, folder) {
            return Err(StoreError::Changed("state.durable"));
        }
        if asked.encryption_key != self.terms.encryption_key {
            return Err(StoreError::Changed("state.encryption_key"));
        }
        let IdentityTerms { is_used, signing_key, .. } = &mut snapshot.identity;
        if *is_used && signing_key.is_none() {
            *signing_key = Some(self.identity_key().await?);
        }
        Ok(())
    }

    /// The identity token's key: the one kept, or one taken over from an earlier version, or a new
    /// one, kept from now on.
    async fn identity_key(&self) -> Result<Secret, StoreError> {
        if let Some(kept) = self.durable.get(Kind::SigningKey, IDENTITY).await? {
            return Ok(kept);
        }
        let first = match self.folder.find(IDENTITY_FILE)? {
            Some(earlier) => {
                tracing::info!(file = IDENTITY_FILE, "kept in the state from now on");
                earlier
            }
            None => Secret::new(generate_key_pem()),
        };
        Ok(self.durable.put_first(Kind::SigningKey, IDENTITY, &first).await?)
    }
}
