//! Policies: rules in CEL (the Common Expression Language), checked when the file is read.
//!
//! Everything of the `cel` crate stays in here. An expression is parsed, checked against the variables
//! there are (`check`), and rewritten so that each of them is a number; a request answers to those
//! numbers only as far as it is asked. What cannot be evaluated refuses.

mod asked;
mod check;
mod claims;
mod equal;
mod functions;
mod mistake;
mod names;
mod parse;
mod path;
mod pattern;
mod policy;
mod query;
mod reason;
mod types;

#[cfg(test)]
mod tests;

pub use asked::Asked;
pub use mistake::Mistake;
pub use path::PathVariables;
pub use policy::{Compiler, Judgement, Policy, RoutePolicy};
