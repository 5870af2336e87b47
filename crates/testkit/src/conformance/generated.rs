//! Requests of our own, in combinations: the kinds that public collections are thin on.

use serde_json::Value;

use super::case::Case;

/// The collection's name.
const SET: &str = "generated";

/// Requests with holes, and what goes into them. Characters up to U+00FF stand for the byte of their
/// number, others for their UTF-8.
const TEMPLATES: &str = include_str!("generated.json");

/// All of them.
pub fn all() -> Vec<Case> {
    let templates: Vec<Value> = serde_json::from_str(TEMPLATES).expect("JSON");
    let filled = templates.iter().flat_map(fill);
    let numbered = filled.chain(sized()).enumerate();
    numbered.map(|(n, (kind, raw))| Case::new(SET, format!("generated/{kind}#{n}"), raw)).collect()
}

/// Every combination of what goes into `@A` and `@B`.
fn fill(template: &Value) -> Vec<(String, Vec<u8>)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let (kind, raw) = (text(&template["kind"]), text(&template["raw"]));
    let list = |key: &str| {
        let values = template[key].as_array().map(|list| list.iter().map(text).collect());
        values.unwrap_or_else(|| vec![String::new()])
    };
    let seconds = list("B");
    let filled = list("A").into_iter().flat_map(|a| {
        let with_a = raw.replace("@A", &a);
        seconds.iter().map(|b| bytes(&with_a.replace("@B", b))).collect::<Vec<_>>()
    });
    filled.map(|raw| (kind.clone(), raw)).collect()
}

fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for character in text.chars() {
        match u8::try_from(u32::from(character)) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// What is odd only by its size or number.
fn sized() -> Vec<(String, Vec<u8>)> {
    let get = |fields: &str| format!("GET /gen HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    let chunked = |body: &str| {
        let fields = "Host: localhost\r\nTransfer-Encoding: chunked\r\n";
        format!("POST /gen HTTP/1.1\r\n{fields}\r\n{body}")
    };
    let mut found = Vec::new();
    let mut add = |kind: &str, raw: String| found.push((kind.to_owned(), raw.into_bytes()));
    for length in [100, 255, 256, 257, 1_000, 8_000, 8_192, 9_000, 40_000] {
        let long = "a".repeat(length);
        add("chunk-extension", chunked(&format!("3;{long}\r\nabc\r\n0\r\n\r\n")));
        add("chunk-extension", chunked(&format!("3{}\r\nabc\r\n0\r\n\r\n", ";a".repeat(length))));
        add("trailer-size", chunked(&format!("0\r\nx: {long}\r\n\r\n")));
        add("target-size", get("").replace("/gen", &format!("/{long}")));
        add("target-size", get("").replace("/gen", &format!("http://localhost/{long}")));
        add("field-size", get(&format!("x: {long}\r\n")));
        add("field-size", get(&format!("{long}: x\r\n")));
    }
    for count in [50, 90, 101, 300, 2_000, 3_000] {
        add("trailer-count", chunked(&format!("0\r\n{}\r\n", "x: y\r\n".repeat(count))));
        add("field-count", get(&"x: y\r\n".repeat(count)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_in_all_combinations() {
        let template = serde_json::json!(
            {"kind": "k", "raw": "a@Ab@B@A", "A": ["1", "\u{ff}"], "B": ["x", "\u{2010}"]}
        );
        let raw: Vec<Vec<u8>> = fill(&template).into_iter().map(|(_, raw)| raw).collect();
        let want: [&[u8]; 4] =
            [b"a1bx1", b"a1b\xe2\x80\x901", b"a\xffbx\xff", b"a\xffb\xe2\x80\x90\xff"];
        assert_eq!(raw, want);
    }

    #[test]
    fn there_are_thousands_and_none_has_a_hole() {
        let all = all();
        assert!(all.len() > 4_000, "{}", all.len());
        let ids: std::collections::HashSet<&str> = all.iter().map(|case| &*case.id).collect();
        assert_eq!(ids.len(), all.len());
        assert!(!all.iter().any(|case| case.raw.windows(2).any(|w| w == b"@A" || w == b"@B")));
    }
}
