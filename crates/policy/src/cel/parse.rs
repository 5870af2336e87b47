//! From text to a checked expression.

use std::ops::Range;

use cel::Env;
use cel::common::ast::SourceInfo;

use super::check::{Checked, check};
use super::mistake::Mistake;

/// Bytes of an expression.
pub(super) const LONGEST: usize = 2048;
/// Levels of brackets that the parser follows.
const DEEPEST: u16 = 48;
/// What the parser may use. It recurses, by the structure of what it reads.
const STACK: usize = 64 * 1024 * 1024;

/// Parses and checks `text`. What the parser cannot cope with is a mistake of the text.
pub(super) fn parse(env: &Env, text: &str) -> Result<Checked, Vec<Mistake>> {
    if text.trim().is_empty() {
        return Err(vec![Mistake::new(0..text.len(), "the expression is empty")]);
    }
    if text.len() > LONGEST {
        let message = format!("the expression is longer than {LONGEST} bytes");
        return Err(vec![Mistake::new(0..text.len(), message)]);
    }
    let unreadable = || vec![Mistake::new(0..text.len(), "the expression cannot be read")];
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().stack_size(STACK);
        let parsing = parser.spawn_scoped(scope, || parse_here(env, text));
        parsing.map_err(|_| unreadable())?.join().map_err(|_| unreadable())?
    })
}

fn parse_here(env: &Env, text: &str) -> Result<Checked, Vec<Mistake>> {
    let parser = env.parser().enable_optional_syntax(false);
    let parser = parser.max_recursion_depth(DEEPEST).error_recovery_limit(4);
    match parser.parse_with_source_info(text) {
        Ok((expr, source)) => check(expr, &|id| place(&source, id, text)),
        Err(errors) => {
            let first = errors.errors.first();
            let mistake = first.map(|error| {
                let at = offset(text, error.pos);
                let message = error.msg.trim_start_matches("Syntax error: ");
                let end = text.ceil_char_boundary((at + 1).min(text.len()));
                Mistake::new(at..end, in_words(message))
            });
            Err(vec![
                mistake.unwrap_or_else(|| {
                    Mistake::new(0..text.len(), "the expression cannot be read")
                }),
            ])
        }
    }
}

/// The bytes of a part, from the first byte of its first character to that of its last one, as the
/// parser has it.
fn place(source: &SourceInfo, id: u64, text: &str) -> Range<usize> {
    let byte = |at: u32| usize::try_from(at).unwrap_or(usize::MAX).min(text.len());
    source.offset_for(id).map_or(0..text.len(), |(first, last)| {
        let from = text.floor_char_boundary(byte(first));
        let last = byte(last).max(from);
        from..text.ceil_char_boundary((last + 1).min(text.len()))
    })
}

/// The byte at a line and column of the parser, both from 1.
fn offset(text: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line).unwrap_or_default().saturating_sub(1);
    let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text.get(before..).unwrap_or_default();
    let column = usize::try_from(column).unwrap_or_default().saturating_sub(1);
    before + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
}

/// The parser's message without the names of its rules and tokens.
fn in_words(message: &str) -> String {
    let unexpected = ["mismatched input ", "extraneous input ", "no viable alternative at input "];
    if let Some(rest) = unexpected.iter().find_map(|start| message.strip_prefix(start)) {
        let token = rest.split(" expecting").next().unwrap_or_default();
        return match token {
            "'<EOF>'" => "the expression ends too early".to_owned(),
            token => format!("{token} cannot stand here").replace('\'', "`"),
        };
    }
    if let Some(rest) = message.strip_prefix("missing ") {
        let token = rest.split(" at ").next().unwrap_or_default();
        return format!("{token} is missing").replace('\'', "`");
    }
    if let Some(rest) = message.strip_prefix("token recognition error at: ") {
        return format!("{rest} cannot be read").replace('\'', "`");
    }
    message.to_owned()
}
