//! The file as a tree of nodes that know their place in the text: the only code that reads YAML.

pub(crate) mod inner;
pub(crate) mod parse;
pub(crate) mod substitute;
pub(crate) mod tree;
