//! End-to-end tests: the real binary, real sockets on loopback, a module per promise.
//!
//! A test that stands for a case from the field carries its id (`c24_…`). Cases of this version are
//! C01–C10, C16–C19, C21–C27, C32 and C39–C47; what of them needs a later part of the language is
//! said at its place and not faked.
#![cfg(test)]

mod bodies;
mod config;
mod cors;
mod demo;
mod examples;
mod fastapi;
mod framing;
mod headers;
mod hosts;
mod identity;
mod keysets;
mod limits;
mod misbehave;
mod oidc;
mod operation;
mod outages;
mod paths;
mod protocols;
mod reload;
mod settings;
mod tidy;
mod tokens;
mod upstream_retries;
mod upstreams;
mod world;
