//! The pipeline as a whole, with a real issuer: each stage lets pass and refuses.

mod certificates;

use std::collections::HashMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use jwt_simple::prelude::*;
use portcullis_authn::{
    Alg, ClaimPaths, Issuer, IssuerSettings, KeyCache, KeySource, Proof, ReadFrom, Refresh,
};
use portcullis_core::forwarded::TrustedProxies;
use portcullis_core::{CanonicalPath, HostPattern, TlsMeta};
use portcullis_limit::{Limiter, Quota};
use serde_json::json;

use portcullis_core::{ChallengeError, Scheme};

use super::*;
use crate::hosts::HostEntry;
use crate::limits::{AddressLimit, PrincipalLimit};
use crate::{
    Access, BodyRules, ClientRules, CookieRules, Demand, Forward, IdentityRules, Lines, MediaType,
    NoTrace, OriginPattern, PathPattern, PrincipalKey, Role, RouteTableBuilder, RouteTimeouts,
    ToHttps, TokenMode, TokenWay, UpstreamSettings, UpstreamTimeouts,
};

/// An issuer with one ES256 key, published in a file.
struct Idp {
    key: ES256KeyPair,
    issuer: Arc<Issuer>,
    _folder: tempfile::TempDir,
}

impl Idp {
    async fn new(
        name: &str,
        url: &str,
        read_from: ReadFrom,
        clock: &portcullis_core::Clock,
    ) -> Self {
        let key = ES256KeyPair::generate().with_key_id("k2");
        let mut jwk: serde_json::Value = serde_json::from_str(&key.public_key().to_jwk()).unwrap();
        jwk["kid"] = json!("k2");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jwks.json");
        std::fs::write(&file, json!({"keys": [jwk]}).to_string()).unwrap();
        let settings = IssuerSettings {
            name: name.into(),
            issuer: url.into(),
            audience: vec!["api".to_owned()],
            audience_claim: "aud".to_owned(),
            algorithms: vec![Alg::Es256],
            keys: KeySource::File(file),
            refresh: Refresh::default(),
            trust_pem: None,
            token_types: vec!["JWT".to_owned()],
            leeway: Duration::from_secs(30),
            maximum_lifetime: None,
            required_claims: vec!["sub".to_owned()],
            read_from: vec![read_from],
            claims: ClaimPaths { roles: Some(vec!["roles".to_owned()]), ..ClaimPaths::default() },
            proof: Proof::default(),
        };
        let keys = KeyCache::new(&settings, clock.clone()).unwrap();
        keys.load_now().await;
        let issuer = Arc::new(Issuer::new(settings, keys, clock.clone()));
        Self { key, issuer, _folder: folder }
    }

    fn token(&self, subject: &str, scope: &str, roles: &[&str]) -> String {
        let custom = json!({"scope": scope, "roles": roles, "tenant": "t1"});
        let claims =
            Claims::with_custom_claims(custom, jwt_simple::prelude::Duration::from_secs(600))
                .with_issuer(&*self.issuer.settings().issuer)
                .with_audience("api")
                .with_subject(subject);
        self.key.sign(claims).unwrap()
    }
}

fn limiter(name: &str, burst: u32) -> Limiter {
    let quota = Quota {
        name: name.into(),
        count: NonZeroU32::new(burst).unwrap(),
        period: Duration::from_mins(1),
        burst: NonZeroU32::new(burst).unwrap(),
        maximum_keys: 1000,
    };
    Limiter::new(quota, portcullis_core::Clock::system())
}

fn route(name: &str, methods: &[&str], access: Access) -> Route {
    let upstream = Arc::new(UpstreamSettings {
        name: "app".into(),
        endpoints: Vec::new(),
        balance: crate::Balance::RoundRobin,
        health: None,
        eject: crate::Ejection::default(),
        timeouts: UpstreamTimeouts::default(),
        retries: 1,
        tls: None,
        host_header: crate::HostHeader::Keep,
    });
    let identity =
        IdentityRules { headers: Vec::new(), token: TokenMode::None, audience: "app".into() };
    Route {
        name: name.into(),
        origin: Origin(10),
        methods: methods.iter().map(|m| m.parse().unwrap()).collect(),
        encoded_slash: false,
        access,
        clients: None,
        address_limits: Vec::new(),
        penalty: None,
        principal_limits: Vec::new(),
        concurrent_limits: Vec::new(),
        upgrade: Vec::new(),
        cors: RouteCors::Off,
        body: BodyRules { maximum: 100, types: Vec::new(), origin: Origin(11), report_only: None },
        timeouts: RouteTimeouts { total: Duration::from_mins(1) },
        response_headers: Arc::new(HeaderPolicy::default()),
        forward: Forward {
            upstream,
            strip_prefix: None,
            identity,
            cookies: CookieRules::default(),
        },
    }
}

fn public() -> Access {
    Access::Public { origin: Origin(12) }
}

const TO_HTTPS: ToHttps = ToHttps { port: NonZeroU16::new(443).unwrap(), origin: Origin(7) };

fn pipeline(routes: Vec<(&str, Route)>) -> Pipeline {
    let entry = |pattern: &str, tls12| HostEntry {
        pattern: HostPattern::parse(pattern).unwrap(),
        tls12,
        clients: None,
        origin: Origin(1),
    };
    let mut table = RouteTableBuilder::new(2);
    for (path, route) in routes {
        let pattern = PathPattern::parse(path).unwrap();
        table.add(0, &pattern, &Arc::new(route)).unwrap();
    }
    Pipeline {
        clients: Clients {
            trusted_proxies: TrustedProxies::default(),
            ipv6_prefix: 64,
            rules: ClientRules {
                deny: vec!["192.0.2.0/24".parse().unwrap()],
                ..ClientRules::default()
            },
        },
        flood: None,
        hosts: HostAllowList::new([entry("api.test", false), entry("old.test", true)], []),
        transport: Transport::new(
            [("http".into(), Role::Redirects(TO_HTTPS)), ("plain".into(), Role::Serves)],
            [],
        ),
        default_cors: None,
        default_headers: Arc::new(HeaderPolicy::default()),
        routes: table.finish(),
        lines: Lines::default(),
    }
}

/// A request as the tests write it.
struct Ask {
    method: &'static str,
    host: &'static str,
    target: &'static str,
    headers: Vec<(&'static str, String)>,
    peer: &'static str,
    /// The version; without TLS, the listener.
    tls: &'static str,
    length: Option<u64>,
}

fn get(target: &'static str) -> Ask {
    Ask {
        method: "GET",
        host: "api.test",
        target,
        headers: Vec::new(),
        peer: "203.0.113.9",
        tls: "TLSv1.3",
        length: None,
    }
}

impl Ask {
    fn method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn bearer(self, token: &str) -> Self {
        self.with("authorization", format!("Bearer {token}"))
    }

    async fn of(&self, pipeline: &Pipeline) -> Decision {
        let mut headers = http::HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(HeaderName::from_static(name), HeaderValue::try_from(value).unwrap());
        }
        let (path, query) =
            self.target.split_once('?').map_or((self.target, None), |(p, q)| (p, Some(q)));
        let method = self.method.parse().unwrap();
        let head = Head {
            method: &method,
            authority: portcullis_core::Authority::parse(self.host).unwrap(),
            path: CanonicalPath::parse(path).unwrap(),
            query,
            headers: &headers,
            https: self.tls.starts_with("TLS"),
            content_length: self.length,
            has_body: self.length.is_some(),
        };
        let tls = TlsMeta {
            server_name: Some("old.test".to_owned()),
            version: self.tls,
            cipher_suite: "",
            group: None,
            resumed: false,
            policy: portcullis_core::ClientPolicy::NONE,
            client: None,
        };
        let is_tls = self.tls.starts_with("TLS");
        let conn = ConnMeta {
            listener: if is_tls { "https" } else { self.tls }.into(),
            peer: None,
            proxy: None,
            local: None,
            tls: is_tls.then_some(tls),
        };
        let client = pipeline.clients.trusted_proxies.view(self.peer.parse().unwrap(), &headers);
        pipeline.decide(&head, &conn, &client, &mut NoTrace).await
    }
}

/// `200` stands for leave to forward, `204` for an answered preflight, `299` for metadata.
fn status(decision: &Decision) -> (u16, &'static str) {
    match &decision.verdict {
        Verdict::Deny(refusal) => (refusal.status(), refusal.code()),
        Verdict::Forward(_) => (200, ""),
        Verdict::Preflight(_) => (204, ""),
        Verdict::Redirect(_) => (308, ""),
        Verdict::Metadata(_) => (299, ""),
    }
}

#[track_caller]
fn check(decision: &Decision, expected: u16, code: &str) {
    assert_eq!(status(decision), (expected, code));
}

#[tokio::test]
async fn cleartext_is_judged_after_the_host_and_before_the_route() {
    let mut rules = pipeline(vec![("/open/{*rest}", route("open", &["GET", "POST"], public()))]);
    let http = |target| Ask { tls: "http", ..get(target) };
    check(&http("/open/a").of(&rules).await, 308, "");
    check(&http("/nothing").of(&rules).await, 308, "");
    check(&http("/open/a").method("POST").of(&rules).await, 403, "tls-required");
    check(&http("/open/a").method("OPTIONS").of(&rules).await, 403, "tls-required");
    let preflight = http("/open/a").method("OPTIONS").with("origin", "https://ui.test");
    let preflight = preflight.with("access-control-request-method", "POST");
    check(&preflight.of(&rules).await, 403, "tls-required");
    let foreign = Ask { host: "evil.test", ..http("/open/a") };
    check(&foreign.of(&rules).await, 421, "host-not-allowed");
    let denied = Ask { peer: "192.0.2.7", ..http("/open/a") };
    check(&denied.of(&rules).await, 403, "client-not-allowed");
    check(&Ask { tls: "plain", ..get("/open/a") }.of(&rules).await, 200, "");
    check(&Ask { tls: "gone", ..get("/open/a") }.of(&rules).await, 403, "tls-required");
    rules.flood = Some(FloodGuard { limiter: limiter("flood", 1), origin: Origin(3) });
    check(&http("/open/a").of(&rules).await, 308, "");
    check(&http("/open/a").of(&rules).await, 429, "rate-limited");
}

/// The port that counts is that of where the client is sent.
#[tokio::test]
async fn nobody_is_sent_to_a_host_that_is_not_served() {
    let mut rules = pipeline(vec![("/{*rest}", route("all", &["GET"], public()))]);
    let entry = |pattern: &str| HostEntry {
        pattern: HostPattern::parse(pattern).unwrap(),
        tls12: false,
        clients: None,
        origin: Origin(1),
    };
    rules.hosts = HostAllowList::new([entry("api.test:443"), entry("old.test:8080")], []);
    let at = |host| Ask { tls: "http", host, ..get("/") };
    check(&at("api.test").of(&rules).await, 308, "");
    check(&at("api.test:8080").of(&rules).await, 308, "");
    check(&at("old.test:8080").of(&rules).await, 421, "host-not-allowed");
}

#[tokio::test]
async fn clients_hosts_and_routes_are_asked_in_this_order() {
    let rules = pipeline(vec![("/open/{*rest}", route("open", &["GET", "HEAD"], public()))]);
    check(&get("/open/a").of(&rules).await, 200, "");
    check(&get("/open/").of(&rules).await, 200, "");
    check(&get("/open").of(&rules).await, 404, "route-not-found");
    check(&get("/open/a").method("POST").of(&rules).await, 405, "method-not-allowed");
    check(&get("/open/a").method("OPTIONS").of(&rules).await, 405, "method-not-allowed");
    let foreign = Ask { host: "evil.test", ..get("/open/a") };
    check(&foreign.of(&rules).await, 421, "host-not-allowed");
    let denied = Ask { peer: "192.0.2.7", host: "evil.test", ..get("/open/a") };
    check(&denied.of(&rules).await, 403, "client-not-allowed");
}

#[tokio::test]
async fn a_tls12_connection_serves_only_hosts_that_allow_it() {
    let rules = pipeline(vec![("/open", route("open", &["GET"], public()))]);
    let old = |host| Ask { tls: "TLSv1.2", host, ..get("/open") };
    check(&old("api.test").of(&rules).await, 421, "host-not-allowed");
    check(&old("old.test").of(&rules).await, 404, "route-not-found");
    check(&get("/open").of(&rules).await, 200, "");
}

#[tokio::test]
async fn the_most_specific_path_wins_and_ambiguous_ones_are_refused() {
    let mut files = route("files", &["GET"], public());
    files.encoded_slash = true;
    let rules = pipeline(vec![
        ("/a/{*rest}", route("rest", &["GET"], public())),
        ("/a/{id}", route("one", &["GET"], public())),
        ("/a/me", route("me", &["GET"], public())),
        ("/files/{*rest}", files),
    ]);
    for (target, name) in
        [("/a/me", "me"), ("/a/7", "one"), ("/a/7/x", "rest"), ("/a/me/x", "rest"), ("/a/", "rest")]
    {
        let decision = get(target).of(&rules).await;
        assert_eq!(decision.route.map(|r| r.name.to_string()).as_deref(), Some(name), "{target}");
    }
    check(&get("/a/x%2Fy").of(&rules).await, 400, "malformed-request");
    check(&get("/files/x%2Fy").of(&rules).await, 200, "");
    check(&get("/a/me;x=1").of(&rules).await, 400, "malformed-request");
    check(&get("/a/7;x=1").of(&rules).await, 200, "");
}

#[tokio::test]
async fn bodies_are_judged_by_length_and_type() {
    let mut upload = route("upload", &["POST"], public());
    upload.body.types = vec![MediaType::parse("application/json").unwrap()];
    upload.clients = Some(ClientRules {
        deny: vec!["203.0.113.66/32".parse().unwrap()],
        ..ClientRules::default()
    });
    let rules = pipeline(vec![("/upload", upload)]);
    let post = |length| Ask { length, ..get("/upload").method("POST") };
    let json = |length| post(length).with("content-type", "application/json");
    check(&json(Some(100)).of(&rules).await, 200, "");
    check(&json(Some(101)).of(&rules).await, 413, "body-too-large");
    check(&post(Some(3)).of(&rules).await, 415, "media-type-not-allowed");
    check(
        &post(Some(3)).with("content-type", "text/plain").of(&rules).await,
        415,
        "media-type-not-allowed",
    );
    let twice = json(Some(3)).with("content-type", "application/json");
    check(&twice.of(&rules).await, 415, "media-type-not-allowed");
    check(&post(None).of(&rules).await, 200, "");
    let elsewhere = Ask { peer: "203.0.113.66", ..json(Some(3)) };
    check(&elsewhere.of(&rules).await, 403, "client-not-allowed");
}

#[tokio::test]
async fn limits_by_address_come_before_the_token_and_by_principal_after() {
    let clock = portcullis_core::Clock::system();
    let idp = Idp::new("idp", "https://idp.test", ReadFrom::Authorization, &clock).await;
    let way = TokenWay { issuer: Arc::clone(&idp.issuer), scopes: Vec::new(), origin: Origin(20) };
    let access =
        Access::AnyOf(Demand { tokens: vec![way], origin: Origin(19), ..Demand::default() });
    let mut api = route("api", &["GET"], access);
    api.address_limits =
        vec![AddressLimit { limiter: limiter("address", 4), origin: Origin(5), report_only: None }];
    api.principal_limits = vec![
        PrincipalLimit {
            limiter: limiter("tenant", 3),
            key: PrincipalKey::Claim(vec!["tenant".into()]),
            origin: Origin(7),
            report_only: None,
        },
        PrincipalLimit {
            limiter: limiter("principal", 2),
            key: PrincipalKey::Principal,
            origin: Origin(6),
            report_only: None,
        },
    ];
    let mut rules = pipeline(vec![("/api", api)]);
    let (alice, bob) = (idp.token("alice", "", &[]), idp.token("bob", "", &[]));
    let from = |peer, token: &str| Ask { peer, ..get("/api").bearer(token) };
    check(&from("203.0.113.1", &alice).of(&rules).await, 200, "");
    check(&from("203.0.113.2", &alice).of(&rules).await, 200, "");
    let third = from("203.0.113.3", &alice).of(&rules).await;
    check(&third, 429, "rate-limited");
    assert_eq!(third.standings.len(), 3, "each limit that counted is told");
    assert_eq!(third.standings.last().unwrap().1.remaining, 0);
    check(&from("203.0.113.4", &bob).of(&rules).await, 429, "rate-limited");
    for _ in 0..4 {
        check(
            &Ask { peer: "203.0.113.5", ..get("/api") }.of(&rules).await,
            401,
            "credential-missing",
        );
    }
    check(&Ask { peer: "203.0.113.5", ..get("/api") }.of(&rules).await, 429, "rate-limited");
    rules.flood = Some(FloodGuard { limiter: limiter("flood", 1), origin: Origin(3) });
    let stray = || Ask { peer: "203.0.113.6", host: "evil.test", ..get("/api") };
    check(&stray().of(&rules).await, 421, "host-not-allowed");
    check(&stray().of(&rules).await, 429, "rate-limited");
}

#[tokio::test]
async fn scopes_and_roles_are_demanded() {
    let clock = portcullis_core::Clock::system();
    let idp = Idp::new("idp", "https://idp.test", ReadFrom::Authorization, &clock).await;
    let way = |scopes: &[&str]| TokenWay {
        issuer: Arc::clone(&idp.issuer),
        scopes: scopes.iter().map(|s| (*s).to_owned()).collect(),
        origin: Origin(20),
    };
    let access = |ways, anonymous, roles: &[&str]| {
        Access::AnyOf(Demand {
            tokens: ways,
            anonymous,
            roles: roles.iter().map(|r| (*r).to_owned()).collect(),
            origin: Origin(19),
            ..Demand::default()
        })
    };
    let rules = pipeline(vec![
        ("/both", route("both", &["GET"], access(vec![way(&["a", "b"])], false, &[]))),
        ("/either", route("either", &["GET"], access(vec![way(&["a"]), way(&["c"])], false, &[]))),
        ("/admin", route("admin", &["GET"], access(vec![way(&[])], false, &["admin", "root"]))),
        ("/maybe", route("maybe", &["GET"], access(vec![way(&[])], true, &[]))),
    ]);
    let ask =
        |target, scope: &str, roles: &[&str]| get(target).bearer(&idp.token("u1", scope, roles));
    check(&ask("/both", "a b", &[]).of(&rules).await, 200, "");
    check(&ask("/both", "b c", &[]).of(&rules).await, 403, "scope-missing");
    check(&ask("/either", "c", &[]).of(&rules).await, 200, "");
    check(&ask("/either", "b", &[]).of(&rules).await, 403, "scope-missing");
    check(&ask("/admin", "", &["root"]).of(&rules).await, 200, "");
    check(&ask("/admin", "", &["user"]).of(&rules).await, 403, "role-missing");
    check(&get("/maybe").of(&rules).await, 200, "");
    let wrong = get("/maybe").bearer("nonsense").of(&rules).await;
    check(&wrong, 401, "credential-invalid");
    let good = ask("/maybe", "", &[]).of(&rules).await;
    let Verdict::Forward(grant) = good.verdict else { panic!("forwarded") };
    assert_eq!(grant.principal().unwrap().subject, "u1");
    let Verdict::Deny(Refusal::Denial(Denial::ScopeMissing { challenge })) =
        ask("/both", "a", &[]).of(&rules).await.verdict
    else {
        panic!("refused")
    };
    assert_eq!(challenge.scope, "a b");
    assert_eq!(challenge.error, Some((Scheme::Bearer, ChallengeError::InsufficientScope)));
}

#[tokio::test]
async fn a_wrong_credential_is_never_rescued_and_two_are_refused() {
    let clock = portcullis_core::Clock::system();
    let one = Idp::new("one", "https://one.test", ReadFrom::Authorization, &clock).await;
    let two =
        Idp::new("two", "https://two.test", ReadFrom::Query("access_token".into()), &clock).await;
    let three =
        Idp::new("three", "https://three.test", ReadFrom::Cookie("sid".into()), &clock).await;
    let way = |idp: &Idp| TokenWay {
        issuer: Arc::clone(&idp.issuer),
        scopes: Vec::new(),
        origin: Origin(20),
    };
    let ways = vec![way(&one), way(&two), way(&three)];
    let access = Access::AnyOf(Demand {
        tokens: ways,
        anonymous: true,
        origin: Origin(19),
        ..Demand::default()
    });
    let rules = pipeline(vec![("/api", route("api", &["GET"], access))]);
    let query = |token: &str| -> &'static str {
        Box::leak(format!("/api?access_token={token}").into_boxed_str())
    };
    let cookie = format!("x=1; sid={}", three.token("u3", "", &[]));
    check(&get("/api").bearer(&one.token("u1", "", &[])).of(&rules).await, 200, "");
    check(&get(query(&two.token("u2", "", &[]))).of(&rules).await, 200, "");
    let by_cookie = get("/api").with("cookie", cookie.clone()).of(&rules).await;
    assert_eq!(by_cookie.principal.map(|p| p.subject.clone()).as_deref(), Some("u3"));
    // Explicit before ambient: the wrong header is not rescued by the good cookie.
    check(
        &get("/api").bearer("bad").with("cookie", cookie).of(&rules).await,
        401,
        "credential-invalid",
    );
    // A token in a place that its issuer does not read.
    check(&get(query(&one.token("u1", "", &[]))).of(&rules).await, 401, "credential-invalid");
    let both = get(query(&two.token("u2", "", &[]))).bearer(&one.token("u1", "", &[]));
    check(&both.of(&rules).await, 400, "ambiguous-credentials");
    check(&get("/api").of(&rules).await, 200, "");
}

fn web() -> CorsPolicy {
    CorsPolicy {
        name: "web".into(),
        origins: vec![OriginPattern::parse("https://ui.test").unwrap()],
        any_origin: false,
        null_origin: false,
        methods: vec![http::Method::PUT],
        headers: vec!["authorization".into()],
        expose_headers: Vec::new(),
        credentials: false,
        max_age: Duration::from_mins(1),
        origin: Origin(4),
    }
}

#[tokio::test]
async fn preflights_are_answered_before_the_token_and_not_counted() {
    let clock = portcullis_core::Clock::system();
    let idp = Idp::new("idp", "https://idp.test", ReadFrom::Authorization, &clock).await;
    let access = || {
        Access::AnyOf(Demand {
            tokens: vec![TokenWay {
                issuer: Arc::clone(&idp.issuer),
                scopes: Vec::new(),
                origin: Origin(20),
            }],
            origin: Origin(19),
            ..Demand::default()
        })
    };
    let policy = Arc::new(web());
    let mut api = route("api", &["PUT"], access());
    api.cors = RouteCors::Policy(Arc::clone(&policy));
    api.address_limits =
        vec![AddressLimit { limiter: limiter("address", 1), origin: Origin(5), report_only: None }];
    let mut app = route("app", &["PUT"], access());
    app.cors = RouteCors::App;
    app.clients = Some(ClientRules {
        deny: vec!["203.0.113.66/32".parse().unwrap()],
        ..ClientRules::default()
    });
    let rules =
        pipeline(vec![("/api", api), ("/app", app), ("/off", route("off", &["PUT"], access()))]);
    let preflight = |target, origin: &str| {
        get(target)
            .method("OPTIONS")
            .with("origin", origin)
            .with("access-control-request-method", "PUT")
    };
    for _ in 0..3 {
        let answered = preflight("/api", "https://ui.test").of(&rules).await;
        let Verdict::Preflight(answer) = answered.verdict else { panic!("answered") };
        let fields: HashMap<_, _> = answer.fields.into_iter().collect();
        assert_eq!(fields[&http::header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://ui.test");
    }
    let Verdict::Preflight(evil) = preflight("/api", "https://evil.test").of(&rules).await.verdict
    else {
        panic!("answered")
    };
    assert!(evil.fields.is_empty());
    let Verdict::Forward(grant) = preflight("/app", "https://ui.test").of(&rules).await.verdict
    else {
        panic!("the app answers")
    };
    assert!(grant.is_app_preflight() && grant.principal().is_none());
    let elsewhere = Ask { peer: "203.0.113.66", ..preflight("/app", "https://ui.test") };
    check(&elsewhere.of(&rules).await, 403, "client-not-allowed");
    check(&preflight("/off", "https://ui.test").of(&rules).await, 405, "method-not-allowed");
    check(&preflight("/none", "https://ui.test").of(&rules).await, 404, "route-not-found");
    // The preflights took nothing from the limit of one.
    check(&get("/api").method("PUT").bearer(&idp.token("u", "", &[])).of(&rules).await, 200, "");
}

#[tokio::test]
async fn an_issuer_without_keys_is_a_503() {
    let clock = portcullis_core::Clock::system();
    let idp = Idp::new("idp", "https://idp.test", ReadFrom::Authorization, &clock).await;
    let mut settings = idp.issuer.settings().clone();
    settings.keys = KeySource::File("/nonexistent/jwks.json".into());
    let keys = KeyCache::new(&settings, clock.clone()).unwrap();
    keys.load_now().await;
    let issuer = Arc::new(Issuer::new(settings, keys, clock));
    let way = TokenWay { issuer, scopes: Vec::new(), origin: Origin(20) };
    let access = Access::AnyOf(Demand {
        tokens: vec![way],
        anonymous: true,
        origin: Origin(19),
        ..Demand::default()
    });
    let rules = pipeline(vec![("/api", route("api", &["GET"], access))]);
    check(
        &get("/api").bearer(&idp.token("u", "", &[])).of(&rules).await,
        503,
        "issuer-unavailable",
    );
}

#[tokio::test]
async fn each_principal_has_a_bucket_of_its_own() {
    let clock = portcullis_core::Clock::system();
    let idp = Idp::new("idp", "https://idp.test", ReadFrom::Authorization, &clock).await;
    let way = TokenWay { issuer: Arc::clone(&idp.issuer), scopes: Vec::new(), origin: Origin(20) };
    let access =
        Access::AnyOf(Demand { tokens: vec![way], origin: Origin(19), ..Demand::default() });
    let mut api = route("api", &["GET"], access);
    api.principal_limits = vec![PrincipalLimit {
        limiter: limiter("principal", 1),
        key: PrincipalKey::Principal,
        origin: Origin(6),
        report_only: None,
    }];
    let rules = pipeline(vec![("/api", api)]);
    let ask = |subject| get("/api").bearer(&idp.token(subject, "", &[]));
    check(&ask("alice").of(&rules).await, 200, "");
    check(&ask("alice").of(&rules).await, 429, "rate-limited");
    check(&ask("bob").of(&rules).await, 200, "");
}

#[tokio::test]
async fn scopes_count_with_the_issuer_that_granted_them() {
    let clock = portcullis_core::Clock::system();
    let one = Idp::new("one", "https://one.test", ReadFrom::Authorization, &clock).await;
    let two = Idp::new("two", "https://two.test", ReadFrom::Authorization, &clock).await;
    let way = |idp: &Idp, scopes: &[&str]| TokenWay {
        issuer: Arc::clone(&idp.issuer),
        scopes: scopes.iter().map(|s| (*s).to_owned()).collect(),
        origin: Origin(20),
    };
    let ways = vec![way(&one, &["a"]), way(&two, &[])];
    let access = Access::AnyOf(Demand { tokens: ways, origin: Origin(19), ..Demand::default() });
    let rules = pipeline(vec![("/api", route("api", &["GET"], access))]);
    check(&get("/api").bearer(&two.token("u2", "", &[])).of(&rules).await, 200, "");
    check(&get("/api").bearer(&one.token("u1", "a", &[])).of(&rules).await, 200, "");
    check(&get("/api").bearer(&one.token("u1", "", &[])).of(&rules).await, 403, "scope-missing");
}

#[tokio::test]
async fn a_header_that_is_no_bearer_token_is_not_rescued_by_a_cookie() {
    let clock = portcullis_core::Clock::system();
    let one = Idp::new("one", "https://one.test", ReadFrom::Authorization, &clock).await;
    let two = Idp::new("two", "https://two.test", ReadFrom::Cookie("sid".into()), &clock).await;
    let way = |idp: &Idp| TokenWay {
        issuer: Arc::clone(&idp.issuer),
        scopes: Vec::new(),
        origin: Origin(20),
    };
    let ways = vec![way(&one), way(&two)];
    let access = Access::AnyOf(Demand {
        tokens: ways,
        anonymous: true,
        origin: Origin(19),
        ..Demand::default()
    });
    let rules = pipeline(vec![("/api", route("api", &["GET"], access))]);
    let ask = || get("/api").with("cookie", format!("sid={}", two.token("u2", "", &[])));
    check(&ask().of(&rules).await, 200, "");
    check(&ask().with("authorization", "Basic dTpw").of(&rules).await, 401, "credential-invalid");
}

#[tokio::test]
async fn an_options_request_that_names_no_method_is_no_preflight() {
    let policy = CorsPolicy {
        name: "web".into(),
        origins: vec![OriginPattern::parse("https://ui.test").unwrap()],
        any_origin: false,
        null_origin: false,
        methods: vec![http::Method::PUT],
        headers: Vec::new(),
        expose_headers: Vec::new(),
        credentials: false,
        max_age: Duration::from_mins(1),
        origin: Origin(4),
    };
    let mut api = route("api", &["PUT"], public());
    api.cors = RouteCors::Policy(Arc::new(policy));
    let rules = pipeline(vec![("/api", api)]);
    let options = get("/api").method("OPTIONS").with("origin", "https://ui.test");
    check(&options.of(&rules).await, 405, "method-not-allowed");
}

#[test]
fn two_routes_of_one_host_path_and_method_are_refused() {
    let mut table = RouteTableBuilder::new(1);
    let mut add = |path: &str, methods: &[&str]| {
        let pattern = PathPattern::parse(path).unwrap();
        table.add(0, &pattern, &Arc::new(route(path, methods, public())))
    };
    assert!(add("/x/{a}", &["GET"]).is_ok());
    assert!(add("/x/{b}", &["POST"]).is_ok());
    assert!(add("/x/{c}", &["DELETE", "GET"]).is_err());
}

/// A route that takes web sockets, with a token in a cookie or in `Authorization`.
async fn socket_rules(cors: RouteCors) -> (Pipeline, String) {
    let clock = portcullis_core::Clock::system();
    let cookie = ReadFrom::Cookie("t".into());
    let idp = Idp::new("idp", "https://idp.test", cookie, &clock).await;
    let way = TokenWay { issuer: Arc::clone(&idp.issuer), scopes: Vec::new(), origin: Origin(20) };
    let access = Access::AnyOf(Demand {
        tokens: vec![way],
        anonymous: true,
        origin: Origin(19),
        ..Demand::default()
    });
    let mut socket = route("socket", &["GET", "POST"], access);
    socket.upgrade = vec![crate::UpgradeToken::WebSocket];
    socket.cors = cors;
    let slots = portcullis_limit::Slots::new("open".into(), NonZeroU32::MIN, 10);
    let key = crate::SlotKey::Principal(PrincipalKey::Principal);
    socket.concurrent_limits =
        vec![crate::ConcurrentLimit { slots, key, origin: Origin(8), report_only: None }];
    let token = idp.token("u1", "", &[]);
    (pipeline(vec![("/ws", socket)]), token)
}

fn upgrade(connection: &'static str, token: &'static str) -> Ask {
    get("/ws").with("connection", connection).with("upgrade", token)
}

#[track_caller]
fn upgraded(decision: &Decision) -> bool {
    let Verdict::Forward(grant) = &decision.verdict else { panic!("{:?}", decision.verdict) };
    grant.upgrade().is_some()
}

#[tokio::test]
async fn only_a_listed_upgrade_is_granted() {
    let (rules, _) = socket_rules(RouteCors::Off).await;
    for (connection, token) in [
        ("Upgrade", "websocket"),
        ("keep-alive, upgrade", "WebSocket"),
        ("upgrade", "h2c, websocket"),
    ] {
        assert!(upgraded(&upgrade(connection, token).of(&rules).await), "{connection} {token}");
    }
    for (connection, token) in [
        ("keep-alive", "websocket"),
        ("upgrade", "h2c"),
        ("upgrade", "websocket/13"),
        ("upgrade", ""),
        ("xupgrade", "websocket"),
    ] {
        assert!(!upgraded(&upgrade(connection, token).of(&rules).await), "{connection} {token}");
    }
    assert!(!upgraded(&upgrade("upgrade", "websocket").method("POST").of(&rules).await));
    let with_body = Ask { length: Some(3), ..upgrade("upgrade", "websocket") };
    assert!(!upgraded(&with_body.of(&rules).await));
    let elsewhere = pipeline(vec![("/ws", route("plain", &["GET"], public()))]);
    assert!(!upgraded(&upgrade("upgrade", "websocket").of(&elsewhere).await));
}

#[tokio::test]
async fn an_upgrade_with_a_cookie_needs_its_own_origin() {
    let policy = |any_origin| {
        RouteCors::Policy(Arc::new(crate::CorsPolicy {
            name: "web".into(),
            origins: vec![crate::OriginPattern::parse("https://app.test").unwrap()],
            any_origin,
            null_origin: true,
            methods: Vec::new(),
            headers: Vec::new(),
            expose_headers: Vec::new(),
            credentials: !any_origin,
            max_age: Duration::ZERO,
            origin: Origin(9),
        }))
    };
    for (cors, origin, admitted) in [
        (RouteCors::Off, Some("https://api.test"), true),
        (RouteCors::Off, Some("http://api.test"), false),
        (RouteCors::Off, Some("https://api.test:444"), false),
        (RouteCors::Off, Some("https://app.test"), false),
        (RouteCors::Off, Some("null"), false),
        (RouteCors::Off, None, false),
        (RouteCors::App, Some("https://app.test"), false),
        (policy(false), Some("https://app.test"), true),
        (policy(false), Some("https://api.test"), true),
        (policy(false), Some("https://app.test.evil.test"), false),
        (policy(false), Some("null"), false),
        (policy(true), Some("https://evil.test"), false),
    ] {
        let (rules, token) = socket_rules(cors.clone()).await;
        let asked = upgrade("upgrade", "websocket").with("cookie", format!("t={token}"));
        let asked = origin.into_iter().fold(asked, |asked, origin| asked.with("origin", origin));
        let decision = asked.of(&rules).await;
        if admitted {
            assert!(upgraded(&decision), "{cors:?} {origin:?}");
        } else {
            check(&decision, 403, "origin-not-allowed");
        }
        // Nobody is asked for an origin who asks for no upgrade, or brings no cookie.
        let plain =
            get("/ws").with("cookie", format!("t={token}")).with("origin", "https://x.test");
        drop(decision);
        check(&plain.of(&rules).await, 200, "");
        check(&upgrade("upgrade", "websocket").of(&rules).await, 200, "");
    }
    let (rules, token) = socket_rules(RouteCors::Off).await;
    let twice = upgrade("upgrade", "websocket").with("cookie", format!("t={token}"));
    let twice = twice.with("origin", "https://api.test").with("origin", "https://evil.test");
    check(&twice.of(&rules).await, 403, "origin-not-allowed");
}

#[tokio::test]
async fn a_slot_is_held_as_long_as_the_grant() {
    let (rules, token) = socket_rules(RouteCors::Off).await;
    let ask = || get("/ws").with("cookie", format!("t={token}"));
    let first = ask().of(&rules).await;
    check(&first, 200, "");
    check(&ask().of(&rules).await, 429, "concurrency-limited");
    // Another principal has slots of its own; who is refused holds none.
    let anonymous = get("/ws").of(&rules).await;
    check(&anonymous, 200, "");
    let copy = first.verdict.clone();
    drop(first);
    check(&ask().of(&rules).await, 429, "concurrency-limited");
    drop(copy);
    check(&ask().of(&rules).await, 200, "");
    check(&ask().of(&rules).await, 200, "");
}

/// `good` with another signature, which is one all the same.
fn forged(good: &str) -> String {
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let last = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{signed}.{last}{}", &signature[1..])
}

/// A penalty from failure number `after` on, and a pipeline with a route that has it, and one without.
fn with_penalty(
    idp: &Idp,
    terms: (u32, Duration, u32),
    clock: &portcullis_core::Clock,
) -> (portcullis_limit::Penalties, Pipeline) {
    with_penalty_on_trial(idp, terms, clock, None)
}

/// The same, where the penalty may only report.
fn with_penalty_on_trial(
    idp: &Idp,
    (after, first, factor): (u32, Duration, u32),
    clock: &portcullis_core::Clock,
    report_only: Option<crate::ReportOnly>,
) -> (portcullis_limit::Penalties, Pipeline) {
    let way = TokenWay { issuer: Arc::clone(&idp.issuer), scopes: Vec::new(), origin: Origin(20) };
    let access =
        Access::AnyOf(Demand { tokens: vec![way], origin: Origin(19), ..Demand::default() });
    let number = |n| NonZeroU32::new(n).unwrap();
    let terms = portcullis_limit::Penalty {
        name: "bad".into(),
        after: number(after),
        first,
        factor: number(factor),
        maximum: Duration::from_hours(1),
        maximum_keys: 100,
    };
    let penalties = portcullis_limit::Penalties::new(terms, clock.clone());
    let penalty =
        crate::PenaltyLimit { penalties: penalties.clone(), origin: Origin(8), report_only };
    let mut api = route("api", &["GET"], access.clone());
    api.penalty = Some(penalty);
    (penalties, pipeline(vec![("/api", api), ("/free", route("free", &["GET"], access))]))
}

#[tokio::test]
async fn a_penalty_on_trial_counts_and_lets_through_until_its_end() {
    let clock = portcullis_core::Clock::manual(portcullis_core::Clock::system().now());
    let idp = Idp::new("idp", "https://idp.test", ReadFrom::Authorization, &clock).await;
    let until = clock.now().plus(Duration::from_secs(5));
    let report = crate::ReportOnly { until, clock: clock.clone() };
    let terms = (1, Duration::from_mins(1), 1);
    let (penalties, rules) = with_penalty_on_trial(&idp, terms, &clock, Some(report));
    let alice = idp.token("alice", "", &[]);
    let ask = |token: &str| get("/api").bearer(token);
    check(&ask(&forged(&alice)).of(&rules).await, 401, "credential-invalid");
    assert!(!penalties.is_empty());
    let spared = ask(&forged(&alice)).of(&rules).await;
    check(&spared, 401, "credential-invalid");
    let codes: Vec<_> = spared.would_deny.iter().map(|would| would.refusal.code()).collect();
    assert_eq!(codes, ["too-many-failures"]);
    clock.advance(Duration::from_secs(5));
    assert_eq!(waits(&ask(&alice).of(&rules).await), 55);
}

/// The seconds that a refusal for wrong credentials says.
#[track_caller]
fn waits(decision: &Decision) -> u64 {
    let Verdict::Deny(Refusal::Denial(Denial::TooManyFailures { limit, retry_after })) =
        &decision.verdict
    else {
        panic!("{:?}", decision.verdict)
    };
    assert_eq!(limit, "bad");
    retry_after.as_secs()
}

#[tokio::test]
async fn wrong_credentials_cost_their_own_pair_alone() {
    let clock = portcullis_core::Clock::manual(portcullis_core::Clock::system().now());
    let idp = Idp::new("idp", "https://idp.test", ReadFrom::Authorization, &clock).await;
    let (penalties, rules) = with_penalty(&idp, (2, Duration::from_secs(1), 3), &clock);
    let (alice, bob) = (idp.token("alice", "", &[]), idp.token("bob", "", &[]));
    let ask = |token: &str| get("/api").bearer(token);
    check(&ask(&forged(&alice)).of(&rules).await, 401, "credential-invalid");
    check(&ask(&forged(&alice)).of(&rules).await, 401, "credential-invalid");
    for expected in [1, 3, 9] {
        assert_eq!(waits(&ask(&forged(&alice)).of(&rules).await), expected);
        assert_eq!(waits(&ask(&alice).of(&rules).await), expected, "a good one waits as well");
        // Another account, another address, another route.
        check(&ask(&bob).of(&rules).await, 200, "");
        check(&Ask { peer: "203.0.113.10", ..ask(&alice) }.of(&rules).await, 200, "");
        check(&get("/free").bearer(&alice).of(&rules).await, 200, "");
        check(&get("/api").of(&rules).await, 401, "credential-missing");
        clock.advance(Duration::from_secs(expected));
        check(&ask(&forged(&alice)).of(&rules).await, 401, "credential-invalid");
    }
    clock.advance(Duration::from_secs(27));
    check(&ask(&alice).of(&rules).await, 200, "");
    assert!(penalties.is_empty(), "a good one is forgiven what came before");
    assert_eq!(penalties.begun(), 4);
}

#[tokio::test]
async fn what_is_no_guess_costs_nothing() {
    let clock = portcullis_core::Clock::system();
    let idp = Idp::new("idp", "https://idp.test", ReadFrom::Authorization, &clock).await;
    let (penalties, rules) = with_penalty(&idp, (1, Duration::from_secs(9), 1), &clock);
    let elsewhere = {
        let claims = Claims::create(jwt_simple::prelude::Duration::from_secs(600));
        let claims = claims.with_issuer("https://idp.test").with_subject("alice");
        idp.key.sign(claims.with_audience("other")).unwrap()
    };
    for token in ["x", "a.b.c", &elsewhere, &forged(&elsewhere)] {
        check(&get("/api").bearer(token).of(&rules).await, 401, "credential-invalid");
    }
    let alice = idp.token("alice", "", &[]);
    check(&get("/api").with("authorization", "Bearer").of(&rules).await, 401, "credential-invalid");
    check(&get("/api").of(&rules).await, 401, "credential-missing");
    check(&get("/free").bearer(&forged(&alice)).of(&rules).await, 401, "credential-invalid");
    assert!(penalties.is_empty());
    check(&get("/api").bearer(&forged(&alice)).of(&rules).await, 401, "credential-invalid");
    assert_eq!(penalties.keys(), 1);
}

#[tokio::test]
async fn guesses_of_one_ipv6_network_are_those_of_one_client() {
    let clock = portcullis_core::Clock::system();
    let idp = Idp::new("idp", "https://idp.test", ReadFrom::Authorization, &clock).await;
    let (_, rules) = with_penalty(&idp, (1, Duration::from_hours(1), 1), &clock);
    let alice = idp.token("alice", "", &[]);
    let from = |peer, token: &str| Ask { peer, ..get("/api").bearer(token) };
    check(&from("2001:db8::1", &forged(&alice)).of(&rules).await, 401, "credential-invalid");
    check(&from("2001:db8::2", &alice).of(&rules).await, 429, "too-many-failures");
    check(&from("2001:db8:0:1::1", &alice).of(&rules).await, 200, "");
}
