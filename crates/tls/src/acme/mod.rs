//! Certificates from an authority by ACME (RFC 8555).

mod challenge;
mod challenges;
mod published;
mod token;

pub use challenge::{Challenge, ChallengeType, SolveError, Solver};
pub use challenges::{Challenges, LookupError};
pub use published::Published;
pub use token::token_of;

#[cfg(test)]
mod published_tests;
