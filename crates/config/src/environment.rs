//! The environment, as the file may refer to it. Only this module reads the process's.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Where the values of `${NAME}` and `{env: NAME}` come from.
#[derive(Clone)]
pub struct Environment(Source);

#[derive(Clone)]
enum Source {
    Fixed(Arc<HashMap<String, String>>),
    Process,
}

impl Environment {
    /// The environment of the process.
    pub const fn process() -> Self {
        Self(Source::Process)
    }

    /// These variables and no others.
    pub fn fixed<'s>(variables: impl IntoIterator<Item = (&'s str, &'s str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self(Source::Fixed(Arc::new(variables.into_iter().map(owned).collect())))
    }

    /// The value of `name`; `None` where it is not set, or is not UTF-8.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn get(&self, name: &str) -> Option<String> {
        match &self.0 {
            Source::Fixed(variables) => variables.get(name).cloned(),
            Source::Process => std::env::var(name).ok(),
        }
    }
}

impl fmt::Debug for Environment {
    /// Never the values: there are secrets among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Fixed(_) => "Environment(fixed)",
            Source::Process => "Environment(process)",
        })
    }
}
