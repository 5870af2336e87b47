//! Durations, sizes and rates, as the file writes them.

mod duration;
mod number;
mod rate;
mod size;

pub use duration::Duration;
pub use rate::Rate;
pub use size::Size;
