//! The public collections: smuggling techniques, tiers, verdicts of parsers, URLs, paths.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::case::{Case, Tier};

/// The files of raw requests.
const SETS: [&str; 5] = ["desync-guardian", "llhttp", "portswigger", "rfc9112", "smuggler"];

/// The collection made of URLs.
const URLS: &str = "url";

/// Every request of the files of raw requests below `folder`, and one for each path of the path
/// set: what the published numbers of other gateways were taken on, as near as is known.
pub fn published(folder: &Path) -> Vec<Case> {
    let raw = SETS.iter().flat_map(|set| requests(folder, set));
    unique(raw.chain(paths(folder)).collect())
}

/// The set of URLs as targets and as `Host`.
pub fn urls(folder: &Path) -> Vec<Case> {
    let text = fs::read_to_string(folder.join("url/urltestdata.json")).expect("the URLs are there");
    let list: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let inputs = list.iter().filter_map(|entry| entry["input"].as_str());
    let cases = inputs.enumerate().flat_map(|(n, input)| {
        let input = input.as_bytes();
        let target = [b"GET ", input, b" HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat();
        let host = [b"GET / HTTP/1.1\r\nHost: ", after_scheme(input), b"\r\n\r\n"].concat();
        let path = [b"GET /", input, b" HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat();
        [("target", target), ("host", host), ("path", path)]
            .map(|(kind, raw)| Case::new(URLS, format!("url/{kind}#{n}"), raw))
    });
    cases.collect()
}

fn after_scheme(input: &[u8]) -> &[u8] {
    let start = input.windows(3).position(|w| w == b"://").map_or(0, |at| at + 3);
    &input[start..]
}

/// Ids that occur twice get a number.
fn unique(mut cases: Vec<Case>) -> Vec<Case> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for case in &mut cases {
        let count = seen.entry(case.id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            case.id = format!("{} ({count})", case.id);
        }
    }
    cases
}

fn requests(folder: &Path, set: &'static str) -> Vec<Case> {
    let file = folder.join(format!("smuggling/{set}.jsonl"));
    let text = fs::read_to_string(file).expect("the requests are there");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines
        .filter_map(|line| {
            let mut case = Case::new(set, line["id"].as_str()?, latin1(line["raw"].as_str()?));
            case.tier = match line["expect"].as_str()? {
                "reject" => Tier::Severe,
                "reject-or-isolate" => Tier::Ambiguous,
                "accept" => Tier::Compliant,
                _ => Tier::Any,
            };
            Some(case)
        })
        .collect()
}

fn paths(folder: &Path) -> Vec<Case> {
    let text = fs::read_to_string(folder.join("path/path.json")).expect("the paths are there");
    let all: Value = serde_json::from_str(&text).expect("JSON");
    let mut found = Vec::new();
    for (kind, list) in all.as_object().expect("an object") {
        for entry in list.as_array().into_iter().flatten() {
            let path = entry.as_str().or_else(|| entry[0].as_str()).unwrap_or_default();
            let raw = latin1(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
            let id = format!("path/{kind}#{}", found.len());
            found.push(Case::new("path", id, raw));
        }
    }
    found
}

/// The files write each byte as the character of its number.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}
