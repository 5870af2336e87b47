//! Where lines go: the access log, the audit log, and our own log on standard error.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use portcullis_config::snapshot::{LogTarget, TelemetryTerms};
use portcullis_proxy::{LogSink, Metrics};
use tracing_subscriber::EnvFilter;

/// How long a writer may take for what is queued once nobody writes to it any more.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Lines a writer may be behind by.
const QUEUE: usize = 8192;

/// Where a log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A file, appended to.
    File(PathBuf),
    /// Nowhere.
    Off,
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
}

/// The targets that the file names: access log, audit log.
pub(crate) fn targets(terms: &TelemetryTerms) -> (Target, Target) {
    let target = |log: &LogTarget| match log {
        LogTarget::File(path) => Target::File(path.clone()),
        LogTarget::Stderr => Target::Stderr,
        LogTarget::Stdout => Target::Stdout,
    };
    (target(&terms.access_log), terms.audit_log.as_ref().map_or(Target::Off, target))
}

/// Access log and audit log, opened.
pub(crate) type Writers = (Option<Writer>, Option<Writer>);

/// Opens both.
pub(crate) fn start(access: &Target, audit: &Target) -> std::io::Result<Writers> {
    Ok((Writer::start(access)?, Writer::start(audit)?))
}

/// A thread that writes lines; ends when it is dropped and the queue is empty.
#[derive(Debug)]
pub(crate) struct Writer {
    lines: Option<SyncSender<String>>,
    done: Mutex<Receiver<()>>,
}

impl Writer {
    fn start(target: &Target) -> std::io::Result<Option<Self>> {
        let out: Box<dyn Write + Send> = match target {
            Target::File(path) => {
                Box::new(std::fs::OpenOptions::new().create(true).append(true).open(path)?)
            }
            Target::Off => return Ok(None),
            Target::Stderr => Box::new(std::io::stderr()),
            Target::Stdout => Box::new(std::io::stdout()),
        };
        let (lines, queue) = sync_channel(QUEUE);
        let (finished, done) = sync_channel(1);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            write(out, &queue);
            finished.send(()).ok();
        })?;
        Ok(Some(Self { lines: Some(lines), done: Mutex::new(done) }))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.lines = None;
        // A reader that is stuck must not hold up the end of the process.
        self.done.lock().recv_timeout(LAST_LINES).ok();
    }
}

/// Writes until all senders are gone; flushes whenever the queue runs empty.
fn write(out: Box<dyn Write + Send>, queue: &Receiver<String>) {
    let mut out = BufWriter::with_capacity(64 * 1024, out);
    while let Ok(first) = queue.recv() {
        let mut line = first;
        loop {
            line.push('\n');
            out.write_all(line.as_bytes()).ok();
            match queue.try_recv() {
                Ok(next) => line = next,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        out.flush().ok();
    }
}

/// The two logs of requests; targets change on reload.
#[derive(Debug)]
pub(crate) struct Logs {
    access: ArcSwapOption<Writer>,
    audit: ArcSwapOption<Writer>,
    metrics: Arc<Metrics>,
}

impl Logs {
    /// Both off.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { access: ArcSwapOption::empty(), audit: ArcSwapOption::empty(), metrics }
    }

    /// Opens both targets; on an error nothing changes.
    pub(crate) fn open(&self, access: &Target, audit: &Target) -> std::io::Result<()> {
        self.replace(start(access, audit)?);
        Ok(())
    }

    /// Takes new writers, so that rotated files are let go.
    pub(crate) fn replace(&self, (access, audit): Writers) {
        self.access.store(access.map(Arc::new));
        self.audit.store(audit.map(Arc::new));
    }

    /// Writes what is queued and stops.
    pub(crate) fn close(&self) {
        self.access.store(None);
        self.audit.store(None);
    }
}

impl LogSink for Logs {
    fn access(&self, line: String) {
        let guard = self.access.load();
        let Some(lines) = guard.as_ref().and_then(|writer| writer.lines.as_ref()) else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = lines.try_send(line) {
            self.metrics.process.log_dropped.inc();
        }
    }

    fn audit(&self, line: String) {
        // An audit line is never dropped: a full queue slows the request that makes it.
        let guard = self.audit.load();
        if let Some(lines) = guard.as_ref().and_then(|writer| writer.lines.as_ref()) {
            lines.send(line).ok();
        }
    }
}

/// Our own log: JSON on standard error, pingora's lines at warnings and above.
pub(crate) fn start_own_log() {
    let filter = EnvFilter::new("info,pingora=warn,pingora_core=warn,pingora_proxy=warn");
    let log = tracing_subscriber::fmt().json().with_writer(std::io::stderr).with_env_filter(filter);
    tracing_log::LogTracer::init().ok();
    tracing::subscriber::set_global_default(log.finish()).ok();
}
