//! The JSON Schema of the file, from the raw types.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::raw::File;
use crate::view::plain;

/// The schema (draft 2020-12), for editors and for `portcullis schema`.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<File>().to_value();
    tidy(&mut schema);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".to_owned(), Value::from("gateway.yaml"));
    }
    schema
}

/// Takes out what schemars derives and the reader does not take: nothing may be null. Defaults lose
/// the names of shapes.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(entries) => {
            if entries.get("default").is_some_and(Value::is_null) {
                entries.remove("default");
            }
            if let Some(default) = entries.get_mut("default") {
                *default = plain(default.take());
            }
            if let Some(Value::Array(types)) = entries.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    entries.insert("type".to_owned(), only);
                }
            }
            if let Some(only) = only_choice(entries) {
                entries.remove("anyOf");
                for (key, value) in only {
                    entries.entry(key).or_insert(value);
                }
            }
            entries.values_mut().for_each(tidy);
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

/// The one thing that is left of a choice when null is taken out of it.
fn only_choice(entries: &mut Map<String, Value>) -> Option<Map<String, Value>> {
    let choices = entries.get_mut("anyOf")?.as_array_mut()?;
    choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
    match choices.as_slice() {
        [Value::Object(only)] => Some(only.clone()),
        _ => None,
    }
}
