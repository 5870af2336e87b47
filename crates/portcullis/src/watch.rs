//! Notices that files changed: the folders they stand in are watched, since editors replace files
//! and Kubernetes swaps a symlink beside them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Watches folders; a message says that something in one of them changed.
#[derive(Debug)]
pub(crate) struct Watch {
    watcher: RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
}

impl Watch {
    /// A watch on nothing yet, and where its messages come. Several changes in quick succession
    /// make one message.
    pub(crate) fn new() -> notify::Result<(Self, mpsc::Receiver<()>)> {
        let (tell, changes) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // A full channel holds a message already.
                tell.try_send(()).ok();
            }
        })?;
        Ok((Self { watcher, folders: BTreeSet::new() }, changes))
    }

    /// Watches the folders of `files`, and those their symlinks lead through, and no others.
    pub(crate) fn set<'p>(&mut self, files: impl IntoIterator<Item = &'p Path>) {
        let wanted: BTreeSet<PathBuf> = files.into_iter().flat_map(folders_of).collect();
        for gone in self.folders.difference(&wanted) {
            self.watcher.unwatch(gone).ok();
        }
        for new in wanted.difference(&self.folders) {
            if let Err(error) = self.watcher.watch(new, RecursiveMode::NonRecursive) {
                tracing::warn!(folder = %new.display(), %error, "cannot watch, only SIGHUP reloads");
            }
        }
        self.folders = wanted;
    }
}

fn folders_of(file: &Path) -> Vec<PathBuf> {
    let parent = |path: &Path| match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        Some(_) | None => PathBuf::from("."),
    };
    let mut folders = vec![parent(file)];
    if let Ok(real) = file.canonicalize() {
        folders.push(parent(&real));
    }
    folders
}
