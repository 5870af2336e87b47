//! The JSON Schema: as strict as the reader.

use portcullis_config::schema;
use serde_json::Value;

fn each(value: &Value, path: &str, visit: &mut dyn FnMut(&str, &Value)) {
    visit(path, value);
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                each(item, &format!("{path}/{index}"), visit);
            }
        }
        Value::Object(entries) => {
            for (key, value) in entries {
                each(value, &format!("{path}/{key}"), visit);
            }
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_mapping_is_closed_and_nothing_is_null() {
    let mut mappings = 0;
    each(&schema(), "", &mut |path, value| {
        if value.get("properties").is_some_and(Value::is_object) && value.get("type").is_some() {
            mappings += 1;
            assert_eq!(value["additionalProperties"], false, "{path}");
        }
        let is_null = value.as_str() == Some("null") && !path.contains("/description");
        assert!(!is_null && !value.is_null(), "{path}");
        assert!(!path.contains('<'), "{path}");
        if let Some(text) = value.as_str() {
            assert!(!text.starts_with('<'), "{path}: {text}");
        }
    });
    assert!(mappings > 30, "{mappings} mappings");
}

#[test]
fn what_must_be_said_is_required() {
    let schema = schema();
    assert_eq!(schema["required"], serde_json::json!(["version", "hosts", "upstreams", "routes"]));
    for (name, required) in [
        ("Route", vec!["name", "path", "access", "forward"]),
        ("Upstream", vec!["name", "endpoints"]),
        ("Issuer", vec!["name", "issuer", "audience"]),
        ("Limit", vec!["name", "key"]),
    ] {
        assert_eq!(schema["$defs"][name]["required"], serde_json::json!(required), "{name}");
    }
    let forward = &schema["$defs"]["Route"]["properties"]["forward"];
    assert_eq!(forward["required"], serde_json::json!(["upstream"]));
}

#[test]
fn every_key_says_what_it_is() {
    each(&schema(), "", &mut |path, value| {
        let keys =
            value.get("properties").and_then(Value::as_object).filter(|_| path.contains("$defs"));
        for (key, property) in keys.into_iter().flatten() {
            let is_variant = value["properties"].as_object().is_some_and(|keys| keys.len() == 1);
            assert!(property.get("description").is_some() || is_variant, "{path}: {key}");
        }
    });
}

#[test]
fn units_have_a_pattern() {
    let schema = schema();
    for name in ["Duration", "Size", "Network"] {
        assert!(schema["$defs"][name]["pattern"].is_string(), "{name}");
    }
    assert!(schema["$defs"]["Limit"]["properties"]["rate"]["pattern"].is_string());
}
