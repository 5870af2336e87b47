//! Mistakes and advice as SARIF 2.1.0, for code scanning.

use serde_json::{Value, json};

use crate::advice::{Advice, Reference, Rule, Severity, rules};
use crate::report::Entry;

/// Rule of every mistake; advice has numbers of its own.
const MISTAKE: &str = "mistake";

/// A SARIF log of `mistakes` and of `advice` on the file `name`. It has all rules, found or not, so
/// that a rule keeps its place.
pub fn render_sarif(name: &str, mistakes: &[Entry], advice: &[Advice]) -> String {
    let mut results: Vec<Value> = mistakes.iter().map(of_mistake).collect();
    results.extend(advice.iter().map(|advice| of_advice(name, advice)));
    let all = rules().into_iter().map(descriptor);
    let descriptors: Vec<Value> = std::iter::once(of_mistakes()).chain(all).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "portcullis",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": descriptors,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    serde_json::to_string_pretty(&log).unwrap_or_default()
}

fn of_mistakes() -> Value {
    json!({
        "id": MISTAKE,
        "name": MISTAKE,
        "shortDescription": {"text": "The file is refused"},
        "fullDescription": {"text": "A file with a mistake is not served: the one before stays in force."},
        "help": {"text": "Write what is expected."},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["correctness"]},
    })
}

/// What a rule is, for those who read its results.
fn descriptor(rule: &Rule) -> Value {
    let Rule { number, name, title, why, fix, references, severity, .. } = rule;
    let link = |one: &Reference| format!("[{one}]({})", one.url());
    let links: Vec<String> = references.iter().map(link).collect();
    let tags: Vec<String> = std::iter::once("security".to_owned())
        .chain(references.iter().map(Reference::to_string))
        .collect();
    let markdown =
        format!("**Why:** {why}.\n\n**What to do:** {fix}.\n\nSee {}.", links.join(", "));
    let text = format!("{fix} (see {})", rule.references_text());
    json!({
        "id": number,
        "name": name,
        "shortDescription": {"text": title},
        "fullDescription": {"text": format!("{title}: {why}.")},
        "help": {"text": text, "markdown": markdown},
        "helpUri": references.first().map(Reference::url),
        "defaultConfiguration": {"level": level(*severity)},
        "properties": {
            "tags": tags,
            "problem.severity": problem_severity(*severity),
            "security-severity": security_severity(*severity),
        },
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "warning",
        Severity::Low => "note",
    }
}

/// As code scanning sorts what it shows.
const fn problem_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "warning",
        Severity::Low => "recommendation",
    }
}

/// From 0.0 to 10.0, as CVSS has it.
const fn security_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "8.0",
        Severity::Low => "3.0",
    }
}

fn of_mistake(entry: &Entry) -> Value {
    let Entry { file, line, column, path, message, expected, help } = entry;
    let mut text = message.clone();
    for (name, more) in [("expected", expected), ("help", help)] {
        if let Some(more) = more {
            text = format!("{text}; {name}: {more}");
        }
    }
    result(MISTAKE, "error", &text, &Place { file, path, line: *line, column: *column })
}

fn of_advice(name: &str, advice: &Advice) -> Value {
    let Advice { rule, path, line, column, message, .. } = advice;
    let place = Place { file: name, path, line: *line, column: *column };
    let text = format!("{message}: {}. Fix: {}", rule.why, rule.fix);
    result(rule.number, level(rule.severity), &text, &place)
}

/// Where something was found; the line is 0 where the file does not say it.
struct Place<'a> {
    file: &'a str,
    path: &'a str,
    line: usize,
    column: usize,
}

fn result(rule: &str, level: &str, text: &str, place: &Place<'_>) -> Value {
    let mut physical = json!({"artifactLocation": {"uri": uri(place.file)}});
    if place.line > 0
        && let Some(physical) = physical.as_object_mut()
    {
        let region = json!({"startLine": place.line, "startColumn": place.column.max(1)});
        physical.insert("region".to_owned(), region);
    }
    let index = rules().iter().position(|known| known.number == rule).map_or(0, |at| at + 1);
    json!({
        "ruleId": rule,
        "ruleIndex": index,
        "level": level,
        "message": {"text": text},
        "locations": [{
            "physicalLocation": physical,
            "logicalLocations": [{"fullyQualifiedName": place.path}],
        }],
        "partialFingerprints": {"ruleAndPath/v1": format!("{rule}:{}", place.path)},
    })
}

/// A path as a URI reference (RFC 3986 §4.1).
fn uri(path: &str) -> String {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let encoded = path.bytes().map(|byte| match byte {
        byte if sound(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    let encoded: String = encoded.collect();
    if encoded.starts_with('/') { format!("file://{encoded}") } else { encoded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_references() {
        assert_eq!(uri("deploy/gateway.yaml"), "deploy/gateway.yaml");
        assert_eq!(uri("/etc/a b/ü.yaml"), "file:///etc/a%20b/%C3%BC.yaml");
        assert_eq!(uri("c:x?#.yaml"), "c%3Ax%3F%23.yaml");
    }
}
