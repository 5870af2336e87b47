//! A folder of its own for each fixture, removed with it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::marker;

/// A folder that is removed when this is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new folder below `root`, which a test takes from `CARGO_TARGET_TMPDIR`.
    pub fn new(root: &Path) -> Self {
        let folder = root.join(marker(&format!("scratch-{}", std::process::id())));
        fs::create_dir_all(&folder).expect("the scratch folder can be made");
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file below it, whole or not at all (a rename), and says where it is.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        let parent = path.parent().expect("a file has a folder");
        fs::create_dir_all(parent).expect("the folder can be made");
        let aside = parent.join(marker(".aside"));
        fs::write(&aside, content).expect("the file can be written");
        fs::rename(&aside, &path).expect("the file can be put in place");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
