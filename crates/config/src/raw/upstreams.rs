//! `upstreams`: where requests go.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::raw::certificates::CertificateFile;
use crate::raw::issuers::TrustFile;
use crate::read::Items;
use crate::units::Duration;

/// A named pool of endpoints.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "endpoints"]))]
pub struct Upstream {
    /// Its name in this file.
    #[schemars(required)]
    pub name: Option<String>,
    /// Its endpoints: `http://10.0.0.5:8000`, `https://orders.internal`, `h2c://10.0.0.5:50051`
    /// or `unix:/run/app.sock`.
    #[schemars(required)]
    pub endpoints: Option<Items<String>>,
    /// How an endpoint is chosen: `round_robin`, `least_requests` or `{hash: address}`. Default:
    /// `round_robin`.
    pub balance: Balance,
    /// How endpoints are asked whether they are well. Default: not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// When an endpoint that fails requests is left out for a while.
    pub eject: Eject,
    /// Time-outs of one attempt.
    pub timeouts: UpstreamTimeouts,
    /// Further attempts, of idempotent methods or before a byte was sent; at most 10. Default: 1.
    pub retries: u32,
    /// How https endpoints are checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<UpstreamTls>,
    /// What an endpoint gets as `Host`: `keep` or `endpoint`. Default: `keep`.
    pub host_header: HostHeader,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            name: None,
            endpoints: None,
            balance: Balance::default(),
            health: None,
            eject: Eject::default(),
            timeouts: UpstreamTimeouts::default(),
            retries: 1,
            tls: None,
            host_header: HostHeader::default(),
        }
    }
}

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(
    rename_all = "snake_case",
    expecting = "`round_robin`, `least_requests` or {hash: address}"
)]
pub enum Balance {
    /// By what a request has: the same endpoint as long as it can be used.
    Hash(HashBy),
    /// The one with the fewest requests under way.
    LeastRequests,
    /// One after the other.
    #[default]
    RoundRobin,
}

/// What the choice of an endpoint is made by.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", expecting = "`address`")]
pub enum HashBy {
    /// The client's address.
    Address,
}

/// How an endpoint is asked whether it is well: a `GET` on a connection of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["path"]))]
pub struct Health {
    /// Path asked for, perhaps with a query.
    #[schemars(required)]
    pub path: Option<String>,
    /// The `Host` sent. Default: the endpoint's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Statuses that mean well. Default: `[200]`.
    pub expect: Items<u16>,
    /// From one check to the next. Default: 5s.
    pub every: Duration,
    /// Most time for one check. Default: 2s.
    pub timeout: Duration,
    /// Failed checks in a row after which it is left out. Default: 3.
    pub unhealthy_after: u32,
    /// Good checks in a row after which it is taken again. Default: 2.
    pub healthy_after: u32,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            path: None,
            host: None,
            expect: std::iter::once(200).collect(),
            every: Duration::seconds(5),
            timeout: Duration::seconds(2),
            unhealthy_after: 3,
            healthy_after: 2,
        }
    }
}

/// When an endpoint that fails requests is left out for a while.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Eject {
    /// Failed requests in a row; at least 1. Default: 5.
    pub after_failures: u32,
    /// How long it gets none; then one request is tried. Default: 10s.
    #[serde(rename = "for")]
    pub pause: Duration,
}

impl Default for Eject {
    fn default() -> Self {
        Self { after_failures: 5, pause: Duration::seconds(10) }
    }
}

/// Time-outs of one attempt.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamTimeouts {
    /// For the connection and its TLS handshake. Default: 2s.
    pub connect: Duration,
    /// From the request to the head of the answer. Default: 30s.
    pub response_head: Duration,
    /// Between two reads of the answer's body. Default: 60s.
    pub between_reads: Duration,
    /// For one write. Default: 30s.
    pub write: Duration,
    /// How long an unused connection is kept; less than the app keeps it. Default: 4s.
    pub idle: Duration,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::seconds(2),
            response_head: Duration::seconds(30),
            between_reads: Duration::seconds(60),
            write: Duration::seconds(30),
            idle: Duration::seconds(4),
        }
    }
}

/// How https endpoints are checked. The check cannot be left out.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamTls {
    /// Authorities trusted, in the place of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustFile>,
    /// The name in its certificate. Default: the endpoint's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// The certificate that the gateway shows to endpoints that ask for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<CertificateFile>,
}

/// What an endpoint gets as `Host`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", expecting = "`keep` or `endpoint`")]
pub enum HostHeader {
    /// The endpoint's own.
    Endpoint,
    /// The one the client asked for.
    #[default]
    Keep,
}
