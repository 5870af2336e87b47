//! Updates against BIND's `named`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, OpCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm as Mac;
use hickory_proto::rr::{RData, Record, TSigResponseContext, TSigner};
use portcullis_core::{Clock, Secret, Timestamp};
use portcullis_testkit::Named;
use portcullis_testkit::named::KEY_NAME;

use super::dns::TxtRecord;
use super::rfc2136::absolute;
use super::{
    Challenge, ChallengeType, Rfc2136, Rfc2136Settings, Solver, TsigAlgorithm, is_dns_name,
    tsig_key,
};

fn challenge(name: &str, token: &str) -> Challenge {
    Challenge {
        kind: ChallengeType::Dns01,
        name: name.to_owned(),
        token: token.to_owned(),
        key_authorization: Secret::new(format!("{token}.thumbprint")),
    }
}

fn value(challenge: &Challenge) -> String {
    TxtRecord::answering(challenge).unwrap().value
}

fn named(algorithm: &str) -> Option<Named> {
    let root = std::env::temp_dir();
    Named::start(&root.to_string_lossy(), &["x.test", "sub.x.test", "y.test"], algorithm)
}

fn settings(named: &Named, algorithm: TsigAlgorithm) -> Rfc2136Settings {
    Rfc2136Settings {
        server: named.address().to_string(),
        key_name: KEY_NAME.to_owned(),
        algorithm,
        secret: tsig_key(&Secret::new(format!("{}\n", named.secret()))).unwrap(),
        zone: None,
        ttl: 60,
        propagation: Duration::ZERO,
    }
}

async fn fails(settings: Rfc2136Settings, clock: Clock, part: &str) {
    let server = settings.server.clone();
    let solver = Rfc2136::new(settings, clock);
    let error = solver.present(&challenge("a.x.test", "t")).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("dns-01 for a.x.test: {server}: ")), "{error}");
    assert!(error.contains(part), "{error}");
}

#[tokio::test]
async fn records_of_one_name_come_and_go_one_by_one() {
    let Some(named) = named("hmac-sha256") else { return };
    let solver = Rfc2136::new(settings(&named, TsigAlgorithm::HmacSha256), Clock::system());
    let (first, second) = (challenge("x.test", "first"), challenge("x.test", "second"));
    let (one, two) = tokio::join!(solver.present(&first), solver.present(&second));
    one.unwrap();
    two.unwrap();
    let mut both = [value(&first), value(&second)];
    both.sort();
    assert_eq!(named.txt("_acme-challenge.x.test"), both);
    // Again is no mistake.
    solver.present(&first).await.unwrap();
    solver.withdraw(&first).await;
    assert_eq!(named.txt("_acme-challenge.x.test"), [value(&second)]);
    solver.withdraw(&second).await;
    assert_eq!(named.txt("_acme-challenge.x.test"), Vec::<String>::new());
    solver.withdraw(&second).await;
}

#[tokio::test]
async fn the_zone_is_found_or_said() {
    let Some(named) = named("hmac-sha256") else { return };
    let found = settings(&named, TsigAlgorithm::HmacSha256);
    // The name, a name below it that is not there, and a zone of its own below the zone.
    for name in ["x.test", "deep.er.x.test", "a.sub.x.test", "y.test"] {
        let solver = Rfc2136::new(found.clone(), Clock::system());
        let challenge = challenge(name, "t");
        solver.present(&challenge).await.unwrap();
        assert_eq!(named.txt(&format!("_acme-challenge.{name}")), [value(&challenge)], "{name}");
    }
    let said = |zone: &str| Rfc2136Settings { zone: Some(zone.to_owned()), ..found.clone() };
    let solver = Rfc2136::new(said("x.test."), Clock::system());
    solver.present(&challenge("b.x.test", "t")).await.unwrap();
    fails(said("y.test"), Clock::system(), "is not in y.test.").await;
    fails(said("test"), Clock::system(), "refused the update of test. with NOTAUTH").await;
    let solver = Rfc2136::new(found, Clock::system());
    let error = solver.present(&challenge("elsewhere.example", "t")).await.unwrap_err();
    assert!(error.to_string().contains("it has no zone for"), "{error}");
}

#[tokio::test]
async fn every_algorithm_is_spoken() {
    for (name, algorithm) in
        [("hmac-sha384", TsigAlgorithm::HmacSha384), ("hmac-sha512", TsigAlgorithm::HmacSha512)]
    {
        let Some(named) = named(name) else { return };
        let solver = Rfc2136::new(settings(&named, algorithm), Clock::system());
        let challenge = challenge("a.x.test", "t");
        solver.present(&challenge).await.unwrap();
        assert_eq!(named.txt("_acme-challenge.a.x.test"), [value(&challenge)]);
    }
}

#[tokio::test]
async fn who_is_not_known_is_refused_and_told_why() {
    let Some(named) = named("hmac-sha256") else { return };
    let right = settings(&named, TsigAlgorithm::HmacSha256);
    let clock = Clock::system();
    let wrong = Rfc2136Settings { secret: Secret::new("another secret"), ..right.clone() };
    fails(wrong, clock.clone(), "NOTAUTH with BadSig").await;
    let wrong = Rfc2136Settings { key_name: "nobody".to_owned(), ..right.clone() };
    fails(wrong, clock.clone(), "NOTAUTH with BadKey").await;
    let wrong = Rfc2136Settings { algorithm: TsigAlgorithm::HmacSha512, ..right.clone() };
    fails(wrong, clock.clone(), "NOTAUTH with BadKey").await;
    let late = Clock::manual(Timestamp::from_unix_seconds(1_700_000_000));
    fails(right.clone(), late, "NOTAUTH with BadTime").await;
    let nowhere = Rfc2136Settings { server: "127.0.0.1:1".to_owned(), ..right };
    fails(nowhere, clock, "refused").await;
    assert_eq!(named.txt("_acme-challenge.a.x.test"), Vec::<String>::new());
}

/// Answers each connection with what `answer` makes of the question.
async fn impostor(answer: fn(Vec<u8>) -> Vec<u8>) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            let mut question = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut question).await.unwrap();
            let answer = answer(question);
            stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn an_answer_that_is_not_signed_for_us_is_not_believed() {
    let settings = |server: String| Rfc2136Settings {
        server,
        key_name: KEY_NAME.to_owned(),
        algorithm: TsigAlgorithm::HmacSha256,
        secret: Secret::new("secret"),
        zone: Some("x.test".to_owned()),
        ttl: 60,
        propagation: Duration::ZERO,
    };
    // The question as it came, said to be an answer: its signature is that of a question.
    let echo = impostor(|mut question| {
        question[2] |= 0x80;
        question
    });
    fails(settings(echo.await), Clock::system(), "the answer's signature").await;
    // NOERROR, without a signature.
    let bare = impostor(|question| {
        let mut answer = question[..2].to_vec();
        answer.extend_from_slice(&[0xa8, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        answer
    });
    fails(settings(bare.await), Clock::system(), "no signature").await;
    for garbage in [|_| Vec::new(), |_| vec![1, 2, 3], |question: Vec<u8>| question[..20].to_vec()]
    {
        fails(settings(impostor(garbage).await), Clock::system(), "").await;
    }
}

/// What a server that signs answers to `question`; `texts` are the TXT records it shows.
fn signed(question: &[u8], texts: &[String]) -> Vec<u8> {
    let key = absolute(KEY_NAME).unwrap();
    let signer = TSigner::new(b"secret".to_vec(), Mac::HmacSha256, key, 300).unwrap();
    let (mac, time, _) = signer.verify_message_byte(question, None, true).unwrap();
    let question = Message::from_vec(question).unwrap();
    let mut answer = Message::response(question.id, question.op_code);
    answer.add_queries(question.queries.clone());
    let name = question.queries[0].name().clone();
    for text in texts {
        let data = RData::TXT(TXT::new(vec![text.clone()]));
        answer.add_answer(Record::from_rdata(name.clone(), 60, data));
    }
    let context = TSigResponseContext::new(question.id, time, signer, mac, None);
    let signature = context.sign(&answer.to_vec().unwrap()).unwrap();
    answer.set_signature(signature);
    answer.to_vec().unwrap()
}

#[tokio::test]
async fn the_authority_is_told_when_the_server_shows_the_value() {
    static LOOKS: AtomicUsize = AtomicUsize::new(0);
    let server = impostor(|question| {
        if Message::from_vec(&question).unwrap().op_code == OpCode::Update {
            return signed(&question, &[]);
        }
        // First nothing, then the value of another order, then both.
        let theirs = "another".to_owned();
        match LOOKS.fetch_add(1, Ordering::SeqCst) {
            0 => signed(&question, &[]),
            1 => signed(&question, &[theirs]),
            _ => signed(&question, &[theirs, value(&challenge("a.x.test", "t"))]),
        }
    });
    let settings = Rfc2136Settings {
        server: server.await,
        key_name: KEY_NAME.to_owned(),
        algorithm: TsigAlgorithm::HmacSha256,
        secret: Secret::new("secret"),
        zone: Some("x.test".to_owned()),
        ttl: 60,
        propagation: Duration::from_millis(300),
    };
    let clock = Clock::system();
    let solver = Rfc2136::new(settings, clock.clone());
    let began = clock.monotonic();
    solver.present(&challenge("a.x.test", "t")).await.unwrap();
    assert_eq!(LOOKS.load(Ordering::SeqCst), 3);
    // Two more looks half a second apart, and the other servers' time.
    assert!(clock.monotonic().saturating_sub(began) >= Duration::from_millis(1300));
}

#[test]
fn keys_are_in_base64() {
    assert_eq!(tsig_key(&Secret::new("a2V5")), Some(Secret::new("key")));
    for bad in ["", "a2V", "-_-_", "a2V5 a2V5"] {
        assert_eq!(tsig_key(&Secret::new(bad)), None, "{bad}");
    }
}

#[test]
fn names_of_zones_and_keys() {
    for good in ["x.test", "x.test.", "acme-update", "tsig_key", "_acme-challenge.x.test"] {
        assert!(is_dns_name(good), "{good}");
    }
    let long = "a".repeat(64);
    for bad in ["", ".", "a..b", "a b", "ä.test", "a\nb", &long] {
        assert!(!is_dns_name(bad), "{bad}");
    }
}
