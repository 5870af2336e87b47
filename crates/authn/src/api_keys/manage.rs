//! Making, rotating, revoking and listing keys.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use ipnet::{IpNet, Ipv4Net};
use portcullis_core::{Secret, Timestamp};
use portcullis_state::{Durable, DurableError, Kind};
use thiserror::Error;

use super::record::{KeptSecret, KeyState, KeyView, Record};
use super::{ApiKeys, form, index, uses};
use crate::turn::Turn;

/// The longest name of an owner, in bytes.
const LONGEST_OWNER: usize = 256;

/// Most scopes, and most networks, of a key.
const MOST: usize = 100;

/// What a new key may do, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewKey {
    /// Whose it is: the subject of its principal.
    pub owner: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it ends; `None`: when it is revoked.
    pub expires: Option<Timestamp>,
    /// Where it may be used; empty: anywhere.
    pub allow: Vec<IpNet>,
}

/// A key that was made or got a new secret.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The whole key. Nobody can tell it again.
    pub key: Secret,
    /// What it is.
    pub view: KeyView,
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ManageError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// There is no key of this id.
    #[error("there is no key `{0}`")]
    Unknown(String),
    /// Somebody else is changing the key.
    #[error("the key `{0}` is being changed by somebody else")]
    Busy(String),
    /// The record is of a later version, or damaged.
    #[error("the record of the key `{0}` cannot be read")]
    Unreadable(String),
    /// The store failed.
    #[error(transparent)]
    Durable(#[from] DurableError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

impl ApiKeys {
    /// Makes a key.
    pub async fn create(&self, new: NewKey) -> Result<Issued, ManageError> {
        let durable = self.store()?;
        let now = self.clock.now();
        new.check(now)?;
        let mut record = Record {
            owner: new.owner,
            scopes: new.scopes,
            allow: new.allow.iter().map(|network| canonical(*network).to_string()).collect(),
            created: now.unix_seconds(),
            expires: new.expires.map(Timestamp::unix_seconds),
            revoked: None,
            secrets: Vec::new(),
        };
        loop {
            let id = form::new_id().ok_or(ManageError::Random)?;
            let key = record.add_secret(&id, now)?;
            let value = record.write().ok_or_else(|| ManageError::Unreadable(id.clone()))?;
            if durable.put_first(Kind::ApiKey, &id, &value).await? == value {
                self.refresh().await?;
                return Ok(Issued { key, view: record.view(&id, now) });
            }
            // Another key has this id already.
            record.secrets.clear();
        }
    }

    /// Gives the key `id` a new secret. The one before is good for `overlap` more.
    pub async fn rotate(&self, id: &str, overlap: Duration) -> Result<Issued, ManageError> {
        let now = self.clock.now();
        let mut key = None;
        let before = self.newest_secret(id).await?;
        let record = self.change(id, |record| {
            // Of several that rotate at once each would end the secret that another was just given.
            if record.secrets.first().map(|secret| &secret.digest) != before.as_ref() {
                return Err(ManageError::Busy(id.to_owned()));
            }
            let state = record.state(now);
            if state != KeyState::Live {
                let message = format!("the key `{id}` is {}: make another", state.as_str());
                return Err(ManageError::Invalid(message));
            }
            record.secrets.truncate(1);
            let ends = now.plus(overlap).unix_seconds();
            for secret in &mut record.secrets {
                secret.expires = Some(secret.expires.map_or(ends, |other| other.min(ends)));
            }
            key = Some(record.add_secret(id, now)?);
            Ok(())
        });
        let record = record.await?;
        let key = key.ok_or(ManageError::Random)?;
        Ok(Issued { key, view: record.view(id, now) })
    }

    /// Ends the key `id`, for good.
    pub async fn revoke(&self, id: &str) -> Result<KeyView, ManageError> {
        let now = self.clock.now();
        let end = |record: &mut Record| {
            record.revoked.get_or_insert(now.unix_seconds());
            Ok(())
        };
        let record = self.change(id, end).await?;
        Ok(record.view(id, now))
    }

    /// All keys with their uses, in the order of their ids; revoked and expired ones too, until they
    /// are forgotten.
    pub async fn list(&self) -> Result<Vec<KeyView>, ManageError> {
        let durable = self.store()?;
        self.flush().await?;
        let now = self.clock.now();
        let mut keys = Vec::new();
        for (id, kept) in durable.list(Kind::ApiKey).await? {
            let Some(record) = Record::read(&kept) else {
                tracing::error!(id, "this API key cannot be read, and lets nobody in");
                continue;
            };
            keys.push(record.view(&id, now));
        }
        uses::tell(&**durable, &mut keys, now).await?;
        Ok(keys)
    }

    /// Forgets keys that have been over for as long as their uses are kept.
    pub async fn forget_ended(&self) -> Result<(), ManageError> {
        let durable = self.store()?;
        let now = self.clock.now();
        let kept_for = Duration::from_hours(24 * uses::DAYS);
        for (id, kept) in durable.list(Kind::ApiKey).await? {
            let ended = Record::read(&kept).and_then(|record| record.ended(now));
            if ended.is_some_and(|at| now.since(Timestamp::from_unix_seconds(at)) > kept_for) {
                durable.remove(Kind::ApiKey, &id).await?;
            }
        }
        Ok(())
    }

    /// The digest of the secret that a key has now, if there is such a key.
    async fn newest_secret(&self, id: &str) -> Result<Option<String>, ManageError> {
        let kept = self.store()?.get(Kind::ApiKey, id).await?;
        let record = kept.as_ref().and_then(Record::read);
        Ok(record.and_then(|record| record.secrets.into_iter().next()).map(|kept| kept.digest))
    }

    fn store(&self) -> Result<&std::sync::Arc<dyn Durable>, ManageError> {
        let closed = || DurableError::Unavailable { reason: "no store is open".to_owned() };
        self.mirror.durable().ok_or_else(|| closed().into())
    }

    /// Changes one record, while nobody else does. What is changed counts when this returns.
    async fn change(
        &self,
        id: &str,
        work: impl FnOnce(&mut Record) -> Result<(), ManageError>,
    ) -> Result<Record, ManageError> {
        let durable = self.store()?;
        if !form::is_id(id) {
            return Err(ManageError::Unknown(id.to_owned()));
        }
        let turn = Turn::wait(&**durable, &format!("api-key/{id}")).await?;
        let turn = turn.ok_or_else(|| ManageError::Busy(id.to_owned()))?;
        let changed = change(&**durable, id, work).await;
        turn.end().await?;
        let record = changed?;
        self.refresh().await?;
        Ok(record)
    }
}

async fn change(
    durable: &dyn Durable,
    id: &str,
    work: impl FnOnce(&mut Record) -> Result<(), ManageError>,
) -> Result<Record, ManageError> {
    let kept = durable.get(Kind::ApiKey, id).await?;
    let kept = kept.ok_or_else(|| ManageError::Unknown(id.to_owned()))?;
    let unreadable = || ManageError::Unreadable(id.to_owned());
    let mut record = Record::read(&kept).ok_or_else(unreadable)?;
    work(&mut record)?;
    let value = record.write().ok_or_else(unreadable)?;
    durable.put(Kind::ApiKey, id, &value).await?;
    Ok(record)
}

impl Record {
    /// Makes a new secret, which comes before the others.
    fn add_secret(&mut self, id: &str, now: Timestamp) -> Result<Secret, ManageError> {
        let key = form::new_key(id).ok_or(ManageError::Random)?;
        let digest = index::write_hex(digest(&SHA256, key.expose()).as_ref());
        let kept = KeptSecret { digest, created: now.unix_seconds(), expires: None };
        self.secrets.insert(0, kept);
        Ok(key)
    }
}

impl NewKey {
    fn check(&self, now: Timestamp) -> Result<(), ManageError> {
        let problem = if self.owner.trim() != self.owner
            || self.owner.is_empty()
            || self.owner.len() > LONGEST_OWNER
            || self.owner.contains(char::is_control)
        {
            "the owner is a name of 1 to 256 bytes without control characters".to_owned()
        } else if let Some(odd) = self.scopes.iter().find(|scope| !is_scope(scope)) {
            format!("`{odd}` is not a scope: printable ASCII without blanks, quotes, backslashes")
        } else if self.scopes.len() > MOST || self.allow.len() > MOST {
            format!("a key has at most {MOST} scopes and {MOST} networks")
        } else if self.expires.is_some_and(|at| at.unix_seconds() <= now.unix_seconds()) {
            "the key would be over already".to_owned()
        } else {
            return Ok(());
        };
        Err(ManageError::Invalid(problem))
    }
}

/// A network of addresses of IPv4 that are written as those of IPv6 (RFC 4291 §2.5.5.2) is one of IPv4:
/// that is how clients are known.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let length = mapped.prefix_len().checked_sub(96);
    let short =
        length.and_then(|length| Ipv4Net::new(mapped.addr().to_ipv4_mapped()?, length).ok());
    short.map_or(network, IpNet::V4)
}

/// RFC 6749 §3.3.
fn is_scope(scope: &str) -> bool {
    let is_sign =
        |byte: u8| byte == 0x21 || (0x23..=0x5b).contains(&byte) || (0x5d..=0x7e).contains(&byte);
    !scope.is_empty() && scope.len() <= LONGEST_OWNER && scope.bytes().all(is_sign)
}
