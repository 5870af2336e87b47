//! Regular expressions of `matches`, compiled when the file is read.

use std::borrow::Cow;

use cel::ExecutionError;
use cel::common::traits::Container;
use cel::common::types::{CelString, STRING_TYPE, Type};
use cel::common::value::Val;
use regex::{Regex, RegexBuilder};

/// Bytes of a text that is matched: the time it takes grows with them.
const LONGEST_TEXT: usize = 2048;
/// Bytes that a compiled pattern may take.
const LARGEST_PATTERN: usize = 64 * 1024;

/// A pattern, written as the container that a text is in: `text in pattern`.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let regex = RegexBuilder::new(text).size_limit(LARGEST_PATTERN).build();
        regex.map(Self).map_err(|error| {
            if matches!(error, regex::Error::CompiledTooBig(_)) {
                return "the pattern is too large".to_owned();
            }
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!("not a regular expression: {}", last.trim_start_matches("error: "))
        })
    }
}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        &STRING_TYPE
    }

    fn cel_type() -> &'static Type {
        &STRING_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }
}

impl Container for Pattern {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        let text = value.downcast_ref::<CelString<'_>>().map(CelString::inner);
        let refusal: Cow<'static, str> = match text {
            Some(text) if text.len() <= LONGEST_TEXT => return Ok(self.0.is_match(text)),
            Some(_) => format!("a text of more than {LONGEST_TEXT} bytes").into(),
            None => "something that is no string".into(),
        };
        Err(ExecutionError::function_error("matches", refusal))
    }
}
