//! End-to-end tests: the real binary, real sockets on loopback, a module per promise.
//!
//! A test that stands for a case from the field carries its id (`c24_…`). Cases of this version are
//! C01–C10, C16–C19, C21–C33, C35, C39–C51 and C54 (C48 stands in `crates/proxy`); what of them needs a
//! later part of the language is said at its place and not faked.
#![cfg(test)]

mod acme;
mod api_keys;
mod bodies;
mod cases;
mod certificate_formats;
mod certificates;
mod certificates_shown;
mod challenges;
mod client_certificates;
mod config;
mod conformance;
mod conformance_responses;
mod cors;
mod demo;
mod examples;
mod fanout;
mod fastapi;
mod framing;
mod grpc;
mod handover;
mod headers;
mod hosts;
mod http2;
mod http2_floods;
mod identity;
mod introspection;
mod keysets;
mod limits;
mod mcp;
mod messages;
mod misbehave;
mod oidc;
mod one_head;
mod operation;
mod outages;
mod paths;
mod penalties;
mod policies;
mod possession;
mod protocols;
mod proxy_protocol;
mod redirects;
mod regressions;
mod reload;
mod report_only;
mod resource_metadata;
mod revocations;
mod scanners;
mod settings;
mod slow;
mod soak;
mod state;
mod streams;
mod tidy;
mod tls_policy;
mod tokens;
mod unix_socket;
mod upgrade;
mod upstream_retries;
mod upstreams;
mod verdicts;
mod world;
