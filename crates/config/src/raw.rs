//! The language of `gateway.yaml` as types, one file a section: what may stand where, with units
//! and defaults. What it means is decided in `compile`.

pub mod access;
pub mod acme;
pub mod acme_dns;
pub mod admin;
pub mod api_keys;
pub mod certificates;
pub mod client_certificates;
pub mod clients;
pub mod connections;
pub mod cors;
pub mod defaults;
pub mod file;
pub mod forward;
pub mod hosts;
pub mod identity;
pub mod introspection;
pub mod issuers;
pub mod limits;
pub mod listeners;
pub mod network;
pub mod report_only;
pub mod request;
pub mod response_headers;
pub mod routes;
pub mod secret;
pub mod state;
pub mod telemetry;
pub mod upstreams;

pub use file::File;
