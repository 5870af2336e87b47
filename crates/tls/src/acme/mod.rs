//! Certificates from an authority by ACME (RFC 8555).

mod account;
mod challenge;
mod challenges;
mod dns;
mod dns_exec;
mod dns_wire;
mod engine;
mod failure;
mod http;
mod kept;
mod lease;
mod moment;
mod order;
mod proof;
mod published;
mod record;
mod rfc2136;
mod schedule;
mod settings;
mod task;
mod token;

pub use challenge::{Challenge, ChallengeType, SolveError, Solver};
pub use challenges::{Challenges, LookupError};
pub use dns::DnsMeans;
pub use dns_exec::DnsExec;
pub use engine::Acme;
pub use http::roots_of;
pub use kept::kept_certificate;
pub use moment::Moment;
pub use proof::asks_for_proof;
pub use published::Published;
pub use record::{KeyText, NameRecord, OrderRecord, RecordError, RenewalRecord};
pub use rfc2136::{Rfc2136, Rfc2136Settings, TsigAlgorithm, is_dns_name, tsig_key};
pub use settings::{
    AcmeEvents, AcmePlan, AcmeSettings, DEFAULT_DIRECTORY, ExternalAccount, Pace, Solvers,
};
pub use token::token_of;

#[cfg(test)]
mod dns_exec_tests;
#[cfg(test)]
#[path = "engine/tests.rs"]
mod engine_tests;
#[cfg(test)]
mod published_tests;
#[cfg(test)]
mod rfc2136_tests;
