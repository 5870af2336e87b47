//! The adapter between the pipeline and pingora's `HttpProxy`: phases, upstreams, answers, records.

mod acme;
mod answer;
mod answer_gate;
mod body;
mod credentials;
pub mod ctx;
mod faults;
mod gateway;
mod guard;
mod identity_fields;
mod intake;
mod judging;
pub mod metrics;
pub mod pool;
pub mod record;
pub mod redact;
mod request_fields;
mod response_fields;
mod retries;
pub mod serving;
mod stages;
mod streams;
mod tunnel;

pub use body::BODY_GRACE;
pub use gateway::Gateway;
pub use guard::{App, Guarded};
pub use judging::{MadeUp, Verdict};
pub use metrics::Metrics;
pub use pool::{EndpointStatus, Pool, PoolError, Resolver};
pub use record::{Decisions, LogSink, Record, Recorder, Told, Wanted};
pub use redact::Redaction;
pub use request_fields::reserved_fields;
pub use serving::Serving;
pub use stages::StageRecord;
