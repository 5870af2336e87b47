//! The whole file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::raw::admin::Admin;
use crate::raw::api_keys::ApiKeys;
use crate::raw::certificates::Certificates;
use crate::raw::clients::Clients;
use crate::raw::connections::Connections;
use crate::raw::cors::Cors;
use crate::raw::defaults::Defaults;
use crate::raw::hosts::HostEntry;
use crate::raw::identity::Identity;
use crate::raw::issuers::Issuer;
use crate::raw::limits::Limit;
use crate::raw::listeners::Listener;
use crate::raw::report_only::ReportOnly;
use crate::raw::routes::Route;
use crate::raw::state::State;
use crate::raw::telemetry::Telemetry;
use crate::raw::upstreams::Upstream;
use crate::read::{Entries, Items};

/// The file of a gateway.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["version", "hosts", "upstreams", "routes"]))]
pub struct File {
    /// Version of the language: 1.
    #[schemars(required, extend("const" = 1))]
    pub version: Option<u32>,
    /// Where requests come in. Default: one listener `https` on `[::]:443`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listeners: Option<Items<Listener>>,
    /// Bounds and deadlines of connections.
    pub connections: Connections,
    /// The hosts that are served; a request for any other is answered 421.
    #[schemars(required)]
    pub hosts: Option<Items<HostEntry>>,
    /// Where certificates come from.
    pub certificates: Certificates,
    /// Whose address counts, and who may come at all.
    pub clients: Clients,
    /// Where what must be remembered lives.
    pub state: State,
    /// What every route starts from.
    pub defaults: Defaults,
    /// Who issues the tokens that are taken. Default: none.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub issuers: Items<Issuer>,
    /// How API keys are sent.
    pub api_keys: ApiKeys,
    /// Rules in CEL, by name, used by routes. Default: none.
    #[serde(skip_serializing_if = "Entries::is_empty")]
    pub policies: Entries<String>,
    /// Named limits, used by routes. Default: none.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub limits: Items<Limit>,
    /// Where requests go.
    #[schemars(required)]
    pub upstreams: Option<Items<Upstream>>,
    /// Named cross-origin policies, used by routes. Default: none.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub cors: Items<Cors>,
    /// What the apps are told by a signed token.
    pub identity: Identity,
    /// What is served, to whom, and from where.
    #[schemars(required)]
    pub routes: Option<Items<Route>>,
    /// What is decided and recorded, but forwarded, until its end. Default: nothing.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub report_only: Items<ReportOnly>,
    /// The listeners for operators.
    pub admin: Admin,
    /// What is written down.
    pub telemetry: Telemetry,
}
