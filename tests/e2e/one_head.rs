//! What is judged is what the app gets: fields of this hop alone, second spellings, and credentials
//! that nobody looked at.

use std::sync::LazyLock;

use portcullis_testkit::Request;

use crate::world::{BASE, HOSTS, ISSUERS, UPSTREAMS, World};

const CONFIG: &str = r#"
policies:
  same_tenant: 'request.headers["x-tenant"] == claims.tenant'
routes:
  - name: tenant
    path: /tenant
    access: {any_of: [{issuer: corporate}], policies: [same_tenant]}
    forward: {upstream: u}
  - name: typed
    path: /typed
    methods: [POST]
    access: public
    request: {body: {types: [application/json]}}
    forward: {upstream: u}
  - name: cookie
    path: /cookie
    access: {any_of: [{issuer: web}, anonymous]}
    forward: {upstream: u, identity: {token: original}}
  - name: bearer
    path: /bearer
    access: {any_of: [{issuer: corporate}, {issuer: web}]}
    forward: {upstream: u, identity: {token: original}}
"#;

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let web = "
  - name: web
    issuer: https://idp.test/web
    audience: [api]
    keys: {url: '@JWKS@'}
    read_token_from: [{cookie: tok}]
";
    let issuers = format!("{}{web}", ISSUERS.trim_end());
    World::start(&[BASE, HOSTS, UPSTREAMS, &issuers, CONFIG])
});

fn token() -> String {
    WORLD.issuer.token().claim("aud", "api").claim("tenant", "x").sign()
}

fn web() -> String {
    WORLD.issuer.token().claim("iss", "https://idp.test/web").claim("aud", "api").sign()
}

#[test]
fn no_rule_leans_on_a_field_that_the_app_never_sees() {
    let ask = || Request::get("/tenant").bearer(token()).field("x-tenant", "x");
    assert_eq!(WORLD.forwarded(ask()).field("x-tenant"), Some("x"));
    WORLD.refused(ask().field("connection", "x-tenant"), 403, "policy-denied");
    WORLD.refused(ask().field("connection", "authorization"), 401, "credential-missing");
    let post = || Request::post("/typed", "{}").field("content-type", "application/json");
    WORLD.forwarded(post());
    WORLD.refused(post().field("connection", "content-type"), 415, "media-type-not-allowed");
}

#[test]
fn a_second_spelling_of_a_judged_field_does_not_reach_the_app() {
    let post = Request::post("/typed", "{}").field("content-type", "application/json");
    let post = post.field("content_type", "text/html").field("x_own", "1").field("x-own", "2");
    let seen = WORLD.forwarded(post);
    assert_eq!(seen.field("content-type"), Some("application/json"));
    assert_eq!((seen.field("content_type"), seen.field("x_own")), (None, None));
    assert_eq!(seen.field("x-own"), Some("2"));
}

#[test]
fn only_the_credential_that_was_judged_is_handed_on() {
    let (good, web) = (token(), web());
    let cookie = format!("a=1; tok={web}");
    let ask = Request::get("/cookie").field("cookie", &cookie).bearer("nobody-looked");
    let seen = WORLD.forwarded(ask);
    assert_eq!(seen.field("authorization"), None);
    assert_eq!(seen.field("cookie"), Some(&*cookie));
    let ask = Request::get("/bearer").bearer(&good).field("cookie", "tok=nobody-looked; a=1");
    let seen = WORLD.forwarded(ask);
    assert_eq!(seen.field("authorization"), Some(&*format!("Bearer {good}")));
    assert_eq!(seen.field("cookie"), Some("a=1"));
}

#[test]
fn a_cookie_that_is_there_twice_is_wrong() {
    let twice = Request::get("/cookie").field("cookie", "tok=a; tok=b");
    WORLD.refused(twice, 401, "credential-invalid");
    WORLD.forwarded(Request::get("/cookie"));
}
