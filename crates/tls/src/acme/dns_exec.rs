//! `dns-01` by a program of the operator's.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::dns::TxtRecord;
use super::{Challenge, SolveError, Solver};

/// How long a program may run.
const LIMIT: Duration = Duration::from_mins(1);

/// How long its last words are waited for when it has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How much of the end of its standard error is shown, in bytes.
const TAIL: usize = 1024;

/// The whole of its environment: the gateway's has secrets in it.
const ENVIRONMENT: [(&str, &str); 2] =
    [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("LANG", "C.UTF-8")];

/// Answers `dns-01` by a program, run without a shell: `PROGRAM set NAME VALUE` is to add a TXT
/// record and to end when it can be seen, `PROGRAM clear NAME VALUE` to take it away. `NAME` has no
/// dot at its end. Exit code 0 means that it is done.
#[derive(Clone, Debug)]
pub struct DnsExec {
    program: PathBuf,
    limit: Duration,
}

impl DnsExec {
    /// Runs the program at this absolute path.
    pub fn new(program: PathBuf) -> Self {
        Self { program, limit: LIMIT }
    }

    /// With another limit than a minute for each run; at its end the program is killed, with all
    /// that it started.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    async fn run(&self, verb: &str, record: &TxtRecord) -> Result<(), String> {
        let program = self.program.display();
        let TxtRecord { name, value } = record;
        let mut child = self
            .command(&[verb, name, value])
            .spawn()
            .map_err(|error| format!("{program} cannot be run: {error}"))?;
        let group = Group::of(&child);
        let said = child.stderr.take().map(|stderr| on_a_thread(move || tail(stderr)));
        let ended = timeout(self.limit, on_a_thread(move || child.wait())).await;
        let in_time = ended.is_ok();
        group.end(in_time);
        let said = match said {
            Some(said) => timeout(LAST_WORDS, said).await.ok().and_then(Result::ok),
            None => None,
        };
        let said = said.filter(|said| !said.is_empty());
        let said = said.map_or(String::new(), |said| format!(", and said: {said}"));
        match ended {
            Err(_) => Err(format!("{program} did not end within {:?}{said}", self.limit)),
            Ok(Ok(Ok(status))) if status.success() => Ok(()),
            Ok(Ok(Ok(status))) => Err(format!("{program} ended with {status}{said}")),
            Ok(Ok(Err(error))) => Err(format!("{program}: {error}")),
            Ok(Err(error)) => Err(format!("{program}: {error}")),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir("/")
            .env_clear()
            .envs(ENVIRONMENT)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }
}

#[async_trait]
impl Solver for DnsExec {
    async fn present(&self, challenge: &Challenge) -> Result<(), SolveError> {
        let record = TxtRecord::answering(challenge)?;
        self.run("set", &record).await.map_err(|reason| challenge.unsolved(reason))
    }

    async fn withdraw(&self, challenge: &Challenge) {
        let Ok(record) = TxtRecord::answering(challenge) else { return };
        if let Err(reason) = self.run("clear", &record).await {
            tracing::warn!(?challenge, %reason, "the answer to a challenge was not taken away");
        }
    }
}

/// A program and all that it started. They end when this is dropped before the program ended.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(Some(Pid::from_child(child)))
    }

    /// Leaves in peace what has ended by itself, and kills the rest.
    fn end(mut self, by_itself: bool) {
        if by_itself {
            self.0 = None;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0
            && let Err(error) = kill_process_group(group, Signal::KILL)
        {
            tracing::debug!(%error, "a program that had to end is gone");
        }
    }
}

/// Not one of the runtime's threads: its end would have to wait for them.
fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> oneshot::Receiver<T> {
    let (done, result) = oneshot::channel();
    std::thread::spawn(move || done.send(work()).is_ok());
    result
}

/// Reads to the end and keeps the last of it, on one line.
fn tail(mut stderr: ChildStderr) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stderr.read(&mut buffer) {
        kept.extend_from_slice(buffer.get(..read).unwrap_or_default());
        kept.drain(..kept.len().saturating_sub(TAIL));
    }
    let text = String::from_utf8_lossy(&kept);
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace(char::is_control, "")
}
