//! `routes`: what is served, to whom, and from where.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::raw::access::Access;
use crate::raw::clients::ClientRules;
use crate::raw::forward::Forward;
use crate::raw::request::{Request, RouteTimeouts};
use crate::raw::response_headers::ResponseHeaders;
use crate::read::Items;

/// One route: what it matches, what it demands, where it goes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "path", "access", "forward"]))]
pub struct Route {
    /// Its name, for the log and the metrics.
    #[schemars(required)]
    pub name: Option<String>,
    /// Entries of `hosts` it is for. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Items<String>>,
    /// The path: exact; `{name}` is one segment, `/x/{*rest}` a prefix.
    #[schemars(required)]
    pub path: Option<String>,
    /// Methods; GET brings HEAD. Default: `[GET, POST, PUT, PATCH, DELETE]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methods: Option<Items<String>>,
    /// Whether `%2F` and double encodings pass. Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoded_slash: Option<bool>,
    /// Who may call: `public`, or `{any_of: […]}`.
    #[schemars(required)]
    pub access: Option<Access>,
    /// From where it may be called. Default: from everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<ClientRules>,
    /// Names of `limits`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Items<String>>,
    /// A name of `cors`, or `app`: the app answers other origins itself. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<String>,
    /// Protocols that a GET may turn its connection into: `[websocket]`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Items<Upgrade>>,
    /// What a request may bring.
    pub request: Request,
    /// How long it may take.
    pub timeouts: RouteTimeouts,
    /// Security fields of the app's answers.
    pub response_headers: ResponseHeaders,
    /// Where it goes.
    #[schemars(required)]
    pub forward: Option<Forward>,
}

/// A protocol that a connection may be turned into.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", expecting = "`websocket`")]
pub enum Upgrade {
    /// RFC 6455.
    #[serde(rename = "websocket")]
    WebSocket,
}
