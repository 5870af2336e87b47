//! What is told of a file that was refused: for people as rustc does it, for programs as JSON.

mod place;
mod render;
mod sarif;

use std::fmt;

use serde::Serialize;

use crate::advice::Advice;
use crate::problem::{MOST_PROBLEMS, Problem, Problems};
use crate::yaml::tree::Node;

pub(crate) use place::Source;
pub use sarif::render_sarif;

/// Why a file was refused: every mistake in it, in the order of the file.
#[derive(Clone, Debug)]
pub struct Report(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    source: Source,
    tree: Option<Node>,
    problems: Vec<Problem>,
}

/// One mistake or advice as a program reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The file as it was named.
    pub file: String,
    /// Its line, from 1; 0 where the file could not be read.
    pub line: usize,
    /// Its column in characters, from 1; 0 where the file could not be read.
    pub column: usize,
    /// The path of the key, such as `routes[3].path`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What may help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Report {
    pub(crate) fn new(source: Source, tree: Option<Node>, problems: Problems) -> Self {
        let mut problems = problems.into_vec();
        problems.sort_by_key(|problem| source.span(tree.as_ref(), problem).start);
        Self(Box::new(Parts { source, tree, problems }))
    }

    /// The mistakes, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// The mistakes with their places.
    pub fn entries(&self) -> Vec<Entry> {
        let entry = |problem| self.0.source.entry(self.0.tree.as_ref(), problem);
        self.0.problems.iter().map(entry).collect()
    }

    /// For people: each mistake with its line of the file, and how many there are.
    pub fn render_text(&self, colour: bool) -> String {
        let one = |problem| render::problem(&self.0.source, self.0.tree.as_ref(), problem, colour);
        let text: String = self.0.problems.iter().map(one).collect();
        let count = self.0.problems.len();
        let mistakes = match count {
            1 => "1 mistake".to_owned(),
            count if count >= MOST_PROBLEMS => format!("{count} mistakes or more"),
            count => format!("{count} mistakes"),
        };
        format!("{text}{}: {mistakes}\n", self.0.source.name())
    }

    /// For programs: an array of [`Entry`].
    pub fn render_json(&self) -> String {
        serde_json::to_string_pretty(&self.entries()).unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render_text(false))
    }
}

impl std::error::Error for Report {}

/// Advice on a file that is served, for people.
pub(crate) fn render_advice(source: &Source, advice: &[Advice], colour: bool) -> String {
    advice.iter().map(|advice| render::advice(source, advice, colour)).collect()
}
