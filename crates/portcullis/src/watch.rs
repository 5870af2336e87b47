//! Notices that files changed: the folders they stand in are watched, since editors replace files
//! and Kubernetes swaps a symlink beside them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Changes are looked at when it has been quiet for so long.
const QUIET: Duration = Duration::from_millis(150);

/// And after so long where it is never quiet: a log may be written beside the files.
const LONGEST: Duration = Duration::from_secs(1);

/// Watches folders; a message says that something in one of them changed.
#[derive(Debug)]
pub(crate) struct Watch {
    watcher: RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
}

impl Watch {
    /// A watch on nothing yet, and where its messages come.
    pub(crate) fn new() -> notify::Result<(Self, Changes)> {
        let (tell, messages) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // A full channel holds a message already.
                tell.try_send(()).ok();
            }
        })?;
        Ok((Self { watcher, folders: BTreeSet::new() }, Changes { messages, is_due: false }))
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

/// Says when files have changed. Several changes in quick succession are one.
#[derive(Debug)]
pub(crate) struct Changes {
    messages: mpsc::Receiver<()>,
    /// Whether something changed that nobody was told of yet.
    is_due: bool,
}

impl Changes {
    /// Ends when files changed and it has been quiet for a moment, or has not been for too long.
    /// Whoever gives up waiting loses nothing: the next call ends for the same change.
    pub(crate) async fn settled(&mut self) {
        if !self.is_due {
            if self.messages.recv().await.is_none() {
                return std::future::pending().await;
            }
            self.is_due = true;
        }
        let quiet = async {
            while let Ok(Some(())) = tokio::time::timeout(QUIET, self.messages.recv()).await {}
        };
        tokio::time::timeout(LONGEST, quiet).await.ok();
        self.is_due = false;
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

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_mins(1);

    fn start() -> (mpsc::Sender<()>, Changes) {
        let (tell, messages) = mpsc::channel(1);
        (tell, Changes { messages, is_due: false })
    }

    #[tokio::test]
    async fn a_change_outlives_whoever_waited_for_it() {
        let (tell, mut changes) = start();
        tell.try_send(()).unwrap();
        let impatient = tokio::time::timeout(QUIET / 3, changes.settled()).await;
        assert!(impatient.is_err(), "it is not quiet yet");
        tokio::time::timeout(SOON, changes.settled()).await.expect("it is not forgotten");
        let again = tokio::time::timeout(QUIET * 2, changes.settled()).await;
        assert!(again.is_err(), "it was one change");
    }

    #[tokio::test]
    async fn noise_does_not_hold_a_change_up_for_ever() {
        let (tell, mut changes) = start();
        let noise = tokio::spawn(never_quiet(tell));
        for _ in 0..2 {
            tokio::time::timeout(SOON, changes.settled()).await.expect("it ends");
        }
        noise.abort();
    }

    async fn never_quiet(tell: mpsc::Sender<()>) {
        while tell.send(()).await.is_ok() {
            tokio::time::sleep(QUIET / 5).await;
        }
    }
}
