//! Whether what stands at the store's path is what was opened: a file that was removed takes writes
//! still, and forgets them when the process ends.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Failure;

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    number: u64,
}

/// The store, its write-ahead log and its index, as they were opened. SQLite keeps all three where they
/// are for as long as anybody has the store open.
#[derive(Debug)]
pub(super) struct Files([(PathBuf, Identity); 3]);

impl Identity {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self { device: metadata.dev(), number: metadata.ino() })
    }
}

impl Files {
    /// Those that stand there now: to be asked once the store is open.
    pub(super) fn of(file: &Path) -> io::Result<Self> {
        let file = std::path::absolute(file)?;
        let beside = |suffix: &str| {
            let mut path = file.clone().into_os_string();
            path.push(suffix);
            let path = PathBuf::from(path);
            Identity::of(&path).map(|identity| (path, identity))
        };
        Ok(Self([beside("")?, beside("-wal")?, beside("-shm")?]))
    }

    /// Which file the store itself is.
    pub(super) const fn store(&self) -> Identity {
        let Self([(_, store), _, _]) = self;
        *store
    }

    /// Fails where one of them was removed, or another stands in its place.
    pub(super) fn check(&self) -> Result<(), Failure> {
        for (path, opened) in &self.0 {
            let found = Identity::of(path).ok();
            if found != Some(*opened) {
                return Err(Failure::Replaced(path.clone()));
            }
        }
        Ok(())
    }
}
