//! An error of one reading: where, what, what was expected, what may help.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::at::At;
use crate::problem::Problem;
use crate::read::text::SEPARATOR;

/// Why a value could not be read.
#[derive(Debug)]
pub(super) struct ReadError(Box<Parts>);

#[derive(Debug)]
struct Parts {
    at: Option<At>,
    problem: Option<Problem>,
}

impl ReadError {
    /// A mistake that is to be shown.
    pub(super) fn shown(problem: Problem) -> Self {
        Self(Box::new(Parts { at: Some(problem.at.clone()), problem: Some(problem) }))
    }

    /// What was noted already, or follows from it: the value at `at` is left out without a word.
    pub(super) fn quiet(at: At) -> Self {
        Self(Box::new(Parts { at: Some(at), problem: None }))
    }

    /// The same, at `at` unless it has a place of its own.
    pub(super) fn at(mut self, at: &At) -> Self {
        if self.0.at.is_none() {
            self.0.at = Some(at.clone());
            if let Some(problem) = &mut self.0.problem {
                problem.at = at.clone();
            }
        }
        self
    }

    /// The place to leave out, and what to show.
    pub(super) fn into_problem(self) -> (At, Option<Problem>) {
        (self.0.at.unwrap_or_default(), self.0.problem)
    }

    fn nowhere(problem: Problem) -> Self {
        Self(Box::new(Parts { at: None, problem: Some(problem) }))
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.problem.as_ref().map_or("left out", |problem| &problem.message))
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let text = message.to_string();
        let mut parts = text.split(SEPARATOR);
        let mut problem = Problem::new(At::root(), parts.next().unwrap_or_default());
        problem.expected = parts.next().filter(|part| !part.is_empty()).map(str::to_owned);
        problem.help = parts.next().filter(|part| !part.is_empty()).map(str::to_owned);
        Self::nowhere(problem)
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let problem = Problem::new(At::root(), format!("found {unexpected}"));
        Self::nowhere(problem.expected(in_words(&expected.to_string())))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = if let Unexpected::Unsigned(number) = unexpected {
            format!("{number} is out of range")
        } else {
            format!("found {unexpected}")
        };
        Self::nowhere(Problem::new(At::root(), found).expected(in_words(&expected.to_string())))
    }
}

/// What serde calls a type, as a reader of the file would.
pub(super) fn in_words(expected: &str) -> String {
    match expected {
        "a nonzero u8" => "a whole number from 1 to 255".to_owned(),
        "a nonzero u16" | "a nonzero u32" | "a nonzero u64" | "a nonzero usize" => {
            "a whole number, at least 1".to_owned()
        }
        "a boolean" => "`true` or `false`".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" | "u64" | "usize" => "a whole number".to_owned(),
        "u8" => "a whole number from 0 to 255".to_owned(),
        other => other.to_owned(),
    }
}
