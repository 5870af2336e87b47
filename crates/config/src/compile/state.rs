//! `state`.

use std::path::PathBuf;

use portcullis_state::EncryptionKey;

use crate::at::At;
use crate::compile::Context;
use crate::load::LoadOptions;
use crate::problem::{Problem, Problems};
use crate::raw::state::{Durable, Shared, State};
use crate::snapshot::StateTerms;

impl State {
    /// Compiles the section.
    pub(super) fn compile(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<StateTerms> {
        let Self { shared: Shared::Memory, durable, encryption_key } = self;
        let before = problems.len();
        let durable_at = at.key("durable");
        let durable = durable.and_then(|place| file(place, &durable_at, context, problems));
        let key_at = at.key("encryption_key");
        let read_files = context.reads_files() || context.options.read_state_key;
        let options = LoadOptions { read_files, ..context.options.clone() };
        let encryption_key = encryption_key
            .and_then(|key| context.with(&options, |context| key.read(&key_at, context, problems)));
        let is_weak = |key| EncryptionKey::new(key).is_none();
        if encryption_key.as_ref().is_some_and(is_weak) {
            let problem = Problem::new(key_at, "the key is too weak to seal anything");
            problems.push(problem.expected(EncryptionKey::EXPECTED));
        }
        (problems.len() == before).then_some(StateTerms { durable, encryption_key })
    }
}

/// The file of `sqlite:PATH`. It is written by us: a change of it is none of the configuration.
fn file(
    place: Durable,
    at: &At,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<PathBuf> {
    let Durable::Place(text) = place;
    let (scheme, path) = text.split_once(':').unwrap_or((&text, ""));
    match scheme {
        // Not `:memory:`, as others write a store that keeps nothing.
        "sqlite" if !path.is_empty() && !path.starts_with(':') && !path.ends_with('/') => {
            context.unwatched_path(at, path, problems)
        }
        "postgres" | "postgresql" => {
            problems.push(Problem::not_in_this_version(at.clone(), "postgres"));
            None
        }
        _ => {
            problems.push(no_place(at, &text));
            None
        }
    }
}

fn no_place(at: &At, text: &str) -> Problem {
    let problem = Problem::new(at.clone(), format!("`{text}` is no place to keep anything"));
    problem
        .expected("`sqlite:` and the path of a file, such as `sqlite:/var/lib/portcullis/state.db`")
}
