//! The gateway as a fixture: a real process, configured by a file, found by its own words.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::authority::Trust;
use crate::client::Client;
use crate::poll::until;
use crate::process::{Finished, Process, run};
use crate::request::Request;
use crate::scratch::Scratch;

/// Longest wait for a start.
const START: Duration = Duration::from_secs(30);

/// A gateway to be started: program, files, environment.
///
/// In the configuration and every file, `@DIR@` stands for the folder they are written to.
#[derive(Debug)]
pub struct Launch {
    program: PathBuf,
    scratch: Scratch,
    environment: Vec<(String, String)>,
}

impl Launch {
    /// `program` is the binary under test, `root` a folder for scratch files.
    pub fn new(program: &str, root: &str, config: &str) -> Self {
        let scratch = Scratch::new(Path::new(root));
        let state = scratch.path().join("state");
        std::fs::create_dir_all(&state).expect("the state folder can be made");
        let environment =
            vec![("STATE_DIRECTORY".to_owned(), state.to_string_lossy().into_owned())];
        Self { program: program.into(), scratch, environment }.file("gateway.yaml", config)
    }

    /// With one more file.
    #[must_use]
    pub fn file(self, name: &str, content: &str) -> Self {
        self.scratch.write(name, self.fill(content));
        self
    }

    /// With a variable in the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The folder of its files.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    fn fill(&self, content: &str) -> String {
        content.replace("@DIR@", &self.scratch.path().to_string_lossy())
    }

    /// Runs another command of the program in the folder, to its end.
    #[track_caller]
    pub fn command(&self, arguments: &[&str]) -> Finished {
        self.command_with_input(arguments, "")
    }

    /// The same with something on standard input.
    #[track_caller]
    pub fn command_with_input(&self, arguments: &[&str], input: &str) -> Finished {
        run(&self.program, arguments, self.folder(), &self.environment, input, START)
    }

    /// Starts `run` and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Gateway {
        let process = Process::start(
            &self.program,
            &["run", "--config", "gateway.yaml"],
            self.folder(),
            &self.environment,
        );
        let mut gateway = Gateway { process, addresses: BTreeMap::new(), launch: self };
        gateway.await_ready();
        gateway
    }

    /// Starts `run`, which must end by itself: exit code and standard error.
    #[track_caller]
    pub fn start_in_vain(&self) -> Finished {
        self.command(&["run", "--config", "gateway.yaml"])
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    addresses: BTreeMap<String, SocketAddr>,
    launch: Launch,
}

impl Gateway {
    #[track_caller]
    fn await_ready(&mut self) {
        until(START, "the gateway says ready", || {
            let lines = self.process.stderr();
            let ended = self.process.exit_code().is_some();
            assert!(!ended, "the gateway ended: {}", lines.join("\n"));
            lines.iter().any(|line| line == "ready").then_some(())
        });
        for line in self.process.stderr() {
            let mut words = line.split(' ');
            if words.next() == Some("listening")
                && let (Some(name), Some(address)) = (words.next(), words.next())
                && let Ok(address) = address.parse()
            {
                self.addresses.insert(name.to_owned(), address);
            }
        }
    }

    /// Starts its successor, `run --upgrade`, in the same folder and waits until that is ready; the
    /// process that was replaced.
    #[track_caller]
    pub fn upgrade(&mut self) -> Process {
        let arguments = ["run", "--upgrade", "--config", "gateway.yaml"];
        let launch = &self.launch;
        let new = Process::start(&launch.program, &arguments, launch.folder(), &launch.environment);
        let old = std::mem::replace(&mut self.process, new);
        self.await_ready();
        old
    }

    /// Ends it at once, and returns its files for another start.
    pub fn stop(self) -> Launch {
        self.process.signal("KILL");
        self.process.wait(START);
        self.launch
    }

    /// The real address of a listener, or of `admin` and `probes`.
    #[track_caller]
    pub fn address(&self, name: &str) -> SocketAddr {
        *self.addresses.get(name).unwrap_or_else(|| panic!("{name} in {:?}", self.addresses))
    }

    /// A client of the listener `https`.
    #[track_caller]
    pub fn https(&self, trust: Trust) -> Client {
        Client::tls(self.address("https"), trust)
    }

    /// A client of a cleartext listener.
    #[track_caller]
    pub fn plain(&self, name: &str) -> Client {
        Client::plain(self.address(name))
    }

    /// The process.
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// Files and environment it was started with.
    pub const fn launch(&self) -> &Launch {
        &self.launch
    }

    /// Replaces a file, at once and whole.
    pub fn write(&self, name: &str, content: &str) {
        self.launch.scratch.write(name, self.launch.fill(content));
    }

    /// The lines of the access log so far, those that are JSON objects.
    pub fn access_log(&self) -> Vec<Value> {
        let lines = self.process.stdout();
        lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for the access line that has `needle` in it.
    #[track_caller]
    pub fn access_line(&self, needle: &str) -> Value {
        until(Duration::from_secs(5), &format!("an access line with {needle}"), || {
            let lines = self.process.stdout();
            let line = lines.iter().find(|line| line.contains(needle))?;
            serde_json::from_str(line).ok()
        })
    }

    /// Waits for a line of standard error that has `needle` in it.
    #[track_caller]
    pub fn log_line(&self, needle: &str) -> String {
        until(Duration::from_secs(10), &format!("a log line with {needle}"), || {
            self.process.stderr().into_iter().find(|line| line.contains(needle))
        })
    }

    /// A client of the probes listener.
    #[track_caller]
    pub fn probe(&self, path: &str) -> crate::Answer {
        let address = self.address("probes");
        self.plain("probes").send(&Request::get(path).host(&address.to_string()))
    }

    /// The metrics page.
    #[track_caller]
    pub fn metrics(&self) -> String {
        self.probe("/metrics").expect(200).text()
    }

    /// Sum of all series whose name and labels contain every one of `parts`, rounded to a whole
    /// number; 0 where there is none.
    #[track_caller]
    pub fn metric(&self, parts: &[&str]) -> i64 {
        let page = self.metrics();
        let sum: f64 = page
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(series, _)| parts.iter().all(|part| series.contains(part)))
            .filter_map(|(_, value)| value.parse::<f64>().ok())
            .sum();
        format!("{sum:.0}").parse().expect("a whole number")
    }
}
