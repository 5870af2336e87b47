//! From one YAML file to every mistake in it, or to one immutable snapshot.

pub mod advice;
pub mod at;
pub mod environment;
pub mod later;
pub mod problem;
pub mod raw;
mod read;
pub mod report;
pub mod units;
mod yaml;

pub use read::{Entries, Items};
