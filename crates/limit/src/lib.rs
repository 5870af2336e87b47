//! Counts: quotas, slots and failures, in bounded memory.
//!
//! A [`Limiter`] holds one named quota for many keys. It judges by GCRA: each key has one number,
//! the time at which its bucket will be full again. The table of these is bounded, and making room
//! in it never sets a key free that is being refused. [`Slots`] count what is served at once.
//! [`Penalties`] count failures, and say who must wait because of them.

mod clock;
mod digest;
mod fields;
mod limiter;
mod penalties;
mod penalty;
mod probe;
mod quota;
mod shard;
mod slots;
mod table;

pub use fields::{limit_item, policy_item, whole_seconds};
pub use limiter::{Limiter, Outcome, Standing};
pub use penalties::{Pair, Penalties};
pub use penalty::Penalty;
pub use quota::Quota;
pub use slots::{Slot, Slots};
