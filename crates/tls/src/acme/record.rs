//! What is remembered of each name, so that a restart or another replica goes on where this one
//! stood.

use std::collections::BTreeMap;
use std::fmt;

use portcullis_core::{Secret, Timestamp};
use portcullis_state::{Durable, DurableError, Kind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::moment::Moment;
use super::schedule;

/// Why what is kept cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The store.
    #[error(transparent)]
    Durable(#[from] DurableError),
    /// It is not what this version writes.
    #[error("the record {kind} {key:?} cannot be read: {reason}")]
    Unreadable {
        /// Its shelf.
        kind: Kind,
        /// Its key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What is known of the attempts for one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct NameRecord {
    /// The directory that all of this is about.
    pub directory: String,
    /// The order under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderRecord>,
    /// Attempts that failed, one after another.
    pub failures: u32,
    /// When the authority was asked to validate, since the last success.
    pub validations: Vec<Moment>,
    /// The same of other directories, within the time that counts: who comes back to one finds its
    /// bound as it was.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub validations_elsewhere: BTreeMap<String, Vec<Moment>>,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Nothing is asked of the authority for this name before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Moment>,
    /// When the certificate that is kept was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Moment>,
    /// When the certificate is to be replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew_at: Option<Moment>,
    /// What the authority says about that (RFC 9773).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewal_info: Option<RenewalRecord>,
}

/// An order at the authority.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct OrderRecord {
    /// Its URL.
    pub url: String,
    /// When the authority was told to look, once it has confirmed that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Moment>,
    /// The key of the certificate to be, PEM; made before the order is finalized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyText>,
}

/// The window that the authority suggests (RFC 9773 §4.2).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct RenewalRecord {
    /// Its start; `None` where the authority suggests none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Moment>,
    /// Its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Moment>,
    /// When to ask again.
    pub ask_at: Moment,
}

/// A private key as PEM. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(pub Secret);

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for KeyText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_str().unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

impl NameRecord {
    /// An empty one for `directory`.
    pub(super) fn new(directory: &str) -> Self {
        Self { directory: directory.to_owned(), ..Self::default() }
    }

    /// An empty one for `directory`, but for what still counts there.
    pub(super) fn moved_to(self, directory: &str, now: Timestamp) -> Self {
        let mut elsewhere = self.validations_elsewhere;
        elsewhere.insert(self.directory, self.validations);
        let here = elsewhere.remove(directory).unwrap_or_default();
        elsewhere.retain(|_, asked| {
            schedule::forget_old(asked, now);
            !asked.is_empty()
        });
        Self { validations: here, validations_elsewhere: elsewhere, ..Self::new(directory) }
    }

    /// What is kept for `name`; an empty one where nothing is.
    pub async fn load(durable: &dyn Durable, name: &str) -> Result<Self, RecordError> {
        let kept = durable.get(Kind::AcmeOrder, name).await?;
        kept.map_or_else(|| Ok(Self::default()), |kept| read(Kind::AcmeOrder, name, &kept))
    }

    pub(super) async fn save(&self, durable: &dyn Durable, name: &str) -> Result<(), RecordError> {
        durable.put(Kind::AcmeOrder, name, &write(Kind::AcmeOrder, name, self)?).await?;
        Ok(())
    }
}

/// A certificate as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct CertificateRecord {
    /// The directory it came from.
    pub(super) directory: String,
    /// The chain, PEM, leaf first.
    pub(super) chain: String,
    /// Its key, PEM.
    pub(super) key: KeyText,
}

impl CertificateRecord {
    pub(super) fn read(name: &str, kept: &Secret) -> Result<Self, RecordError> {
        read(Kind::Certificate, name, kept)
    }

    pub(super) async fn save(&self, durable: &dyn Durable, name: &str) -> Result<(), RecordError> {
        durable.put(Kind::Certificate, name, &write(Kind::Certificate, name, self)?).await?;
        Ok(())
    }
}

pub(super) fn read<T: for<'de> Deserialize<'de>>(
    kind: Kind,
    key: &str,
    kept: &Secret,
) -> Result<T, RecordError> {
    serde_json::from_slice(kept.expose()).map_err(|error| RecordError::Unreadable {
        kind,
        key: key.to_owned(),
        reason: error.to_string(),
    })
}

pub(super) fn write<T: Serialize>(kind: Kind, key: &str, value: &T) -> Result<Secret, RecordError> {
    serde_json::to_vec(value).map(Secret::new).map_err(|error| RecordError::Unreadable {
        kind,
        key: key.to_owned(),
        reason: error.to_string(),
    })
}
