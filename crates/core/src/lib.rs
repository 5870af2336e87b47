//! The vocabulary of a decision: request head, client, principal, denial, fault, clock, secret,
//! request id. Pure: no I/O, no global state.

pub mod address;
pub mod authority;
pub mod challenge;
pub mod client_certificate;
pub mod clock;
pub mod conn;
pub mod denial;
pub mod derived;
pub mod field_name;
pub mod forwarded;
pub mod head;
pub mod path;
pub mod principal;
pub mod problem;
pub mod random;
pub mod refusal;
pub mod request_id;
pub mod secret;

pub use address::ClientKey;
pub use authority::{Authority, Host, HostPattern};
pub use challenge::{Challenge, ChallengeError, Scheme, Schemes};
pub use client_certificate::{
    AlternativeName, ClientCertificate, ClientPolicy, ShownCertificate, Vouch,
};
pub use clock::{Clock, Timestamp};
pub use conn::{ConnMeta, TlsMeta};
pub use denial::{Denial, Fault};
pub use derived::Derived;
pub use head::Head;
pub use path::CanonicalPath;
pub use principal::{CredentialKind, Principal};
pub use refusal::Refusal;
pub use request_id::RequestId;
pub use secret::Secret;
