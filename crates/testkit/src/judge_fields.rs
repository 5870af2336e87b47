//! The judge's grammar of field sections (RFC 9112 §5) and of the small parts in them.

use crate::judge::{Read, line};

/// A name and a value.
pub(crate) type Field = (String, String);

/// A field section.
#[derive(Clone, Debug)]
pub(crate) struct Fields(pub(crate) Vec<Field>);

impl Fields {
    pub(crate) const fn new(fields: Vec<Field>) -> Self {
        Self(fields)
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        all(&self.0, name)
    }
}

pub(crate) fn all<'a>(fields: &'a [Field], name: &str) -> Vec<&'a str> {
    let named = fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_str()).collect()
}

/// The field lines from `at` to the empty line, and what follows that.
pub(crate) fn section(bytes: &[u8], mut at: usize) -> Read<(Vec<Field>, usize)> {
    let mut fields = Vec::new();
    loop {
        let Some((text, end)) = line(bytes, at)? else { return Ok(None) };
        at = end;
        if text.is_empty() {
            return Ok(Some((fields, at)));
        }
        fields.push(field(text)?);
    }
}

/// `name ":" OWS value OWS`.
fn field(text: &[u8]) -> Result<Field, &'static str> {
    if matches!(text.first(), Some(b' ' | b'\t')) {
        return Err("a field line that begins with white space");
    }
    let colon = text.iter().position(|b| *b == b':').ok_or("a field line without a colon")?;
    let (name, value) = (&text[..colon], &text[colon + 1..]);
    if !is_token(name) {
        return Err("a field name that is no token");
    }
    if !value.iter().all(|b| *b == b'\t' || (*b >= b' ' && *b != 0x7f)) {
        return Err("a field value with a control character");
    }
    let value = latin1(value);
    Ok((latin1(name), value.trim_matches([' ', '\t']).to_owned()))
}

/// Bytes as the characters of their numbers.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

/// RFC 9110 §5.6.2.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

/// The length of a quoted string at the start of `bytes` (RFC 9110 §5.6.4).
pub(crate) fn quoted(bytes: &[u8]) -> Option<usize> {
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            b if *b == b'\t' || (*b >= b' ' && *b != 0x7f) => at += 1,
            _ => return None,
        }
    }
}

/// A transfer coding with its parameters (RFC 9112 §7).
pub(crate) fn is_coding(bytes: &[u8]) -> bool {
    let mut parts = bytes.split(|b| *b == b';').map(<[u8]>::trim_ascii);
    let is_parameter = |part: &[u8]| {
        let mut sides = part.splitn(2, |b| *b == b'=').map(<[u8]>::trim_ascii);
        let (name, value) = (sides.next().unwrap_or_default(), sides.next().unwrap_or_default());
        is_token(name) && (is_token(value) || quoted(value) == Some(value.len()))
    };
    parts.next().is_some_and(is_token) && parts.all(is_parameter)
}
