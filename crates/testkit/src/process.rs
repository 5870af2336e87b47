//! A child process whose output is kept line by line and which never outlives the test run.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::poll::until;

type Lines = Arc<Mutex<Vec<String>>>;

/// A running child. Killed when dropped, and by the kernel when the test process ends.
#[derive(Debug)]
pub struct Process {
    id: u32,
    stdout: Lines,
    stderr: Lines,
    exit: Arc<Mutex<Option<ExitStatus>>>,
}

impl Process {
    /// Starts `program` with `arguments` in `folder` and with `environment` on top of ours.
    ///
    /// The parent of the child is a thread that waits for it: the kernel ends the child with its
    /// parent *thread*, and a test's own thread ends with the test.
    pub fn start<A: AsRef<OsStr>>(
        program: &Path,
        arguments: &[A],
        folder: &Path,
        environment: &[(String, String)],
    ) -> Self {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(arguments);
        command.current_dir(folder).envs(environment.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let exit = Arc::new(Mutex::new(None));
        let (send, started) = mpsc::channel();
        let (out, err, ended) = (Arc::clone(&stdout), Arc::clone(&stderr), Arc::clone(&exit));
        thread::spawn(move || {
            let mut child = command.spawn().expect("setpriv is there");
            let readers = [
                collect(child.stdout.take().expect("piped"), out),
                collect(child.stderr.take().expect("piped"), err),
            ];
            send.send(child.id()).ok();
            let status = child.wait().expect("the child can be waited for");
            for reader in readers {
                reader.join().ok();
            }
            *ended.lock() = Some(status);
        });
        let id = started.recv().expect("the child starts");
        Self { id, stdout, stderr, exit }
    }

    /// Its process id.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.lock().clone()
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.lock().clone()
    }

    /// How it ended, if it has. A signal shows as 128 and its number, as in a shell.
    pub fn exit_code(&self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt as _;
        let status = *self.exit.lock();
        status.map(|s| s.code().or_else(|| s.signal().map(|n| 128 + n)).unwrap_or(-1))
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&self, limit: Duration) -> i32 {
        until(limit, "the process ends", || self.exit_code())
    }

    /// Sends a signal by name (`TERM`, `HUP`, `KILL`).
    pub fn signal(&self, name: &str) {
        if self.exit_code().is_none() {
            // The shell's own `kill`: a bare system has no other.
            let line = format!("kill -s {name} {}", self.id);
            Command::new("sh").args(["-c", &line]).stderr(Stdio::null()).status().ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal("KILL");
    }
}

fn collect(source: impl Read + Send + 'static, lines: Lines) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        while source.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
            lines.lock().push(text);
            line.clear();
        }
    })
}

/// A command that ran to its end.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit code.
    pub code: i32,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

/// Runs a command to its end, at most for `limit`, with `input` on standard input.
#[track_caller]
pub fn run<A: AsRef<OsStr>>(
    program: &Path,
    arguments: &[A],
    folder: &Path,
    environment: &[(String, String)],
    input: &str,
    limit: Duration,
) -> Finished {
    use std::io::Write as _;
    let mut command = Command::new("timeout");
    command.args(["--signal", "KILL", &limit.as_secs().max(1).to_string()]);
    command.arg(program).args(arguments).current_dir(folder);
    command.envs(environment.iter().map(|(k, v)| (k, v)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_owned();
    let writer = thread::spawn(move || stdin.write_all(input.as_bytes()).ok());
    let output = child.wait_with_output().expect("the command ends");
    writer.join().ok();
    Finished {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
