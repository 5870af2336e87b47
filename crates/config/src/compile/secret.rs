//! Secrets, read where they are.

use portcullis_core::Secret;

use crate::at::At;
use crate::compile::Context;
use crate::problem::{Problem, Problems};
use crate::raw::secret::SecretSource;

impl SecretSource {
    /// The secret; `None` with `--no-files`, or where it cannot be had. One line break at the end
    /// of a file is not part of it.
    pub(super) fn read(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<Secret> {
        let (at, secret) = match self {
            Self::Env(name) => {
                let at = at.key("env");
                let value =
                    context.reads_files().then(|| context.options.environment.get(&name))?;
                if value.is_none() {
                    let message = format!("the environment variable `{name}` is not set");
                    problems.push(Problem::new(at.clone(), message));
                }
                (at, Secret::new(value?))
            }
            Self::File(text) => {
                let at = at.key("file");
                let path = context.path(&at, &text, problems)?;
                let bytes = context.read(&at, &path, problems)?;
                let end = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
                let end = end.strip_suffix(b"\r").unwrap_or(end);
                let secret = Secret::new(end);
                drop(Secret::new(bytes));
                (at, secret)
            }
            Self::Reference(hidden) if context.reads_files() => (at.clone(), hidden.0),
            Self::Reference(_) => return None,
        };
        if secret.expose().is_empty() {
            problems.push(Problem::new(at, "the secret is empty"));
            return None;
        }
        Some(secret)
    }
}
