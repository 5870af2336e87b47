//! One case of a rule.

/// A rule, and edits of the quiet file.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Its number.
    pub(super) rule: &'static str,
    /// Where it is given.
    pub(super) path: &'static str,
    /// With these edits it is given, and no other is.
    pub(super) trip: &'static [(&'static str, &'static str)],
    /// With these it is not given; often the nearest good file.
    pub(super) quiet: &'static [(&'static str, &'static str)],
}

pub(super) const fn case(
    rule: &'static str,
    path: &'static str,
    trip: &'static [(&'static str, &'static str)],
    quiet: &'static [(&'static str, &'static str)],
) -> Case {
    Case { rule, path, trip, quiet }
}
