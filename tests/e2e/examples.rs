//! Every example is a test: it passes `check`, and the schema knows its keys.

use std::path::{Path, PathBuf};

use portcullis_testkit::tools;

use crate::world::bare;

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml")
            && !path.to_string_lossy().ends_with(".tests.yaml")
        {
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
    let kept = std::fs::read_to_string(file).expect("docs/schema.json is there");
    let printed = bare("").command(&["schema"]).stdout;
    assert_eq!(kept.trim(), printed.trim(), "run `make update`");
}

/// Runs a script of the repository with the program under test.
#[track_caller]
fn check_script(program: &str, arguments: &[&str]) {
    let finished = std::process::Command::new(program)
        .args(arguments)
        .env("PORTCULLIS", env!("CARGO_BIN_EXE_portcullis"))
        .current_dir(tools::workspace())
        .output()
        .expect(program);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let printed = text(&finished.stdout) + &text(&finished.stderr);
    assert!(finished.status.success(), "{program} {arguments:?}:\n{printed}");
}

#[test]
fn what_the_docs_repeat_of_the_code_is_what_the_code_says() {
    check_script("python3", &["scripts/update-docs.py", "--check"]);
}

#[test]
fn the_files_of_deploy_pass_the_tools_of_their_systems() {
    check_script("bash", &["scripts/check-deploy.sh"]);
}
