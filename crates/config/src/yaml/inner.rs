//! From a part of a text to its place in the file, where the text was written with quotes, escapes or
//! as a block.

use std::ops::Range;

/// The bytes of `written` that say the bytes `part` of `text`; its first line begins behind `column`
/// others. `None` where they cannot be told.
pub(crate) fn inner(
    written: &str,
    column: usize,
    text: &str,
    part: Range<usize>,
) -> Option<Range<usize>> {
    let mut reader = Reader::new(written, column)?;
    let (mut from, mut to) = (None, None);
    let mut at = 0;
    for character in text.chars() {
        let place = reader.take(character)?;
        if at == part.start {
            from = Some(place.start);
        }
        if at < part.end {
            to = Some(place.end);
        }
        at += character.len_utf8();
    }
    let from = from.unwrap_or(reader.at);
    Some(from..to.filter(|to| *to > from).unwrap_or(from))
}

enum Style {
    /// `"`.
    Double,
    /// No quotes, or the content of a block.
    Plain,
    /// `'`.
    Single,
}

struct Reader<'w> {
    written: &'w str,
    column: usize,
    style: Style,
    at: usize,
}

impl<'w> Reader<'w> {
    fn new(written: &'w str, column: usize) -> Option<Self> {
        let (style, at) = match written.chars().next()? {
            '"' => (Style::Double, 1),
            '\'' => (Style::Single, 1),
            _ => (Style::Plain, 0),
        };
        Some(Self { written, column, style, at })
    }

    fn rest(&self) -> &'w str {
        self.written.get(self.at..).unwrap_or_default()
    }

    /// What a line of a block is moved in by is no part of its text.
    fn skip_indentation(&mut self) {
        let line = self.rest();
        self.at += (line.len() - line.trim_start_matches(' ').len()).min(self.column);
    }

    /// The bytes that say `character`, the next of the text.
    fn take(&mut self, character: char) -> Option<Range<usize>> {
        let start = self.at;
        let rest = self.rest();
        let next = rest.chars().next()?;
        let escaped = match (&self.style, character) {
            // What was `$$` is a dollar sign.
            (_, '$') if rest.starts_with("$$") => Some("$$"),
            (Style::Single, '\'') => Some("''"),
            (Style::Double, '"') => Some("\\\""),
            (Style::Double, '\\') => Some("\\\\"),
            (Style::Double, '/') if next == '\\' => Some("\\/"),
            (Style::Double, '\n') => Some("\\n"),
            (Style::Double, '\t') if next == '\\' => Some("\\t"),
            _ => None,
        };
        if let Some(escaped) = escaped {
            self.at += rest.strip_prefix(escaped).map(|_| escaped.len())?;
            return Some(start..self.at);
        }
        // Where lines are folded, their ends are blanks.
        let folded = matches!(self.style, Style::Plain) && next == '\n' && character == ' ';
        if next != character && !folded {
            return None;
        }
        self.at += next.len_utf8();
        if next == '\n' && matches!(self.style, Style::Plain) {
            self.skip_indentation();
        }
        Some(start..self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `part` of `text`, as it is written in `written`.
    #[track_caller]
    fn check(written: &str, text: &str, part: &str, expected: Option<&str>) {
        let start = text.find(part).expect("a part of the text");
        let found = inner(written, 4, text, start..start + part.len());
        assert_eq!(found.map(|bytes| &written[bytes]), expected, "{written}");
    }

    #[test]
    fn a_part_is_found_in_every_way_of_writing() {
        check("a == b", "a == b", "==", Some("=="));
        check("'a == ''x'' && b'", "a == 'x' && b", "'x'", Some("''x''"));
        check("'a == ''x'' && b'", "a == 'x' && b", "b", Some("b"));
        check(r#""a == \"x\" && b""#, r#"a == "x" && b"#, r#""x""#, Some(r#"\"x\""#));
        check(r#""a == \"x\" && b""#, r#"a == "x" && b"#, "b", Some("b"));
        check("'^a$$ b'", "^a$ b", "b", Some("b"));
        check("'ä == b'", "ä == b", "b", Some("b"));
        check("a ||\n    b\n", "a ||\nb\n", "b", Some("b"));
        check("a ||\n    b\n", "a || b", "b", Some("b"));
        check("a ||\n      b\n", "a ||\n  b\n", "b", Some("b"));
        check("'a'", "a", "a", Some("a"));
    }

    #[test]
    fn what_cannot_be_told_is_not_guessed() {
        check("'${A} == b'", "x == b", "b", None);
        check(r#""\x61 == b""#, "a == b", "b", None);
        check("'a\n  b'", "a b", "b", None);
        assert_eq!(inner("", 0, "a", 0..1), None);
        assert_eq!(inner("'a'", 0, "a", 1..1), Some(2..2));
    }
}
