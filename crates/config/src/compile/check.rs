//! Small checks that many sections share.

use std::sync::Arc;
use std::time::Duration;

use crate::at::At;
use crate::problem::{Problem, Problems};
use crate::read::Items;
use crate::units;

/// The longest name, in bytes.
const LONGEST_NAME: usize = 64;

/// A list that may not be empty: an empty one never means "all".
pub(super) fn non_empty<T>(items: Items<T>, at: &At, problems: &mut Problems) -> Option<Items<T>> {
    if !items.is_empty() {
        return Some(items);
    }
    if !problems.touch(at) {
        problems.push(
            Problem::new(at.clone(), "the list is empty")
                .expected("at least one entry")
                .help("an empty list never means all: name what is meant, or leave the key out"),
        );
    }
    None
}

/// A list of texts of which none is empty; `None` where a mistake was noted.
pub(super) fn texts(items: Items<String>, at: &At, problems: &mut Problems) -> Option<Vec<String>> {
    let items = non_empty(items, at, problems)?;
    let mut sound = true;
    let mut texts = Vec::new();
    for (at, text) in items.into_at(at) {
        if text.is_empty() {
            problems.push(Problem::new(at, "the text is empty"));
            sound = false;
        }
        texts.push(text);
    }
    sound.then_some(texts)
}

/// A duration of at least a millisecond.
pub(super) fn positive(
    duration: units::Duration,
    at: &At,
    problems: &mut Problems,
) -> Option<Duration> {
    if duration.get().is_zero() {
        let problem = Problem::new(at.clone(), "a time of zero would refuse everything");
        problems.push(problem.expected("a duration of at least 1ms"));
        return None;
    }
    Some(duration.get())
}

/// A name of the file's own: letters, digits, `_` and `-`, at most 64.
pub(super) fn name(name: Option<String>, at: &At, problems: &mut Problems) -> Option<Arc<str>> {
    let name = problems.required(at, "name", name)?;
    if !is_name(&name) {
        let problem = Problem::new(at.key("name"), "this name cannot be used");
        problems.push(problem.expected("1 to 64 letters, digits, `_` and `-`"));
        return None;
    }
    Some(Arc::from(name))
}

/// Whether `name` can be one of the file's own.
pub(super) fn is_name(name: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(sound)
}

/// Which of two values counts, with its place: a route's own before that of `defaults`.
pub(super) fn own_or_default<T>(
    own: Option<T>,
    at: At,
    default: Option<T>,
    default_at: At,
) -> Option<(At, T)> {
    match (own, default) {
        (Some(value), _) => Some((at, value)),
        (None, Some(value)) => Some((default_at, value)),
        (None, None) => None,
    }
}
