//! Key sets: which keys are used, and how a changed set becomes known. C01, C02, C03, C04, C09.

use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use portcullis_testkit::poll::until_true;
use portcullis_testkit::{Client, Key, Reply, Request, Token, Upstream, marker};
use serde_json::{Value, json};

use crate::world::{BASE, HOSTS, ISSUERS, UPSTREAMS, World};

const ROUTES: &str = r#"
routes:
  - {name: api, path: "/api/{*rest}", access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}
"#;

fn api(token: &str) -> Request {
    Request::get("/api/x").bearer(token)
}

/// Many issuers behind one gateway, each with a key set of its own at the same server.
struct Sets {
    world: World,
    server: Upstream,
}

impl Sets {
    fn start(sets: &[(&str, Vec<Value>)]) -> Self {
        let server = Upstream::start();
        let (mut issuers, mut routes) = ("issuers:\n".to_owned(), "routes:\n".to_owned());
        for (name, keys) in sets {
            server.answer(&format!("GET /{name}/jwks "), Reply::json(&json!({ "keys": keys })));
            let url = server.url();
            let issuer = format!(
                "  - {{name: {name}, issuer: \"https://idp.test/{name}\", audience: [api], \
                 algorithms: [RS256, ES256, EdDSA], keys: {{url: \"{url}/{name}/jwks\"}}}}\n"
            );
            let route = format!(
                "  - {{name: {name}, path: \"/{name}/{{*rest}}\", \
                 access: {{any_of: [{{issuer: {name}}}]}}, forward: {{upstream: u}}}}\n"
            );
            issuers += &issuer;
            routes += &route;
        }
        let world = World::start(&[BASE, HOSTS, UPSTREAMS, &issuers, &routes]);
        Self { world, server }
    }

    fn token(name: &str, key: &Key) -> Token {
        Token::new(&format!("https://idp.test/{name}"), key)
    }

    #[track_caller]
    fn accepts(&self, name: &str, token: &str) {
        self.world.forwarded(Request::get(format!("/{name}/x")).bearer(token));
    }

    #[track_caller]
    fn rejects(&self, name: &str, token: &str) {
        let request = Request::get(format!("/{name}/x")).bearer(token);
        self.world.refused(request, 401, "credential-invalid");
    }
}

#[test]
fn c01_a_flood_of_unknown_kids_costs_the_issuer_one_fetch() {
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, ISSUERS, ROUTES]);
    let good = world.issuer.token().sign();
    world.plain().send(&api(&good)).expect(200);
    let before = world.issuer.fetches();
    let flood = |client: Client| {
        let bad = world.issuer.token();
        thread::spawn(move || {
            let mut connection = client.connect();
            for _ in 0..50 {
                let token = bad.clone().header("kid", marker("made-up")).with_signature([1; 256]);
                connection.send(&api(&token)).expect_refusal(401, "credential-invalid");
            }
        })
    };
    let floods: Vec<_> = (0..4).map(|_| flood(world.plain())).collect();
    let mut connection = world.plain().connect();
    for _ in 0..20 {
        connection.send(&api(&world.issuer.token().sign())).expect(200);
    }
    for flood in floods {
        flood.join().expect("200 refusals");
    }
    assert!(world.issuer.fetches() <= before + 1, "{} fetches", world.issuer.fetches() - before);
    // Whoever is refused is refused at once; 200 of them did not wait for one another.
    until_true(Duration::from_secs(5), "each was counted", || {
        world.gateway.metric(&["gateway_denials_total", "credential-invalid"]) == 200
    });
}

#[test]
fn c02_a_new_key_is_known_with_its_first_token() {
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, ISSUERS, ROUTES]);
    let old = world.issuer.key();
    world.plain().send(&api(&world.issuer.token().sign())).expect(200);
    let before = world.issuer.fetches();
    let fresh = Key::rsa("k3");
    world.issuer.publish(&[old.jwk(), fresh.jwk()]);
    world.plain().send(&api(&world.issuer.token().of(&fresh).sign())).expect(200);
    assert_eq!(world.issuer.fetches(), before + 1);
    world.plain().send(&api(&world.issuer.token().sign())).expect(200);
    assert_eq!(world.issuer.fetches(), before + 1);
}

#[test]
fn c02_a_key_that_is_gone_is_refused_after_the_next_refresh() {
    let issuers = ISSUERS.replace("claims:", "keys_refresh: {every: 1s}\n    claims:");
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, &issuers, ROUTES]);
    let token = world.issuer.token().sign();
    world.plain().send(&api(&token)).expect(200);
    let fresh = Key::p256("k3");
    world.issuer.publish(&[fresh.jwk()]);
    until_true(Duration::from_secs(10), "the old key is forgotten", || {
        world.plain().send(&api(&token)).status == 401
    });
    world.plain().send(&api(&token)).expect_refusal(401, "credential-invalid");
    world.plain().send(&api(&world.issuer.token().of(&fresh).sign())).expect(200);
}

static K1: LazyLock<Key> = LazyLock::new(|| Key::rsa("k1"));
static K4: LazyLock<Key> = LazyLock::new(|| Key::rsa("k4"));
static ENCRYPTION: LazyLock<Key> = LazyLock::new(|| Key::rsa("e1"));

#[test]
fn c03_which_key_a_token_may_be_checked_with() {
    let encryption = {
        let mut jwk = ENCRYPTION.bare_jwk();
        jwk["use"] = json!("enc");
        jwk["alg"] = json!("RSA-OAEP");
        jwk
    };
    let other_alg = {
        let mut jwk = K1.bare_jwk();
        jwk["alg"] = json!("RS512");
        jwk["use"] = json!("sig");
        jwk
    };
    let secret = [7; 32];
    let symmetric = json!({"kty": "oct", "kid": "o1", "k": portcullis_testkit::keys::b64(secret), "alg": "HS256"});
    let sets = Sets::start(&[
        ("enc", vec![encryption, K1.jwk()]),
        ("two", vec![K1.jwk(), K4.jwk()]),
        ("owt", vec![K4.jwk(), K1.jwk()]),
        ("one", vec![K1.jwk()]),
        ("twice", vec![K1.jwk(), other_alg.clone()]),
        ("ecivt", vec![other_alg, K1.jwk()]),
        ("bare", vec![K1.bare_jwk()]),
        ("oct", vec![symmetric, K1.jwk()]),
        ("clash", vec![K1.jwk(), K4.named("k1").jwk(), ENCRYPTION.named("k5").jwk()]),
    ]);
    let token = Sets::token;
    let nameless = |name, key| token(name, key).without_header("kid").sign();
    sets.accepts("enc", &nameless("enc", &K1));
    sets.rejects("enc", &nameless("enc", &ENCRYPTION));
    sets.rejects("enc", &token("enc", &ENCRYPTION).sign());
    sets.accepts("two", &nameless("two", &K4));
    sets.accepts("owt", &nameless("owt", &K4));
    sets.accepts("owt", &nameless("owt", &K1));
    sets.accepts("one", &token("one", &K1).sign());
    sets.rejects("one", &token("one", &K1).header("kid", "zzz").sign());
    sets.accepts("twice", &token("twice", &K1).sign());
    sets.accepts("ecivt", &token("ecivt", &K1).sign());
    sets.accepts("bare", &token("bare", &K1).sign());
    sets.rejects(
        "oct",
        &token("oct", &K1).header("alg", "HS256").header("kid", "o1").hmac(&secret),
    );
    sets.accepts("oct", &token("oct", &K1).sign());
    // Two different keys of one name: whichever signed it, in whatever order they stand.
    sets.accepts("clash", &token("clash", &K1).sign());
    sets.accepts("clash", &token("clash", &K4.named("k1")).sign());
    sets.rejects("clash", &token("clash", &ENCRYPTION.named("k1")).sign());
    sets.accepts("clash", &token("clash", &ENCRYPTION.named("k5")).sign());
}

#[test]
fn c04_a_bad_entry_harms_none_of_the_others() {
    let strange = vec![
        Value::Null,
        json!("x"),
        json!({"kty": "AKP", "kid": "b0", "alg": "ML-DSA-44", "pub": "AAAA"}),
        json!({"kty": "OKP", "kid": "b0a", "crv": "Ed448", "x": "AA"}),
        json!({"kty": "RSA", "kid": "b1", "e": "AQAB"}),
        json!({"kty": "RSA", "kid": "b2", "n": "AQAB==", "e": "AQAB"}),
        json!({"kty": "RSA", "kid": "b3", "n": "AQAB", "e": "AQAB", "key_ops": "verify"}),
        json!({"kty": "RSA", "kid": "b4", "n": "AQAB", "e": "AQAB", "x5c": "abc"}),
    ];
    let skipped = strange.len();
    let sets = Sets::start(&[("odd", strange.into_iter().chain([K1.jwk()]).collect())]);
    sets.accepts("odd", &Sets::token("odd", &K1).sign());
    let gateway = &sets.world.gateway;
    assert_eq!(
        gateway.metric(&["gateway_jwks_keys_skipped", "odd"]),
        i64::try_from(skipped).unwrap()
    );
    assert_eq!(gateway.metric(&["gateway_jwks_keys{", "odd"]), 1);
    for kid in ["b0", "b0a", "b1", "b2", "b3", "b4"] {
        let line = gateway.log_line(kid);
        assert!(!line.contains("AQAB"), "no key bytes in the log: {line}");
    }
    assert_eq!(sets.server.seen("GET /odd/jwks ").len(), 1);
}

/// An RSA key of 1024 bits (`n`) and a token of `https://idp.test/mixed` that it signed, good until
/// 2100: no library here makes such keys any more.
const SHORT_RSA: (&str, &str) = (
    "3YxcjSWNSeQCZzPESfF6UyJ9wDAzvXdeabvBftjB_GMMSJoDQ7y1UNljGp1X8Hycvbo5c-IBlBelFgd8\
     KeDkValJiGbGJbqczgN4QCWkkn-9wNcSf9WIlR-PDRrW4ZSljEXwRGHAgtNYY6ZlJU2j-vhqeIVeakKb\
     HXpn8VUIsb8",
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InMxIn0.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0L21peGVkIiwi\
     YXVkIjoiYXBpIiwic3ViIjoidTEiLCJleHAiOjQxMDI0NDQ4MDB9.zm8vlrjk3hVBXw7r8V0RbQlItCK\
     ab-3uDYBjFJZLRQVB2kR74MSaIRmcwZmDaQ6czAH21BKZuGbIHz-j9-lLfJ9ZXiLJuYIDkXxSQ7Nw-Ax\
     TVVVZ7KrpjOqSaD1Lrvn6in63i6slYv3BtTdCmrqMWImVxCbPE-Se3gBHMl8quco",
);

#[test]
fn c09_families_may_be_mixed_and_weak_keys_are_not_used() {
    let (p256, ed, p521) = (Key::p256("k2"), Key::ed25519("d1"), Key::p521("q1"));
    let renamed = Key::ed25519("d2");
    let fully_specified = {
        let mut jwk = renamed.jwk();
        jwk["alg"] = json!("Ed25519");
        jwk
    };
    let short = json!({
        "kty": "RSA", "kid": "s1", "use": "sig", "alg": "RS256", "n": SHORT_RSA.0, "e": "AQAB",
    });
    let sets = Sets::start(&[(
        "mixed",
        vec![K1.jwk(), p256.jwk(), ed.jwk(), fully_specified, p521.jwk(), short],
    )]);
    for key in [&*K1, &p256, &ed, &renamed] {
        sets.accepts("mixed", &Sets::token("mixed", key).sign());
    }
    sets.rejects("mixed", &Sets::token("mixed", &p521).sign());
    sets.rejects("mixed", SHORT_RSA.1);
    // A key of one family under the name of another.
    sets.rejects("mixed", &Sets::token("mixed", &p256).header("alg", "RS256").sign());
    sets.rejects("mixed", &Sets::token("mixed", &ed).header("alg", "ES256").sign());
    // RFC 9864's own name is accepted or refused, but never a fault.
    let (answer, _) = sets.world.marked(
        Request::get("/mixed/x")
            .bearer(Sets::token("mixed", &renamed).header("alg", "Ed25519").sign()),
    );
    assert!(matches!(answer.status, 200 | 401), "{}", answer.status);
}
