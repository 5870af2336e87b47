//! `response_headers` of a route: security fields of the app's answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Security fields. A value replaces the app's.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResponseHeaders {
    /// `Content-Security-Policy`, on documents. Default: if missing `frame-ancestors 'none';
    /// base-uri 'self'; object-src 'none'`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_security_policy: Option<FieldRule>,
    /// `X-Content-Type-Options`. Default: `nosniff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type_options: Option<FieldRule>,
    /// `Cross-Origin-Opener-Policy`. Default: if missing `same-origin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_origin_opener_policy: Option<FieldRule>,
    /// `Cross-Origin-Resource-Policy`. Default: if missing `same-origin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_origin_resource_policy: Option<FieldRule>,
    /// `X-Frame-Options`. Default: if missing `DENY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_options: Option<FieldRule>,
    /// `Permissions-Policy`; `minimal` stands for none of the powerful features. Default: if missing
    /// `minimal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions_policy: Option<FieldRule>,
    /// `Referrer-Policy`. Default: if missing `no-referrer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer_policy: Option<FieldRule>,
    /// `Server`. Default: `remove`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<FieldRule>,
    /// `Strict-Transport-Security`, over TLS. Default: `max-age=31536000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict_transport_security: Option<TransportRule>,
    /// `X-Powered-By`. Default: `remove`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x_powered_by: Option<FieldRule>,
}

/// What is done to a field.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case", expecting = "a value, {if_missing: value}, `keep` or `remove`")]
pub enum FieldRule {
    /// This value where the app says nothing.
    IfMissing(String),
    /// As the app says.
    Keep,
    /// Taken out.
    Remove,
    /// This value, whatever the app says.
    #[serde(rename = "<string>")]
    #[schemars(untagged)]
    Value(String),
}

/// What is done to `Strict-Transport-Security`.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(
    rename_all = "snake_case",
    expecting = "a value, {include_subdomains: true}, {if_missing: value}, `keep` or `remove`"
)]
pub enum TransportRule {
    /// This value where the app says nothing.
    IfMissing(String),
    /// `max-age=31536000`, for the subdomains too where it is `true`.
    IncludeSubdomains(bool),
    /// As the app says.
    Keep,
    /// Taken out.
    Remove,
    /// This value, whatever the app says.
    #[serde(rename = "<string>")]
    #[schemars(untagged)]
    Value(String),
}
