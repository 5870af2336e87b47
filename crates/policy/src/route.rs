//! One route: what it matches is in the table, what it demands is here.

use std::sync::Arc;
use std::time::Duration;

use http::Method;

use crate::{
    Access, AddressLimit, ClientRules, ConcurrentLimit, Forward, HeaderPolicy, MediaType, Origin,
    PenaltyLimit, PrincipalLimit, ReportOnly, RouteCors, UpgradeToken,
};

/// A compiled route.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name in the file.
    pub name: Arc<str>,
    /// Its first line in the file.
    pub origin: Origin,
    /// Methods it takes; HEAD stands beside GET.
    pub methods: Vec<Method>,
    /// Whether `%2F` and double encodings pass.
    pub encoded_slash: bool,
    /// Who may call.
    pub access: Access,
    /// From where.
    pub clients: Option<ClientRules>,
    /// Limits by address.
    pub address_limits: Vec<AddressLimit>,
    /// What wrong credentials cost.
    pub penalty: Option<PenaltyLimit>,
    /// Limits by principal or claim.
    pub principal_limits: Vec<PrincipalLimit>,
    /// Limits of requests at once.
    pub concurrent_limits: Vec<ConcurrentLimit>,
    /// What a connection may be turned into.
    pub upgrade: Vec<UpgradeToken>,
    /// Who answers other origins, and how.
    pub cors: RouteCors,
    /// What body it takes.
    pub body: BodyRules,
    /// How long it may take.
    pub timeouts: RouteTimeouts,
    /// Fields set, kept and removed on the app's answers.
    pub response_headers: Arc<HeaderPolicy>,
    /// Where it goes.
    pub forward: Forward,
}

/// What body a route takes.
#[derive(Clone, Debug)]
pub struct BodyRules {
    /// Most bytes, counted as they come where no length was declared.
    pub maximum: u64,
    /// Media types taken; empty: any.
    pub types: Vec<MediaType>,
    /// The line that says it.
    pub origin: Origin,
    /// Where they only report.
    pub report_only: Option<ReportOnly>,
}

/// How long a route may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTimeouts {
    /// From the head of the request to the last byte of the answer.
    pub total: Duration,
}
