//! `telemetry`: what is written down.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::read::Items;

/// What is written down.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// One line a request.
    pub access_log: AccessLog,
    /// One line a denial and a configuration event. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_log: Option<AuditLog>,
    /// What no log shows, beside the built-in list.
    pub redact: Redact,
}

/// The access log.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessLog {
    /// `stdout`, `stderr`, or the path of a file. Default: `stdout`.
    pub to: String,
    /// How a line looks. Default: `json`.
    pub format: LogFormat,
}

impl Default for AccessLog {
    fn default() -> Self {
        Self { to: "stdout".to_owned(), format: LogFormat::default() }
    }
}

/// How a line of a log looks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", expecting = "`json`")]
pub enum LogFormat {
    /// One JSON object.
    #[default]
    Json,
}

/// The audit log.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["to"]))]
pub struct AuditLog {
    /// `stdout`, `stderr`, or the path of a file.
    #[schemars(required)]
    pub to: Option<String>,
}

/// What no log shows.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redact {
    /// Names of query parameters. Default: none beside the built-in ones.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub query: Items<String>,
    /// Names of fields. Default: none beside the built-in ones.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub headers: Items<String>,
}
