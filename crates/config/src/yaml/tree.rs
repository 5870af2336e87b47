//! The parsed file: mappings, sequences and scalars, each with its place in the text.

use crate::at::{At, Step};

/// A range of bytes in the text of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// First byte.
    pub(crate) start: usize,
    /// One past the last byte.
    pub(crate) end: usize,
}

/// One value of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Where it stands.
    pub(crate) span: Span,
    /// What it is.
    pub(crate) kind: Kind,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Keys and values, in the order of the file.
    Mapping(Vec<Entry>),
    /// A single value.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
}

/// One `key: value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The key's text.
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) key_span: Span,
    /// The value.
    pub(crate) value: Node,
}

/// A single value, as it was written: what it means is decided by who asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scalar {
    /// The text; for a quoted value without its quotes.
    pub(crate) text: String,
    /// What YAML takes it for.
    pub(crate) shape: Shape,
    /// What stands in the file, where the environment was put in: messages show this instead.
    pub(crate) written: Option<String>,
}

/// What YAML takes a scalar for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `true`, `false` and their spellings with capitals.
    Boolean,
    /// `~`, `null`, or nothing at all.
    Null,
    /// A number, written in any of the ways YAML knows.
    Number,
    /// In quotes, or a block with `|` or `>`.
    Quoted,
    /// One `${NAME}` and nothing else; the text is its value.
    Reference,
    /// Words without quotes.
    Word,
}

impl Node {
    /// The value under `key` of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry `key` of a mapping.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        let Kind::Mapping(entries) = &self.kind else { return None };
        entries.iter().find(|entry| entry.key == key)
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        let Kind::Scalar(scalar) = &self.kind else { return None };
        Some(&scalar.text)
    }

    /// The items of a sequence; none where it is something else.
    pub(crate) fn items(&self) -> &[Self] {
        let Kind::Sequence(items) = &self.kind else { return &[] };
        items
    }

    /// The node at `at`, or the nearest one above it that is there.
    pub(crate) fn find(&self, at: &At) -> Found<'_> {
        let mut found = Found { node: self, key: None, exact: true };
        for step in at.steps() {
            let next = match step {
                Step::Index(index) => found.node.items().get(index).map(|node| (node, found.key)),
                Step::Key(key) => {
                    found.node.entry(&key).map(|entry| (&entry.value, Some(entry.key_span)))
                }
            };
            let Some((node, key)) = next else { return Found { exact: false, ..found } };
            found = Found { node, key, exact: true };
        }
        found
    }

    /// Whether a mapping below has a key for which `meant` holds.
    pub(crate) fn has_key(&self, meant: &dyn Fn(&str) -> bool) -> bool {
        match &self.kind {
            Kind::Mapping(entries) => {
                entries.iter().any(|entry| meant(&entry.key) || entry.value.has_key(meant))
            }
            Kind::Scalar(_) => false,
            Kind::Sequence(items) => items.iter().any(|item| item.has_key(meant)),
        }
    }

    /// Whether a scalar below has a text for which `meant` holds.
    pub(crate) fn mentions(&self, meant: &dyn Fn(&str) -> bool) -> bool {
        match &self.kind {
            Kind::Mapping(entries) => entries.iter().any(|entry| entry.value.mentions(meant)),
            Kind::Scalar(scalar) => meant(&scalar.text),
            Kind::Sequence(items) => items.iter().any(|item| item.mentions(meant)),
        }
    }
}

/// Where a path led.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    /// The node.
    pub(crate) node: &'a Node,
    /// The nearest key above it.
    pub(crate) key: Option<Span>,
    /// Whether the whole path was there.
    pub(crate) exact: bool,
}
