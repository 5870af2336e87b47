//! The crate from outside, one module a promise.

#![cfg(test)]

mod acme;
mod acme_dns;
mod advice;
mod api_keys;
mod files;
mod golden;
mod language;
mod mistakes;
mod policies;
mod schema;
mod snapshot;
mod state;

use portcullis_config::{Environment, LoadOptions};
use portcullis_core::{Clock, Timestamp};
use portcullis_policy::Handover;

/// Files are read, the environment is small, and nothing is taken over.
fn options() -> LoadOptions {
    let clock = Clock::manual(Timestamp::from_unix_seconds(1_800_000_000));
    let environment = Environment::fixed([("TOKEN", "a-token-of-some-length")]);
    let handover = Handover::empty(clock);
    LoadOptions { environment, read_files: true, read_state_key: false, handover }
}
