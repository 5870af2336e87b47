//! The state folder: one file a value, for nobody but us, written whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use portcullis_core::{Secret, random};

/// Largest value read back, in bytes: more than any key, less than would hurt.
const MAXIMUM_SIZE: u64 = 1024 * 1024;

/// Bits of a file's mode that let others than the owner at it.
pub(crate) const OPEN_FILE: u32 = 0o077;

/// Bits of a folder's mode that let others put files of theirs in place of ours. To list names is
/// no harm: the files themselves are closed.
const OPEN_FOLDER: u32 = 0o022;

/// Why a value could not be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The operator must look at the folder: rights, space, or a file in the way.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The caller named a file that could lie outside the folder.
    #[error("{0:?} is not a plain file name")]
    Name(String),
    /// The operator must close the file to others (`chmod 600`), or the folder (`chmod 700`).
    #[error("{path} is open to others (mode {mode:o}); it must be its owner's alone", path = path.display())]
    OpenToOthers {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The system's generator of randomness failed.
    #[error("no randomness to be had")]
    Randomness,
    /// The operator must remove the file: it is larger than anything kept here.
    #[error("{path} is larger than {MAXIMUM_SIZE} bytes", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// A folder for what must survive a restart, mode 0700; its files are 0600.
#[derive(Clone, Debug)]
pub struct StateFolder {
    path: PathBuf,
}

impl StateFolder {
    /// Opens the folder at `path`, making it and its parents where they are missing.
    ///
    /// Fails where it cannot be made, is no folder, or others than its owner may write to it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StateError> {
        let path = path.into();
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(at(&path))?;
        let metadata = fs::metadata(&path).map_err(at(&path))?;
        if !metadata.is_dir() {
            return Err(at(&path)(io::ErrorKind::NotADirectory.into()));
        }
        refuse_open(&path, metadata.mode(), OPEN_FOLDER)?;
        Ok(Self { path })
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The value kept under `name`; `None` where none was ever kept, or where it cannot be read
    /// safely (then the log says why).
    pub fn read(&self, name: &str) -> Option<Secret> {
        match self.find(name) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "a kept value cannot be read");
                None
            }
        }
    }

    /// The value kept under `name`, or else the one that `make` gives, kept from now on.
    ///
    /// Processes that start at once agree on one value: the first to put its file in place wins,
    /// and the others read it. Fails where the file is there but open to others or unreadable:
    /// such a value is never replaced silently.
    pub fn read_or_create(
        &self,
        name: &str,
        make: impl FnOnce() -> Vec<u8>,
    ) -> Result<Secret, StateError> {
        if let Some(found) = self.find(name)? {
            return Ok(found);
        }
        let value = Secret::new(make());
        if self.put_first(name, &value)? {
            return Ok(value);
        }
        let missing = || at(&self.path.join(name))(io::ErrorKind::NotFound.into());
        self.find(name)?.ok_or_else(missing)
    }

    /// The value kept under `name`; `None` where none was ever kept. Fails where it is there but open
    /// to others or unreadable.
    pub fn find(&self, name: &str) -> Result<Option<Secret>, StateError> {
        let path = self.file(name)?;
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at(&path)(error)),
        };
        // The open file is judged, not the path: nobody can swap it in between.
        let metadata = file.metadata().map_err(at(&path))?;
        refuse_open(&path, metadata.mode(), OPEN_FILE)?;
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0).min(8192));
        file.take(MAXIMUM_SIZE + 1).read_to_end(&mut bytes).map_err(at(&path))?;
        if bytes.len() as u64 > MAXIMUM_SIZE {
            return Err(StateError::TooLarge { path });
        }
        Ok(Some(Secret::new(bytes)))
    }

    /// Puts `value` in place unless a file is there. Says whether it did.
    fn put_first(&self, name: &str, value: &Secret) -> Result<bool, StateError> {
        let path = self.file(name)?;
        let suffix = u64::from_ne_bytes(random::bytes().ok_or(StateError::Randomness)?);
        let draft = self.path.join(format!(".{name}.{suffix:016x}"));
        let linked = write_new(&draft, value).and_then(|()| {
            // A link, unlike a rename, fails where a file already stands.
            match fs::hard_link(&draft, &path) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(at(&path)(error)),
            }
        });
        fs::remove_file(&draft).ok();
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(at(&self.path))?;
        linked
    }

    fn file(&self, name: &str) -> Result<PathBuf, StateError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
            return Err(StateError::Name(name.to_owned()));
        }
        Ok(self.path.join(name))
    }
}

fn write_new(path: &Path, value: &Secret) -> Result<(), StateError> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(at(path))?;
    file.write_all(value.expose()).and_then(|()| file.sync_all()).map_err(at(path))
}

pub(crate) fn refuse_open(path: &Path, mode: u32, open: u32) -> Result<(), StateError> {
    if mode & open == 0 {
        Ok(())
    } else {
        Err(StateError::OpenToOthers { path: path.to_owned(), mode: mode & 0o7777 })
    }
}

pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> StateError {
    move |source| StateError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn open_to(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_value_is_made_once_and_read_again_after_a_restart() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let folder = StateFolder::open(&path).unwrap();
        assert_eq!(folder.read("key"), None);
        let first = folder.read_or_create("key", || b"one".to_vec()).unwrap();
        let again = StateFolder::open(&path).unwrap();
        let second = again.read_or_create("key", || b"two".to_vec()).unwrap();
        assert_eq!((first.expose(), second.expose()), (&b"one"[..], &b"one"[..]));
        assert_eq!(again.read("key"), Some(Secret::new("one")));
        assert_eq!((mode(&path), mode(&path.join("key"))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1, "no draft is left behind");
    }

    #[test]
    fn starters_at_once_agree_on_one_value() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(root.path().join("state")).unwrap();
        let barrier = Barrier::new(8);
        let make = |n: u8| {
            barrier.wait();
            vec![n; 32]
        };
        let start_with = |n: u8| folder.read_or_create("key", || make(n)).unwrap();
        let values: Vec<Secret> = thread::scope(|scope| {
            let start = |n: u8| scope.spawn(move || start_with(n));
            let running: Vec<_> = (0..8).map(start).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(values.iter().all(|value| value == &values[0]));
        assert_eq!(folder.read("key").as_ref(), values.first());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_others_can_read_is_refused_and_never_replaced() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(root.path().join("state")).unwrap();
        folder.read_or_create("key", || b"one".to_vec()).unwrap();
        for bits in [0o640, 0o604, 0o620, 0o601] {
            open_to(&folder.path().join("key"), bits);
            let refused = folder.read_or_create("key", || b"two".to_vec());
            assert!(
                matches!(refused, Err(StateError::OpenToOthers { mode, .. }) if mode == bits),
                "{bits:o}"
            );
            assert_eq!(folder.read("key"), None, "{bits:o}");
        }
        open_to(&folder.path().join("key"), 0o600);
        assert_eq!(folder.read("key"), Some(Secret::new("one")));
        for bits in [0o770, 0o702, 0o777] {
            open_to(folder.path(), bits);
            let refused = StateFolder::open(folder.path());
            assert!(
                matches!(refused, Err(StateError::OpenToOthers { mode, .. }) if mode == bits),
                "{bits:o}"
            );
        }
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(root.path().join("state")).unwrap();
        for name in ["", ".", "..", "../key", "a/b", ".hidden", "a\0b", "/etc/passwd"] {
            let refused = folder.read_or_create(name, || b"x".to_vec());
            assert!(matches!(refused, Err(StateError::Name(_))), "{name:?}");
        }
    }

    #[test]
    fn a_file_too_large_and_a_path_that_is_a_file_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(root.path().join("state")).unwrap();
        let size = usize::try_from(MAXIMUM_SIZE).unwrap() + 1;
        folder.read_or_create("key", || vec![0; size]).unwrap();
        let refused = folder.read_or_create("key", Vec::new);
        assert!(matches!(refused, Err(StateError::TooLarge { .. })));
        let refused = StateFolder::open(folder.path().join("key"));
        assert!(matches!(refused, Err(StateError::Io { .. })));
    }
}
