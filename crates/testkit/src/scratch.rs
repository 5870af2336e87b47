//! A folder of its own for each fixture, removed with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use crate::marker;

/// A folder that is removed when this is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new folder below `root`, which a test takes from `CARGO_TARGET_TMPDIR`.
    pub fn new(root: &Path) -> Self {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(|| sweep(root));
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

/// Removes what test runs before this one left: fixtures that lived to the end of their process.
fn sweep(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix("scratch-").and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
