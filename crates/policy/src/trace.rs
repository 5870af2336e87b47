//! What a pipeline run tells of itself: nothing on the hot path, every stage for `explain`.

use crate::Origin;

/// The stages, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// `clients`: who may come at all.
    Client,
    /// `clients.limit`: the flood guard.
    FloodGuard,
    /// `hosts`: the allow-list.
    Host,
    /// `listeners`: whether cleartext is served, sent to https or refused.
    Transport,
    /// `routes`: host, path, method.
    Route,
    /// `cors`: a preflight is answered here.
    Cors,
    /// Method, body length, media type.
    Shape,
    /// `limits` by address.
    AddressLimits,
    /// `access`: whose credential it is.
    Identify,
    /// `limits` by principal.
    PrincipalLimits,
    /// `access`: what the principal may do.
    Permit,
    /// `upgrade`: what the connection is to become.
    Upgrade,
    /// `limits` of requests at once.
    ConcurrentLimits,
}

impl Stage {
    /// Its name in `explain` and in the docs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddressLimits => "limits-by-address",
            Self::Client => "client",
            Self::ConcurrentLimits => "limits-at-once",
            Self::Cors => "cors",
            Self::FloodGuard => "flood-guard",
            Self::Host => "host",
            Self::Identify => "identify",
            Self::Permit => "permit",
            Self::PrincipalLimits => "limits-by-principal",
            Self::Route => "route",
            Self::Shape => "shape",
            Self::Transport => "transport",
            Self::Upgrade => "upgrade",
        }
    }
}

/// Receives what each stage saw and decided.
pub trait Trace {
    /// One stage's note. `saw` is only called where somebody listens.
    fn note(&mut self, stage: Stage, origin: Origin, saw: impl FnOnce() -> String);
}

/// Nobody listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrace;

impl Trace for NoTrace {
    fn note(&mut self, _: Stage, _: Origin, _: impl FnOnce() -> String) {}
}
