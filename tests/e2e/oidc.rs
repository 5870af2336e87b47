//! A certified `OpenID` provider issues the tokens and rotates its keys under load.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portcullis_testkit::{Answer, Client, Issuer, Process, Request, tools, until};

use crate::world::{BASE, HOSTS, UPSTREAMS, World};

const CONFIG: &str = r#"
issuers:
  - name: provider
    issuer: "@PROVIDER@"
    audience: [urn:orders-api]
    algorithms: [RS256, ES256]
    keys_refresh: {unknown_kid: 1s}
routes:
  - {name: read, path: /read, access: {any_of: [{issuer: provider, scopes: [orders:read]}]}, forward: {upstream: u, identity: {headers: {x-auth-subject: subject}}}}
  - {name: write, path: /write, access: {any_of: [{issuer: provider, scopes: [orders:write]}]}, forward: {upstream: u}}
"#;

/// `robot:robot-secret-robot-secret-robot-secret`.
const ROBOT: &str = "cm9ib3Q6cm9ib3Qtc2VjcmV0LXJvYm90LXNlY3JldC1yb2JvdC1zZWNyZXQ=";

/// The provider, which lives as long as its test.
pub(crate) struct Provider {
    _process: Process,
    pub(crate) client: Client,
    pub(crate) host: String,
    pub(crate) url: String,
}

impl Provider {
    pub(crate) fn start() -> Option<Self> {
        Self::with(&[])
    }

    /// The same with these variables in its environment.
    pub(crate) fn with(environment: &[(String, String)]) -> Option<Self> {
        let (node, packages) = tools::node()?;
        let script = tools::workspace().join("tests/e2e/parties/oidc.mjs");
        // Packages are found beside the script, so it runs from where they are.
        let copy = packages.join("oidc.mjs");
        std::fs::copy(script, &copy).expect("the script can be copied");
        let process = Process::start(&node, &[copy], &packages, environment);
        let url = until(Duration::from_mins(1), "the provider is up", || {
            assert!(process.exit_code().is_none(), "{}", process.stderr().join("\n"));
            process.stdout().iter().find_map(|line| line.strip_prefix("issuer ").map(str::to_owned))
        });
        let host = url.trim_start_matches("http://").to_owned();
        let client = Client::plain(host.parse().expect("an address"));
        Some(Self { _process: process, client, host, url })
    }

    /// A token by the client credentials grant.
    #[track_caller]
    pub(crate) fn token(&self, scope: &str) -> String {
        self.granted(format!("grant_type=client_credentials&scope={scope}"))
    }

    /// A token for `resource`: opaque for `urn:opaque-api`, else a JWT.
    #[track_caller]
    pub(crate) fn token_for(&self, resource: &str, scope: &str) -> String {
        self.granted(format!("grant_type=client_credentials&scope={scope}&resource={resource}"))
    }

    #[track_caller]
    fn granted(&self, form: String) -> String {
        let answer = self.post("/token", ROBOT, form);
        answer.json()["access_token"].as_str().expect("a token").to_owned()
    }

    /// Ends a token of the client `robot`.
    pub(crate) fn revoke(&self, token: &str) {
        self.post("/token/revocation", ROBOT, format!("token={token}"));
    }

    #[track_caller]
    fn post(&self, path: &str, basic: &str, form: String) -> Answer {
        let request = Request::post(path, form)
            .host(&self.host)
            .field("authorization", format!("Basic {basic}"))
            .field("content-type", "application/x-www-form-urlencoded");
        let answer = self.client.send(&request);
        answer.expect(200);
        answer
    }

    fn rotate(&self) {
        self.client.send(&Request::post("/rotate", "").host(&self.host)).expect(200);
    }
}

#[test]
fn a_certified_provider_rotates_its_keys_and_no_new_token_is_refused() {
    let Some(provider) = Provider::start() else { return };
    let config = CONFIG.replace("@PROVIDER@", &provider.url);
    let world = World::with_issuer(Issuer::start(), &[BASE, HOSTS, UPSTREAMS, &config]);
    let token = provider.token("orders:read");
    let seen = world.forwarded(Request::get("/read").bearer(&token));
    assert_eq!(seen.field("x-auth-subject"), Some("robot"));
    world.refused(Request::get("/write").bearer(&token), 403, "scope-missing");

    let (served, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let old = Request::get("/read").bearer(&token);
    let load = || {
        let mut connection = world.plain().connect();
        // The old token stays good: its key is still published.
        while ended.load(Ordering::SeqCst) == 0 && connection.send(&old).status == 200 {
            served.fetch_add(1, Ordering::SeqCst);
        }
        assert_eq!(ended.load(Ordering::SeqCst), 1, "the old token was refused");
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(load);
        }
        // One rotation: the provider keeps the key before the last, so the old token stays good.
        provider.rotate();
        for _ in 0..20 {
            let fresh = provider.token("orders:read orders:write");
            world.plain().send(&Request::get("/write").bearer(&fresh)).expect(200);
        }
        ended.store(1, Ordering::SeqCst);
    });
    assert!(served.load(Ordering::SeqCst) > 20);
    // Again and again, each time with the first request after a rotation.
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(1100));
        provider.rotate();
        let fresh = provider.token("orders:write");
        world.plain().send(&Request::get("/write").bearer(&fresh)).expect(200);
    }
}
