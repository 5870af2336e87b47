//! Certificates from an authority by ACME (RFC 8555).

mod challenge;
mod challenges;
mod dns;
mod dns_exec;
mod dns_wire;
mod proof;
mod published;
mod rfc2136;
mod token;

pub use challenge::{Challenge, ChallengeType, SolveError, Solver};
pub use challenges::{Challenges, LookupError};
pub use dns::DnsMeans;
pub use dns_exec::DnsExec;
pub use proof::asks_for_proof;
pub use published::Published;
pub use rfc2136::{Rfc2136, Rfc2136Settings, TsigAlgorithm, is_dns_name, tsig_key};
pub use token::token_of;

#[cfg(test)]
mod dns_exec_tests;
#[cfg(test)]
mod published_tests;
#[cfg(test)]
mod rfc2136_tests;
