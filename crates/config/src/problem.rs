//! Mistakes in the file, collected so that all of them show at once.

use std::sync::Arc;

use crate::at::{At, Step};
use crate::yaml::tree::Span;

/// One mistake: where, what, what was expected and what may help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path of the key or value.
    pub at: At,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What would be right.
    pub expected: Option<String>,
    /// What to do, often the nearest spelling.
    pub help: Option<String>,
    /// Where it is, if the path alone does not say it.
    pub(crate) place: Place,
    /// What kind of mistake it is.
    pub(crate) kind: Kind,
    /// The name that was meant, as far as can be told.
    pub(crate) meant: Option<Box<str>>,
}

/// What a problem points at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// The key at its path.
    Key,
    /// These bytes.
    Span(Span),
    /// The value at its path.
    #[default]
    Value,
}

/// Kinds that later checks ask about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something of the language that this version does not have.
    NotInThisVersion,
    /// A key that is not known at its place.
    UnknownKey,
    /// A mistake.
    #[default]
    Wrong,
}

impl Problem {
    /// A mistake at `at`.
    pub fn new(at: At, message: impl Into<String>) -> Self {
        let (place, kind) = (Place::default(), Kind::default());
        Self { at, message: message.into(), expected: None, help: None, place, kind, meant: None }
    }

    /// Something of the language that comes with a later version.
    pub(crate) fn not_in_this_version(at: At, what: &str) -> Self {
        let mut problem = Self::new(at, format!("`{what}` is not in this version"));
        problem.kind = Kind::NotInThisVersion;
        problem
    }

    /// A key that is not one of `known` at its place.
    pub(crate) fn unknown_key(at: At, key: &str, known: &[&str]) -> Self {
        let mut problem = Self::new(at, format!("unknown key `{key}`")).one_of(key, known);
        problem.kind = Kind::UnknownKey;
        problem
    }

    /// With what would be right.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// With what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With the names that would be right, and the one nearest to `written`.
    #[must_use]
    pub(crate) fn one_of<S: AsRef<str>>(self, written: &str, names: &[S]) -> Self {
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let near = nearest(written, &names);
        let mut problem = self.expected(list(&names));
        if let Some(near) = near {
            problem.help = Some(format!("did you mean `{near}`?"));
            problem.meant = Some(Box::from(near));
        }
        problem
    }

    /// Pointing at the key.
    #[must_use]
    pub(crate) const fn on_key(mut self) -> Self {
        self.place = Place::Key;
        self
    }

    /// Pointing at `span`.
    #[must_use]
    pub(crate) const fn place(mut self, span: Span) -> Self {
        self.place = Place::Span(span);
        self
    }
}

/// Mistakes after which no more are noted: nobody reads on.
pub const MOST_PROBLEMS: usize = 200;

/// The mistakes found so far.
#[derive(Clone, Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Notes a mistake; the same one is noted once, and none above [`MOST_PROBLEMS`].
    pub fn push(&mut self, problem: Problem) {
        if !self.is_full() && !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether no more are noted.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MOST_PROBLEMS
    }

    /// Whether something at or below `at` is wrong already.
    pub(crate) fn touch(&self, at: &At) -> bool {
        self.0.iter().any(|problem| problem.at.is_within(at))
    }

    /// Whether a key directly below `at` belongs to a later version, so that what is missing beside
    /// it says nothing.
    fn has_later_key(&self, at: &At) -> bool {
        let later = |problem: &&Problem| problem.kind == Kind::NotInThisVersion;
        self.0.iter().filter(later).any(|problem| problem.at.parent() == Some(at))
    }

    /// Whether a key directly below `at` is a misspelt `name`.
    fn has_misspelt(&self, at: &At, name: &str) -> bool {
        let meant = |problem: &&Problem| problem.meant.as_deref() == Some(name);
        self.0.iter().filter(meant).any(|problem| problem.at.parent() == Some(at))
    }

    /// The value of the key `name` below `at`; notes where it is missing, unless it is there and
    /// wrong.
    pub(crate) fn required<T>(&mut self, at: &At, name: &str, value: Option<T>) -> Option<T> {
        let below = at.key(name);
        let follows = self.touch(&below) || self.has_later_key(at) || self.has_misspelt(at, name);
        if value.is_none() && !follows {
            let mut problem = Problem::new(at.clone(), format!("`{name}` is missing"));
            if at.parent().is_none() {
                problem = problem.help(format!("add `{name}:` at the top of the file"));
            }
            self.push(problem);
        }
        value
    }

    /// Unknown keys that are like none of their neighbours, with the last step of their path.
    pub(crate) fn strangers(&mut self) -> impl Iterator<Item = (Arc<str>, &mut Problem)> {
        let strange =
            |problem: &&mut Problem| problem.kind == Kind::UnknownKey && problem.help.is_none();
        self.0.iter_mut().filter(strange).filter_map(|problem| match problem.at.last() {
            Some(Step::Key(key)) => Some((Arc::clone(key), problem)),
            Some(Step::Index(_)) | None => None,
        })
    }

    /// All of them.
    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.0
    }

    /// All of them.
    #[cfg(test)]
    pub(crate) fn as_slice(&self) -> &[Problem] {
        &self.0
    }
}

/// The name nearest to `written`, if one is near enough to be meant.
pub(crate) fn nearest<'n>(written: &str, names: &[&'n str]) -> Option<&'n str> {
    let written = written.to_ascii_lowercase().replace('-', "_");
    let score = |name: &str| {
        let name = name.to_ascii_lowercase().replace('-', "_");
        let alike = strsim::jaro_winkler(&written, &name);
        let steps = strsim::damerau_levenshtein(&written, &name);
        let longest = written.chars().count().max(name.chars().count());
        (alike, steps, longest)
    };
    let near = names.iter().filter_map(|name| {
        let (alike, steps, longest) = score(name);
        (alike >= 0.88 || steps * 3 <= longest).then_some((steps, alike, *name))
    });
    near.min_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1))).map(|(_, _, name)| name)
}

/// `a`, `b` or `c`, each in backticks.
pub(crate) fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, first)) => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, names: &[&str], expected: Option<&str>) {
        assert_eq!(nearest(written, names), expected, "{written}");
    }

    #[test]
    fn the_nearest_name_is_near() {
        check("acess", &["access", "hosts"], Some("access"));
        check("upstraem", &["upstream", "strip_prefix"], Some("upstream"));
        check("trusted-proxies", &["trusted_proxies", "header"], Some("trusted_proxies"));
        check("requests_per_min", &["rate", "burst", "key"], None);
        check("zzz", &["access", "hosts"], None);
        check("x", &[], None);
    }

    #[test]
    fn a_missing_key_is_no_second_mistake() {
        let mut problems = Problems::default();
        let route = At::root().key("routes").index(0);
        problems.push(Problem::new(route.key("path"), "no"));
        assert_eq!(problems.required::<()>(&route, "path", None), None);
        assert_eq!(problems.len(), 1);
        problems.required::<()>(&route, "access", None);
        assert_eq!(problems.len(), 2);
        problems.push(Problem::not_in_this_version(
            At::root().key("limits").index(1).key("window"),
            "window",
        ));
        problems.required::<()>(&At::root().key("limits").index(1), "rate", None);
        assert_eq!(problems.len(), 3);
    }
}
