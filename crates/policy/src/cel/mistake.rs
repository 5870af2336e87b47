//! What is wrong with an expression, and where in it.

use std::ops::Range;

/// One mistake in an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The bytes of the expression that it is about.
    pub at: Range<usize>,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What would be right, in words.
    pub expected: Option<&'static str>,
    /// What was written and what is known at its place.
    pub known: Option<(String, Vec<String>)>,
    /// What to do.
    pub help: Option<String>,
}

impl Mistake {
    pub(super) fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), expected: None, known: None, help: None }
    }

    pub(super) fn expected(self, expected: &'static str) -> Self {
        Self { expected: Some(expected), ..self }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub(super) fn one_of<'n>(
        self,
        written: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) -> Self {
        let known = known.into_iter().map(str::to_owned).collect();
        Self { known: Some((written.to_owned(), known)), ..self }
    }
}
