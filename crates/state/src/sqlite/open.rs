//! Opening the file: whose it is, what it is, and whether the key is the right one.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_core::Secret;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use super::files::{Files, Identity};
use crate::folder::{OPEN_FILE, at, refuse_open};
use crate::{EncryptionKey, StateError, StateFolder};

/// Marks the file as ours.
const APPLICATION: i64 = 0x5074_6353;

/// The version of the tables.
const VERSION: i64 = 2;

/// The version without [`CHANGES`].
const WITHOUT_CHANGES: i64 = 1;

/// How long a statement waits for other processes.
const BUSY: Duration = Duration::from_secs(5);

/// Where the key that was made at first start is kept.
const MADE_KEY: &str = "state.key";

/// A sealed value that is always the same: it tells whether a key is the right one.
const CHECK: (&str, &str, &str) = ("check", "key", "portcullis");

const TABLES: &str = "
    CREATE TABLE records (
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        sealed BLOB NOT NULL,
        PRIMARY KEY (kind, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE leases (
        name TEXT PRIMARY KEY,
        holder TEXT NOT NULL,
        ends INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE key_check (sealed BLOB NOT NULL) STRICT;
";

/// Counts the changes of each shelf, so that whoever holds a copy of one sees when it is old.
const CHANGES: &str = "
    CREATE TABLE shelf_changes (
        kind TEXT PRIMARY KEY,
        changes INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER record_added AFTER INSERT ON records BEGIN
        INSERT INTO shelf_changes (kind, changes) VALUES (NEW.kind, 1)
            ON CONFLICT (kind) DO UPDATE SET changes = changes + 1;
    END;
    CREATE TRIGGER record_changed AFTER UPDATE ON records BEGIN
        INSERT INTO shelf_changes (kind, changes) VALUES (NEW.kind, 1)
            ON CONFLICT (kind) DO UPDATE SET changes = changes + 1;
    END;
    CREATE TRIGGER record_removed AFTER DELETE ON records BEGIN
        INSERT INTO shelf_changes (kind, changes) VALUES (OLD.kind, 1)
            ON CONFLICT (kind) DO UPDATE SET changes = changes + 1;
    END;
";

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The operator must look at the folder or the file: rights, space, or something in the way.
    #[error(transparent)]
    State(#[from] StateError),
    /// The operator must look at the file or the file system.
    #[error("{path}: {reason}", path = path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// The operator must name another file: this one holds something else.
    #[error("{path} is no state of portcullis", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The operator must run that version, or restore a backup.
    #[error("{path} was written by a later version (tables {found}, this version knows {VERSION})", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// The operator must give the encryption key that the file was made with.
    #[error("{path} was sealed with another encryption key", path = path.display())]
    OtherKey {
        /// The file.
        path: PathBuf,
    },
    /// The operator must restore the key, or name it.
    #[error(
        "{path} is there, but the key that it was sealed with is not: restore {key}, or name the \
         key in `state.encryption_key`",
        path = path.display(), key = key.display()
    )]
    LostKey {
        /// The store.
        path: PathBuf,
        /// Where its key should be.
        key: PathBuf,
    },
    /// The operator must replace the key file: it holds something else.
    #[error("{path} holds no encryption key", path = path.display())]
    WeakKey {
        /// The key file.
        path: PathBuf,
    },
    /// The system's generator of randomness failed.
    #[error("no randomness to be had")]
    Randomness,
}

/// The key kept in `folder`, which is made where neither it nor the store in `file` is there yet.
pub fn made_key(folder: &StateFolder, file: &Path) -> Result<EncryptionKey, OpenError> {
    let path = folder.path().join(MADE_KEY);
    let kept = match folder.find(MADE_KEY)? {
        Some(kept) => kept,
        // The key is always there before the store: so it was lost, unless another process made
        // both just now.
        None if file.exists() => folder
            .find(MADE_KEY)?
            .ok_or_else(|| OpenError::LostKey { path: file.to_owned(), key: path.clone() })?,
        None => {
            let new = EncryptionKey::generate().ok_or(OpenError::Randomness)?;
            folder.read_or_create(MADE_KEY, || new)?
        }
    };
    EncryptionKey::new(&kept).ok_or(OpenError::WeakKey { path })
}

/// One that writes, and one that only asks: in a write-ahead log the second need not wait for anybody
/// who writes.
pub(super) struct Connections {
    pub(super) writer: Connection,
    pub(super) reader: Connection,
    pub(super) files: Files,
}

/// Opens the store, or makes it.
pub(super) fn open(file: &Path, key: &EncryptionKey) -> Result<Connections, OpenError> {
    let real = of_owner(file)?;
    create(&real)?;
    let opener = Opener { file: &real, key };
    let before = Identity::of(&real).map_err(at(&real))?;
    let mut writer = opener.connect()?;
    opener.patiently(|| opener.make(&mut writer))?;
    opener.beside(writer, file, before)
}

/// Makes an empty file for its owner alone. One that is there is not opened: to close it again would
/// end the locks that another connection of this process has on it.
fn create(file: &Path) -> Result<(), StateError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(at(file)(error)),
    }
}

/// Opens the store, if there is one.
pub(super) fn open_existing(
    file: &Path,
    key: &EncryptionKey,
) -> Result<Option<Connections>, OpenError> {
    if !file.exists() {
        return Ok(None);
    }
    let real = of_owner(file)?;
    let opener = Opener { file: &real, key };
    let before = Identity::of(&real).map_err(at(&real))?;
    let mut writer = opener.connect()?;
    let is_made = opener.patiently(|| {
        let look = writer.transaction()?;
        Ok(opener.found(&look)?.is_some())
    })?;
    if is_made { opener.beside(writer, file, before).map(Some) } else { Ok(None) }
}

/// The same file by the real path of its folder, which must be its owner's alone, as must the file
/// and those that SQLite puts beside it.
fn of_owner(file: &Path) -> Result<PathBuf, OpenError> {
    let name = file.file_name().ok_or_else(|| at(file)(io::ErrorKind::IsADirectory.into()))?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = StateFolder::open(folder.unwrap_or(Path::new(".")))?;
    let folder = fs::canonicalize(folder.path()).map_err(at(folder.path()))?;
    for suffix in ["", "-wal", "-shm"] {
        let mut beside = name.to_owned();
        beside.push(suffix);
        let path = folder.join(beside);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => refuse_open(&path, metadata.mode(), OPEN_FILE)?,
            Ok(_) => return Err(at(&path)(io::Error::other("not a regular file")).into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(&path)(error).into()),
        }
    }
    Ok(folder.join(name))
}

/// Why one attempt failed.
enum Attempt {
    Open(OpenError),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Attempt {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

struct Opener<'o> {
    file: &'o Path,
    key: &'o EncryptionKey,
}

impl Opener<'_> {
    fn connect(&self) -> Result<Connection, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(self.file, flags);
        let connection = connection.map_err(|error| self.error(&error))?;
        connection.busy_timeout(BUSY).map_err(|error| self.error(&error))?;
        self.patiently(|| self.set_up(&connection))?;
        Ok(connection)
    }

    /// A connection that only asks, beside `writer`. Both have the same file, which is the one that was
    /// there before they were made.
    fn beside(
        &self,
        writer: Connection,
        file: &Path,
        before: Identity,
    ) -> Result<Connections, OpenError> {
        let reader = self.connect()?;
        let only_asks = reader.pragma_update(None, "query_only", "ON");
        only_asks.map_err(|error| self.error(&error))?;
        let files = Files::of(file).map_err(at(file))?;
        if files.store() != before {
            return Err(self.failed("it was replaced while it was opened"));
        }
        Ok(Connections { writer, reader, files })
    }

    /// Write-ahead log, so that readers and a writer do not wait for each other; each write is on
    /// disk when it is done.
    fn set_up(&self, connection: &Connection) -> Result<(), Attempt> {
        let mode: String =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if !mode.eq_ignore_ascii_case("wal") {
            let reason = "the file system has no shared memory for a write-ahead log";
            return Err(Attempt::Open(self.failed(reason)));
        }
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "trusted_schema", "OFF")?;
        Ok(())
    }

    /// Makes what is not there, all or nothing; of several that start at once, one does.
    fn make(&self, connection: &mut Connection) -> Result<(), Attempt> {
        let all = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = self.found(&all)?;
        if found.is_none() {
            let (kind, name, text) = CHECK;
            let check = self.key.seal(kind, name, &Secret::new(text));
            let check = check.ok_or(Attempt::Open(OpenError::Randomness))?;
            all.execute_batch(TABLES)?;
            all.execute("INSERT INTO key_check (sealed) VALUES (?1)", [check])?;
            all.pragma_update(None, "application_id", APPLICATION)?;
        }
        if found.is_none_or(|version| version <= WITHOUT_CHANGES) {
            all.execute_batch(CHANGES)?;
            all.pragma_update(None, "user_version", VERSION)?;
        }
        all.commit()?;
        Ok(())
    }

    /// The version of the tables, if they are there, and what they hold can be opened; an error where
    /// the file is something else.
    fn found(&self, look: &Transaction<'_>) -> Result<Option<i64>, Attempt> {
        let number = |name| look.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let path = || self.file.to_owned();
        let version = match (number("application_id")?, number("user_version")?) {
            (0, 0) if is_empty(look)? => return Ok(None),
            (APPLICATION, found @ WITHOUT_CHANGES..=VERSION) => found,
            (APPLICATION, found) if found > VERSION => {
                return Err(Attempt::Open(OpenError::Newer { path: path(), found }));
            }
            _ => return Err(Attempt::Open(OpenError::Foreign { path: path() })),
        };
        let check: Vec<u8> =
            look.query_row("SELECT sealed FROM key_check", [], |row| row.get(0))?;
        let (kind, name, text) = CHECK;
        let is_right = self.key.open(kind, name, &check) == Some(Secret::new(text));
        if is_right {
            Ok(Some(version))
        } else {
            Err(Attempt::Open(OpenError::OtherKey { path: path() }))
        }
    }

    /// Tries again while other processes are in the way: SQLite does not wait by itself where two
    /// switch to the write-ahead log at once.
    fn patiently<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, Attempt>,
    ) -> Result<T, OpenError> {
        const PAUSE: Duration = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        loop {
            match attempt() {
                Ok(done) => return Ok(done),
                Err(Attempt::Open(error)) => return Err(error),
                Err(Attempt::Sqlite(error)) if waited >= BUSY || !is_busy(&error) => {
                    return Err(self.error(&error));
                }
                Err(Attempt::Sqlite(_)) => {
                    std::thread::sleep(PAUSE);
                    waited += PAUSE;
                }
            }
        }
    }

    fn error(&self, error: &rusqlite::Error) -> OpenError {
        if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
            return OpenError::Foreign { path: self.file.to_owned() };
        }
        self.failed(&error.to_string())
    }

    fn failed(&self, reason: &str) -> OpenError {
        OpenError::Sqlite { path: self.file.to_owned(), reason: reason.to_owned() }
    }
}

/// Whether the store counts the changes of its shelves.
pub(super) fn counts_changes(connection: &Connection) -> Result<bool, rusqlite::Error> {
    let asked = "SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'shelf_changes'";
    connection.query_row(asked, [], |row| row.get(0))
}

fn is_empty(look: &Transaction<'_>) -> Result<bool, rusqlite::Error> {
    look.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
