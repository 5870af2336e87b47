//! Certificates that the gateway orders itself, from Pebble and from an authority that misbehaves.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis_testkit::authority::Trust;
use portcullis_testkit::{
    FakeCa, Gateway, Launch, Pebble, PebbleOptions, Refusal, Request, Upstream, Validation,
    free_address, until, until_true,
};

use crate::world::bare;

/// Longest wait for what takes seconds.
const PATIENCE: Duration = Duration::from_mins(1);

const CONFIG: &str = r#"
version: 1
listeners:
  - {name: https, address: "@TLS@"}
  - {name: plain, address: "@HTTP@", cleartext: true}
connections: {drain: {delay: 0s, grace: 1s}}
admin: {address: "127.0.0.1:0", probes: "127.0.0.1:0"}
upstreams: [{name: u, endpoints: ["@UPSTREAM@"]}]
routes: [{name: r, path: "/{*rest}", access: public, forward: {upstream: u}}]
"#;

/// Where a gateway is to be, and the authority it asks.
struct Site {
    tls: SocketAddr,
    http: SocketAddr,
    upstream: Upstream,
}

impl Site {
    fn new() -> Self {
        Self { tls: free_address(), http: free_address(), upstream: Upstream::start() }
    }

    fn pebble(&self) -> PebbleOptions {
        PebbleOptions::at(self.tls, self.http)
    }

    /// A file that orders for `hosts`, with more of `certificates.acme` in `more`.
    fn config(&self, directory: &str, hosts: &str, more: &str) -> String {
        let acme = format!("{{directory: \"{directory}\", trust: {{file: trust.pem}}{more}}}");
        CONFIG
            .replace("@TLS@", &self.tls.to_string())
            .replace("@HTTP@", &self.http.to_string())
            .replace("@UPSTREAM@", &self.upstream.url())
            + &format!("hosts: [{hosts}]\ncertificates: {{acme: {acme}}}\n")
    }

    fn launch(&self, directory: &str, trust: &str, hosts: &str, more: &str) -> Launch {
        bare(&self.config(directory, hosts, more)).file("trust.pem", trust)
    }

    fn at_fake(&self, ca: &FakeCa, hosts: &str) -> Launch {
        self.launch(&ca.directory(), ca.trust_pem(), hosts, "")
    }
}

/// The leaf that is served for `name` to a client that verifies it; `None` where none is.
fn leaf(gateway: &Gateway, trust: &Trust, name: &str) -> Option<Vec<u8>> {
    let client = gateway.https(trust.clone()).server_name(name);
    let connection = client.try_connect().ok()?;
    let chain = connection.tls()?.peer_certificates()?;
    chain.first().map(|leaf| leaf.to_vec())
}

#[track_caller]
fn awaits(gateway: &Gateway, trust: &Trust, name: &str) -> Vec<u8> {
    let what = format!("a certificate for {name}");
    let found = until(PATIENCE, &what, || {
        assert_eq!(gateway.process().exit_code(), None, "the gateway goes on");
        leaf(gateway, trust, name)
    });
    gateway.https(trust.clone()).server_name(name).send(&Request::get("/").host(name)).expect(200);
    found
}

/// Ends a gateway as an operator does, and starts it again.
#[track_caller]
fn restart(gateway: Gateway) -> Gateway {
    gateway.process().signal("TERM");
    gateway.process().wait(PATIENCE);
    gateway.stop().start()
}

/// Ends a gateway without a word, and starts it again.
#[track_caller]
fn kill_and_start(gateway: Gateway) -> Gateway {
    gateway.stop().start()
}

fn orders(pebble: &Pebble) -> usize {
    pebble.log().iter().filter(|line| line.contains("/order-plz -> calling")).count()
}

#[test]
fn a_directory_and_a_host_are_enough() {
    let site = Site::new();
    let options = PebbleOptions { rejected_nonces: 30, ..site.pebble() };
    let Some(pebble) = Pebble::start(env!("CARGO_TARGET_TMPDIR"), &options) else { return };
    pebble.resolve("bad.test", "127.0.0.2");
    let hosts = "api.test, bad.test";
    let launch = site.launch(&pebble.directory(), pebble.trust_pem(), hosts, "");
    let gateway = launch.start();
    let trust = pebble.trust();
    let first = awaits(&gateway, &trust, "api.test");
    gateway.log_line("certificate-failed");
    assert!(leaf(&gateway, &trust, "bad.test").is_none());
    let placed = orders(&pebble);
    let gateway = restart(gateway);
    assert_eq!(leaf(&gateway, &trust, "api.test"), Some(first), "at once, from what is kept");
    let log = pebble.log();
    let accounts = log.iter().filter(|line| line.contains("/sign-me-up -> calling")).count();
    assert!(accounts >= 1 && orders(&pebble) <= placed + 1, "{accounts} {placed}");
    let made =
        log.iter().filter(|line| line.contains("There are now") && line.contains("accounts"));
    assert!(made.count() <= 1);
    assert!(pebble.log().iter().any(|line| line.contains("api.test")));
}

#[test]
fn http_01_is_answered_on_the_listener_without_tls() {
    let site = Site::new();
    let Some(pebble) = Pebble::start(env!("CARGO_TARGET_TMPDIR"), &site.pebble()) else { return };
    let more = ", challenge: http-01";
    let launch = site.launch(&pebble.directory(), pebble.trust_pem(), "api.test", more);
    awaits(&launch.start(), &pebble.trust(), "api.test");
}

#[test]
fn an_external_account_is_bound_where_the_authority_asks_for_one() {
    let site = Site::new();
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let account = Some(("kid-1".to_owned(), key.to_owned()));
    let options = PebbleOptions { external_account: account, ..site.pebble() };
    let Some(pebble) = Pebble::start(env!("CARGO_TARGET_TMPDIR"), &options) else { return };
    let launch = site.launch(&pebble.directory(), pebble.trust_pem(), "api.test", "");
    let gateway = launch.file("hmac", key).start();
    let line = gateway.log_line("externalAccountRequired");
    assert!(!line.contains(key), "{line}");
    let more = ", external_account: {key_id: kid-1, hmac: {file: hmac}}";
    gateway.write("gateway.yaml", &site.config(&pebble.directory(), "api.test", more));
    awaits(&gateway, &pebble.trust(), "api.test");
    assert!(!gateway.process().stderr().iter().any(|line| line.contains(key)));
}

#[test]
fn a_certificate_is_renewed_under_load_without_a_failed_request() {
    let site = Site::new();
    let ca = FakeCa::start();
    ca.lifetime(Duration::from_secs(24));
    let gateway = site.at_fake(&ca, "api.test").start();
    let first = awaits(&gateway, &ca.trust(), "api.test");
    let done = AtomicBool::new(false);
    let client = gateway.https(ca.trust());
    std::thread::scope(|scope| {
        let worker = || {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                client.send(&Request::get("/").host("api.test")).expect(200);
                count += 1;
            }
            count
        };
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
        until_true(PATIENCE, "another certificate", || {
            leaf(&gateway, &ca.trust(), "api.test").is_some_and(|now| now != first)
        });
        done.store(true, Ordering::Relaxed);
        for worker in workers {
            assert!(worker.join().expect("no request failed") > 0);
        }
    });
    assert_eq!(ca.count("newAccount"), 1);
}

#[test]
fn a_kill_at_any_moment_means_no_second_order() {
    std::thread::scope(|scope| {
        for moment in ["newAccount", "order", "challenge", "finalize", "certificate"] {
            scope.spawn(move || killed_at(moment));
        }
    });
}

#[track_caller]
fn killed_at(moment: &str) {
    let site = Site::new();
    let ca = FakeCa::start();
    if moment != "challenge" {
        // An authority that looks while nobody is there gives the order up, and rightly so.
        ca.validation("api.test", Validation::Connect(vec![site.tls]));
    }
    ca.processing(Duration::from_secs(2));
    // What is asked for is done, and nobody hears of it.
    ca.delay(moment, Duration::from_secs(2));
    let gateway = site.at_fake(&ca, "api.test").start();
    until_true(PATIENCE, moment, || ca.count(moment) >= 1);
    let gateway = kill_and_start(gateway);
    awaits(&gateway, &ca.trust(), "api.test");
    assert_eq!(ca.contacts().len(), 1, "accounts, {moment}");
    assert_eq!(ca.count("newOrder"), 1, "{moment}");
    assert_eq!(ca.count("finalize"), 1, "{moment}");
}

#[test]
fn c34_failing_renewals_are_bounded_over_restarts_and_hold_nobody_up() {
    let site = Site::new();
    let ca = FakeCa::start();
    ca.validation("bad.test", Validation::Fail);
    ca.refuse("newOrder", Some("limited.test"), Refusal::rate_limited("900"));
    ca.refuse("newOrder", Some("away.test"), Refusal::unavailable(Some("900")));
    let hosts = "good.test, bad.test, limited.test, away.test";
    let mut gateway = site.at_fake(&ca, hosts).start();
    let served = awaits(&gateway, &ca.trust(), "good.test");
    let asked = |name: &str| ca.count_for("newOrder", name);
    for name in ["bad.test", "limited.test", "away.test"] {
        until_true(PATIENCE, name, || asked(name) >= 1);
    }
    until_true(PATIENCE, "a failed validation", || ca.failed_validations("bad.test") >= 1);
    for _ in 0..10 {
        gateway = restart(gateway);
        let now = leaf(&gateway, &ca.trust(), "good.test");
        assert_eq!(now.as_ref(), Some(&served), "served from the first moment");
    }
    until_true(PATIENCE, "another attempt", || ca.failed_validations("bad.test") >= 2);
    assert!(ca.failed_validations("bad.test") <= 4);
    assert_eq!((asked("limited.test"), asked("away.test"), asked("good.test")), (1, 1, 1));
    assert_eq!(ca.count("newAccount"), 1, "the account is used again");
    assert_eq!(ca.count_for("finalize", "good.test"), 1);
    let page = gateway.metrics();
    assert!(page.contains("gateway_certificate_not_after_timestamp_seconds{name=\"good.test\"}"));
    let seen = gateway.metric(&["gateway_certificate_failing", "bad.test"]);
    assert_eq!(seen, 1, "{page}");
    assert!(leaf(&gateway, &ca.trust(), "bad.test").is_none());
}

/// Three processes on one state folder; the authority looks at all of them.
fn replicas(ca: &FakeCa) -> Vec<(Site, Gateway)> {
    let sites = [Site::new(), Site::new(), Site::new()];
    let places = sites.iter().map(|site| site.tls).collect();
    ca.validation("api.test", Validation::Connect(places));
    let launches: Vec<Launch> = sites.iter().map(|site| site.at_fake(ca, "api.test")).collect();
    let shared = launches[0].folder().join("state");
    let shared = shared.to_string_lossy();
    let started = std::thread::scope(|scope| {
        let all: Vec<_> = launches
            .into_iter()
            .map(|launch| {
                let launch = launch.env("STATE_DIRECTORY", &shared);
                scope.spawn(move || launch.start())
            })
            .collect();
        all.into_iter().map(|one| one.join().expect("it starts")).collect::<Vec<_>>()
    });
    sites.into_iter().zip(started).collect()
}

#[test]
fn c38_replicas_place_one_order_and_all_serve_it() {
    let ca = FakeCa::start();
    let all = replicas(&ca);
    let leaves: Vec<Vec<u8>> =
        all.iter().map(|(_, gateway)| awaits(gateway, &ca.trust(), "api.test")).collect();
    assert!(leaves.iter().all(|leaf| *leaf == leaves[0]));
    assert_eq!((ca.count("newAccount"), ca.count("newOrder")), (1, 1));
    assert_eq!(ca.failed_validations("api.test"), 0, "any of them answers");
}

#[test]
fn c38_another_replica_finishes_what_a_killed_one_began() {
    let ca = FakeCa::start();
    ca.processing(Duration::from_secs(6));
    let mut all = replicas(&ca);
    until_true(PATIENCE, "it is finalized", || ca.count("finalize") == 1);
    let wrote = |gateway: &Gateway| {
        gateway.process().stderr().iter().any(|line| line.contains("order placed"))
    };
    let issuing = all.iter().position(|(_, gateway)| wrote(gateway)).expect("one placed it");
    let (_site, gone) = all.remove(issuing);
    let _files = gone.stop();
    for (_, gateway) in &all {
        awaits(gateway, &ca.trust(), "api.test");
    }
    assert_eq!((ca.count("newAccount"), ca.count("newOrder")), (1, 1));
    assert_eq!(ca.count("finalize"), 1);
}
