//! From text to tree. What YAML leaves doubtful is refused here or kept as written, so that no
//! value changes its meaning on the way.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_yaml::{Location, Spanned};

use crate::at::At;
use crate::problem::{Problem, Problems};
use crate::yaml::tree::{Entry, Kind, Node, Scalar, Shape, Span};

/// The largest file that is read, in bytes.
pub(crate) const MAXIMUM_SIZE: usize = 1024 * 1024;
/// Nodes in the file, after aliases were followed.
const MAXIMUM_NODES: usize = 250_000;
/// Levels of nesting.
const MAXIMUM_DEPTH: usize = 64;
/// Nodes that aliases may repeat.
const MAXIMUM_REPEATED: usize = 10_000;

/// Reads `text`. `None` where it is no YAML at all; otherwise the tree, with duplicate and merge
/// keys noted and left out.
pub(crate) fn parse(text: &str, problems: &mut Problems) -> Option<Node> {
    let mut raw: Spanned<Raw> = match serde_yaml::from_str_with_options(text, options()) {
        Ok(raw) => raw,
        Err(error) => {
            problems.push(syntax_problem(text, &error));
            return None;
        }
    };
    let end = text.len();
    if matches!(raw.value, Raw::Null) {
        raw.value = Raw::Mapping(Vec::new());
    }
    Some(node(raw, text, &At::root(), problems, end))
}

fn options() -> serde_yaml::Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_nodes: MAXIMUM_NODES,
            max_depth: MAXIMUM_DEPTH,
            max_documents: 1,
        },
        emit_comments: false,
        strict_booleans: true,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: MAXIMUM_REPEATED,
            max_replay_stack_depth: 16,
        },
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: serde_yaml::options::NonFiniteFloatPolicy::AsString,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// The parser's message in our words, at the place it names.
fn syntax_problem(text: &str, error: &serde_yaml::Error) -> Problem {
    let place = error.location().and_then(|location| place(text, location));
    let message = error.to_string();
    let message = message.lines().next().unwrap_or_default();
    let (message, help) = in_our_words(message);
    let mut problem = Problem::new(At::root(), message);
    if let Some(help) = help {
        problem = problem.help(help);
    }
    let Some(span) = place else { return problem };
    let problem = problem.place(span);
    let line = text.lines().nth(line_of(text, span.start).saturating_sub(1)).unwrap_or_default();
    if line.trim_start_matches(' ').starts_with('\t') {
        return problem.help("indent with blanks: YAML does not take tabs");
    }
    problem
}

fn in_our_words(message: &str) -> (String, Option<&'static str>) {
    let known = |pattern: &str| message.contains(pattern);
    if known("Documents") || known("multiple documents") {
        return ("a second document begins here".to_owned(), Some("a file has one document"));
    }
    if known("alias") && known("limit") || known("budget breached") {
        let message = "the file, with its aliases followed, is too large or too deep";
        return (message.to_owned(), Some("write out what the aliases stand for"));
    }
    if known("into string") || known("expected string scalar") {
        return ("a key must be text".to_owned(), None);
    }
    let message = match message.rfind(" at line ") {
        Some(cut) => message.get(..cut).unwrap_or(message),
        None => message,
    };
    (format!("this is not readable as YAML: {message}"), None)
}

fn place(text: &str, location: Location) -> Option<Span> {
    let start = match location.span().byte_offset() {
        Some(offset) => usize::try_from(offset).ok()?,
        None => offset_of(text, location)?,
    };
    let length = location.span().byte_len().and_then(|length| usize::try_from(length).ok());
    // A place of the parser may be inside of a character, such as a byte order mark.
    let start = text.floor_char_boundary(start);
    let end = text.ceil_char_boundary(start.saturating_add(length.unwrap_or(1)));
    Some(Span { start, end })
}

fn offset_of(text: &str, location: Location) -> Option<usize> {
    let line = usize::try_from(location.line()).ok()?.checked_sub(1)?;
    let column = usize::try_from(location.column()).ok()?.checked_sub(1)?;
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text.get(start..)?;
    Some(start + rest.char_indices().nth(column).map_or(rest.len(), |(offset, _)| offset))
}

/// What the parser hands over, before the text of plain scalars is looked up.
enum Raw {
    Boolean,
    Mapping(Vec<(Spanned<String>, Spanned<Self>)>),
    Null,
    Number,
    Sequence(Vec<Spanned<Self>>),
    Text(String),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Boolean)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Raw::Sequence(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            all.push(entry);
        }
        Ok(Raw::Mapping(all))
    }
}

fn node(raw: Spanned<Raw>, text: &str, at: &At, problems: &mut Problems, end: usize) -> Node {
    let span = place(text, raw.defined).unwrap_or(Span { start: 0, end });
    let plain = |shape| {
        let written = text.get(span.start..span.end).unwrap_or_default();
        scalar(written.trim().to_owned(), shape)
    };
    let kind = match raw.value {
        Raw::Boolean => plain(Shape::Boolean),
        Raw::Mapping(entries) => Kind::Mapping(mapping(entries, text, at, problems)),
        Raw::Null => scalar(String::new(), Shape::Null),
        Raw::Number => plain(Shape::Number),
        Raw::Sequence(items) => {
            let numbered = items.into_iter().enumerate();
            let items = numbered.map(|(i, item)| node(item, text, &at.index(i), problems, end));
            Kind::Sequence(items.collect())
        }
        Raw::Text(value) => {
            let first = text.as_bytes().get(span.start).copied();
            let quoted = matches!(first, Some(b'"' | b'\'' | b'|' | b'>'));
            let shape = if quoted { Shape::Quoted } else { Shape::Word };
            scalar(value, shape)
        }
    };
    Node { span, kind }
}

const fn scalar(text: String, shape: Shape) -> Kind {
    Kind::Scalar(Scalar { text, shape, written: None })
}

fn mapping(
    raw: Vec<(Spanned<String>, Spanned<Raw>)>,
    text: &str,
    at: &At,
    problems: &mut Problems,
) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (key, value) in raw {
        let key_span = place(text, key.defined).unwrap_or_default();
        let below = at.key(&key.value);
        if key.value == "<<" {
            let problem = Problem::new(below, "the merge key `<<` is not accepted")
                .help("write the keys out where they are needed");
            problems.push(problem.place(key_span));
            continue;
        }
        if let Some(first) = seen.get(&key.value) {
            let line = line_of(text, *first);
            let message = format!("the key `{}` stands here twice", key.value);
            let problem = Problem::new(below, message)
                .help(format!("the first one is on line {line}: keep one of them"));
            problems.push(problem.place(key_span));
            continue;
        }
        seen.insert(key.value.clone(), key_span.start);
        let value = node(value, text, &below, problems, text.len());
        entries.push(Entry { key: key.value, key_span, value });
    }
    entries
}

/// The line of a byte offset, from 1.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset.min(text.len())).unwrap_or_default();
    before.split(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests;
