//! Values that are read from a string: durations, sizes, networks and the like.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, Error, Visitor};

/// Stands between the parts of a complaint on its way through serde, which carries text alone.
pub(super) const SEPARATOR: char = '\u{1f}';

/// What is wrong with a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// What is wrong.
    pub(crate) message: String,
    /// What was expected, where it is more than the type's own words.
    pub(crate) expected: String,
    /// What may help.
    pub(crate) help: String,
}

impl Complaint {
    /// What is wrong.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// With what may help.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

/// A type that is written as a string in the file.
pub(crate) trait FromText: Sized {
    /// What is expected, in words.
    const EXPECTED: &'static str;

    /// Reads `text`.
    fn from_text(text: &str) -> Result<Self, Complaint>;
}

/// Reads a `T` from a string; the body of its `Deserialize`.
pub(crate) fn text<'de, D: Deserializer<'de>, T: FromText>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_str(TextVisitor(PhantomData))
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: FromText> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).map_err(|complaint| {
            let Complaint { message, expected, help } = complaint;
            let expected = if expected.is_empty() { T::EXPECTED } else { &expected };
            E::custom(format!("{message}{SEPARATOR}{expected}{SEPARATOR}{help}"))
        })
    }
}
