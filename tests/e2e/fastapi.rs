//! A real `FastAPI` app on uvicorn behind the gateway, and a real browser in front of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis_testkit::browser::Browser;
use portcullis_testkit::{
    CertificateAuthority, Gateway, Issuer, Process, Reply, Request, Token, Upstream, free_address,
    tools, until,
};
use serde_json::json;

use crate::world::launch;

struct Shop {
    issuer: Issuer,
    authority: CertificateAuthority,
    gateway: Gateway,
    app: Arc<Process>,
}

/// Starts uvicorn on a free port and tells its address.
fn uvicorn(python: &Path, environment: &[(String, String)]) -> (Process, String) {
    let folder = tools::workspace().join("examples/fastapi");
    let arguments = [
        "-B",
        "-m",
        "uvicorn",
        "app:app",
        "--port",
        "0",
        "--no-server-header",
        "--log-level",
        "info",
    ];
    let app = Process::start(python, &arguments, &folder, environment);
    let url = until(Duration::from_mins(1), "uvicorn is up", || {
        let lines = app.stderr();
        assert!(app.exit_code().is_none(), "{}", lines.join("\n"));
        let line = lines.iter().find(|line| line.contains("running on"))?;
        line.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned)
    });
    (app, url)
}

/// The example, with names and ports of this machine put in. Each replaced text must be there, so
/// that the example and this test cannot drift apart.
fn shop(page_origin: &str) -> Option<Shop> {
    let python = tools::python()?;
    let issuer = Issuer::start();
    let authority = CertificateAuthority::new();
    let probes = free_address().port();
    let keys = format!("http://127.0.0.1:{probes}/.well-known/portcullis/jwks.json");
    let environment = [
        ("GATEWAY_KEYS".to_owned(), keys),
        ("GATEWAY_ISSUER".to_owned(), "https://api.test".to_owned()),
    ];
    let (app, url) = uvicorn(&python, &environment);
    let file = tools::workspace().join("examples/fastapi/gateway.yaml");
    let mut config = std::fs::read_to_string(file).expect("the example is there");
    let jwks = format!(
        "[orders-api]\n    keys: {{url: \"{}\"}}\n    algorithms: [RS256]",
        issuer.jwks_url()
    );
    for (theirs, ours) in [
        ("[::]:443", "127.0.0.1:0"),
        ("[api.example.com]", "[api.test]"),
        ("/etc/portcullis/tls.crt", "\"@DIR@/tls.crt\""),
        ("/run/secrets/tls.key", "\"@DIR@/tls.key\""),
        ("https://login.example.com/realms/acme", "https://idp.test/r1"),
        ("[orders-api]", &jwks),
        ("http://127.0.0.1:8000", &url),
        ("https://app.example.com", page_origin),
    ] {
        assert!(config.contains(theirs), "{theirs} is not in the example any more");
        config = config.replace(theirs, ours);
    }
    config += "admin: {address: \"127.0.0.1:0\", probes: \"127.0.0.1:@PROBES@\"}\n";
    config = config.replace("@PROBES@", &probes.to_string());
    let gateway = launch(&config, &authority).start();
    Some(Shop { issuer, authority, gateway, app: Arc::new(app) })
}

impl Shop {
    fn token(&self, subject: &str, scope: &str) -> Token {
        self.issuer.token().claim("aud", "orders-api").claim("sub", subject).claim("scope", scope)
    }

    fn send(&self, request: &Request) -> portcullis_testkit::Answer {
        self.gateway.https(self.authority.trust()).send(request)
    }
}

#[test]
fn orders_belong_to_their_owners() {
    let Some(shop) = shop("https://app.example.com") else { return };
    let orders = |user: &str| format!("/v1/users/{user}/orders");
    let write = shop.token("ann", "orders:write orders:read").sign();
    let order = json!({ "item": "tea", "quantity": 2 }).to_string();
    let place = |token: &str| {
        Request::post(orders("ann"), &order).field("content-type", "application/json").bearer(token)
    };
    shop.send(&Request::get(orders("ann"))).expect_refusal(401, "credential-missing");
    let read = shop.token("ann", "orders:read").sign();
    shop.send(&place(&read)).expect_refusal(403, "scope-missing");
    let placed = shop.send(&place(&write));
    assert_eq!(placed.expect(201).json()["owner"], "ann");
    assert_eq!(placed.field("x-content-type-options"), Some("nosniff"));
    assert_eq!(placed.field("server"), None);
    let listed = shop.send(&Request::get(orders("ann")).bearer(&read));
    assert_eq!(listed.expect(200).json()[0]["item"], "tea");
    // The app's own decision passes as it is.
    let other = shop.token("bob", "orders:read").sign();
    let forged = Request::get(orders("ann")).bearer(&other).field("X_Auth_Subject", "ann");
    let answer = shop.send(&forged.field("x-auth-subject", "ann"));
    assert_eq!(answer.expect(403).json()["detail"], "these orders belong to somebody else");
    let wrong = Request::post(orders("ann"), "quantity=1").bearer(&write);
    let wrong = wrong.field("content-type", "application/x-www-form-urlencoded");
    shop.send(&wrong).expect_refusal(415, "media-type-not-allowed");
    shop.send(&Request::get("/openapi.json").host("evil.test"))
        .expect_refusal(421, "host-not-allowed");
    // uvicorn closes idle connections after five seconds; the next request must not notice.
    assert!(shop.app.exit_code().is_none());
}

/// The ids of `user`'s orders, as the user sees them.
fn listed(shop: &Shop, user: &str) -> Vec<i64> {
    let token = shop.token(user, "orders:read").sign();
    let answer = shop.send(&Request::get(format!("/v1/users/{user}/orders")).bearer(token));
    let list = answer.expect(200).json();
    list.as_array().expect("a list").iter().filter_map(|order| order["id"].as_i64()).collect()
}

#[test]
fn only_owners_and_admins_change_orders() {
    let Some(shop) = shop("https://app.example.com") else { return };
    let order = json!({ "item": "tea", "quantity": 2 }).to_string();
    let ann = shop.token("ann", "orders:write").sign();
    let bob = shop.token("bob", "orders:write").sign();
    let admin = shop.token("carol", "orders:write").claim("roles", ["admin"]).sign();
    let send = |method: &str, path: &str, token: &str| {
        let request = Request::new(method, path).body(&order).bearer(token);
        shop.send(&request.field("content-type", "application/json"))
    };
    let placed = send("POST", "/v1/users/ann/orders", &ann);
    let id = placed.expect(201).json()["id"].as_i64().expect("an id");
    let orders = "/v1/users/ann/orders";
    let one = format!("{orders}/{id}");
    for (method, path) in [("POST", orders), ("PUT", &one), ("DELETE", &one)] {
        send(method, path, &bob).expect_refusal(403, "policy-denied");
    }
    // The path says whose orders they are; bob's own path leads to none of ann's.
    send("DELETE", &format!("/v1/users/bob/orders/{id}"), &bob).expect(404);
    for spelling in ["/v1/users/ann;bob/orders", "/v1/users/ANN/orders", "/v1/users/ann%20/orders"]
    {
        send("POST", spelling, &ann).expect_refusal(403, "policy-denied");
    }
    assert_eq!(listed(&shop, "ann"), [id]);
    assert_eq!(send("PUT", &one, &ann).expect(200).json()["quantity"], 2);
    send("PUT", &one, &admin).expect(200);
    let for_ann = send("POST", "/v1/users/%61nn/orders", &admin);
    let other = for_ann.expect(201).json()["id"].as_i64().expect("an id");
    assert_eq!(listed(&shop, "ann"), [id, other]);
    send("DELETE", &one, &ann).expect(204);
    assert_eq!(listed(&shop, "ann"), [other]);
}

#[test]
fn the_app_believes_the_gateways_signature() {
    let Some(shop) = shop("https://app.example.com") else { return };
    let me = Request::get("/v1/me").bearer(shop.token("ann", "").sign());
    let answer = shop.send(&me.field("x-portcullis-identity", "forged"));
    assert_eq!(answer.expect(200).json()["subject"], "ann");
}

/// A page that calls the API across origins and writes what came of it into its own text.
const PAGE: &str = r"<!doctype html><title>page</title><pre id=out></pre><script>
const api = 'https://api.test:@PORT@';
const out = document.getElementById('out');
async function call(name, path, options) {
  try {
    const answer = await fetch(api + path, options);
    out.textContent += `${name}:${answer.status}:${answer.headers.get('x-request-id') ? 'id' : 'no id'};`;
  } catch (error) {
    out.textContent += `${name}:blocked;`;
  }
}
(async () => {
  const headers = { authorization: 'Bearer @TOKEN@' };
  const json = { ...headers, 'content-type': 'application/json' };
  const body = JSON.stringify({ item: 'tea', quantity: 1 });
  await call('read', '/v1/users/ann/orders', { headers });
  await call('place', '/v1/users/ann/orders', { method: 'POST', headers: json, body });
  await call('nobody', '/v1/users/ann/orders', {});
  await call('unlisted', '/v1/users/ann/orders', { headers: { ...headers, 'x-unlisted': '1' } });
  await call('delete', '/v1/users/ann/orders', { method: 'DELETE', headers });
  out.textContent += 'done';
})();
</script>";

fn page_text(dom: &str) -> String {
    let start = dom.find("id=\"out\">").map_or(0, |at| at + 9);
    dom[start..].split("</pre>").next().unwrap_or_default().to_owned()
}

fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

#[test]
fn a_browser_on_another_origin_may_call_what_the_file_grants() {
    if tools::chromium().is_none() {
        return;
    }
    let pages = Upstream::start();
    let origin = pages.url();
    let Some(shop) = shop(&origin) else { return };
    let address = shop.gateway.address("https");
    let page = PAGE
        .replace("@PORT@", &address.port().to_string())
        .replace("@TOKEN@", &shop.token("ann", "orders:read orders:write").sign());
    pages.answer("GET /page ", Reply::new(200, page).field("content-type", "text/html"));
    let browser = Browser::new().map("api.test", address);
    let seen = browser.open(&format!("{origin}/page"), scratch()).expect("a browser");
    assert_eq!(
        page_text(&seen.stdout),
        "read:200:id;place:201:id;nobody:401:id;unlisted:blocked;delete:blocked;done",
        "{}",
        seen.stderr
    );
    // The same page on another origin gets nothing.
    let elsewhere = Upstream::start();
    let page = PAGE
        .replace("@PORT@", &address.port().to_string())
        .replace("@TOKEN@", &shop.token("ann", "orders:read orders:write").sign());
    elsewhere.answer("GET /page ", Reply::new(200, page).field("content-type", "text/html"));
    let url = format!("{}/page", elsewhere.url());
    let seen = browser.open(&url, scratch()).expect("a browser");
    assert_eq!(
        page_text(&seen.stdout),
        "read:blocked;place:blocked;nobody:blocked;unlisted:blocked;delete:blocked;done"
    );
}

#[test]
fn the_docs_of_fastapi_render_behind_the_default_headers() {
    if tools::chromium().is_none() {
        return;
    }
    let Some((_, packages)) = tools::node() else { return };
    let Some(shop) = shop("https://app.example.com") else { return };
    // The page loads its scripts from a CDN, which is played by a package of the same name.
    let names = ["cdn.jsdelivr.net", "fastapi.tiangolo.com"];
    let cdn = Upstream::start_tls(shop.authority.issue(&names).server_config());
    for (file, kind) in
        [("swagger-ui-bundle.js", "application/javascript"), ("swagger-ui.css", "text/css")]
    {
        let body = std::fs::read(packages.join("node_modules/swagger-ui-dist").join(file)).unwrap();
        let reply = Reply::new(200, body).field("content-type", kind);
        cdn.answer(&format!("/{file} "), reply.field("access-control-allow-origin", "*"));
    }
    let address = shop.gateway.address("https");
    let browser = Browser::new()
        .map("api.test", address)
        .map("cdn.jsdelivr.net:443", cdn.address())
        .map("fastapi.tiangolo.com:443", cdn.address());
    let url = format!("https://api.test:{}/docs", address.port());
    let seen = browser.open(&url, scratch()).expect("a browser");
    // Drawn by the scripts, from the API's own description.
    for text in ["List Orders", "Place Order", "/v1/users/{user_id}/orders"] {
        let spaced = seen.stdout.replace("<wbr>", "").replace("\u{200b}", "");
        assert!(spaced.contains(text), "{text} is not on the page: {}", seen.stderr);
    }
    assert!(!seen.stderr.contains("Content Security Policy"), "{}", seen.stderr);
}
