//! Certificates from an authority by ACME (RFC 8555).

mod challenge;

pub use challenge::{Challenge, ChallengeType, SolveError, Solver};
