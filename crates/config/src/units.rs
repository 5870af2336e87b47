//! Durations, sizes and rates, as the file writes them.

mod byte_rate;
mod duration;
mod number;
mod rate;
mod size;

pub use byte_rate::ByteRate;
pub use duration::Duration;
pub use rate::Rate;
pub use size::Size;
