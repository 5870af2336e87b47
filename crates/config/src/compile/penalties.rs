//! `limits[].penalty`.

use std::sync::Arc;
use std::time::Duration;

use portcullis_limit::{Penalties, Penalty};

use crate::at::At;
use crate::compile::Context;
use crate::compile::limits::Counter;
use crate::problem::{Problem, Problems};
use crate::raw::limits::{self as raw, LimitKey};

/// Failures that may pass without a delay at most.
const MOST_AFTER: u32 = 1000;
/// Bounds of the first delay.
const FIRST: [Duration; 2] = [Duration::from_millis(100), Duration::from_hours(1)];
/// The factor is so large at most.
const MOST_FACTOR: u32 = 10;
/// The longest delay that can be asked for.
const LONGEST: Duration = Duration::from_hours(24);

/// What stands beside `penalty`.
pub(super) struct Asked {
    pub(super) key: Option<LimitKey>,
    /// Keys that do not go with it, and whether they are there.
    pub(super) beside: [(&'static str, bool); 3],
    pub(super) maximum_keys: usize,
}

impl raw::Penalty {
    pub(super) fn compile(
        self,
        name: Option<&Arc<str>>,
        asked: Asked,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<Counter> {
        let Asked { key, beside, maximum_keys } = asked;
        for (key, said) in beside {
            if said {
                let message = format!("`{key}` does not go with `penalty`");
                let problem = Problem::new(at.key(key), message);
                problems.push(problem.help("make two limits of it"));
                return None;
            }
        }
        match key? {
            LimitKey::AddressAndAccount => {}
            LimitKey::Address | LimitKey::Claim(_) | LimitKey::Principal => {
                let message = "a penalty goes by address and account: neither all behind one \
                               address nor the owner of an account shall wait for what another does";
                let problem = Problem::new(at.key("key"), message);
                problems.push(problem.expected("`address_and_account`"));
                return None;
            }
        }
        self.check(&at.key("penalty"), problems)?;
        let penalty = Penalty {
            name: Arc::clone(name?),
            after: self.after,
            first: self.first.get(),
            factor: self.factor,
            maximum: self.maximum.get(),
            maximum_keys,
        };
        Some(Counter::Penalty(penalties(penalty, context)))
    }

    fn check(&self, at: &At, problems: &mut Problems) -> Option<()> {
        let (first, maximum) = (self.first.get(), self.maximum.get());
        let [shortest, longest] = FIRST;
        let wrong = [
            (self.after.get() > MOST_AFTER, "after", "1 to 1000"),
            (first < shortest || first > longest, "first", "100ms to 1h"),
            (self.factor.get() > MOST_FACTOR, "factor", "1 to 10"),
            (maximum < first || maximum > LONGEST, "maximum", "a time from `first` to 24h"),
        ];
        let mut sound = Some(());
        for (_, key, expected) in wrong.into_iter().filter(|(is_wrong, ..)| *is_wrong) {
            let problem = Problem::new(at.key(key), format!("`{key}` is out of its bounds"));
            problems.push(problem.expected(expected));
            sound = None;
        }
        sound
    }
}

/// What was held before a reload is held after it.
fn penalties(penalty: Penalty, context: &Context<'_>) -> Penalties {
    let handover = &context.options.handover;
    match handover.penalties.get(&penalty.name) {
        Some(before) => before.with_penalty(penalty),
        None => Penalties::new(penalty, handover.clock.clone()),
    }
}
