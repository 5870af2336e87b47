//! The whole policy on one request, compiled from a file: with a cached token, and without one.

use std::error::Error;
use std::hint::black_box;
use std::net::IpAddr;
use std::path::Path;

use criterion::Criterion;
use http::{HeaderMap, HeaderValue, Method, header};
use jwt_simple::prelude::{Claims, Duration, ECDSAP256KeyPairLike, ES256KeyPair};
use portcullis_config::{LoadOptions, Snapshot};
use portcullis_core::{Authority, CanonicalPath, Clock, ConnMeta, Head};
use portcullis_policy::{NoTrace, Verdict};
use serde_json::json;

/// A route as in front of a real API: host list, token, scope, two limits, CORS.
fn file(jwks: &Path) -> String {
    format!(
        r#"
version: 1
listeners: [{{name: app, address: "127.0.0.1:0", cleartext: true}}]
hosts: [api.example.com, "*.tenants.example.com"]
issuers:
  - name: idp
    issuer: https://idp.test/r1
    audience: [api]
    algorithms: [ES256]
    keys: {{file: {}}}
    claims: {{roles: [roles]}}
limits:
  - {{name: per_address, key: address, rate: 4000000000/min}}
  - {{name: per_principal, key: principal, rate: 4000000000/min}}
upstreams: [{{name: app, endpoints: ["http://127.0.0.1:8000"]}}]
cors: [{{name: web, origins: ["https://app.example.com"], methods: [GET], headers: [authorization]}}]
routes:
  - name: orders
    path: /v1/users/{{user_id}}/orders
    methods: [GET]
    access: {{any_of: [{{issuer: idp, scopes: ["orders:read"]}}], roles: [clerk]}}
    limits: [per_address, per_principal]
    cors: web
    forward: {{upstream: app}}
  - {{name: health, path: /healthz, access: public, forward: {{upstream: app}}}}
"#,
        jwks.display()
    )
}

struct World {
    snapshot: Snapshot,
    headers: HeaderMap,
    method: Method,
    conn: ConnMeta,
    _folder: tempfile::TempDir,
}

impl World {
    fn new(runtime: &tokio::runtime::Runtime) -> Result<Self, Box<dyn Error>> {
        let key = ES256KeyPair::generate().with_key_id("k1");
        let mut jwk: serde_json::Value = serde_json::from_str(&key.public_key().to_jwk())?;
        if let Some(jwk) = jwk.as_object_mut() {
            jwk.insert("kid".to_owned(), "k1".into());
        }
        let folder = tempfile::tempdir()?;
        let jwks = folder.path().join("jwks.json");
        std::fs::write(&jwks, json!({"keys": [jwk]}).to_string())?;
        let custom = json!({"scope": "openid orders:read", "roles": ["clerk"]});
        let claims = Claims::with_custom_claims(custom, Duration::from_hours(10))
            .with_issuer("https://idp.test/r1")
            .with_audience("api")
            .with_subject("u1");
        let token = key.sign(claims)?;
        let options = LoadOptions::new(Clock::system());
        let loaded = portcullis_config::check_text("gateway.yaml", &file(&jwks), &options);
        let snapshot = loaded.map_err(|report| report.render_text(false))?.snapshot;
        for keys in snapshot.keys.values() {
            runtime.block_on(keys.load_now());
        }
        let mut headers = HeaderMap::new();
        let bearer = HeaderValue::try_from(format!("Bearer {token}"))?;
        headers.insert(header::AUTHORIZATION, bearer);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let conn = ConnMeta { listener: "app".into(), peer: None, local: None, tls: None };
        Ok(Self { snapshot, headers, method: Method::GET, conn, _folder: folder })
    }

    fn head(&self, path: &str) -> Result<Head<'_>, Box<dyn Error>> {
        Ok(Head {
            method: &self.method,
            authority: Authority::parse("api.example.com")?,
            path: CanonicalPath::parse(path)?,
            query: None,
            headers: &self.headers,
            https: false,
            content_length: None,
            has_body: false,
        })
    }

    fn forwards(&self, runtime: &tokio::runtime::Runtime, head: &Head<'_>) -> bool {
        let pipeline = &self.snapshot.pipeline;
        let peer = IpAddr::from([127, 0, 0, 1]);
        let client = pipeline.clients.trusted_proxies.view(peer, head.headers);
        let decided = runtime.block_on(pipeline.decide(head, &self.conn, &client, &mut NoTrace));
        matches!(decided.verdict, Verdict::Forward(_))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let world = World::new(&runtime)?;
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("decide");
    for (name, path) in [("cached token", "/v1/users/4711/orders"), ("public", "/healthz")] {
        let head = world.head(path)?;
        if !world.forwards(&runtime, &head) {
            return Err(format!("{name}: not forwarded").into());
        }
        group.bench_function(name, |bencher| {
            bencher.iter(|| world.forwards(&runtime, black_box(&head)));
        });
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}
