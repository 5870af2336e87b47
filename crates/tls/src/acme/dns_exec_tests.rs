//! A program is run as the docs say, and never for longer.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use portcullis_core::{Clock, Secret};

use super::{Challenge, ChallengeType, DnsExec, Solver};

/// Reached only when something hangs.
const HANGS: Duration = Duration::from_mins(1);

fn challenge() -> Challenge {
    Challenge {
        kind: ChallengeType::Dns01,
        name: "a.test".to_owned(),
        token: "token".to_owned(),
        key_authorization: Secret::new("token.thumbprint"),
    }
}

/// An executable script, written by another process: a file that a test's own process has open for
/// writing, even for a moment, cannot be run.
fn script(folder: &Path, text: &str) -> PathBuf {
    let (source, program) = (folder.join("source"), folder.join("hook"));
    std::fs::write(&source, format!("#!/bin/sh\n{text}\n")).unwrap();
    let installed = Command::new("install").args(["-m", "755"]).arg(&source).arg(&program).status();
    assert!(installed.unwrap().success());
    program
}

async fn fails(hook: &DnsExec, part: &str) {
    let error = hook.present(&challenge()).await.unwrap_err().to_string();
    assert!(error.starts_with("dns-01 for a.test: "), "{error}");
    assert!(error.contains(part), "{error}");
}

fn is_alive(id: &str) -> bool {
    // A killed process whose parent has not heard of it yet is dead.
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

async fn until_gone(id: &str) {
    let clock = Clock::system();
    while is_alive(id) {
        assert!(clock.monotonic() < HANGS, "{id} is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_arguments_say_what_to_do_and_the_environment_is_not_ours() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let text =
        format!("printf '%s|' \"$#\" \"$@\" >> '{0}'; pwd >> '{0}'; env >> '{0}'", out.display());
    let hook = DnsExec::new(script(folder.path(), &text));
    hook.present(&challenge()).await.unwrap();
    hook.withdraw(&challenge()).await;
    let written = std::fs::read_to_string(&out).unwrap();
    let value = "61rBZ_4knHblO0MNoxFsXZ_eTFUHum0B6IVRbhvUn5I";
    let lines: Vec<&str> = written.lines().collect();
    let calls: Vec<&&str> = lines.iter().filter(|line| line.contains('|')).collect();
    assert_eq!(
        calls,
        [
            &format!("3|set|_acme-challenge.a.test|{value}|/"),
            &format!("3|clear|_acme-challenge.a.test|{value}|/"),
        ]
    );
    for line in lines.iter().filter(|line| !line.contains('|')) {
        let name = line.split('=').next().unwrap();
        assert!(["PATH", "LANG", "PWD", "OLDPWD", "SHLVL", "_"].contains(&name), "{line}");
    }
}

#[tokio::test]
async fn a_failure_tells_the_code_and_the_end_of_standard_error() {
    let folder = tempfile::tempdir().unwrap();
    let text = "yes noise | head -c 100000 >&2; echo 'no such zone' >&2; exit 3";
    let hook = DnsExec::new(script(folder.path(), text));
    fails(&hook, "hook ended with exit status: 3, and said: ").await;
    let error = hook.present(&challenge()).await.unwrap_err().to_string();
    assert!(error.ends_with("no such zone"), "{error}");
    assert!(error.len() < 2000);
    // Withdrawing never fails, whatever the program does.
    hook.withdraw(&challenge()).await;
    fails(&DnsExec::new(folder.path().join("none")), "none cannot be run: ").await;
    fails(&DnsExec::new(script(folder.path(), "kill -9 $$")), "signal: 9").await;
}

#[tokio::test]
async fn a_program_that_hangs_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let ids = folder.path().join("ids");
    let text = format!("sleep 600 & echo $! $$ > '{}'; echo waiting >&2; wait", ids.display());
    let hook = DnsExec::new(script(folder.path(), &text)).with_limit(Duration::from_millis(500));
    fails(&hook, "did not end within 500ms, and said: waiting").await;
    let written = std::fs::read_to_string(&ids).unwrap();
    for id in written.split_whitespace() {
        until_gone(id).await;
    }
}

#[tokio::test]
async fn a_run_that_nobody_waits_for_any_more_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let ids = folder.path().join("ids");
    let text = format!("echo $$ > '{}'; sleep 600", ids.display());
    let hook = DnsExec::new(script(folder.path(), &text));
    let running = tokio::spawn(async move { hook.present(&challenge()).await });
    let clock = Clock::system();
    let id = loop {
        let written = std::fs::read_to_string(&ids).unwrap_or_default();
        if written.ends_with('\n') {
            break written.trim().to_owned();
        }
        assert!(clock.monotonic() < HANGS);
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    running.abort();
    running.await.unwrap_err();
    until_gone(&id).await;
}

#[tokio::test]
async fn what_a_program_leaves_behind_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    // It keeps standard error open beyond the program's end.
    let hook = DnsExec::new(script(folder.path(), "sleep 20 & exit 0"));
    let clock = Clock::system();
    hook.present(&challenge()).await.unwrap();
    assert!(clock.monotonic() < Duration::from_secs(15));
}

#[tokio::test]
async fn other_challenges_are_not_for_the_dns() {
    let hook = DnsExec::new("/bin/true".into());
    for kind in [ChallengeType::Http01, ChallengeType::TlsAlpn01] {
        let error = hook.present(&Challenge { kind, ..challenge() }).await.unwrap_err();
        assert!(error.to_string().contains("does not answer this kind"), "{error}");
    }
}
