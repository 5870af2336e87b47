//! The score: raw requests through a gateway to an origin that is read by the judge.
//!
//! The same machinery runs against other gateways, so that the judge is known to see.

pub mod answers;
pub mod case;
pub mod corpus;
pub mod gateway;
pub mod generated;
pub mod lane;
pub mod origin;
pub mod peers;
pub mod report;
pub mod score;

pub use case::{Case, Tier};
pub use lane::{Lane, Outcome, run};
pub use origin::{Event, Origin};
pub use score::Score;
