//! A secret is never written in the file: only where it is.

use std::fmt;

use portcullis_core::Secret;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// Where a secret is.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema, Serialize)]
#[serde(
    rename_all = "snake_case",
    expecting = "a secret by reference: {file: path}, {env: NAME} or a string that is one `${NAME}`"
)]
pub enum SecretSource {
    /// In this environment variable.
    Env(String),
    /// In this file.
    File(String),
    /// It was put in from the environment.
    #[serde(rename = "<reference>")]
    #[schemars(untagged)]
    Reference(Hidden),
}

/// The value of a `${NAME}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden(pub(crate) Secret);

impl Serialize for Hidden {
    /// Never the value.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("redacted")
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(HiddenVisitor)
    }
}

struct HiddenVisitor;

impl Visitor<'_> for HiddenVisitor {
    type Value = Hidden;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string that is one `${NAME}`")
    }

    fn visit_str<E>(self, text: &str) -> Result<Hidden, E> {
        Ok(Hidden(Secret::new(text)))
    }
}

impl JsonSchema for Hidden {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reference".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "One `${NAME}`: the value of an environment variable.",
            "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}$",
        })
    }
}
