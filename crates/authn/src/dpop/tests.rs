//! Proofs of every shape, and what is remembered of them.

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderValue;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{NOW, Signer, base64url, changed};

const TOKEN: &str = "a.b.c";
const TARGET: &str = "https://api.test/orders/7";

struct Fixture {
    clock: Clock,
    proofs: DpopProofs,
}

impl Fixture {
    /// A process that began long ago.
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_unix_seconds(NOW - 10_000));
        let proofs = DpopProofs::new(clock.clone());
        clock.advance(Duration::from_secs(10_000));
        Self { clock, proofs }
    }

    fn judge_for(
        &self,
        method: &Method,
        target: &str,
        proof: &str,
        jkt: &str,
        nonce_required: bool,
    ) -> Result<Option<Arc<str>>, ProofFailure> {
        let (scheme, rest) = target.split_once("://").unwrap();
        let (authority, path) = rest.split_once('/').unwrap();
        let asked = Asked {
            method,
            https: scheme == "https",
            authority: &Authority::parse(authority).unwrap(),
            path: &CanonicalPath::parse(&format!("/{path}")).unwrap(),
            token: TOKEN,
        };
        let headers = HeaderMap::from_iter([(FIELD.parse().unwrap(), value(proof))]);
        self.proofs.judge(&headers, &asked, jkt, nonce_required)
    }

    fn judge(&self, proof: &str) -> Result<Option<Arc<str>>, ProofFailure> {
        self.judge_for(&Method::GET, TARGET, proof, &jkt(), false)
    }

    #[track_caller]
    fn refused(&self, proof: &str, reason: &str) {
        let expected = Err(ProofFailure::Invalid(Cow::Owned(reason.to_owned())));
        assert_eq!(self.judge(proof), expected, "{proof}");
    }

    /// The same of one that is a forgery, or came before.
    #[track_caller]
    fn wrong(&self, proof: &str, reason: &'static str) {
        assert_eq!(self.judge(proof), Err(ProofFailure::Wrong(reason)), "{proof}");
    }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_bytes(text.as_bytes()).unwrap()
}

fn holder() -> &'static Signer {
    Signer::p256("holder")
}

fn public(signer: &Signer) -> Value {
    changed(&signer.jwk(), &json!({"kid": null, "use": null, "alg": null}))
}

fn jkt_of(signer: &Signer) -> String {
    thumbprint::of(public(signer).as_object().unwrap()).unwrap()
}

fn jkt() -> String {
    jkt_of(holder())
}

fn header(signer: &Signer, alg: &str) -> Value {
    json!({"typ": "dpop+jwt", "alg": alg, "jwk": public(signer)})
}

fn claims() -> Value {
    let ath = base64url(digest(&SHA256, TOKEN.as_bytes()).as_ref());
    json!({"jti": "id-1", "htm": "GET", "htu": TARGET, "iat": NOW, "ath": ath})
}

/// The good proof of the holder with other claims and members of the header.
fn proof(claim: &Value, member: &Value) -> String {
    let header = changed(&header(holder(), "ES256"), member);
    holder().sign_bytes(&header.to_string(), &changed(&claims(), claim).to_string())
}

fn with_claims(claim: &Value) -> String {
    proof(claim, &json!({}))
}

#[test]
fn a_proof_of_each_algorithm_is_good() {
    for (signer, alg) in [
        (Signer::p256("holder"), "ES256"),
        (Signer::p384("holder"), "ES384"),
        (Signer::ed25519("holder"), "EdDSA"),
        (Signer::rsa("holder"), "PS256"),
        (Signer::rsa("holder"), "RS256"),
    ] {
        let fixture = Fixture::new();
        let proof = signer.sign_bytes(&header(signer, alg).to_string(), &claims().to_string());
        let judged = fixture.judge_for(&Method::GET, TARGET, &proof, &jkt_of(signer), false);
        assert_eq!(judged, Ok(None), "{alg}");
        assert!(ALGORITHMS.split(' ').any(|one| one == alg));
    }
    assert_eq!(ALGORITHMS.split(' ').count(), crate::Alg::ALL.len());
}

#[test]
fn exactly_one_proof_is_looked_at() {
    let fixture = Fixture::new();
    let good = with_claims(&json!({}));
    let asked = Asked {
        method: &Method::GET,
        https: true,
        authority: &Authority::parse("api.test").unwrap(),
        path: &CanonicalPath::parse("/orders/7").unwrap(),
        token: TOKEN,
    };
    let judge = |lines: &[&[u8]]| {
        let line = |line: &&[u8]| (FIELD.parse().unwrap(), HeaderValue::from_bytes(line).unwrap());
        let headers: HeaderMap = lines.iter().map(line).collect();
        fixture.proofs.judge(&headers, &asked, &jkt(), false)
    };
    let refused = |reason| Err(ProofFailure::invalid(reason));
    assert_eq!(judge(&[]), refused("there is none"));
    assert_eq!(judge(&[good.as_bytes(), good.as_bytes()]), refused("there are more than one"));
    assert_eq!(judge(&[good.as_bytes(), b"x"]), refused("there are more than one"));
    assert_eq!(judge(&["é".as_bytes()]), refused("it is not ASCII"));
    assert_eq!(judge(&[&[b'a'; MAXIMUM_LENGTH + 1]]), refused("it is too long"));
    let two = format!("{good}, {good}");
    assert_eq!(judge(&[two.as_bytes()]), refused("the token is not in three parts"));
    assert_eq!(judge(&[good.as_bytes()]), Ok(None));
}

#[test]
fn the_header_says_what_it_is_and_whose() {
    let fixture = Fixture::new();
    let refused =
        |member: Value, reason: &str| fixture.refused(&proof(&json!({}), &member), reason);
    for typ in [json!(null), json!("JWT"), json!("at+jwt"), json!("dpop"), json!("dpop+jwt ")] {
        refused(json!({"typ": typ}), "its typ is not dpop+jwt");
    }
    refused(json!({"typ": ["dpop+jwt"]}), "kid or typ is not a string");
    for alg in ["none", "None", "HS256", "HS512", "ES256K", "es256", ""] {
        refused(json!({"alg": alg}), "unsupported alg");
    }
    refused(json!({"alg": null}), "the header has no alg");
    refused(json!({"crit": ["jwk"]}), "the header asks for an extension");
    refused(json!({"b64": false}), "the header asks for an extension");
    for jwk in [json!(null), json!("x"), json!([]), json!(1)] {
        refused(json!({"jwk": jwk}), "it has no jwk");
    }
    refused(json!({"alg": "ES384"}), "its key does not fit its alg");
    refused(json!({"alg": "EdDSA"}), "its key does not fit its alg");
    // It is the key the token is bound to, and more than its public half.
    let jwk = |member: Value| json!({"jwk": changed(&public(holder()), &member)});
    refused(jwk(json!({"d": "AQAB"})), "its key: it is a private key, published");
    refused(jwk(json!({"use": "enc"})), "its key: it is not meant for signatures");
    refused(jwk(json!({"alg": "ES384"})), "its key: its alg does not fit its kty or crv");
    let good = proof(&json!({}), &json!({"typ": "application/DPoP+JWT", "x5u": "https://evil"}));
    assert_eq!(fixture.judge(&good), Ok(None));
}

#[test]
fn only_the_key_of_the_token_counts() {
    let fixture = Fixture::new();
    let other = Signer::p256("other");
    let by_other = other.sign_bytes(&header(other, "ES256").to_string(), &claims().to_string());
    assert_eq!(fixture.judge(&by_other), Err(ProofFailure::OtherKey));
    let oct = json!({"kty": "oct", "k": "c2VjcmV0"});
    assert_eq!(
        fixture.judge(&proof(&json!({}), &json!({"jwk": oct}))),
        Err(ProofFailure::OtherKey)
    );
    // It names the key of the token, and is signed by another.
    let forged = other.sign_bytes(&header(holder(), "ES256").to_string(), &claims().to_string());
    fixture.wrong(&forged, "its signature is not good");
    let good = with_claims(&json!({}));
    let (signed, _) = good.rsplit_once('.').unwrap();
    fixture.refused(&format!("{signed}."), "the token is not signed");
    fixture.wrong(&format!("{signed}.AAAA"), "its signature is not good");
    assert_eq!(fixture.judge(&good), Ok(None), "nothing of the others was remembered");
}

#[test]
fn a_short_key_is_none_even_where_a_token_is_bound_to_it() {
    let jwk = json!({"kty": "RSA", "e": "AQAB", "n": base64url(&[0xff; 128])});
    let header = json!({"typ": "dpop+jwt", "alg": "RS256", "jwk": jwk}).to_string();
    let proof = Signer::rsa("holder").sign_bytes(&header, &claims().to_string());
    let jkt = thumbprint::of(jwk.as_object().unwrap()).unwrap();
    let judged = Fixture::new().judge_for(&Method::GET, TARGET, &proof, &jkt, false);
    let reason = "its key: its modulus is shorter than 2048 bits";
    assert_eq!(judged, Err(ProofFailure::Invalid(reason.into())));
}

#[test]
fn the_claims_are_those_of_the_request() {
    let fixture = Fixture::new();
    let refused = |claim: Value, reason: &str| fixture.refused(&with_claims(&claim), reason);
    for (name, reason) in [
        ("jti", "it has no jti"),
        ("htm", "it has no htm"),
        ("htu", "it has no htu"),
        ("iat", "it has no iat"),
        ("ath", "it has no ath"),
    ] {
        for odd in [json!(null), json!(["x"]), json!({}), json!(true)] {
            refused(json!({name: odd}), reason);
        }
    }
    refused(json!({"jti": ""}), "its jti is empty or too long");
    refused(json!({"jti": "x".repeat(257)}), "its jti is empty or too long");
    for method in ["POST", "get", "HEAD", "", "GET "] {
        refused(json!({"htm": method}), "it is for another method");
    }
    for target in ["https://api.test/orders/8", "http://api.test/orders/7", "/orders/7", ""] {
        refused(json!({"htu": target}), "it is for another URI");
    }
    let other = base64url(digest(&SHA256, b"a.b.d").as_ref());
    for ath in [other.as_str(), "", "a.b.c", &format!("{}=", claims()["ath"].as_str().unwrap())] {
        refused(json!({"ath": ath}), "it is for another token");
    }
    refused(json!({"nonce": 1}), "its nonce is not a string");
    let twice = claims().to_string().replacen('{', "{\"htm\":\"GET\",", 1);
    let twice = holder().sign_bytes(&header(holder(), "ES256").to_string(), &twice);
    fixture.refused(&twice, "its claims are not usable JSON");
    assert_eq!(fixture.judge(&with_claims(&json!({"jti": "x".repeat(256), "a": 1}))), Ok(None));
    assert_eq!(
        fixture.judge(&with_claims(&json!({"htu": "https://API.test:443/orders/7?a#b"}))),
        Ok(None)
    );
}

#[test]
fn a_proof_is_good_for_a_minute_and_a_clock_may_be_ahead_for_half() {
    #[track_caller]
    fn check(iat: &Value, expected: Result<(), &'static str>) {
        let judged = Fixture::new().judge(&with_claims(&json!({"iat": iat})));
        let expected = expected.map(|()| None).map_err(ProofFailure::invalid);
        assert_eq!(judged, expected, "{iat}");
    }
    for iat in [json!(NOW - 60), json!(NOW + 30), json!(1.8e9 + 29.5), json!(1.8e9 - 59.5)] {
        check(&iat, Ok(()));
    }
    for iat in [json!(NOW - 61), json!(NOW - 3_600), json!(0), json!(1.8e9 - 60.5)] {
        check(&iat, Err("its iat is too long ago"));
    }
    for iat in [json!(NOW + 31), json!(NOW + 3_600), json!(1.8e9 + 30.5)] {
        check(&iat, Err("its iat lies ahead"));
    }
    for iat in [json!("1800000000"), json!(-1), json!(1e300)] {
        check(&iat, Err("it has no iat"));
    }
}

#[test]
fn a_proof_is_good_once() {
    let fixture = Fixture::new();
    let first = with_claims(&json!({}));
    assert_eq!(fixture.judge(&first), Ok(None));
    fixture.wrong(&first, "it was used before");
    // Not for another request either, with the same id.
    fixture.wrong(&with_claims(&json!({"x": 1})), "it was used before");
    fixture.clock.advance(Duration::from_mins(1));
    fixture.wrong(&first, "it was used before");
    fixture.clock.advance(Duration::from_secs(1));
    fixture.refused(&first, "its iat is too long ago");
    let status = ProofStatus { held: 0, replays: 3, turned_away: 0 };
    assert_eq!(fixture.proofs.status(), status);
}

#[test]
fn a_proof_from_before_the_start_needs_a_nonce() {
    let clock = Clock::manual(Timestamp::from_unix_seconds(NOW));
    let fixture = Fixture { proofs: DpopProofs::new(clock.clone()), clock };
    let needed = Err(ProofFailure::NonceNeeded("it may have been used before the start"));
    let nonce = fixture.proofs.nonce().unwrap();
    let old = [json!(NOW - 60), json!(1.8e9 - 0.5), json!(NOW)];
    for (n, iat) in old.into_iter().enumerate() {
        let bare = json!({"iat": iat, "jti": format!("n{n}")});
        assert_eq!(fixture.judge(&with_claims(&bare)), needed, "{iat}");
        let with_nonce = with_claims(&changed(&bare, &json!({"nonce": &*nonce})));
        assert_eq!(fixture.judge(&with_nonce), Ok(None), "{iat}");
        fixture.wrong(&with_nonce, "it was used before");
    }
    fixture.clock.advance(Duration::from_secs(31));
    assert_eq!(fixture.judge(&with_claims(&json!({"iat": NOW, "jti": "b"}))), needed);
    assert_eq!(fixture.judge(&with_claims(&json!({"iat": NOW + 1, "jti": "c"}))), Ok(None));
    // Of the process before, whose nonces are not ours.
    let other = Fixture::new().proofs.nonce().unwrap();
    let foreign = Err(ProofFailure::NonceNeeded("its nonce is not, or no longer, ours"));
    let old = json!({"iat": NOW + 31, "jti": "d", "nonce": &*other});
    assert_eq!(fixture.judge(&with_claims(&old)), foreign);
}

#[test]
fn nonces_are_demanded_and_renewed() {
    let fixture = Fixture::new();
    let judge = |claim: Value| {
        let proof = with_claims(&claim);
        fixture.judge_for(&Method::GET, TARGET, &proof, &jkt(), true)
    };
    assert_eq!(judge(json!({})), Err(ProofFailure::NonceNeeded("it has no nonce")));
    let first = fixture.proofs.nonce().unwrap();
    assert_eq!(judge(json!({"nonce": &*first})), Ok(None));
    fixture.clock.advance(Duration::from_mins(5));
    let second = fixture.proofs.nonce().unwrap();
    let next = judge(json!({"nonce": &*first, "jti": "b", "iat": NOW + 300}));
    assert_eq!(next, Ok(Some(Arc::clone(&second))));
    assert_eq!(judge(json!({"nonce": &*second, "jti": "c", "iat": NOW + 300})), Ok(None));
    fixture.clock.advance(Duration::from_mins(5));
    let old = judge(json!({"nonce": &*first, "jti": "d", "iat": NOW + 600}));
    assert_eq!(old, Err(ProofFailure::NonceNeeded("its nonce is not, or no longer, ours")));
}

#[test]
fn a_rehearsal_knows_no_past() {
    let clock = Clock::manual(Timestamp::from_unix_seconds(NOW));
    let fixture = Fixture { proofs: DpopProofs::rehearsal(clock.clone()), clock };
    assert_eq!(fixture.judge(&with_claims(&json!({}))), Ok(None));
    assert_eq!(fixture.judge(&with_claims(&json!({"jti": "b", "nonce": "x"}))), Ok(None));
    fixture.refused(&with_claims(&json!({"jti": "c", "htm": "PUT"})), "it is for another method");
}

#[test]
fn of_many_at_once_one_is_first() {
    let fixture = Fixture::new();
    let good = with_claims(&json!({}));
    let firsts = std::thread::scope(|scope| {
        let run = || scope.spawn(|| fixture.judge(&good).is_ok());
        let threads: Vec<_> = (0..8).map(|_| run()).collect();
        threads.into_iter().filter(|_| true).map(|t| t.join().unwrap()).filter(|ok| *ok).count()
    });
    assert_eq!(firsts, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_nothing_passes_on_any_text(text in "[ -~]{0,200}") {
        prop_assert!(Fixture::new().judge(&text).is_err());
        let authority = Authority::parse("api.test").unwrap();
        target::is_target(&text, true, &authority, &CanonicalPath::parse("/").unwrap());
    }

    #[test]
    fn no_changed_proof_passes(at in any::<prop::sample::Index>(), put in "[A-Za-z0-9._-]", how in 0..3_u8) {
        let good = with_claims(&json!({}));
        let mut changed: Vec<char> = good.chars().collect();
        let (at, put) = (at.index(changed.len()), put.chars().next().unwrap());
        match how {
            0 => changed[at] = put,
            1 => changed.insert(at, put),
            _ => {
                changed.remove(at);
            }
        }
        let changed: String = changed.into_iter().collect();
        prop_assert_eq!(Fixture::new().judge(&changed).is_ok(), changed == good, "{}", changed);
    }

    #[test]
    fn a_proof_passes_for_its_own_request_alone(
        one in 0..4_usize, other in 0..4_usize, first in 0..3_usize, second in 0..3_usize,
    ) {
        let targets =
            [TARGET, "https://api.test/orders/8", "https://app.test/orders/7", "http://api.test/orders/7"];
        let methods = [Method::GET, Method::POST, Method::from_bytes(b"get").unwrap()];
        let proof = with_claims(&json!({"htu": targets[one], "htm": methods[first].as_str()}));
        let judged =
            Fixture::new().judge_for(&methods[second], targets[other], &proof, &jkt(), false);
        prop_assert_eq!(judged.is_ok(), one == other && first == second);
    }
}

#[test]
fn what_stands_in_for_a_client_proves_its_own_key() {
    use crate::{Alg, ProofOf, StandIn};
    let proofs = DpopProofs::rehearsal(Clock::manual(Timestamp::from_unix_seconds(NOW)));
    let fixture = Fixture { proofs, ..Fixture::new() };
    for alg in Alg::ALL {
        let (key, other) = (StandIn::new(alg).unwrap(), StandIn::new(alg).unwrap());
        let jkt = key.thumbprint().unwrap();
        let judge = |key: &StandIn, jti: &str, nonce: Option<&str>| {
            let issued = Timestamp::from_unix_seconds(NOW);
            let of = ProofOf { method: "GET", target: TARGET, jti, issued, nonce };
            let proof = key.prove(&of, TOKEN).unwrap();
            fixture.judge_for(&Method::GET, TARGET, &proof, &jkt, true)
        };
        assert_eq!(judge(&key, "1", Some("any")), Ok(None), "{alg:?}");
        assert_eq!(
            judge(&key, "1", Some("any")),
            Err(ProofFailure::Wrong("it was used before")),
            "{alg:?}"
        );
        assert!(matches!(judge(&key, "2", None), Err(ProofFailure::NonceNeeded(_))), "{alg:?}");
        assert_eq!(judge(&other, "3", Some("any")), Err(ProofFailure::OtherKey), "{alg:?}");
    }
}
