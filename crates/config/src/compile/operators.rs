//! The sections that say what operators see, and where what must be remembered lives.

use crate::at::At;
use crate::compile::Context;
use crate::problem::Problems;
use crate::raw::admin::Admin;
use crate::raw::state::State;
use crate::raw::telemetry::Telemetry;
use crate::snapshot::{AdminTerms, ListenerPlan, StateTerms, TelemetryTerms};

/// The sections as they were read.
pub(super) struct Operators {
    pub(super) state: State,
    pub(super) admin: Admin,
    pub(super) telemetry: Telemetry,
}

/// The sections, compiled; `None` for one with a mistake.
pub(super) struct OperatorTerms {
    pub(super) state: Option<StateTerms>,
    pub(super) admin: Option<AdminTerms>,
    pub(super) telemetry: Option<TelemetryTerms>,
}

impl Operators {
    /// Compiles the sections; `listeners` may not have the addresses of the operators' own.
    pub(super) fn compile(
        self,
        listeners: &[ListenerPlan],
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> OperatorTerms {
        let Self { state, admin, telemetry } = self;
        let root = At::root();
        OperatorTerms {
            state: state.compile(&root.key("state"), context, problems),
            admin: admin.compile(&root.key("admin"), listeners, context, problems),
            telemetry: telemetry.compile(&root.key("telemetry"), context, problems),
        }
    }
}
