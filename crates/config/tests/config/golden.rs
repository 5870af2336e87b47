//! Files with mistakes, and what is said of each, word for word.
//!
//! `testdata/NAME.yaml` is checked and the report compared with `testdata/NAME.txt`. With
//! `PORTCULLIS_UPDATE=1` the reports are written anew.

use std::path::{Path, PathBuf};

use portcullis_config::check_text;

use crate::options;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

#[expect(clippy::disallowed_methods, reason = "a switch of this test")]
fn is_updating() -> bool {
    std::env::var("PORTCULLIS_UPDATE").is_ok_and(|value| value == "1")
}

#[track_caller]
fn check(name: &str) {
    let text = std::fs::read_to_string(testdata().join(format!("{name}.yaml"))).expect(name);
    let report = match check_text(&format!("{name}.yaml"), &text, &options()) {
        Ok(loaded) => loaded.render_advice(false),
        Err(report) => report.render_text(false),
    };
    let golden = testdata().join(format!("{name}.txt"));
    if is_updating() {
        std::fs::write(&golden, &report).expect("golden file");
    }
    let expected = std::fs::read_to_string(&golden).expect("golden file");
    assert_eq!(report, expected, "{name}: PORTCULLIS_UPDATE=1 writes it anew");
}

#[test]
fn every_file_of_testdata() {
    let mut names: Vec<String> = std::fs::read_dir(testdata())
        .expect("testdata")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned))
        .collect();
    names.sort();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        check(&name);
    }
}

#[test]
fn ten_mistakes_give_ten_problems() {
    let text = std::fs::read_to_string(testdata().join("ten_mistakes.yaml")).expect("testdata");
    let report = check_text("ten_mistakes.yaml", &text, &options()).expect_err("mistakes");
    assert_eq!(report.problems().len(), 10, "{report}");
}
