//! Mistakes and advice as SARIF 2.1.0, for code scanning.

use serde_json::{Value, json};

use crate::advice::{Advice, Severity};
use crate::report::Entry;

/// Rule of every mistake; advice has numbers of its own.
const MISTAKE: &str = "mistake";

/// A SARIF log of `mistakes` and of `advice` on the file `name`.
pub fn render_sarif(name: &str, mistakes: &[Entry], advice: &[Advice]) -> String {
    let mut results: Vec<Value> = mistakes.iter().map(of_mistake).collect();
    results.extend(advice.iter().map(|advice| of_advice(name, advice)));
    let mut rules: Vec<&Advice> = advice.iter().collect();
    rules.dedup_by_key(|advice| advice.rule);
    let rules = rules.into_iter().map(|advice| {
        json!({"id": advice.rule, "shortDescription": {"text": advice.why}, "help": {"text": advice.fix}})
    });
    let mistake = json!({"id": MISTAKE, "shortDescription": {"text": "The file is refused"}});
    let rules: Vec<Value> = std::iter::once(mistake).chain(rules).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "portcullis",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "results": results,
        }],
    });
    serde_json::to_string_pretty(&log).unwrap_or_default()
}

fn of_mistake(entry: &Entry) -> Value {
    let Entry { file, line, column, path, message, expected, help } = entry;
    let mut text = message.clone();
    for (name, more) in [("expected", expected), ("help", help)] {
        if let Some(more) = more {
            text = format!("{text}; {name}: {more}");
        }
    }
    let region = json!({"startLine": (*line).max(1), "startColumn": (*column).max(1)});
    result(MISTAKE, "error", &text, path, file, &region)
}

fn of_advice(name: &str, advice: &Advice) -> Value {
    let level = match advice.severity {
        Severity::High => "warning",
        Severity::Low => "note",
    };
    let region = json!({"startLine": advice.line.max(1)});
    result(advice.rule, level, &advice.message, &advice.path, name, &region)
}

fn result(rule: &str, level: &str, text: &str, path: &str, file: &str, region: &Value) -> Value {
    json!({
        "ruleId": rule,
        "level": level,
        "message": {"text": text},
        "locations": [{
            "physicalLocation": {"artifactLocation": {"uri": file}, "region": region},
            "logicalLocations": [{"fullyQualifiedName": path}],
        }],
    })
}
