//! Where in the file a rule stands, so that a verdict can name the line that decided.

use std::fmt;
use std::sync::Arc;

/// A line of the configuration file; zero for a default that no line says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin(pub u32);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("default"),
            line => write!(f, "line {line}"),
        }
    }
}

/// The file that lines are of, and where its lists begin: what is on none of them is refused by the
/// list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// The file's name, as it was given.
    pub file: Arc<str>,
    /// The line of `hosts`.
    pub hosts: Origin,
    /// The line of `routes`.
    pub routes: Origin,
}

impl Origin {
    /// Where it stands in `file`, as editors and `check` write it: `gateway.yaml:12`. `default` where no
    /// line says it.
    pub fn place(self, file: &str) -> String {
        match self.0 {
            0 => "default".to_owned(),
            line => format!("{file}:{line}"),
        }
    }
}
