//! Where in the file a rule stands, so that a verdict can name the line that decided.

use std::fmt;

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
