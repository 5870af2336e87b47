//! A path into the file, such as `routes[3].forward.upstream`.

use std::fmt;
use std::sync::Arc;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// An item of a list, from 0.
    Index(usize),
    /// A key of a mapping.
    Key(Arc<str>),
}

/// A path into the file. Cheap to clone and to extend; the empty path is the whole file.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct At(Option<Arc<Link>>);

#[derive(PartialEq, Eq, Hash)]
struct Link {
    parent: At,
    step: Step,
}

impl At {
    /// The whole file.
    pub const fn root() -> Self {
        Self(None)
    }

    /// The key `name` below here.
    #[must_use]
    pub fn key(&self, name: &str) -> Self {
        self.then(Step::Key(Arc::from(name)))
    }

    /// The item `index` below here, from 0.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    fn then(&self, step: Step) -> Self {
        Self(Some(Arc::new(Link { parent: self.clone(), step })))
    }

    /// One step up; `None` at the top.
    pub fn parent(&self) -> Option<&Self> {
        self.0.as_deref().map(|link| &link.parent)
    }

    /// The last step; `None` at the top.
    pub fn last(&self) -> Option<&Step> {
        self.0.as_deref().map(|link| &link.step)
    }

    /// The steps from the top.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut here = self;
        while let Some(link) = here.0.as_deref() {
            steps.push(link.step.clone());
            here = &link.parent;
        }
        steps.reverse();
        steps
    }

    /// Whether this is `above` or lies below it.
    pub fn is_within(&self, above: &Self) -> bool {
        let mut here = Some(self);
        while let Some(at) = here {
            if at == above {
                return true;
            }
            here = at.parent();
        }
        false
    }

    /// The path with every index written as `[]`, as the table of later keys has it.
    pub(crate) fn pattern(&self) -> String {
        self.spell(|_| "[]".to_owned())
    }

    fn spell(&self, index: impl Fn(usize) -> String) -> String {
        let mut text = String::new();
        for step in self.steps() {
            match step {
                Step::Index(at) => text.push_str(&index(at)),
                Step::Key(key) if text.is_empty() => text.push_str(&key),
                Step::Key(key) => text.extend([".", &*key]),
            }
        }
        text
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spell(|index| format!("[{index}]")))
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "At({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_it_would_be_said() {
        let at = At::root().key("routes").index(3).key("forward").key("upstream");
        assert_eq!(at.to_string(), "routes[3].forward.upstream");
        assert_eq!(at.pattern(), "routes[].forward.upstream");
        assert_eq!(At::root().to_string(), "");
    }

    #[test]
    fn a_path_is_within_itself_and_what_is_above() {
        let routes = At::root().key("routes");
        let route = routes.index(1);
        assert!(route.is_within(&routes) && route.is_within(&route));
        assert!(!routes.is_within(&route) && !routes.index(2).is_within(&route));
    }
}
