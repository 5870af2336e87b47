//! The running configuration for operators: with its defaults, without secrets and without values
//! of the environment.

use serde_json::Value;

use crate::raw::File;
use crate::yaml::tree::{Kind, Node};

/// `file` as JSON. Where the environment was put in, the reference stands as it was written.
pub(crate) fn redacted(file: &File, tree: &Node) -> Value {
    let mut view = serde_json::to_value(file).map(plain).unwrap_or_default();
    show_references(&mut view, tree);
    view
}

/// `{"<string>": x}` is `x`: the names of shapes are for reading alone.
pub(crate) fn plain(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        Value::Object(mut entries) => {
            let shape =
                entries.keys().next().filter(|key| entries.len() == 1 && key.starts_with('<'));
            if let Some(inner) = shape.cloned().and_then(|shape| entries.remove(&shape)) {
                return plain(inner);
            }
            Value::Object(entries.into_iter().map(|(key, value)| (key, plain(value))).collect())
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => value,
    }
}

fn show_references(view: &mut Value, node: &Node) {
    match &node.kind {
        Kind::Mapping(entries) => {
            for entry in entries {
                if let Some(below) = view.get_mut(&entry.key) {
                    show_references(below, &entry.value);
                }
            }
        }
        Kind::Scalar(scalar) => {
            if let Some(written) = &scalar.written {
                *view = Value::String(written.clone());
            }
        }
        Kind::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                if let Some(below) = view.get_mut(index) {
                    show_references(below, item);
                }
            }
        }
    }
}
