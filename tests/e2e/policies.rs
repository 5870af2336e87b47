//! Rules in CEL on the way of real requests: who owns what, and what cannot be judged.

use std::sync::LazyLock;
use std::time::Duration;

use portcullis_testkit::{CertificateAuthority, Request, Token, until};

use crate::world::{ADMIN_TOKEN, BASE, HOSTS, ISSUERS, UPSTREAMS, World, launch};

const CONFIG: &str = r#"
policies:
  owner_or_admin: 'principal.subject == path.user_id || "admin" in principal.roles'
  same_tenant: 'request.query.tenant == claims.tenant'
  named: 'has(claims.tenant) && request.headers["x-plan"].matches("^(gold|silver)$$")'
  known_or_reading: 'principal != null || request.method == "GET"'
  always: 'now.getHours("Europe/Berlin") >= 0'
  any_group: 'claims.groups.exists(g, g == path.group)'
routes:
  - name: orders
    path: /users/{user_id}/orders
    access: {any_of: [{issuer: corporate, scopes: [read]}], policies: [always, owner_or_admin]}
    forward: {upstream: u}
  - name: rest
    path: /users/{user_id}/files/{*rest}
    encoded_slash: true
    access: {any_of: [{issuer: corporate}], policies: [owner_or_admin]}
    forward: {upstream: u}
  - name: tenant
    path: /tenant
    access: {any_of: [{issuer: corporate}], policies: [same_tenant]}
    forward: {upstream: u}
  - name: named
    path: /named
    access: {any_of: [{issuer: corporate}], policies: [named]}
    forward: {upstream: u}
  - name: optional
    path: /optional
    access: {any_of: [{issuer: corporate}, anonymous], policies: [known_or_reading]}
    forward: {upstream: u}
  - name: group
    path: /groups/{group}
    access: {any_of: [{issuer: corporate}], policies: [any_group]}
    forward: {upstream: u}
"#;

static WORLD: LazyLock<World> =
    LazyLock::new(|| World::start(&[BASE, HOSTS, UPSTREAMS, ISSUERS, CONFIG]));

fn token(subject: &str) -> Token {
    WORLD.issuer.token().claim("aud", "api").claim("sub", subject).claim("scope", "read")
}

fn get(path: &str, subject: &str) -> Request {
    Request::get(path).bearer(token(subject).sign())
}

fn denied(request: Request) {
    WORLD.refused(request, 403, "policy-denied");
}

#[test]
fn an_order_belongs_to_its_owner_and_to_admins() {
    WORLD.forwarded(get("/users/ann/orders", "ann"));
    WORLD.forwarded(get("/users/%61nn/orders", "ann"));
    denied(get("/users/ann/orders", "bob"));
    denied(get("/users/Ann/orders", "ann"));
    denied(get("/users/ann;bob/orders", "bob"));
    denied(get("/users/ann;v=1/orders", "ann;v=1"));
    let admin = token("bob").claim("roles", ["admin"]).sign();
    WORLD.forwarded(Request::get("/users/ann/orders").bearer(admin));
    let other = token("bob").claim("roles", ["administrator"]).sign();
    denied(Request::get("/users/ann/orders").bearer(other));
    // The scope comes first.
    let without = WORLD.issuer.token().claim("aud", "api").claim("sub", "ann").sign();
    let request = Request::get("/users/ann/orders").bearer(without);
    WORLD.refused(request, 403, "scope-missing");
    WORLD.refused(Request::get("/users/ann/orders"), 401, "credential-missing");
}

#[test]
fn an_encoded_slash_is_part_of_its_segment() {
    WORLD.forwarded(get("/users/a%2Fb/files/x/y", "a/b"));
    denied(get("/users/a%2Fb/files/x/y", "a"));
    denied(get("/users/a/files/b%2F..%2F", "b"));
}

#[test]
fn what_is_missing_or_stands_there_twice_refuses() {
    let ann = || token("ann").claim("tenant", "acme").sign();
    let ask = |target: &str| Request::get(target).bearer(ann());
    WORLD.forwarded(ask("/tenant?tenant=acme"));
    for target in [
        "/tenant",
        "/tenant?tenant=",
        "/tenant?tenant=other",
        "/tenant?tenant=acme&tenant=other",
        "/tenant?tenant=other&tenant=acme",
        "/tenant?tenant=acme&ten%61nt=other",
        "/tenant?x=1;tenant=acme",
        "/tenant?tenant=%FF",
    ] {
        denied(ask(target));
    }
    denied(get("/tenant?tenant=acme", "ann"));
    WORLD.forwarded(ask("/named").field("x-plan", "gold"));
    denied(ask("/named").field("x-plan", "gold").field("x-plan", "gold"));
    denied(ask("/named").field("x-plan", "golden"));
    denied(ask("/named"));
    denied(get("/named", "ann").field("x-plan", "gold"));
}

#[test]
fn nobody_in_particular_is_judged_too() {
    WORLD.forwarded(Request::get("/optional"));
    denied(Request::post("/optional", "x"));
    let known = Request::post("/optional", "x").bearer(token("ann").sign());
    WORLD.forwarded(known);
    let wrong = Request::get("/optional").bearer("wrong");
    WORLD.refused(wrong, 401, "credential-invalid");
}

#[test]
fn lists_are_gone_through_within_bounds() {
    let member = |groups: Vec<String>| token("ann").claim("groups", groups).sign();
    let ask = |groups| Request::get("/groups/g7").bearer(member(groups));
    let some = |count: usize| (0..count).map(|n| format!("g{n}")).collect::<Vec<_>>();
    WORLD.forwarded(ask(some(8)));
    denied(ask(some(7)));
    WORLD.forwarded(ask(some(1000)));
    denied(ask(some(1001)));
    denied(Request::get("/groups/g7").bearer(token("ann").claim("groups", "g7").sign()));
}

#[test]
fn the_client_learns_nothing_and_the_operator_all_but_values() {
    let request = get("/tenant?tenant=of-somebody", "ann");
    let answer = WORLD.refused(request, 403, "policy-denied");
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(!body.contains("same_tenant") && !body.contains("claims"), "{body}");
    let id = answer.field("x-request-id").expect("an id").to_owned();
    let line = WORLD.gateway.access_line(&id);
    assert_eq!(line["code"], "policy-denied", "{line}");
    assert_eq!(line["reason"], "policy same_tenant: no such claim tenant", "{line}");
    let admin = WORLD.gateway.plain("admin");
    let decisions = until(Duration::from_secs(10), "the decision is there", || {
        let request = Request::get(format!("/decisions?request_id={id}"));
        let request = request.host(&WORLD.gateway.address("admin").to_string()).bearer(ADMIN_TOKEN);
        let text = admin.send(&request).expect(200).json().to_string();
        text.contains("policy-denied").then_some(text)
    });
    assert!(decisions.contains("no such claim tenant"), "{decisions}");
    assert!(!decisions.contains("of-somebody\""), "{decisions}");
}

#[test]
fn explain_shows_the_rule_and_its_line() {
    let config = [BASE, HOSTS, UPSTREAMS, ISSUERS, CONFIG].concat();
    let config = config
        .replace("@UPSTREAM@", "http://127.0.0.1:9")
        .replace("@JWKS@", &WORLD.issuer.jwks_url());
    let line = config.lines().position(|line| line.contains("owner_or_admin: ")).expect("a line");
    let launch = launch(&config, &CertificateAuthority::new());
    for (subject, code, said) in [("ann", 0, "true"), ("bob", 1, "false")] {
        let field = format!("authorization: Bearer {}", token(subject).sign());
        let url = "https://api.test/users/ann/orders";
        let finished = launch.command(&["explain", "GET", url, "--header", &field]);
        let text = &finished.stdout;
        assert_eq!(finished.code, code, "{text}");
        let note = text.lines().find(|line| line.contains("policy owner_or_admin")).expect(text);
        assert!(note.contains(r#"== path.user_id || "admin" in principal.roles"#), "{note}");
        assert!(note.contains(said) && note.contains(&(line + 1).to_string()), "{note}");
    }
}
