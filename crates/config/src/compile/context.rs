//! What every section's compile may ask: lines, files, the environment, the clock.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use portcullis_core::Timestamp;
use portcullis_policy::{Lines, Origin};

use crate::at::At;
use crate::load::LoadOptions;
use crate::problem::{Problem, Problems};
use crate::report::Source;
use crate::yaml::tree::Node;

/// The largest file that the configuration may name, in bytes.
const MAXIMUM_FILE: u64 = 1024 * 1024;

/// The file's text and tree, and the options it is read with.
pub(crate) struct Context<'a> {
    pub(crate) source: &'a Source,
    pub(crate) tree: &'a Node,
    pub(crate) options: &'a LoadOptions,
    folder: &'a Path,
    files: RefCell<Vec<PathBuf>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        source: &'a Source,
        tree: &'a Node,
        options: &'a LoadOptions,
        folder: &'a Path,
    ) -> Self {
        Self { source, tree, options, folder, files: RefCell::new(Vec::new()) }
    }

    /// Does `work` as if the file were read with `options`.
    pub(crate) fn with<T>(&self, options: &LoadOptions, work: impl FnOnce(&Context<'_>) -> T) -> T {
        let files = RefCell::new(self.files.take());
        let context =
            Context { source: self.source, tree: self.tree, options, folder: self.folder, files };
        let done = work(&context);
        self.files.replace(context.files.take());
        done
    }

    /// The line that says what is at `at`; zero where no line does.
    pub(crate) fn origin(&self, at: &At) -> Origin {
        Origin(self.source.line(self.tree, at))
    }

    /// The file's name, and the lines of its lists.
    pub(crate) fn lines(&self) -> Lines {
        let section = |key| self.origin(&At::root().key(key));
        let (hosts, routes) = (section("hosts"), section("routes"));
        Lines { file: self.source.name().into(), hosts, routes }
    }

    /// Whether the file says anything at `at`.
    pub(crate) fn says(&self, at: &At) -> bool {
        self.tree.find(at).exact
    }

    /// The time, as the clock of the process has it.
    pub(crate) fn now(&self) -> Timestamp {
        self.options.handover.clock.now()
    }

    /// Whether files and secrets are read at all.
    pub(crate) const fn reads_files(&self) -> bool {
        self.options.read_files
    }

    /// A path of the file, to be read: relative ones start at its folder. An empty one is a mistake.
    pub(crate) fn path(&self, at: &At, text: &str, problems: &mut Problems) -> Option<PathBuf> {
        let path = self.unwatched_path(at, text, problems)?;
        self.files.borrow_mut().push(path.clone());
        Some(path)
    }

    /// The same for a file or socket that is not read, and so not watched.
    pub(crate) fn unwatched_path(
        &self,
        at: &At,
        text: &str,
        problems: &mut Problems,
    ) -> Option<PathBuf> {
        if text.is_empty() || text.contains('\0') {
            problems.push(Problem::new(at.clone(), "this is no path of a file"));
            return None;
        }
        Some(self.folder.join(text))
    }

    /// The content of a file named at `at`; `None` with `--no-files`, or where it cannot be read.
    pub(crate) fn read(&self, at: &At, path: &Path, problems: &mut Problems) -> Option<Vec<u8>> {
        if !self.reads_files() {
            return None;
        }
        let unreadable = |error: &std::io::Error| {
            Problem::new(at.clone(), format!("`{}` cannot be read: {error}", path.display()))
        };
        let mut content = Vec::new();
        let read =
            File::open(path).and_then(|file| file.take(MAXIMUM_FILE + 1).read_to_end(&mut content));
        match read {
            Ok(size) if size as u64 > MAXIMUM_FILE => {
                let message = format!("`{}` is larger than 1MiB", path.display());
                problems.push(Problem::new(at.clone(), message));
                None
            }
            Ok(_) => Some(content),
            Err(error) => {
                problems.push(unreadable(&error));
                None
            }
        }
    }

    /// Every file that was named so far.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = self.files.borrow().clone();
        files.sort();
        files.dedup();
        files
    }
}
