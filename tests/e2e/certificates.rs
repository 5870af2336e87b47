//! Certificates from files, replaced while requests come in. C36.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use portcullis_testkit::authority::{Pair, Trust};
use portcullis_testkit::scripted::read_request;
use portcullis_testkit::{
    CertificateAuthority, Client, Gateway, Launch, Request, Upstream, until_true,
};

use crate::world::{BASE, HOSTS, launch, raw_app};

/// C36 gives a new certificate five seconds; a machine under load gets more.
const SOON: Duration = Duration::from_secs(10);

/// Longer than it takes to look at files twice.
const LOOKED_AT: Duration = Duration::from_secs(3);

const NAMES: &[&str] = &["api.test", "app.test"];

struct World {
    authority: CertificateAuthority,
    gateway: Gateway,
    _upstream: Upstream,
}

/// A route to an app, and one to a stream that says a number ten times a second.
fn config() -> (String, Upstream) {
    let upstream = Upstream::start();
    let stream = raw_app(|stream| {
        read_request(stream);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        stream.write_all(head.as_bytes()).ok();
        for n in 0.. {
            if stream.write_all(format!("data: {n}.\n\n").as_bytes()).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    let url = upstream.url();
    let text = format!(
        "{BASE}{HOSTS}upstreams:\n  - {{name: u, endpoints: [\"{url}\"]}}\n  \
         - {{name: s, endpoints: [\"http://{stream}\"]}}\n\
         routes:\n  - {{name: x, path: /x, access: public, forward: {{upstream: u}}}}\n  \
         - {{name: stream, path: /stream, access: public, forward: {{upstream: s}}}}\n"
    );
    (text, upstream)
}

impl World {
    fn start() -> Self {
        let (text, upstream) = config();
        let authority = CertificateAuthority::new();
        let gateway = launch(&text, &authority).start();
        Self { authority, gateway, _upstream: upstream }
    }

    fn client(&self) -> Client {
        self.gateway.https(self.authority.trust())
    }

    /// The certificate that a new client is shown, which it verifies.
    fn shown(&self) -> Vec<u8> {
        shown(&self.client())
    }

    fn put(&self, pair: &Pair) {
        self.gateway.write("tls.key", &pair.key);
        self.gateway.write("tls.crt", &pair.certificate);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.gateway.launch().folder().join(name)
    }

    fn failures(&self) -> i64 {
        self.gateway.metric(&["gateway_certificate_reload_failures_total"])
    }

    fn last_error(&self) -> Option<String> {
        let ready = self.gateway.probe("/readyz").expect(200).json();
        ready["certificates"][0]["last_error"].as_str().map(str::to_owned)
    }

    #[track_caller]
    fn until_shown(&self, pair: &Pair) {
        let wanted = leaf(pair);
        until_true(SOON, "the new certificate is shown", || self.shown() == wanted);
        until_true(SOON, "all is well", || self.last_error().is_none());
    }

    /// `spoil` is refused: counted and logged once, told in `/readyz`, and the old one goes on.
    #[track_caller]
    fn refuses(&self, what: &str, part: &str, spoil: impl FnOnce()) {
        let (before, failures) = (self.shown(), self.failures());
        spoil();
        until_true(SOON, what, || self.last_error().is_some_and(|error| error.contains(part)));
        until_true(SOON, what, || self.failures() > failures);
        assert_eq!(self.shown(), before, "{what}");
        let refused = |line: &String| line.contains("certificate-refused") && line.contains(part);
        let lines = self.gateway.process().stderr();
        let line = lines.iter().find(|line| refused(line)).expect("it is logged");
        assert!(line.contains("tls.crt") && line.to_lowercase().contains("error"), "{line}");
    }
}

fn shown(client: &Client) -> Vec<u8> {
    let connection = client.connect();
    connection.tls().unwrap().peer_certificates().unwrap()[0].to_vec()
}

fn leaf(pair: &Pair) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject as _;
    let der = rustls::pki_types::CertificateDer::from_pem_slice(pair.certificate.as_bytes());
    der.unwrap().to_vec()
}

/// Requests that come in meanwhile: on one connection, on new ones, and one that never ends.
struct Load {
    stop: Arc<AtomicBool>,
    parts: Vec<JoinHandle<usize>>,
}

impl Load {
    fn start(client: &Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let part = |work: fn(&Client, &AtomicBool) -> usize| {
            let (client, stop) = (client.clone(), Arc::clone(&stop));
            thread::spawn(move || work(&client, &stop))
        };
        let parts = vec![part(on_one_connection), part(on_new_connections), part(on_a_stream)];
        Self { stop, parts }
    }

    /// All of it went well: how many requests on one connection, on new ones, how many events.
    #[track_caller]
    fn end(self) -> Vec<usize> {
        self.stop.store(true, Ordering::SeqCst);
        self.parts.into_iter().map(|part| part.join().expect("nothing failed")).collect()
    }
}

fn on_one_connection(client: &Client, stop: &AtomicBool) -> usize {
    let mut connection = client.connect();
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        connection.send(&Request::get("/x")).expect(200);
        count += 1;
        thread::sleep(Duration::from_millis(25));
    }
    count
}

fn on_new_connections(client: &Client, stop: &AtomicBool) -> usize {
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        client.send(&Request::get("/x")).expect(200);
        count += 1;
        thread::sleep(Duration::from_millis(100));
    }
    count
}

fn on_a_stream(client: &Client, stop: &AtomicBool) -> usize {
    let mut connection = client.connect();
    connection.write(Request::get("/stream").to_bytes());
    let mut all = String::new();
    while !stop.load(Ordering::SeqCst) {
        let some = connection.read_some();
        assert!(!some.is_empty(), "the stream ended after {all}");
        all += &String::from_utf8_lossy(&some);
    }
    let events = all.split("data: ").skip(1).filter_map(|rest| rest.split_once('.'));
    let numbers: Vec<usize> = events.map(|(number, _)| number.parse().unwrap()).collect();
    assert!(numbers.iter().copied().eq(0..numbers.len()), "{numbers:?}");
    numbers.len()
}

#[test]
fn c36_a_swap_drops_no_connection_and_a_bad_one_changes_nothing() {
    let world = World::start();
    let load = Load::start(&world.client());
    let first = world.shown();

    // (a) The key comes first, its certificate two seconds later.
    let fresh = world.authority.issue(NAMES);
    world.gateway.write("tls.key", &fresh.key);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(world.shown(), first);
    world.gateway.write("tls.crt", &fresh.certificate);
    world.until_shown(&fresh);

    // (b) A pair that does not belong together.
    let other = world.authority.issue(NAMES);
    world.refuses("a mismatch", "does not belong", || {
        world.gateway.write("tls.crt", &other.certificate);
    });
    // (c) An empty file.
    world.refuses("an empty file", "there is no certificate", || {
        world.gateway.write("tls.crt", "");
    });
    // (d) One that ended long ago.
    let expired = world.authority.issue_expired(NAMES);
    world.refuses("an expired one", "expired on 2021-01-01", || world.put(&expired));

    // What is refused is told of once, however often it is looked at.
    let failures = world.failures();
    thread::sleep(LOOKED_AT);
    assert_eq!(world.failures(), failures);
    assert_eq!(world.shown(), leaf(&fresh));

    world.put(&other);
    world.until_shown(&other);
    let counts = load.end();
    assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
    assert_eq!(world.gateway.metric(&["gateway_requests_total", "\"5"]), 0);
}

/// A folder as the kubelet lays it out: files are links through `..data`.
fn kubelet(folder: &Path, version: &str, pair: &Pair) {
    fs::create_dir_all(folder.join(version)).unwrap();
    fs::write(folder.join(version).join("tls.crt"), &pair.certificate).unwrap();
    fs::write(folder.join(version).join("tls.key"), &pair.key).unwrap();
    let aside = folder.join(format!("{version}-link"));
    symlink(version, &aside).unwrap();
    fs::rename(aside, folder.join("..data")).unwrap();
}

#[test]
fn c36_a_secret_is_swapped_by_its_link() {
    let (text, upstream) = config();
    let authority = CertificateAuthority::new();
    let prepared = launch(&text.replace("@DIR@/tls.", "@DIR@/tls/tls."), &authority);
    let folder = prepared.folder().join("tls");
    fs::create_dir(&folder).unwrap();
    kubelet(&folder, "..1", &authority.issue(NAMES));
    for name in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{name}"), folder.join(name)).unwrap();
    }
    let world = World { gateway: prepared.start(), authority, _upstream: upstream };
    let load = Load::start(&world.client());
    // (e), several times, and the folder before goes away.
    for (old, new) in [("..1", "..2"), ("..2", "..3")] {
        let fresh = world.authority.issue(NAMES);
        kubelet(&folder, new, &fresh);
        world.until_shown(&fresh);
        fs::remove_dir_all(folder.join(old)).unwrap();
    }
    // Ten at once end in the last.
    let pairs: Vec<Pair> = (0..10).map(|_| world.authority.issue(NAMES)).collect();
    for (n, pair) in pairs.iter().enumerate() {
        kubelet(&folder, &format!("..1{n}"), pair);
    }
    world.until_shown(&pairs[9]);
    world.refuses("a bad one", "does not belong", || {
        let (one, two) = (world.authority.issue(NAMES), world.authority.issue(NAMES));
        kubelet(&folder, "..30", &Pair { certificate: one.certificate, key: two.key });
    });
    // No pair that was whole was ever taken for a bad one.
    assert_eq!(world.failures(), 1);
    let good = world.authority.issue(NAMES);
    kubelet(&folder, "..31", &good);
    world.until_shown(&good);
    load.end();
}

#[test]
fn c36_however_files_are_replaced() {
    let world = World::start();
    let next = || world.authority.issue(NAMES);
    let write = |name: &str, text: &str| fs::write(world.path(name), text).unwrap();

    // The certificate first.
    let pair = next();
    write("tls.crt", &pair.certificate);
    thread::sleep(Duration::from_millis(500));
    write("tls.key", &pair.key);
    world.until_shown(&pair);

    // Written half, then whole, in place.
    let pair = next();
    write("tls.key", &pair.key);
    world.refuses("a half-written file", "PEM", || {
        write("tls.crt", &pair.certificate[..pair.certificate.len() / 2]);
    });
    write("tls.crt", &pair.certificate);
    world.until_shown(&pair);

    // Gone, and back.
    world.refuses("a file that is gone", "No such file", || {
        fs::remove_file(world.path("tls.key")).unwrap();
    });
    let pair = next();
    world.put(&pair);
    world.until_shown(&pair);

    // Something else under its name.
    world.refuses("a folder", "not a regular file", || {
        fs::remove_file(world.path("tls.crt")).unwrap();
        fs::create_dir(world.path("tls.crt")).unwrap();
    });
    fs::remove_dir(world.path("tls.crt")).unwrap();
    let pair = next();
    world.put(&pair);
    world.until_shown(&pair);

    let early = world.authority.issue_early(NAMES);
    world.refuses("one for later", "not valid before 2400-01-01", || world.put(&early));
    world.refuses("a file that never ends", "larger than 1 MiB", || {
        write("tls.crt", &"-".repeat(2 << 20));
    });

    // As editors of other systems write it, with words around it.
    let pair = next();
    let dressed = |text: &str| {
        let text = format!("\u{feff}subject=CN = api.test\n\n{text}\nend of file\n");
        text.replace('\n', "\r\n")
    };
    world.put(&Pair { certificate: dressed(&pair.certificate), key: dressed(&pair.key) });
    world.until_shown(&pair);
}

#[test]
fn c36_a_folder_that_is_replaced_is_found_again() {
    let (text, upstream) = config();
    let authority = CertificateAuthority::new();
    let prepared = launch(&text.replace("@DIR@/tls.", "@DIR@/live/tls."), &authority);
    let folder = prepared.folder().to_owned();
    let write = |name: &str, pair: &Pair| {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("tls.crt"), &pair.certificate).unwrap();
        fs::write(folder.join("tls.key"), &pair.key).unwrap();
    };
    write("live", &authority.issue(NAMES));
    let world = World { gateway: prepared.start(), authority, _upstream: upstream };
    for n in 0..2 {
        let pair = world.authority.issue(NAMES);
        write("next", &pair);
        fs::rename(folder.join("live"), folder.join(format!("before-{n}"))).unwrap();
        fs::rename(folder.join("next"), folder.join("live")).unwrap();
        world.until_shown(&pair);
    }
}

#[test]
fn names_that_lose_their_certificate_are_told_of() {
    let world = World::start();
    let names = |name: &str| world.client().server_name(name).try_connect().map(drop);
    names("app.test").unwrap();
    // It is taken: what is on disk is what somebody wanted, and the others would end with it.
    let fewer = world.authority.issue(&["api.test"]);
    world.put(&fewer);
    world.until_shown(&fewer);
    world.gateway.log_line("no certificate is for app.test any more");
    let error = names("app.test").unwrap_err().to_string();
    assert!(error.contains("UnrecognisedName"), "{error}");
    // A name more is served as soon as it is there.
    let more = world.authority.issue(&["api.test", "app.test"]);
    world.put(&more);
    world.until_shown(&more);
    names("app.test").unwrap();
}

#[test]
fn a_bad_pair_is_named_and_nothing_starts() {
    let (text, _upstream) = config();
    let authority = CertificateAuthority::new();
    let prepared = launch(&text, &authority);
    let write = |name: &str, text: &str| fs::write(prepared.folder().join(name), text).unwrap();
    write("tls.key", &authority.issue(NAMES).key);
    let ended = prepared.start_in_vain();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("gateway.yaml:"), "{}", ended.stderr);
    assert!(ended.stderr.contains("does not belong"), "{}", ended.stderr);
    let expired = authority.issue_expired(NAMES);
    write("tls.key", &expired.key);
    write("tls.crt", &expired.certificate);
    let ended = prepared.start_in_vain();
    assert_eq!((ended.code, ended.stderr.contains("expired on")), (1, true), "{}", ended.stderr);
}

#[test]
fn a_reload_with_a_bad_pair_is_refused_whole_and_made_up_for() {
    let world = World::start();
    let text = fs::read_to_string(world.path("gateway.yaml")).unwrap();
    let pair = world.authority.issue(&["more.test"]);
    // A second pair is named whose key is not there yet, as two mounts are brought up to date one
    // after the other; and a route that needs it.
    world.gateway.write("more.crt", &pair.certificate);
    let next = text
        .replace("hosts: [", "hosts: [more.test, ")
        .replace(
            "files: [{",
            "files: [{certificate: \"@DIR@/more.crt\", key: {file: \"@DIR@/more.key\"}}, {",
        )
        .replace("path: /x", "path: /y");
    let status = |path: &str| world.gateway.plain("plain").send(&Request::get(path)).status;
    let before = world.gateway.metric(&["gateway_config_reloads_total", "refused"]);
    world.gateway.write("gateway.yaml", &next);
    until_true(SOON, "it is refused", || {
        world.gateway.metric(&["gateway_config_reloads_total", "refused"]) > before
    });
    assert_eq!((status("/x"), status("/y")), (200, 404));
    let refused = world.gateway.metric(&["gateway_config_reloads_total", "refused"]);
    thread::sleep(LOOKED_AT);
    assert_eq!(world.gateway.metric(&["gateway_config_reloads_total", "refused"]), refused);
    // Nobody touches gateway.yaml again.
    world.gateway.write("more.key", &pair.key);
    until_true(SOON, "it is taken", || status("/y") == 200);
    let more = world.client().server_name("more.test");
    assert_eq!(shown(&more), leaf(&pair));
}

/// A gateway that shows what `pairs` are, in this order.
fn serving(pairs: &[&Pair], listener: &str) -> (Gateway, Upstream) {
    let (text, upstream) = config();
    let files = (0..pairs.len())
        .map(|n| format!("{{certificate: \"@DIR@/{n}.crt\", key: {{file: \"@DIR@/{n}.key\"}}}}"));
    let one = "{certificate: \"@DIR@/tls.crt\", key: {file: \"@DIR@/tls.key\"}}";
    let text = text
        .replace(one, &files.collect::<Vec<_>>().join(", "))
        .replace("{name: https, address: \"127.0.0.1:0\"}", listener);
    let mut prepared: Launch = launch(&text, &CertificateAuthority::new());
    for (n, pair) in pairs.iter().enumerate() {
        prepared = prepared.file(&format!("{n}.crt"), &pair.certificate);
        prepared = prepared.file(&format!("{n}.key"), &pair.key);
    }
    (prepared.start(), upstream)
}

#[test]
fn a_certificate_that_ends_is_served_on_and_told_of() {
    let authority = CertificateAuthority::new();
    let short = authority.issue_for(NAMES, Duration::from_secs(6));
    let (gateway, _upstream) = serving(&[&short], "{name: https, address: \"127.0.0.1:0\"}");
    gateway.log_line("certificate-expired");
    let client = gateway.https(Trust::Anybody);
    assert_eq!(shown(&client), leaf(&short));
    client.send(&Request::get("/x")).expect(200);
    let ready = gateway.probe("/readyz").expect(200).json();
    let error = ready["certificates"][0]["last_error"].as_str().unwrap();
    assert!(error.contains("expired on"), "{error}");
    until_true(SOON, "clients refuse it", || {
        gateway.https(authority.trust()).try_connect().is_err()
    });
    thread::sleep(LOOKED_AT);
    let lines = gateway.process().stderr();
    let told = lines.iter().filter(|line| line.contains("certificate-expired")).count();
    assert_eq!(told, 1);
}
