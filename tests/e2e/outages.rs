//! An issuer that is away or talks nonsense neither logs everybody out nor opens the gate. C08.

use std::time::Duration;

use portcullis_testkit::poll::until_true;
use portcullis_testkit::{Issuer, Reply, Request, Upstream};

use crate::world::{BASE, HOSTS, UPSTREAMS, World};

const ISSUERS: &str = r#"
issuers:
  - name: corporate
    issuer: https://idp.test/r1
    audience: [api]
    algorithms: [RS256]
    keys: {url: "@JWKS@"}
    keys_refresh: {every: 1s, unknown_kid: 1s}
"#;

const ROUTES: &str = r#"
routes:
  - {name: public, path: "/public/{*rest}", access: public, forward: {upstream: u}}
  - {name: api, path: "/api/{*rest}", access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}
"#;

fn world(issuer: Issuer) -> World {
    World::with_issuer(issuer, &[BASE, HOSTS, UPSTREAMS, ISSUERS, ROUTES])
}

fn api(world: &World) -> Request {
    Request::get("/api/x").bearer(world.issuer.token().sign())
}

#[test]
fn c08_without_a_key_ever_seen_the_answer_is_503() {
    let issuer = Issuer::start();
    issuer.server().down();
    let world = world(issuer);
    assert_eq!(world.gateway.probe("/readyz").status, 200);
    world.forwarded(Request::get("/public/x"));
    let answer = world.refused(api(&world), 503, "issuer-unavailable");
    let seconds: u32 = answer.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    // Without a token there is nothing to judge: that is a 401 still.
    world.refused(Request::get("/api/x"), 401, "credential-missing");
    assert_eq!(world.gateway.metric(&["gateway_jwks_keys{", "corporate"]), 0);
    assert!(world.gateway.metric(&["gateway_jwks_fetch_failures_total", "corporate"]) >= 1);
    world.issuer.server().up();
    until_true(Duration::from_secs(30), "the gateway recovers by itself", || {
        world.plain().send(&api(&world)).status == 200
    });
}

#[test]
fn c08_keys_stay_good_while_the_issuer_is_away() {
    let world = world(Issuer::start());
    world.forwarded(api(&world));
    world.issuer.server().down();
    until_true(Duration::from_secs(15), "the metric says stale", || {
        world.gateway.metric(&["gateway_jwks_stale", "corporate"]) == 1
    });
    assert!(world.gateway.metric(&["gateway_jwks_fetch_failures_total", "corporate"]) >= 1);
    world.forwarded(api(&world));
    world.refused(Request::get("/api/x").bearer("rubbish"), 401, "credential-invalid");
    world.issuer.server().up();
    until_true(Duration::from_secs(15), "the metric says fresh", || {
        world.gateway.metric(&["gateway_jwks_stale", "corporate"]) == 0
    });
}

/// What an issuer says instead of a key set, by name.
fn nonsense(elsewhere: &str) -> Vec<(&'static str, Reply)> {
    let redirect = |to: String| Reply::new(302, "").field("location", &to);
    vec![
        ("fault", Reply::new(500, "sorry")),
        ("html", Reply::new(200, "<html>hello</html>").field("content-type", "text/html")),
        ("empty_object", Reply::new(200, "{}")),
        ("no_keys", Reply::new(200, "{\"keys\":[]}")),
        ("cut_json", Reply::new(200, "{\"keys\":[{\"kty\":\"RSA\"")),
        ("cut_body", Reply::new(200, "{\"keys\":[]}").cut_after(5)),
        ("huge", Reply::new(200, vec![b' '; 10 << 20])),
        ("endless", Reply::endless()),
        ("hang", Reply::hang()),
        ("redirect", redirect(format!("{elsewhere}/jwks"))),
    ]
}

#[test]
fn c08_nonsense_instead_of_keys_changes_nothing() {
    let elsewhere = Upstream::start();
    let cases = nonsense(&elsewhere.url());
    let issuers: Vec<Issuer> =
        cases.iter().map(|(name, _)| Issuer::named(&format!("https://idp.test/{name}"))).collect();
    let (mut listed, mut routes) = ("issuers:\n".to_owned(), "routes:\n".to_owned());
    for ((name, _), issuer) in cases.iter().zip(&issuers) {
        let issuer_line = format!(
            "  - {{name: {name}, issuer: \"{}\", audience: [api], algorithms: [RS256], \
             keys: {{url: \"{}\"}}, keys_refresh: {{every: 1s}}}}\n",
            issuer.name(),
            issuer.jwks_url(),
        );
        let route = format!(
            "  - {{name: {name}, path: /{name}, access: {{any_of: [{{issuer: {name}}}]}}, \
             forward: {{upstream: u}}}}\n"
        );
        listed += &issuer_line;
        routes += &route;
    }
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, &listed, &routes]);
    let all_accepted = |when: &str| {
        for ((name, _), issuer) in cases.iter().zip(&issuers) {
            let request = Request::get(format!("/{name}")).bearer(issuer.token().sign());
            let answer = world.plain().send(&request);
            assert_eq!(answer.status, 200, "{name} {when}: {}", answer.text());
        }
    };
    all_accepted("at first");
    let failures = |name: &str| {
        world.gateway.metric(&["gateway_jwks_fetch_failures_total", &format!("\"{name}\"")])
    };
    for ((_, reply), issuer) in cases.iter().zip(&issuers) {
        issuer.answer_jwks(reply.clone());
    }
    for (name, _) in &cases {
        until_true(Duration::from_secs(20), &format!("a failed fetch of {name}"), || {
            failures(name) >= 1
        });
    }
    all_accepted("after nonsense");
    assert_eq!(elsewhere.connections(), 0, "a redirect to another origin is not followed");
}

#[test]
fn c08_a_refresh_happens_once_and_behind_the_requests() {
    let world = world(Issuer::start());
    let mut connection = world.plain().connect();
    let before = world.issuer.fetches();
    let mut sent = 0;
    until_true(Duration::from_secs(30), "three refreshes", || {
        for _ in 0..20 {
            connection.send(&api(&world)).expect(200);
            sent += 1;
        }
        world.issuer.fetches() >= before + 3
    });
    // Nobody waits for a slow one.
    let slow = Reply::json(&serde_json::json!({ "keys": [world.issuer.key().jwk()] }));
    world.issuer.answer_jwks(slow.after(Duration::from_secs(3)));
    let during = world.issuer.fetches();
    until_true(Duration::from_secs(10), "a slow refresh begins", || {
        connection.send(&api(&world)).expect(200);
        world.issuer.fetches() > during
    });
    let answered = (0..20).filter(|_| connection.send(&api(&world)).status == 200).count();
    assert_eq!(answered, 20);
    assert!(world.issuer.fetches() <= during + 2, "single flight");
    assert!(sent >= 20);
}
