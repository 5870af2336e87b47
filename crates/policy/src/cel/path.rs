//! The variables of a route's path, and what a request has in their places.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::PathPattern;

/// Where the variables of a path stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathVariables(Vec<(Box<str>, Place)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The segment of this number, from 0.
    Segment(usize),
    /// What is left behind this many segments.
    Rest(usize),
}

impl PathVariables {
    /// Those of `pattern`.
    pub fn of(pattern: &PathPattern) -> Self {
        let segments = pattern.places().map(|(name, at)| (name.into(), Place::Segment(at)));
        let rest = pattern.rest().map(|(name, at)| (name.into(), Place::Rest(at)));
        Self(segments.chain(rest).collect())
    }

    /// Whether there is one of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| **known == *name)
    }

    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// The text that stands for `name` in a canonical path, decoded as an app decodes it.
    pub(super) fn text<'p>(&self, name: &str, path: &'p str) -> Result<Cow<'p, str>, String> {
        let (_, place) = self.0.iter().find(|(known, _)| **known == *name).ok_or_else(|| {
            // A file in which this could come to pass is refused.
            format!("the path has no `{name}`")
        })?;
        let path = path.strip_prefix('/').unwrap_or(path);
        let raw = match place {
            Place::Segment(at) => path.split('/').nth(*at),
            Place::Rest(0) => Some(path),
            Place::Rest(at) => path.splitn(at + 1, '/').nth(*at),
        };
        let raw = raw.ok_or_else(|| format!("the path ends before `{name}`"))?;
        if raw.contains(';') {
            return Err(format!(
                "`path.{name}` has a parameter (`;`), which servers cut off or not"
            ));
        }
        let decoded = percent_decode_str(raw).decode_utf8();
        decoded.map_err(|_| format!("`path.{name}` is not UTF-8"))
    }
}
