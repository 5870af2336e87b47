//! gRPC from end to end: HTTP/2 on both sides, metadata, trailers, streams, status and deadlines.

use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_testkit::process::{Finished, run};
use portcullis_testkit::{Process, tools, until};

use crate::world::{BASE, HOSTS, ISSUERS, World, bare};

const ROUTES: &str = r#"
limits: [{name: at_once, key: principal, concurrent: 2000}]
routes:
  - name: calls
    path: "/test.Test/{*rest}"
    methods: [POST]
    access: {any_of: [{issuer: corporate}]}
    limits: [at_once]
    request: {body: {maximum: 8MiB}}
    forward: {upstream: calls}
"#;

struct Calls {
    world: World,
    python: PathBuf,
    script: String,
    _app: Process,
}

impl Calls {
    /// The app, with these arguments, behind the gateway; `None` where there is no python.
    fn start(arguments: &[&str]) -> Option<Self> {
        let python = tools::python()?;
        if !knows_h2c() {
            tools::skip("an upstream that is spoken to in cleartext HTTP/2");
            return None;
        }
        let script = tools::workspace().join("tests/e2e/parties/calls.py");
        let script = script.to_str().unwrap().to_owned();
        let arguments = [&["-B", &script, "serve"], arguments].concat();
        let app = Process::start(&python, &arguments, Path::new("/"), &[]);
        let port = until(Duration::from_secs(20), "the app is up", || {
            assert!(app.exit_code().is_none(), "{}", app.stderr().join("\n"));
            app.stdout().first().cloned()
        });
        let upstreams =
            format!("upstreams: [{{name: calls, endpoints: [\"h2c://127.0.0.1:{port}\"]}}]\n");
        let world = World::start(&[BASE, HOSTS, &upstreams, ISSUERS, ROUTES]);
        Some(Self { world, python, script, _app: app })
    }

    /// What the client says.
    fn client(&self, what: &str) -> Finished {
        let folder = self.world.gateway.launch().folder();
        let authority = folder.join("ca.pem");
        std::fs::write(&authority, self.world.authority.pem()).unwrap();
        let address = self.world.gateway.address("https").to_string();
        let token = self.world.issuer.token().sign();
        let arguments = ["-B", &self.script, what, &address, authority.to_str().unwrap(), &token];
        run(&self.python, &arguments, Path::new("/"), &[], "", Duration::from_mins(1))
    }
}

/// Whether upstreams can be `h2c`.
fn knows_h2c() -> bool {
    let config = "version: 1\nhosts: [localhost]\ncertificates: {self_signed: [localhost]}\n\
                  upstreams: [{name: u, endpoints: ['h2c://127.0.0.1:1']}]\n\
                  routes: [{name: r, path: /r, access: public, forward: {upstream: u}}]\n";
    bare(config).command(&["check", "--no-files", "gateway.yaml"]).code == 0
}

#[test]
fn calls_of_every_kind_pass() {
    let Some(calls) = Calls::start(&[]) else { return };
    let said = calls.client("call");
    assert_eq!(said.stdout.trim(), "fine", "{}", said.stderr);
    let held = || calls.world.gateway.metric(&["gateway_limiter_slots", "at_once"]);
    until(Duration::from_secs(5), "all slots are free", || (held() == 0).then_some(()));
}

#[test]
fn an_app_that_says_goodbye_costs_no_call() {
    let Some(calls) = Calls::start(&["500"]) else { return };
    let said = calls.client("keep");
    assert!(said.stdout.starts_with("fine"), "{}", said.stderr);
}
