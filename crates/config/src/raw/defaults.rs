//! `defaults`: what every route starts from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::raw::clients::ClientRules;
use crate::raw::forward::DefaultForward;
use crate::raw::request::{Request, RouteTimeouts};
use crate::raw::response_headers::ResponseHeaders;
use crate::raw::routes::Upgrade;
use crate::read::Items;

/// Anything of a route but name, path, access and upstream. What a route says itself counts instead.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Defaults {
    /// As in a route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Items<String>>,
    /// As in a route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methods: Option<Items<String>>,
    /// As in a route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoded_slash: Option<bool>,
    /// As in a route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<ClientRules>,
    /// As in a route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Items<String>>,
    /// As in a route; also for answers given before a route was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<String>,
    /// As in a route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Items<Upgrade>>,
    /// As in a route.
    pub request: Request,
    /// As in a route.
    pub timeouts: RouteTimeouts,
    /// As in a route.
    pub response_headers: ResponseHeaders,
    /// As in a route, without `upstream`.
    pub forward: DefaultForward,
}
