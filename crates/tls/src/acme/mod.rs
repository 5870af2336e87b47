//! Certificates from an authority by ACME (RFC 8555).

mod account;
mod challenge;
mod challenges;
mod engine;
mod failure;
mod http;
mod lease;
mod moment;
mod order;
mod published;
mod record;
mod schedule;
mod settings;
mod task;
mod token;

pub use challenge::{Challenge, ChallengeType, SolveError, Solver};
pub use challenges::{Challenges, LookupError};
pub use engine::Acme;
pub use http::roots_of;
pub use moment::Moment;
pub use published::Published;
pub use record::{KeyText, NameRecord, OrderRecord, RecordError, RenewalRecord};
pub use settings::{
    AcmeEvents, AcmePlan, AcmeSettings, DEFAULT_DIRECTORY, ExternalAccount, Pace, Solvers,
};
pub use token::token_of;

#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod published_tests;
