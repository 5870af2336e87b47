//! gRPC from end to end: HTTP/2 on both sides, metadata, trailers, streams, status and deadlines.

use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_testkit::process::{Finished, run};
use portcullis_testkit::{Http2App, Process, Request, tools, until};

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
fn bodies_and_trailers_pass_to_apps_that_speak_http2() {
    if !knows_h2c() {
        return tools::skip("an upstream that is spoken to in cleartext HTTP/2");
    }
    let app = Http2App::start();
    let upstreams =
        format!("upstreams: [{{name: u, endpoints: [\"h2c://127.0.0.1:{}\"]}}]\n", app.port());
    let routes = "routes: [{name: r, path: '/{*rest}', access: public, request: {body: {maximum: 4MiB}}, forward: {upstream: u}}]\n";
    let world = World::start(&[BASE, HOSTS, &upstreams, routes]);
    let mut http2 = world.https().open_http2();
    for size in [0, 1, 49_153, 65_535, 65_536, 65_537, 1 << 20] {
        let body: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let answer = world.plain().send(&Request::post("/x", &body));
        assert!(answer.status == 200 && answer.body == body, "{size}: {}", answer.status);
        let mut connection = world.plain().connect();
        connection
            .write("POST /x HTTP/1.1\r\nhost: api.test\r\ntransfer-encoding: chunked\r\n\r\n");
        for piece in body.chunks(9000) {
            connection
                .write([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
        }
        connection.write("0\r\n\r\n");
        let answer = connection.read().expect("an answer");
        assert!(answer.status == 200 && answer.body == body, "{size}: {}", answer.status);
        for declared in [true, false] {
            let mut request = Request::new("POST", "/x");
            if declared {
                request = request.field("content-length", size.to_string());
            }
            let mut call = http2.start(&request, false);
            call.send(&body, false);
            call.send("", true);
            let (answer, trailers) = call.head().expect("an answer").rest();
            assert!(answer.status == 200 && answer.body == body, "{size}: {}", answer.status);
            assert_eq!(trailers.expect("trailers")["x-sum"], "done");
        }
    }
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
