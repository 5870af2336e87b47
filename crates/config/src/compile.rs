//! From the raw types to the snapshot: what each section means, and what does not fit together.

mod access;
mod access_certificates;
mod admin;
mod certificates;
mod check;
mod client_certificates;
mod clients;
mod connections;
mod context;
mod cors;
mod coverage;
mod edge;
mod file;
mod forward;
mod hosts;
mod identity;
mod issuers;
mod limits;
mod listeners;
mod methods;
mod names;
mod request;
mod response_headers;
mod route_limits;
mod routes;
mod secret;
mod sections;
mod served;
mod telemetry;
mod unused;
mod upstreams;

pub(crate) use context::Context;
pub(crate) use file::Shown;
pub(crate) use issuers::is_loopback;
