//! Every example is a test: it passes `check`, and the schema knows its keys.

use std::path::{Path, PathBuf};

use portcullis_testkit::tools;

use crate::world::bare;

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn every_example_passes_check() {
    let workspace = tools::workspace().canonicalize().unwrap();
    let mut files = vec![workspace.join("gateway.example.yaml")];
    yaml_files(&workspace.join("examples"), &mut files);
    assert!(files.len() >= 7, "{files:?}");
    let any = bare("");
    for file in files {
        let name = file.to_string_lossy().into_owned();
        let finished = any.command(&["check", &name, "--no-files"]);
        assert_eq!(finished.code, 0, "{name}: {}{}", finished.stdout, finished.stderr);
    }
}

#[test]
fn the_schema_in_docs_is_the_one_that_the_program_prints() {
    let file = tools::workspace().join("docs/schema.json");
    let Ok(kept) = std::fs::read_to_string(file) else { return };
    let printed = bare("").command(&["schema"]).stdout;
    assert_eq!(kept.trim(), printed.trim(), "run `make update`");
}
