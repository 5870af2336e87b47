//! What a route demands and in which order it is asked: [`Pipeline::decide`].
//!
//! The `config` crate compiles the file into these types; `proxy` acts on the [`Verdict`]. Handles
//! on state that outlives a reload come in through [`Handover`].

pub mod access;
mod caller;
pub mod cel;
mod certificates;
pub mod clients;
pub mod cors;
mod counting;
pub mod forward;
pub mod handover;
pub mod headers;
pub mod hosts;
pub mod identify;
pub mod limits;
pub mod media;
pub mod origin;
mod penalty;
mod permit;
pub mod pipeline;
mod policies;
mod possession;
pub mod report;
pub mod resource_metadata;
pub mod route;
pub mod saw;
mod shape;
pub mod table;
pub mod trace;
pub mod transport;
pub mod upgrade;
pub mod upstream;
pub mod verdict;

pub use access::{Access, CertificateWay, Demand, KeyWay, TokenWay};
pub use cel::PathVariables;
pub use clients::{ClientRules, Clients};
pub use cors::{CorsPolicy, OriginPattern, RouteCors};
pub use forward::{CookieRules, Forward, IdentityRules, IdentityValue, SameSite, TokenMode};
pub use handover::Handover;
pub use headers::{Applies, FieldAction, Fields, HeaderPolicy, HeaderRule};
pub use hosts::{AllowedHost, HostAllowList, HostClients, HostEntry};
pub use limits::{
    AddressLimit, ConcurrentLimit, FloodGuard, PenaltyLimit, PrincipalKey, PrincipalLimit, SlotKey,
};
pub use media::MediaType;
pub use origin::{Lines, Origin};
pub use pipeline::Pipeline;
pub use portcullis_authn::bearer;
pub use portcullis_authn::dpop::{FIELD as DPOP_FIELD, NONCE_FIELD as DPOP_NONCE_FIELD};
pub use portcullis_authn::identity::IdentitySigner;
pub use portcullis_authn::{ApiKeys, ProofStatus, ReadFrom};
pub use possession::Bound;
pub use report::{ReportOnly, WouldDeny};
pub use route::{BodyRules, Route, RouteTimeouts};
pub use table::{Listed, PathPattern, PathPatternError, RouteTable, RouteTableBuilder, TableError};
pub use trace::{NoTrace, Stage, Step, Steps, Trace};
pub use transport::{CHALLENGES, Redirect, Role, ToHttps, Transport};
pub use upgrade::UpgradeToken;
pub use upstream::{
    Balance, ClientPair, Ejection, Endpoint, HealthCheck, HostHeader, Place, Scheme,
    UpstreamSettings, UpstreamTimeouts, UpstreamTls,
};
pub use verdict::{Decision, Grant, PreflightAnswer, Verdict};
