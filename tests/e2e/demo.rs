//! `portcullis demo`: the lines it prints work as printed.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use portcullis_testkit::{Process, Scratch, process, until};

/// Adds the status to what each `curl` prints, whatever else it was told.
const SHELL: &str = r#"curl() { command curl "$@" -w '\nSTATUS %{http_code}\n'; }"#;

#[test]
fn the_printed_lines_work_as_printed() {
    // The demo has the ports of the example; somebody may be trying it right now.
    let ports = [8443, 8088, 8090, 9901, 9902, 8081, 8082];
    if ports.iter().any(|port| TcpListener::bind(("127.0.0.1", *port)).is_err()) {
        portcullis_testkit::tools::skip("a port of the demo");
        return;
    }
    let scratch = Scratch::new(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let state = scratch.path().to_string_lossy().into_owned();
    let environment = [("STATE_DIRECTORY".to_owned(), state)];
    let program = Path::new(env!("CARGO_BIN_EXE_portcullis"));
    let demo = Process::start(program, &["demo"], scratch.path(), &environment);
    let printed = until(Duration::from_secs(30), "the demo is up", || {
        let lines = [demo.stdout(), demo.stderr()].concat();
        assert!(demo.exit_code().is_none(), "{}", lines.join("\n"));
        lines.iter().any(|line| line.contains("Ctrl-C")).then_some(lines)
    });
    let commands: Vec<&str> = printed
        .iter()
        .map(String::as_str)
        .filter(|line| line.contains("curl ") || line.split_once('=').is_some_and(is_assignment))
        .collect();
    let script = format!("{SHELL}\n{}\n", commands.join("\n"));
    let limit = Duration::from_mins(1);
    let ran = process::run(Path::new("bash"), &["-s"], scratch.path(), &[], &script, limit);
    let statuses: Vec<&str> =
        ran.stdout.lines().filter_map(|line| line.strip_prefix("STATUS ")).collect();
    let expected = [
        "200", "401", "200", "403", "403", "200", "403", "200", "421", "308", "200", "200", "200",
        "429",
    ];
    assert_eq!(statuses, expected, "{script}\n{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("gateway_requests_total"), "the metrics line shows some");
    demo.signal("TERM");
    assert_eq!(demo.wait(Duration::from_secs(20)), 0);
}

fn is_assignment((name, _): (&str, &str)) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase())
}
