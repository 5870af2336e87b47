//! Where the process keeps what must outlive it: keys and tokens it made itself.

use std::path::{Path, PathBuf};

use crate::environment::Environment;

/// The folder of the packages.
const SYSTEM: &str = "/var/lib/portcullis";

/// The state folder: systemd's `STATE_DIRECTORY`, else `/var/lib/portcullis` where it is there or
/// can be made, else `portcullis` in the user's state folder (XDG Base Directory Specification).
/// `None` where there is none of these. Only `/var/lib/portcullis` is made here.
pub fn state_folder(environment: &Environment) -> Option<PathBuf> {
    choose(environment, Path::new(SYSTEM))
}

fn choose(environment: &Environment, system: &Path) -> Option<PathBuf> {
    let set = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    if let Some(folders) = set("STATE_DIRECTORY") {
        // systemd lists several folders with colons; the first is the unit's own.
        return folders.split(':').next().map(PathBuf::from);
    }
    if is_ours(system) {
        return Some(system.to_path_buf());
    }
    if let Some(state) = set("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute())
    {
        return Some(state.join("portcullis"));
    }
    Some(PathBuf::from(set("HOME")?).join(".local/state/portcullis"))
}

/// Whether the folder is there, or can be made, and can be written to.
fn is_ours(folder: &Path) -> bool {
    if !folder.is_dir() && make(folder).is_err() {
        return false;
    }
    let probe = folder.join(".writable");
    let writable = std::fs::File::create(&probe).is_ok();
    std::fs::remove_file(&probe).ok();
    writable
}

/// Makes the folder for its owner alone.
fn make(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    std::fs::DirBuilder::new().mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variables: &[(&str, &str)], system: &Path, expected: Option<&str>) {
        let environment = Environment::fixed(variables.iter().copied());
        assert_eq!(choose(&environment, system), expected.map(PathBuf::from), "{variables:?}");
    }

    #[test]
    fn the_first_that_can_be_had_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let system = folder.path().join("portcullis");
        let nowhere = folder.path().join("not/there");
        check(&[("STATE_DIRECTORY", "/s/a:/s/b"), ("HOME", "/h")], &system, Some("/s/a"));
        check(&[("HOME", "/h")], &system, system.to_str());
        check(&[("XDG_STATE_HOME", "/x"), ("HOME", "/h")], &nowhere, Some("/x/portcullis"));
        check(
            &[("XDG_STATE_HOME", "x"), ("HOME", "/h")],
            &nowhere,
            Some("/h/.local/state/portcullis"),
        );
        check(&[("XDG_STATE_HOME", "")], &nowhere, None);
    }
}
