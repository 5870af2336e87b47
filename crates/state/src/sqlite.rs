//! The durable store in one SQLite file: sealed records and leases, shared by all processes of a
//! machine that open the file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use portcullis_core::{Clock, Secret};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use crate::{Durable, DurableError, EncryptionKey, Kind};

mod files;
mod open;
#[cfg(test)]
mod tests;

use files::Files;
use open::Connections;
pub use open::{OpenError, made_key};

/// Records and leases in one file. Clones share the connections.
#[derive(Clone)]
pub struct SqliteDurable(Arc<Shared>);

struct Shared {
    file: Box<Path>,
    /// Waits for other writers, of this process and of others.
    writer: Mutex<Connection>,
    /// Never waits for a writer: whoever only asks must not stand behind one.
    reader: Mutex<Connection>,
    files: Files,
    key: EncryptionKey,
    clock: Clock,
}

/// Why a statement did not do its work.
enum Failure {
    /// This file was removed under us, or another stands in its place.
    Replaced(PathBuf),
    Sealed,
    Sqlite(rusqlite::Error),
    Randomness,
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl SqliteDurable {
    /// Opens the store in `file`, making it and its folder where they are missing. Blocks on the
    /// disk. Fails where others than its owner could read or replace it, where it was sealed with
    /// another key, and where it is something else or of a later version.
    pub fn open(file: &Path, key: EncryptionKey, clock: Clock) -> Result<Self, OpenError> {
        let connections = open::open(file, &key)?;
        Ok(Self::with(connections, file, key, clock))
    }

    /// The same for a store that is only looked at: `None` where there is none yet, and none is
    /// made.
    pub fn open_existing(
        file: &Path,
        key: EncryptionKey,
        clock: Clock,
    ) -> Result<Option<Self>, OpenError> {
        let connections = open::open_existing(file, &key)?;
        Ok(connections.map(|connections| Self::with(connections, file, key, clock)))
    }

    /// Where the store is.
    pub fn file(&self) -> &Path {
        &self.0.file
    }

    fn with(connections: Connections, file: &Path, key: EncryptionKey, clock: Clock) -> Self {
        let Connections { writer, reader, files } = connections;
        let (writer, reader) = (Mutex::new(writer), Mutex::new(reader));
        Self(Arc::new(Shared { file: file.into(), writer, reader, files, key, clock }))
    }

    /// Asks where it may block, one at a time.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<Result<T, Failure>, DurableError> {
        let shared = Arc::clone(&self.0);
        let task = move || {
            let reader = shared.reader.lock();
            shared.files.check()?;
            work(&reader)
        };
        tokio::task::spawn_blocking(task).await.map_err(|error| unavailable(&error))
    }

    /// Writes where it may block, one at a time.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection, &Shared) -> Result<T, Failure> + Send + 'static,
    ) -> Result<Result<T, Failure>, DurableError> {
        let shared = Arc::clone(&self.0);
        let task = move || {
            let mut writer = shared.writer.lock();
            shared.files.check()?;
            let done = work(&mut writer, &shared)?;
            // What went into a file that is there no more is not kept.
            shared.files.check()?;
            Ok(done)
        };
        tokio::task::spawn_blocking(task).await.map_err(|error| unavailable(&error))
    }

    /// The same for one record.
    async fn write_record<T: Send + 'static>(
        &self,
        kind: Kind,
        key: &str,
        work: impl FnOnce(&mut Connection, &Shared, &str) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, DurableError> {
        let name = key.to_owned();
        let done = self.write(move |connection, shared| work(connection, shared, &name)).await?;
        done.map_err(|failure| failure.of_record(kind, key))
    }
}

impl Shared {
    fn seal(&self, kind: Kind, key: &str, value: &Secret) -> Result<Vec<u8>, Failure> {
        self.key.seal(kind.as_str(), key, value).ok_or(Failure::Randomness)
    }

    fn unseal(&self, kind: Kind, key: &str, sealed: &[u8]) -> Result<Secret, Failure> {
        self.key.open(kind.as_str(), key, sealed).ok_or(Failure::Sealed)
    }
}

const GET: &str = "SELECT sealed FROM records WHERE kind = ?1 AND key = ?2";
const LIST: &str = "SELECT key, sealed FROM records WHERE kind = ?1 ORDER BY key";
const PUT: &str = "INSERT INTO records (kind, key, sealed) VALUES (?1, ?2, ?3) \
                   ON CONFLICT (kind, key) DO UPDATE SET sealed = excluded.sealed";
const PUT_FIRST: &str = "INSERT INTO records (kind, key, sealed) VALUES (?1, ?2, ?3) \
                         ON CONFLICT (kind, key) DO NOTHING";
const REMOVE: &str = "DELETE FROM records WHERE kind = ?1 AND key = ?2";
const CHANGES: &str = "SELECT changes FROM shelf_changes WHERE kind = ?1";
const LEASE: &str = "INSERT INTO leases (name, holder, ends) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, \
                     ends = excluded.ends WHERE holder = excluded.holder OR ends <= ?4";
const RELEASE: &str = "DELETE FROM leases WHERE name = ?1 AND holder = ?2";

#[async_trait]
impl Durable for SqliteDurable {
    async fn get(&self, kind: Kind, key: &str) -> Result<Option<Secret>, DurableError> {
        let name = key.to_owned();
        let kept = self.ask(move |connection| sealed(connection, kind, &name)).await?;
        let kept = kept.map_err(Failure::without_record)?;
        let opened = kept.map(|sealed| self.0.unseal(kind, key, &sealed)).transpose();
        opened.map_err(|failure| failure.of_record(kind, key))
    }

    async fn put(&self, kind: Kind, key: &str, value: &Secret) -> Result<(), DurableError> {
        let value = value.clone();
        self.write_record(kind, key, move |connection, shared, key| {
            let sealed = shared.seal(kind, key, &value)?;
            connection.prepare_cached(PUT)?.execute(params![kind.as_str(), key, sealed])?;
            Ok(())
        })
        .await
    }

    async fn put_first(
        &self,
        kind: Kind,
        key: &str,
        value: &Secret,
    ) -> Result<Secret, DurableError> {
        let value = value.clone();
        self.write_record(kind, key, move |connection, shared, key| {
            let ours = shared.seal(kind, key, &value)?;
            let both = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            both.prepare_cached(PUT_FIRST)?.execute(params![kind.as_str(), key, ours])?;
            let kept = sealed(&both, kind, key)?;
            both.commit()?;
            kept.map_or(Ok(value), |kept| shared.unseal(kind, key, &kept))
        })
        .await
    }

    async fn remove(&self, kind: Kind, key: &str) -> Result<(), DurableError> {
        self.write_record(kind, key, move |connection, _, key| {
            connection.prepare_cached(REMOVE)?.execute(params![kind.as_str(), key])?;
            Ok(())
        })
        .await
    }

    async fn list(&self, kind: Kind) -> Result<Vec<(String, Secret)>, DurableError> {
        let rows = self.ask(move |connection| {
            let mut statement = connection.prepare_cached(LIST)?;
            let rows =
                statement.query_map([kind.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<Vec<(String, Vec<u8>)>, _>>()?)
        });
        let rows = rows.await?.map_err(Failure::without_record)?;
        let open = |(key, sealed): (String, Vec<u8>)| match self.0.unseal(kind, &key, &sealed) {
            Ok(value) => Ok((key, value)),
            Err(failure) => Err(failure.of_record(kind, &key)),
        };
        rows.into_iter().map(open).collect()
    }

    async fn version(&self, kind: Kind) -> Result<u64, DurableError> {
        let changes = self.ask(move |connection| {
            let mut statement = match connection.prepare_cached(CHANGES) {
                Ok(statement) => statement,
                // Of the first version, and only looked at: whoever runs on it makes it of this one.
                Err(_) if !open::counts_changes(connection)? => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            Ok(statement.query_row([kind.as_str()], |row| row.get::<_, i64>(0)).optional()?)
        });
        let changes = changes.await?.map_err(Failure::without_record)?;
        Ok(changes.unwrap_or_default().unsigned_abs())
    }

    async fn lease(&self, name: &str, holder: &str, term: Duration) -> Result<bool, DurableError> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        let taken = self.write(move |connection, shared| {
            let one = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Asked for with the lock in hand: whoever waited for it may have waited long.
            let now = shared.clock.now();
            let (ends, now) = (nanos(now.plus(term)), nanos(now));
            let changed = one.prepare_cached(LEASE)?.execute(params![name, holder, ends, now])?;
            one.commit()?;
            Ok(changed > 0)
        });
        taken.await?.map_err(Failure::without_record)
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), DurableError> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        let released = self.write(move |connection, _| {
            connection.prepare_cached(RELEASE)?.execute(params![name, holder])?;
            Ok(())
        });
        released.await?.map_err(Failure::without_record)
    }
}

impl Failure {
    fn of_record(self, kind: Kind, key: &str) -> DurableError {
        match self {
            Self::Sealed => DurableError::Sealed { kind, key: key.to_owned() },
            Self::Replaced(_) | Self::Sqlite(_) | Self::Randomness => self.without_record(),
        }
    }

    fn without_record(self) -> DurableError {
        match self {
            Self::Replaced(path) => {
                unavailable(&format_args!("{} was removed or replaced", path.display()))
            }
            Self::Sqlite(error) => unavailable(&error),
            Self::Randomness => unavailable(&"the system gives no random bytes"),
            Self::Sealed => unavailable(&"a record cannot be opened"),
        }
    }
}

fn sealed(connection: &Connection, kind: Kind, key: &str) -> Result<Option<Vec<u8>>, Failure> {
    let mut statement = connection.prepare_cached(GET)?;
    Ok(statement.query_row(params![kind.as_str(), key], |row| row.get(0)).optional()?)
}

/// As SQLite keeps it: signed. Good until the year 2262.
fn nanos(at: portcullis_core::Timestamp) -> i64 {
    i64::try_from(at.unix_nanos()).unwrap_or(i64::MAX)
}

fn unavailable(reason: &impl fmt::Display) -> DurableError {
    DurableError::Unavailable { reason: reason.to_string() }
}

impl fmt::Debug for SqliteDurable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqliteDurable").field(&self.0.file).finish()
    }
}
