//! `upstreams`: where requests go.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Its endpoints, such as `http://10.0.0.5:8000` or `https://orders.internal`.
    #[schemars(required)]
    pub endpoints: Option<Items<String>>,
    /// How an endpoint is chosen. Default: `round_robin`.
    pub balance: Balance,
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
            timeouts: UpstreamTimeouts::default(),
            retries: 1,
            tls: None,
            host_header: HostHeader::default(),
        }
    }
}

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", expecting = "`round_robin`")]
pub enum Balance {
    /// One after the other.
    #[default]
    RoundRobin,
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
