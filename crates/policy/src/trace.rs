//! What a pipeline run tells of itself: nothing on the hot path, every stage for `explain`.

use crate::Origin;

/// The stages, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The bytes of the head; no line of the file decides on them.
    Head,
    /// `clients`: who may come at all.
    Client,
    /// `clients.limit`: the flood guard.
    FloodGuard,
    /// `hosts`: the allow-list.
    Host,
    /// `listeners`: whether cleartext is served, sent to https or refused.
    Transport,
    /// `cors`: a preflight is answered here.
    Cors,
    /// `routes`: host, path, method.
    Route,
    /// Method, body length, media type.
    Shape,
    /// `limits` by address.
    AddressLimits,
    /// `limits` with a penalty: whether wrong credentials came before.
    Penalty,
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
    /// The body as it comes, after the verdict.
    Body,
    /// The upstream and its answer, after the verdict.
    Forward,
}

impl Stage {
    /// Those that a verdict is made of, in their order.
    pub const OF_VERDICT: [Self; 14] = [
        Self::Client,
        Self::FloodGuard,
        Self::Host,
        Self::Transport,
        Self::Cors,
        Self::Route,
        Self::Shape,
        Self::AddressLimits,
        Self::Penalty,
        Self::Identify,
        Self::PrincipalLimits,
        Self::Permit,
        Self::Upgrade,
        Self::ConcurrentLimits,
    ];

    /// Its name in `explain` and in the docs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddressLimits => "limits-by-address",
            Self::Body => "body",
            Self::Client => "client",
            Self::ConcurrentLimits => "limits-at-once",
            Self::Cors => "cors",
            Self::FloodGuard => "flood-guard",
            Self::Forward => "forward",
            Self::Head => "head",
            Self::Host => "host",
            Self::Identify => "identify",
            Self::Penalty => "penalty",
            Self::Permit => "permit",
            Self::PrincipalLimits => "limits-by-principal",
            Self::Route => "route",
            Self::Shape => "shape",
            Self::Transport => "transport",
            Self::Upgrade => "upgrade",
        }
    }
}

/// The place of the one rule that no file has: the grammar of heads.
const HEAD_GATE: &str = "head gate";

impl Stage {
    /// Where the rule stands that a stage went by: `FILE:LINE`, `default` where no line says it, and
    /// `head gate`.
    pub fn place(self, origin: Origin, file: &str) -> String {
        if self == Self::Head { HEAD_GATE.to_owned() } else { origin.place(file) }
    }
}

/// Receives what each stage saw and decided.
pub trait Trace {
    /// One stage's note. `saw` is only called where somebody listens.
    fn note(&mut self, stage: Stage, origin: Origin, saw: impl FnOnce() -> String);

    /// What the policy of that name said; `None` where it could not be evaluated.
    fn judged(&mut self, _policy: &str, _said: Option<bool>) {}
}

/// Nobody listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrace;

impl Trace for NoTrace {
    fn note(&mut self, _: Stage, _: Origin, _: impl FnOnce() -> String) {}
}

/// A stage that was asked, and the line it went by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The stage.
    pub stage: Stage,
    /// The line.
    pub origin: Origin,
}

/// How many steps are kept of one request.
const STEPS: usize = 20;

/// The steps of one request without their texts: what a request that is served can carry, for it asks
/// for no memory. Of more steps than fit, the last one replaces the one before: it is the one that
/// decided.
#[derive(Clone, Copy, Debug, Default)]
pub struct Steps {
    kept: [Option<Step>; STEPS],
    count: usize,
}

impl Steps {
    /// Adds one.
    pub fn push(&mut self, stage: Stage, origin: Origin) {
        let place = self.kept.get_mut(self.count.min(STEPS - 1));
        if let Some(place) = place {
            *place = Some(Step { stage, origin });
        }
        self.count = (self.count + 1).min(STEPS);
    }

    /// In the order in which they were asked.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Step> + '_ {
        self.kept.iter().flatten().copied()
    }

    /// The one that decided.
    pub fn last(&self) -> Option<Step> {
        self.iter().next_back()
    }
}

impl Trace for Steps {
    fn note(&mut self, stage: Stage, origin: Origin, _: impl FnOnce() -> String) {
        self.push(stage, origin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_that_decided_is_always_kept() {
        let mut steps = Steps::default();
        assert_eq!(steps.last(), None);
        for line in 0..50 {
            let saw = || panic!("no text is made");
            steps.note(Stage::AddressLimits, Origin(line), saw);
        }
        steps.note(Stage::Identify, Origin(50), String::new);
        assert_eq!(steps.last(), Some(Step { stage: Stage::Identify, origin: Origin(50) }));
        assert_eq!(steps.iter().count(), STEPS);
        assert_eq!(steps.iter().next().map(|step| step.origin), Some(Origin(0)));
    }

    #[test]
    fn no_stage_has_the_name_of_another() {
        let mut names = Stage::OF_VERDICT.map(Stage::name).to_vec();
        names.extend([Stage::Head, Stage::Body, Stage::Forward].map(Stage::name));
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
