//! The public collections of smuggling requests against the gate.

use super::property_tests::agrees_with_httparse;
use super::*;
use crate::tests::vectors::folder;

const LIMITS: HeadLimits = HeadLimits { size: 32 * 1024, fields: 100, target: 8 * 1024 };

struct Vector {
    id: String,
    raw: Vec<u8>,
    expect: String,
    why: String,
}

fn vectors(file: &str) -> Vec<Vector> {
    let Some(folder) = folder("smuggling") else { return Vec::new() };
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line.get("id").is_some())
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap().to_owned();
            // The files write bytes as the code points of Latin-1.
            let raw = text("raw").chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
            Vector { id: text("id"), raw, expect: text("expect"), why: text("why") }
        })
        .collect()
}

/// The verdict; what is accepted must mean the same to `httparse`, and again byte by byte.
fn verdict(vector: &Vector) -> Result<Option<Accepted>, Rejected> {
    let verdict = HeadGate::new(LIMITS).judge(&vector.raw);
    if let Ok(Some(accepted)) = &verdict {
        agrees_with_httparse(&vector.raw, accepted);
    }
    verdict
}

fn is_accepted(vector: &Vector) -> bool {
    matches!(verdict(vector), Ok(Some(_)))
}

/// Ids of those for which `wrong` holds, but for the known ones.
fn wrong(file: &str, known: &[&str], wrong: impl Fn(&Vector) -> bool) -> Vec<String> {
    vectors(file)
        .into_iter()
        .filter(|vector| !known.contains(&vector.id.as_str()) && wrong(vector))
        .map(|vector| {
            format!("{} {:?} {}", vector.id, String::from_utf8_lossy(&vector.raw), vector.why)
        })
        .collect()
}

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn desync_guardian_severe_requests_never_pass() {
    none(&wrong("desync-guardian.jsonl", &[], |v| v.expect == "reject" && is_accepted(v)));
}

/// Called compliant there and no request by RFC 9112: a target with characters that no URI has, and
/// none at all.
const NOT_COMPLIANT: [&str; 2] = [
    "desync-guardian/rfc-compliant#11:Compliant URL",
    "desync-guardian/rfc-compliant#13:Empty URI",
];

#[test]
fn desync_guardian_compliant_requests_pass_or_are_a_501() {
    none(&wrong("desync-guardian.jsonl", &NOT_COMPLIANT, |v| {
        let is_served = match verdict(v) {
            Ok(accepted) => accepted.is_some(),
            Err(rejected) => rejected.denial.status() == 501,
        };
        v.expect == "accept" && !is_served
    }));
}

/// Errors of llhttp that are not in the first head: in its body, in the request after it, a method
/// that llhttp has no number for, or no error but a hand-over.
const NOT_IN_THE_HEAD: [&str; 17] = [
    "llhttp/connection#2",
    "llhttp/connection#4",
    "llhttp/connection#9",
    "llhttp/connection#13",
    "llhttp/connection#14",
    "llhttp/connection#15",
    "llhttp/connection#16",
    "llhttp/invalid#3",
    "llhttp/invalid#13",
    "llhttp/transfer-encoding#7",
    "llhttp/transfer-encoding#8",
    "llhttp/transfer-encoding#10",
    "llhttp/transfer-encoding#22",
    "llhttp/transfer-encoding#23",
    "llhttp/transfer-encoding#25",
    "llhttp/transfer-encoding#27",
    "llhttp/transfer-encoding#29",
];

#[test]
fn llhttp_errors_in_heads_never_pass() {
    let known = NOT_IN_THE_HEAD.as_slice();
    none(&wrong("llhttp.jsonl", known, |v| v.expect == "llhttp-error" && is_accepted(v)));
}

/// These say nothing of right and wrong, only that two parsers must not read them differently: what
/// passes has one framing field at most, and means the same to the proxy's parser.
#[test]
fn techniques_of_smuggling_pass_only_without_ambiguity() {
    for file in ["smuggler.jsonl", "portswigger.jsonl", "rfc9112.jsonl", "llhttp.jsonl"] {
        none(&wrong(file, &[], |vector| match verdict(vector) {
            Ok(Some(accepted)) => {
                let head = String::from_utf8_lossy(&vector.raw[..accepted.length]);
                let head = head.to_ascii_lowercase();
                head.contains("transfer-encoding") && head.contains("content-length")
            }
            Ok(None) | Err(_) => false,
        }));
    }
}
