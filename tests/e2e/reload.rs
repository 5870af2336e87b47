//! A new file is taken whole, or the old one stays. C44.
//!
//! Web sockets, which the case names too, belong to a later part of the language.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;
use std::time::Duration;

use portcullis_testkit::poll::until_true;
use portcullis_testkit::{CertificateAuthority, Gateway, Reply, Request, Upstream};

use crate::world::{BASE, HOSTS, World, launch};

const SOON: Duration = Duration::from_secs(10);

/// A file whose one route is `path`.
fn config(upstream: &Upstream, path: &str) -> String {
    format!(
        "{BASE}{HOSTS}upstreams: [{{name: u, endpoints: [\"{}\"]}}]\n\
         routes: [{{name: only, path: {path}, access: public, forward: {{upstream: u}}}}]\n",
        upstream.url()
    )
}

fn status(gateway: &Gateway, path: &str) -> u16 {
    gateway.plain("plain").send(&Request::get(path)).status
}

#[track_caller]
fn until_served(gateway: &Gateway, path: &str) {
    until_true(SOON, &format!("{path} is served"), || status(gateway, path) == 200);
}

#[track_caller]
fn until_refused(gateway: &Gateway, before: i64) {
    until_true(SOON, "a reload was refused", || {
        gateway.metric(&["gateway_config_reloads_total", "refused"]) > before
    });
    assert_eq!(gateway.metric(&["gateway_config_last_reload_success"]), 0);
}

/// A folder as the kubelet lays it out: the file is a link through `..data`.
fn swap(folder: &Path, name: &str, text: &str) {
    let text = text.replace("@DIR@", &folder.to_string_lossy());
    fs::create_dir_all(folder.join(name)).unwrap();
    fs::write(folder.join(name).join("gateway.yaml"), text).unwrap();
    let aside = folder.join(format!("{name}-link"));
    symlink(name, &aside).unwrap();
    fs::rename(aside, folder.join("..data")).unwrap();
}

#[test]
fn c44_a_config_map_swap_is_taken_without_a_signal() {
    let upstream = Upstream::start();
    let prepared = launch("", &CertificateAuthority::new());
    let folder = prepared.folder().to_owned();
    fs::remove_file(folder.join("gateway.yaml")).unwrap();
    swap(&folder, "..2026_01", &config(&upstream, "/first"));
    symlink("..data/gateway.yaml", folder.join("gateway.yaml")).unwrap();
    let gateway = prepared.start();
    assert_eq!((status(&gateway, "/first"), status(&gateway, "/second")), (200, 404));

    swap(&folder, "..2026_02", &config(&upstream, "/second"));
    until_served(&gateway, "/second");
    assert_eq!(status(&gateway, "/first"), 404);
    assert_eq!(gateway.metric(&["gateway_config_last_reload_success"]), 1);

    // Ten swaps at once end in the last.
    for n in 0..10 {
        swap(&folder, &format!("..2026_1{n}"), &config(&upstream, &format!("/swap-{n}")));
    }
    until_served(&gateway, "/swap-9");
    assert_eq!(status(&gateway, "/second"), 404);

    // The folder that was replaced goes away, as the kubelet does it.
    fs::remove_dir_all(folder.join("..2026_01")).unwrap();
    let refused = gateway.metric(&["gateway_config_reloads_total", "refused"]);
    swap(&folder, "..2026_30", &config(&upstream, "/bad").replace("access", "acess"));
    until_refused(&gateway, refused);
    assert_eq!((status(&gateway, "/swap-9"), status(&gateway, "/bad")), (200, 404));
    swap(&folder, "..2026_31", &config(&upstream, "/good"));
    until_served(&gateway, "/good");
    assert_eq!(gateway.metric(&["gateway_config_last_reload_success"]), 1);
}

#[test]
fn c44_a_bad_file_leaves_everything_as_it_was() {
    let upstream = Upstream::start();
    let good = config(&upstream, "/first");
    let gateway = launch(&good, &CertificateAuthority::new()).start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let occupied = format!(
        "  - {{name: more, address: \"{}\", cleartext: true}}\ncertificates:",
        taken.local_addr().unwrap()
    );
    let next = config(&upstream, "/second");
    for bad in [
        next.replace("access: public", "access: pubic"),
        String::new(),
        "routes: [".to_owned(),
        next.replace("certificates:", &occupied),
        next.replace("@DIR@/tls.key", "@DIR@/no-such.key"),
    ] {
        let refused = gateway.metric(&["gateway_config_reloads_total", "refused"]);
        gateway.write("gateway.yaml", &bad);
        until_refused(&gateway, refused);
        assert_eq!((status(&gateway, "/first"), status(&gateway, "/second")), (200, 404), "{bad}");
    }
    let line = gateway.log_line("pubic");
    assert!(
        line.contains("gateway.yaml:")
            || gateway.process().stderr().join("\n").contains("gateway.yaml:")
    );

    // A file that is gone for a moment and comes back.
    fs::remove_file(gateway.launch().folder().join("gateway.yaml")).unwrap();
    thread::sleep(Duration::from_millis(700));
    assert_eq!(status(&gateway, "/first"), 200);
    gateway.write("gateway.yaml", &next);
    until_served(&gateway, "/second");
    assert_eq!(gateway.metric(&["gateway_config_last_reload_success"]), 1);
}

#[test]
fn c44_requests_under_way_end_under_the_file_they_began_with() {
    let upstream = Upstream::start();
    upstream.answer("/first", Reply::new(200, "slow").after(Duration::from_secs(3)));
    let gateway = launch(&config(&upstream, "/first"), &CertificateAuthority::new()).start();
    let mut held = gateway.plain("plain").connect();
    held.write(Request::get("/first").to_bytes());
    until_true(SOON, "the request is at the app", || !upstream.seen("/first").is_empty());
    gateway.write("gateway.yaml", &config(&upstream, "/second"));
    until_served(&gateway, "/second");
    held.read().expect("an answer").expect(200);
    // The connection lives on, under the new file.
    held.send(&Request::get("/second")).expect(200);
    held.send(&Request::get("/first")).expect_refusal(404, "route-not-found");
}

#[test]
fn a_signal_reloads_and_tightened_rules_bite_at_once() {
    let world = World::start(&[
        BASE,
        HOSTS,
        crate::world::UPSTREAMS,
        crate::world::ISSUERS,
        "limits: [{name: two, key: address, rate: 2/h}]\n",
        "routes:\n",
        "  - {name: api, path: /api, access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}\n",
        "  - {name: limited, path: /limited, access: public, limits: [two], forward: {upstream: u}}\n",
    ]);
    let token = world.issuer.token().sign();
    let api = || world.plain().send(&Request::get("/api").bearer(&token)).status;
    let limited = || world.plain().send(&Request::get("/limited")).status;
    assert_eq!((api(), api()), (200, 200));
    assert_eq!([limited(), limited(), limited()], [200, 200, 429]);
    let reloads = || world.gateway.metric(&["gateway_config_reloads_total", "taken"]);
    let before = reloads();
    let path = world.gateway.launch().folder().join("gateway.yaml");
    let text = fs::read_to_string(path).unwrap();
    world.gateway.process().signal("HUP");
    until_true(SOON, "a signal reloads", || reloads() > before);
    assert_eq!(limited(), 429, "counters survive a reload");
    world.gateway.write("gateway.yaml", &text.replace("audience: [api]", "audience: [other]"));
    until_true(SOON, "the cached token is judged anew", || api() == 401);
    assert_eq!(limited(), 429);
    // Keys are kept also while the issuer cannot be asked for them.
    world.issuer.server().down();
    let before = reloads();
    world.gateway.write("gateway.yaml", &format!("{text}# again\n"));
    until_true(SOON, "the file is taken", || reloads() > before);
    assert_eq!(api(), 200);
    world.issuer.server().up();
    // A limit that changed starts anew.
    world.gateway.write("gateway.yaml", &text.replace("rate: 2/h", "rate: 3/h"));
    until_true(SOON, "the new limit counts", || limited() == 200);
    assert_eq!([limited(), limited(), limited()], [200, 200, 429]);
}

#[test]
fn certificates_are_replaced_without_a_reload_and_bad_ones_are_not() {
    let upstream = Upstream::start();
    let authority = CertificateAuthority::new();
    let gateway = launch(&config(&upstream, "/x"), &authority).start();
    let shown = || {
        let connection = gateway.https(authority.trust()).connect();
        connection.tls().unwrap().peer_certificates().unwrap()[0].clone()
    };
    let first = shown();
    let mut open = gateway.https(authority.trust()).connect();
    let failures = || gateway.metric(&["gateway_certificate_reload_failures_total"]);
    let before = failures();
    let names = ["api.test", "app.test"];
    // A pair that does not fit keeps the old one.
    gateway.write("tls.key", &authority.issue(&names).key);
    until_true(SOON, "the misfit is counted", || failures() > before);
    assert_eq!(shown(), first);
    let fresh = authority.issue(&names);
    gateway.write("tls.key", &fresh.key);
    gateway.write("tls.crt", &fresh.certificate);
    until_true(SOON, "the new certificate is shown", || shown() != first);
    open.send(&Request::get("/x")).expect(200);
    let days = gateway.metric(&["gateway_certificate_days_left", "api.test"]);
    assert!(days > 1, "{days}");
}

#[test]
fn a_reload_asks_no_issuer_for_keys_that_are_fresh() {
    let routes = "routes: [{name: api, path: /api, access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}]\n";
    let world =
        World::start(&[BASE, HOSTS, crate::world::UPSTREAMS, crate::world::ISSUERS, routes]);
    let reloads = || world.gateway.metric(&["gateway_config_reloads_total", "taken"]);
    let fetches = world.issuer.fetches();
    for _ in 0..3 {
        let before = reloads();
        world.gateway.process().signal("HUP");
        until_true(SOON, "a signal reloads", || reloads() > before);
    }
    assert_eq!(world.issuer.fetches(), fetches);
}
