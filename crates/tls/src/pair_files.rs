//! The bytes of a pair of files, as they stood at one time.

use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read as _;
use std::path::Path;

use portcullis_core::Secret;

use crate::{FilePair, TlsError};

/// Largest PEM file that is read, in bytes. A chain is a few KiB.
pub(crate) const MAXIMUM_FILE: u64 = 1 << 20;

/// How often a pair is read that changes while it is read.
const ATTEMPTS: usize = 3;

/// Both files of a pair.
#[derive(Debug)]
pub(crate) struct PairBytes {
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Secret,
}

impl PairBytes {
    /// Reads both. Where a folder is swapped in between, they would be of two pairs: so the chain is
    /// looked at again after the key. Blocks on the disk.
    pub(crate) fn read(files: &FilePair) -> Result<Self, TlsError> {
        let mut chain = read_bounded(&files.certificate, MAXIMUM_FILE)?;
        for _ in 0..ATTEMPTS {
            let key = Secret::new(read_bounded(&files.key, MAXIMUM_FILE)?);
            let again = read_bounded(&files.certificate, MAXIMUM_FILE)?;
            if again == chain {
                return Ok(Self { chain, key });
            }
            chain = again;
        }
        let reason = "it does not stop changing".to_owned();
        Err(TlsError::Unreadable { path: files.certificate.clone(), reason })
    }

    /// Equal for equal bytes.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.chain.hash(&mut hasher);
        self.key.expose().hash(&mut hasher);
        hasher.finish()
    }
}

pub(crate) fn read_bounded(path: &Path, maximum: u64) -> Result<Vec<u8>, TlsError> {
    let unreadable = |reason: String| TlsError::Unreadable { path: path.to_owned(), reason };
    // A named pipe would wait for whoever writes to it.
    let kind = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if !kind.is_file() {
        return Err(unreadable("it is not a regular file".into()));
    }
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(maximum + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > maximum {
        return Err(unreadable(format!("it is larger than {} MiB", maximum >> 20)));
    }
    Ok(bytes)
}
