//! What must outlive the process and be seen by every replica: small sealed records, and leases.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use portcullis_core::Secret;

/// Which shelf a record stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An account at a certificate authority, by its directory URL.
    AcmeAccount,
    /// What is known of the attempts for a name: the order under way, failures, the next time.
    AcmeOrder,
    /// An API key, by its id: a digest of its secret and what it may do.
    ApiKey,
    /// How often and when API keys were last used, by day.
    ApiKeyUse,
    /// A certificate and its key, by name.
    Certificate,
    /// The answer to a challenge, by type, name and token.
    Challenge,
    /// Tokens that are good no more, by what they have in common.
    Revocation,
    /// A key that the gateway signs with, by purpose.
    SigningKey,
}

impl Kind {
    /// Its name where records are kept; never changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AcmeAccount => "acme-account",
            Self::AcmeOrder => "acme-order",
            Self::ApiKey => "api-key",
            Self::ApiKeyUse => "api-key-use",
            Self::Certificate => "certificate",
            Self::Challenge => "challenge",
            Self::Revocation => "revocation",
            Self::SigningKey => "signing-key",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a record could not be read or kept. The caller cannot decide, and must not go on as if
/// there were none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurableError {
    /// The store cannot be reached, is full or broken.
    #[error("the durable store failed: {reason}")]
    Unavailable {
        /// What it said.
        reason: String,
    },
    /// The record is there, but was sealed with another key or changed by somebody else.
    #[error("the record {kind} {key:?} cannot be opened with this encryption key")]
    Sealed {
        /// Its shelf.
        kind: Kind,
        /// Its key.
        key: String,
    },
}

/// Records that survive a restart. All processes that share the store see one another's writes.
#[async_trait]
pub trait Durable: fmt::Debug + Send + Sync {
    /// The record, or `None` where there is none.
    async fn get(&self, kind: Kind, key: &str) -> Result<Option<Secret>, DurableError>;

    /// Keeps the record, in place of the one before. On disk when this returns.
    async fn put(&self, kind: Kind, key: &str, value: &Secret) -> Result<(), DurableError>;

    /// Keeps the record unless there is one. Returns the one that is kept: of many that try at
    /// once, the first wins.
    async fn put_first(
        &self,
        kind: Kind,
        key: &str,
        value: &Secret,
    ) -> Result<Secret, DurableError>;

    /// Removes the record, if there is one.
    async fn remove(&self, kind: Kind, key: &str) -> Result<(), DurableError>;

    /// All records of a shelf with their keys, in the order of the keys.
    async fn list(&self, kind: Kind) -> Result<Vec<(String, Secret)>, DurableError>;

    /// A number that grows with each change of a shelf, whoever made it: who finds it as it was need
    /// not list the shelf again.
    async fn version(&self, kind: Kind) -> Result<u64, DurableError>;

    /// Takes the lease `name` for `holder`, or prolongs it where `holder` has it already; `false`
    /// where another holder has one that is not over yet.
    async fn lease(&self, name: &str, holder: &str, term: Duration) -> Result<bool, DurableError>;

    /// Gives the lease up, where `holder` has it.
    async fn release(&self, name: &str, holder: &str) -> Result<(), DurableError>;
}
