//! No byte reaches an app that the gateway did not understand: raw requests through the real binary
//! to an origin that is read by a strict judge. `make conformance` runs all of them, and other
//! gateways; this is the part that a test run has time for.

use std::path::Path;

use portcullis_testkit::conformance::{
    Case, Lane, Outcome, Score, Tier, corpus, gateway, generated, run,
};
use portcullis_testkit::tools;

/// How many gateways of each kind of transport share the work.
const LANES: usize = 2;

/// Of a compliant tier and no request by RFC 9112: characters that no URI has, and no target.
const NOT_COMPLIANT: [&str; 2] = [
    "desync-guardian/rfc-compliant#11:Compliant URL",
    "desync-guardian/rfc-compliant#13:Empty URI",
];

/// Whose body does not come: there is nothing to serve yet.
const NOT_COMPLETE: [&str; 4] = [
    "desync-guardian/more-compliant-tests#0:Has a CL in PUT OK",
    "desync-guardian/more-compliant-tests#1:Very many headers",
    "desync-guardian/more-compliant-tests#4:Correct CL OK",
    "desync-guardian/more-compliant-tests#6:Large Size OK",
];

/// Arrives on a connection that goes on, and says one thing to every strict reader (RFC 9110 §9.3.1).
const AMBIGUOUS_AND_FORWARDED: [&str; 1] =
    ["desync-guardian/ambiguous#12:Get with a body and Content-Length"];

/// Every request of the files, and a part of the many that differ in one byte.
fn quick() -> Option<Vec<Case>> {
    let folder = tools::vectors("")?;
    let all = corpus::published(&folder);
    assert!(all.len() > 1_800, "{} requests", all.len());
    let few = |cases: Vec<Case>, step: usize| cases.into_iter().step_by(step);
    let (many, rest): (Vec<Case>, Vec<Case>) = all.into_iter().partition(|c| c.set == "smuggler");
    let more = few(many, 3).chain(few(generated::all(), 5)).chain(few(corpus::urls(&folder), 11));
    Some(rest.into_iter().chain(more).collect())
}

#[track_caller]
fn holds(cases: &[Case], outcomes: &[Outcome]) {
    let score = Score::of(cases, outcomes);
    let none = |what: &str, ids: &[String]| assert!(ids.is_empty(), "{what}: {ids:#?}");
    none("arrived malformed", &score.malformed);
    none("arrived as more than was sent", &score.split);
    none("arrived with another method or body", &score.changed);
    none("damaged the next request", &score.damaged);
    none("of the severe tier, arrived", &score.severe);
    let new = |id: &&String| !AMBIGUOUS_AND_FORWARDED.contains(&id.as_str());
    let ambiguous: Vec<&String> = score.ambiguous.iter().filter(new).collect();
    assert!(ambiguous.is_empty(), "of the ambiguous tier, not isolated: {ambiguous:#?}");
    let lists = [&NOT_COMPLIANT[..], &NOT_COMPLETE];
    let known = |id: &String| lists.concat().iter().any(|known| id.starts_with(known));
    let refused: Vec<String> = score.compliant.into_iter().filter(|id| !known(id)).collect();
    none("of the compliant tier, refused", &refused);
    // The test sees nothing if nothing gets through.
    assert!(score.forwarded > 50, "only {} of {} arrived", score.forwarded, score.requests);
}

#[test]
fn every_raw_request_arrives_well_formed_or_not_at_all() {
    let Some(cases) = quick() else { return };
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (_gateways, lanes) = gateway::lanes(env!("CARGO_BIN_EXE_portcullis"), root, LANES);
    std::thread::scope(|scope| {
        scope.spawn(|| holds(&cases, &run(&lanes.plain, &cases)));
        scope.spawn(|| {
            let tiers = |case: &&Case| case.tier != Tier::Any || case.id.len().is_multiple_of(4);
            let some: Vec<Case> = cases.iter().filter(tiers).cloned().collect();
            holds(&some, &run(&lanes.tls, &some));
        });
    });
}

#[test]
fn the_machinery_sees_what_arrives() {
    // Straight to the origin, with nothing in between that could refuse.
    let origin = portcullis_testkit::conformance::Origin::start();
    let client = portcullis_testkit::Client::plain(origin.address());
    let lane = Lane { client, origin };
    let host = "Host: localhost\r\n";
    let cases = [
        ("clean", format!("GET / HTTP/1.1\r\n{host}\r\n")),
        ("two", format!("GET /1 HTTP/1.1\r\n{host}\r\nGET /2 HTTP/1.1\r\n{host}\r\n")),
        ("bad", format!("GET / HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx")),
        ("cut", format!("POST / HTTP/1.1\r\n{host}Content-Length: 9\r\n\r\nx")),
        ("surplus", format!("GET / HTTP/1.1\r\n{host}\r\nX")),
    ]
    .map(|(id, raw)| Case::new("own", id, raw));
    let outcomes = run(std::slice::from_ref(&lane), &cases);
    let seen: Vec<_> = outcomes
        .iter()
        .map(|o| (o.status, o.forwarded.len(), o.malformed.len(), o.partial, o.damaged.is_some()))
        .collect();
    assert_eq!(seen[0], (Some(200), 1, 0, 0, false));
    assert_eq!(seen[1], (Some(200), 2, 0, 0, false));
    assert_eq!(seen[2], (Some(400), 0, 1, 0, false));
    assert_eq!(seen[3], (None, 0, 0, 1 + cases[3].raw.len() - 1, false));
    // The `X` becomes the beginning of the canary's method, as it must for a strict reader.
    assert_eq!(seen[4], (Some(200), 2, 0, 0, false));
    let score = Score::of(&cases, &outcomes);
    assert_eq!((score.malformed.len(), score.split.len(), score.damaged.len()), (1, 0, 0));
    // And a split, a change and a damage are counted when they come.
    let twice =
        Outcome { forwarded: vec![outcomes[1].forwarded[0].clone(); 2], ..outcomes[0].clone() };
    assert_eq!(Score::of(&cases[..1], &[twice]).split.len(), 1);
    let mut other = outcomes[0].clone();
    other.forwarded[0].body = b"x".to_vec();
    other.damaged = Some("said".to_owned());
    let score = Score::of(&cases[..1], &[other]);
    assert_eq!((score.changed.len(), score.damaged.len()), (1, 1));
}
