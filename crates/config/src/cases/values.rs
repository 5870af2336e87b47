//! Values that may be of more than one kind: claims, which may be anything, and places of rules.

use serde_json::{Map, Value};

use crate::at::At;
use crate::problem::{Problem, Problems};
use crate::yaml::tree::{Kind, Node, Scalar, Shape};

/// The members of the mapping at `at`; none where it is not there.
pub(super) fn members(tree: &Node, at: &At, problems: &mut Problems) -> Map<String, Value> {
    let found = tree.find(at);
    match (found.exact, &found.node.kind) {
        (false, _) => Map::new(),
        (true, Kind::Mapping(entries)) => {
            entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect()
        }
        (true, Kind::Scalar(_) | Kind::Sequence(_)) => {
            problems.push(Problem::new(at.clone(), "claims are a mapping"));
            Map::new()
        }
    }
}

/// `FILE:LINE`, or the line alone.
pub(super) fn place(tree: &Node, at: &At, problems: &mut Problems) -> Option<String> {
    let found = tree.find(at);
    match &found.node.kind {
        Kind::Scalar(Scalar { shape: Shape::Quoted | Shape::Word, text, .. }) => Some(text.clone()),
        Kind::Scalar(Scalar { shape: Shape::Number, text, .. })
            if text.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Some(text.clone())
        }
        Kind::Scalar(_) | Kind::Mapping(_) | Kind::Sequence(_) => {
            let problem = Problem::new(at.clone(), "this is no place of a rule");
            problems.push(problem.expected("`FILE:LINE`, or the line alone"));
            None
        }
    }
}

fn json(node: &Node) -> Value {
    match &node.kind {
        Kind::Mapping(entries) => {
            let member = |entry: &crate::yaml::tree::Entry| (entry.key.clone(), json(&entry.value));
            Value::Object(entries.iter().map(member).collect())
        }
        Kind::Scalar(scalar) => scalar_json(scalar),
        Kind::Sequence(items) => items.iter().map(json).collect(),
    }
}

fn scalar_json(scalar: &Scalar) -> Value {
    match scalar.shape {
        Shape::Boolean => Value::Bool(scalar.text.eq_ignore_ascii_case("true")),
        Shape::Null => Value::Null,
        Shape::Number => serde_json::from_str(&scalar.text)
            .unwrap_or_else(|_| Value::String(scalar.text.clone())),
        Shape::Quoted | Shape::Reference | Shape::Word => Value::String(scalar.text.clone()),
    }
}
