//! The outcome of `test`: for people, for programs, and for CI in the XML of `JUnit`.

use std::fmt::Write;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Value, json};

use super::{Done, Run};
use crate::cli::shown;

/// For people: each case that is not as expected, the coverage, and how many there were.
pub(super) fn text(run: &Run) -> String {
    let mut text = String::new();
    for Done { file, case, outcome, wrong, .. } in &run.done {
        if wrong.is_empty() {
            continue;
        }
        writeln!(text, "FAILED {file}:{}: {}", case.line, shown(&case.name)).ok();
        let asked = format!("{} {}: {wrong}", case.method, case.url);
        writeln!(text, "  {}", shown(&asked)).ok();
        if let Some(route) = &outcome.route {
            writeln!(text, "  route {route}").ok();
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    for (config, coverage) in &run.coverage {
        writeln!(text, "{}\n{}\n", config.display(), coverage.text()).ok();
    }
    let (tested, of) = run.count();
    let failed = run.failed();
    let passed = run.done.len() - failed;
    let percent = run.percent();
    write!(
        text,
        "{passed} passed, {failed} failed; {tested} of {of} outcomes tested ({percent} %)"
    )
    .ok();
    text
}

/// For programs.
pub(super) fn json(run: &Run) -> String {
    let cases: Vec<Value> = run.done.iter().map(one).collect();
    let coverage: Vec<Value> = run
        .coverage
        .iter()
        .map(|(config, coverage)| {
            let mut whole = coverage.json();
            if let Some(members) = whole.as_object_mut() {
                members.insert("config".to_owned(), json!(config.display().to_string()));
            }
            whole
        })
        .collect();
    let whole = json!({
        "failed": run.failed(), "percent": run.percent(), "cases": cases, "coverage": coverage,
    });
    serde_json::to_string_pretty(&whole).unwrap_or_default()
}

fn one(done: &Done) -> Value {
    let Done { file, case, outcome, wrong, .. } = done;
    json!({
        "file": file,
        "line": case.line,
        "name": case.name,
        "passed": wrong.is_empty(),
        "wrong": wrong,
        "verdict": outcome.verdict,
        "status": outcome.refused.map(|(status, _)| status),
        "code": outcome.refused.map(|(_, code)| code),
        "reason": outcome.reason,
        "rule": outcome.rule,
        "route": outcome.route,
    })
}

/// For CI: a suite for each file.
pub(super) fn junit(run: &Run) -> Result<String, String> {
    let mut report = Report::new("portcullis test");
    let mut suites: Vec<(String, TestSuite)> = Vec::new();
    for done in &run.done {
        let case = test_case(done);
        if let Some((_, suite)) = suites.iter_mut().find(|(name, _)| *name == done.file) {
            suite.add_test_case(case);
            continue;
        }
        let mut suite = TestSuite::new(done.file.clone());
        suite.add_test_case(case);
        suites.push((done.file.clone(), suite));
    }
    report.add_test_suites(suites.into_iter().map(|(_, suite)| suite));
    report.to_string().map_err(|error| error.to_string())
}

fn test_case(done: &Done) -> TestCase {
    let status = if done.wrong.is_empty() {
        TestCaseStatus::success()
    } else {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        let place = format!("{}:{}", done.file, done.case.line);
        status.set_message(done.wrong.clone()).set_type("verdict").set_description(place);
        status
    };
    let mut case = TestCase::new(done.case.name.clone(), status);
    case.set_classname(done.file.clone()).set_time(done.took);
    case
}
