//! `portcullis run`: from the file to a serving process, and to its end.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora::server::configuration::ServerConf;
use portcullis_authn::Revocations;
use portcullis_config::{Environment, LoadOptions, Loaded};
use portcullis_core::Clock;
use portcullis_edge::Edge;
use portcullis_policy::Handover;
use portcullis_proxy::{Gateway, Recorder};
use portcullis_state::StateFolder;

use crate::acme::{self, FAREWELL};
use crate::descriptors;
use crate::events::Events;
use crate::handover::{self, Ask, Door, Predecessor, Sockets};
use crate::keys;
use crate::listeners::Listeners;
use crate::operators::Operators;
use crate::prepare::{Kept, Prepared, Previous, prepare};
use crate::reload::Reloader;
use crate::revocations;
use crate::runtime::{Base, Runtime};
use crate::shutdown::{Asked, Signals};
use crate::store::Store;
use crate::watch::{Changes, Watch};

/// Longest wait for the first keys of the issuers before requests are taken.
const FIRST_KEYS: Duration = Duration::from_secs(2);

/// How often certificates are looked at without a hint from the file system: there is none where a
/// folder was replaced, or is on a network.
const CERTIFICATES: Duration = Duration::from_secs(2);

/// How often a file that was refused is tried again: what it names may have come meanwhile.
const AGAIN: Duration = Duration::from_secs(5);

/// How often the tables of limits give back what they no longer need.
const SWEEP: Duration = Duration::from_secs(30);

/// Connections kept open to upstreams, of the process.
const POOLED: usize = 1024;

/// What to serve.
pub(crate) struct Options {
    /// The configuration.
    pub file: PathBuf,
    /// Whether the process that runs on the same state folder is replaced.
    pub upgrade: bool,
    /// Called once all listeners are served.
    pub on_ready: Option<Box<dyn FnOnce() + Send>>,
}

/// Why the process ends with an error.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub code: u8,
    /// What to tell.
    pub text: String,
}

impl Failure {
    /// The file was refused.
    pub(crate) fn refused(text: String) -> Self {
        Self { code: 1, text }
    }

    /// It could not start.
    pub(crate) fn start(text: impl Into<String>) -> Self {
        Self { code: 2, text: format!("portcullis could not start: {}", text.into()) }
    }
}

/// Serves until a signal says stop.
pub(crate) async fn serve(options: Options) -> Result<(), Failure> {
    let mut signals = Signals::new().map_err(start)?;
    let mut process = Process::start(&options.file, options.upgrade).await?;
    for line in &process.lines {
        say(line);
    }
    say("ready");
    if let Some(on_ready) = options.on_ready {
        on_ready();
    }
    let ending = process.live(&mut signals).await;
    process.end(ending, &mut signals).await;
    Ok(())
}

fn start(error: impl std::fmt::Display) -> Failure {
    Failure::start(error.to_string())
}

/// A line on standard error, for people and for scripts that wait for it.
fn say(line: &str) {
    writeln!(std::io::stderr().lock(), "{line}").ok();
}

struct Process {
    runtime: Arc<Runtime>,
    edge: Edge,
    reloader: Reloader,
    watch: Option<(Watch, Changes)>,
    door: Option<Door>,
    lines: Vec<String>,
}

/// Why the process comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// A signal says so.
    Stopped,
    /// Another process serves its sockets.
    HandedOver,
}

impl Process {
    async fn start(file: &Path, upgrade: bool) -> Result<Self, Failure> {
        descriptors::raise();
        let base = Base::new().map_err(start)?;
        let (clock, recorder) = (base.clock.clone(), Arc::clone(&base.recorder));
        let (state, store, prepared) = load(file, &clock, &recorder).await?;
        let Prepared { serving, running, connections, listeners, .. } = prepared;
        let Prepared { drain, files, admin_token, acme: plan, .. } = prepared;

        let (predecessor, mut adopted) = predecessor(state.path(), upgrade).await?;
        descriptors::warn_if_few(connections.maximum);
        let connections = Arc::new(ArcSwap::from_pointee(connections));
        let serving = Arc::new(ArcSwap::from_pointee(serving));
        let events = Events::new(Arc::clone(&serving), Arc::clone(&recorder), clock.clone());
        let edge = Edge::new(Arc::clone(&connections), Arc::new(events), clock);
        let mut active = Listeners::default();
        let change = active.plan(&mut adopted, listeners).map_err(start)?;
        open_logs(&base, &running).map_err(start)?;
        let admin = running.admin.clone();
        start_keys(&running.handover, None).await;
        let runtime = Arc::new(Runtime::new(base, running, store));
        read_store(&runtime).await;
        let acme = acme::start(&runtime, plan.as_ref()).await;
        let mut operators = Operators::default();
        let lines = operators.set(&mut adopted, &runtime, &admin, &admin_token).await;
        let mut lines = lines.map_err(start)?;
        let proxy = proxy(&serving, runtime.draining_flag());
        let mut served = active.take(change, &edge, &proxy);
        served.append(&mut lines);
        let door = replace(predecessor, state.path()).await?;
        let watch = Watch::new().map_err(|error| {
            tracing::warn!(%error, "files cannot be watched, only SIGHUP reloads");
        });
        let mut reloader = Reloader {
            file: file.to_owned(),
            state,
            runtime: Arc::clone(&runtime),
            edge: edge.clone(),
            proxy,
            serving,
            connections,
            listeners: active,
            operators,
            acme,
            drain,
            files,
            fingerprint: None,
            refusal: None,
        };
        reloader.note_fingerprint();
        reloader.acme.update(plan).await;
        let mut process = Self { runtime, edge, reloader, watch: watch.ok(), door, lines: served };
        process.watch_files();
        Ok(process)
    }

    fn watch_files(&mut self) {
        if let Some((watch, _)) = &mut self.watch {
            watch.set(self.reloader.watched());
        }
    }

    /// Serves, and reloads when asked or when a file changes, until asked to stop.
    async fn live(&mut self, signals: &mut Signals) -> Ending {
        let mut certificates = tokio::time::interval(CERTIFICATES);
        let mut again = tokio::time::interval(AGAIN);
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::Reload => self.reloader.reload().await,
                    Asked::Stop => return Ending::Stopped,
                },
                ask = asked(&mut self.door) => match ask {
                    Ask::Sockets(give) => drop(give.send(self.reloader.sockets())),
                    Ask::Drain(agree) => {
                        if agree.send(()).is_ok() {
                            return Ending::HandedOver;
                        }
                    }
                },
                () = changed(&mut self.watch) => self.reloader.files_changed().await,
                _ = sweep.tick() => self.runtime.sweep_limits(),
                _ = certificates.tick() => self.reloader.certificates_changed().await,
                _ = again.tick() => self.reloader.reload_if_refused().await,
            }
            self.watch_files();
        }
    }

    /// Not ready at once, still accepting for the delay, then in-flight work to its end or to the
    /// grace limit. A second signal ends now. Where another process accepts, the delay is time in
    /// which a client that keeps its connection learns with an answer that it closes.
    async fn end(&mut self, ending: Ending, signals: &mut Signals) {
        let (delay, grace) = self.reloader.drain;
        let door = self.door.take();
        if let (Ending::HandedOver, Some(door)) = (ending, door) {
            self.step_back(door).await;
        }
        self.runtime.start_draining();
        let drained = async {
            tokio::time::sleep(delay).await;
            self.edge.drain();
            tokio::time::timeout(grace, self.edge.drained()).await.ok();
        };
        let orderly = async { tokio::join!(drained, self.reloader.acme.stop(FAREWELL)) };
        tokio::select! {
            ((), ()) = orderly => {}
            () = stop_again(signals) => {}
        }
        keys::stop(&self.runtime.api_keys()).await;
        tracing::info!(connections_cut_off = self.edge.connections(), "stopped");
        self.runtime.logs().close();
    }

    /// Leaves the listening sockets to the successor.
    async fn step_back(&mut self, door: Door) {
        self.edge.hand_over();
        // Before this process stops being ready: the next probe is the successor's to answer.
        self.reloader.operators = Operators::default();
        tracing::info!("another process serves, this one drains");
        door.finish().await;
    }
}

/// The file, prepared, and what outlives the process.
async fn load(
    file: &Path,
    clock: &Clock,
    recorder: &Arc<Recorder>,
) -> Result<(StateFolder, Store, Prepared), Failure> {
    let mut options = LoadOptions::new(clock.clone());
    let revocations = Revocations::new(clock.clone());
    options.handover.revocations = Some(Arc::clone(&revocations));
    let loaded = portcullis_config::load(file, &options);
    let Loaded { mut snapshot, .. } = loaded.map_err(|r| Failure::refused(r.render_text(false)))?;
    let state = StateFolder::open(state_folder()?).map_err(start)?;
    let store = Store::open(snapshot.state.clone(), state.clone(), clock.clone());
    let store = store.map_err(start)?;
    store.complete(&mut snapshot).await.map_err(start)?;
    let kept = Kept { folder: &state, durable: store.durable(), revocations: Some(&revocations) };
    let prepared = prepare(snapshot, &Previous::default(), kept, clock, recorder);
    let prepared = prepared.map_err(start)?;
    Ok((state, store, prepared))
}

/// What requests need of the store, from now on.
async fn read_store(runtime: &Arc<Runtime>) {
    tracing::info!(file = %runtime.store().file().display(), "the durable store is open");
    keys::start(&runtime.api_keys(), runtime.durable()).await;
    revocations::start(runtime).await;
}

/// The process to be replaced and its sockets, where that is asked for and there is one.
async fn predecessor(
    folder: &Path,
    upgrade: bool,
) -> Result<(Option<Predecessor>, Sockets), Failure> {
    if !upgrade {
        return Ok((None, Sockets::default()));
    }
    let found = handover::ask(folder).await.map_err(start)?;
    if found.is_none() {
        tracing::info!("no process runs on this state folder, nothing to take over");
    }
    let (predecessor, sockets) = found.unzip();
    Ok((predecessor, sockets.unwrap_or_default()))
}

/// Replaces the predecessor, now that this process serves, and opens the door to the next.
async fn replace(predecessor: Option<Predecessor>, folder: &Path) -> Result<Option<Door>, Failure> {
    let is_successor = predecessor.is_some();
    if let Some(predecessor) = predecessor {
        predecessor.replace().await.map_err(start)?;
    }
    let door = Door::open(folder, is_successor).await;
    let door = door.inspect_err(|error| {
        tracing::warn!(%error, file = handover::FILE, "`run --upgrade` will not find this process");
    });
    Ok(door.ok())
}

async fn asked(door: &mut Option<Door>) -> Ask {
    match door {
        Some(door) => door.asked().await,
        None => std::future::pending().await,
    }
}

async fn stop_again(signals: &mut Signals) {
    while signals.next().await != Asked::Stop {}
}

/// Ends when files changed; never, where nothing is watched.
async fn changed(watch: &mut Option<(Watch, Changes)>) {
    match watch {
        Some((_, changes)) => changes.settled().await,
        None => std::future::pending().await,
    }
}

/// Where made keys and tokens are kept.
pub(crate) fn state_folder() -> Result<PathBuf, Failure> {
    let folder = portcullis_config::state_folder(&Environment::process());
    folder.ok_or_else(|| {
        Failure::start("there is no place for the state folder: set STATE_DIRECTORY")
    })
}

fn open_logs(base: &Base, running: &crate::runtime::Running) -> std::io::Result<()> {
    let (access, audit) = crate::logs::targets(&running.telemetry);
    base.logs.open(&access, &audit)
}

/// Starts to fetch the keys of all issuers; waits a moment for the first of those that have none,
/// so that requests right after `ready` find them. An issuer that is down holds nothing up, and
/// one that was there before is not asked again.
pub(crate) async fn start_keys(handover: &Handover, before: Option<&Handover>) {
    let is_new = |name: &Arc<str>| before.is_none_or(|b| !b.keys.contains_key(name));
    let new = handover.keys.iter().filter(|(name, keys)| {
        keys.start();
        is_new(name)
    });
    let first = new.map(|(_, keys)| {
        let keys = keys.clone();
        tokio::spawn(async move { keys.load_now().await })
    });
    let first: Vec<_> = first.collect();
    let all = async {
        for load in first {
            load.await.ok();
        }
    };
    tokio::time::timeout(FIRST_KEYS, all).await.ok();
}

fn proxy(
    serving: &Arc<ArcSwap<portcullis_proxy::Serving>>,
    draining: Arc<AtomicBool>,
) -> Arc<portcullis_proxy::App> {
    let conf = ServerConf {
        upstream_keepalive_pool_size: POOLED,
        // The gateway's own rules end the attempts; this is only a bound behind them.
        max_retries: 16,
        ..ServerConf::default()
    };
    let gateway = Gateway::new(Arc::clone(serving), draining);
    let proxy = pingora::proxy::http_proxy(&Arc::new(conf), gateway);
    Arc::new(portcullis_proxy::Guarded::new(Arc::new(proxy)))
}
