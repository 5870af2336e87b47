//! From paths to places in the text.

use std::sync::Arc;

use crate::at::{At, Step};
use crate::problem::{Place, Problem};
use crate::report::Entry;
use crate::yaml::tree::{Kind, Node, Shape, Span};

/// The text of a file and its name.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    name: Arc<str>,
    text: Arc<str>,
    /// Where each line begins: a file has many lines and is asked for many.
    lines: Arc<[usize]>,
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { name: Arc::from(name), text: Arc::from(text), lines }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The bytes a problem points at.
    pub(crate) fn span(&self, tree: Option<&Node>, problem: &Problem) -> Span {
        match (problem.place, tree) {
            (Place::Span(span), _) => span,
            (_, None) => Span::default(),
            (place, Some(tree)) => self.span_at(tree, &problem.at, place == Place::Key),
        }
    }

    /// The bytes of the value at `at`, or of its key; of what is nearest where it is not there. A
    /// mapping or a list is best shown by its key or, as an item of a list, by its own first key.
    pub(crate) fn span_at(&self, tree: &Node, at: &At, key: bool) -> Span {
        let Some(last) = at.last() else { return Span::default() };
        let found = tree.find(at);
        let of_item = found.exact && matches!(last, Step::Index(_));
        match (&found.node.kind, found.key) {
            (Kind::Mapping(entries), _) if of_item => {
                entries.first().map_or(found.node.span, |entry| entry.key_span)
            }
            (Kind::Scalar(scalar), _)
                if of_item || found.exact && !key && scalar.shape != Shape::Null =>
            {
                self.trimmed(found.node.span)
            }
            (Kind::Sequence(_), _) if of_item => found.node.span,
            (_, Some(span)) => span,
            (_, None) => found.node.span,
        }
    }

    /// At most the first line of `span`, and at least one character where there is one.
    fn trimmed(&self, span: Span) -> Span {
        let written = self.text.get(span.start..span.end).unwrap_or_default();
        let line = written.lines().next().unwrap_or_default().trim_end();
        Span { start: span.start, end: span.start + line.len() }
    }

    /// Line and column in characters, from 1.
    pub(crate) fn position(&self, span: Span) -> (usize, usize) {
        let before = self.text.get(..span.start).unwrap_or_default();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        (self.line_of(span.start), column + 1)
    }

    pub(crate) fn entry(&self, tree: Option<&Node>, problem: &Problem) -> Entry {
        let (line, column) = match (problem.place, tree) {
            (Place::Key | Place::Value, None) => (0, 0),
            _ => self.position(self.span(tree, problem)),
        };
        Entry {
            file: self.name.to_string(),
            line,
            column,
            path: problem.at.to_string(),
            message: problem.message.clone(),
            expected: problem.expected.clone(),
            help: problem.help.clone(),
        }
    }

    /// The line of the key or item at `at`, or of what is nearest; 0 where no line says it.
    pub(crate) fn line(&self, tree: &Node, at: &At) -> u32 {
        let found = tree.find(at);
        if !found.exact || at.parent().is_none() {
            return 0;
        }
        let span = match found.key {
            Some(span) if !in_list(at) => span,
            _ => found.node.span,
        };
        u32::try_from(self.line_of(span.start)).unwrap_or(u32::MAX)
    }

    /// The line of a byte, from 1.
    fn line_of(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }
}

fn in_list(at: &At) -> bool {
    matches!(at.last(), Some(Step::Index(_)))
}
