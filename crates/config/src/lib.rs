//! From one YAML file to every mistake in it, or to one immutable [`Snapshot`].
//!
//! ```text
//! text → tree (places, styles) → ${NAME} put in → raw types → compiled sections → Snapshot
//!                         every mistake on the way → Problems → Report
//! ```
//!
//! Nothing stops at the first mistake, and no mistake brings about a second: what is wrong is noted
//! at its path and from then on is as if it were not there.

pub mod advice;
pub mod at;
pub mod cases;
pub mod environment;
pub mod later;
pub mod problem;
pub mod raw;
pub mod report;
pub mod snapshot;
pub mod units;

mod compile;
mod homes;
mod load;
mod read;
mod schema;
mod state_folder;
mod view;
mod yaml;

pub use advice::{Advice, Rule, Severity};
pub use environment::Environment;
pub use load::{LoadOptions, Loaded, check_text, load};
pub use problem::{Problem, Problems};
pub use read::{Entries, Items};
pub use report::{Entry, Report};
pub use schema::schema;
pub use snapshot::Snapshot;
pub use state_folder::state_folder;
