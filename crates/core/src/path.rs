//! The one canonical path: what policy judges is what the upstream receives.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

/// Why a request target's path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathError {
    /// It does not begin with `/`.
    #[error("the path does not begin with /")]
    NotAbsolute,
    /// A byte that may not stand in a path.
    #[error("the path has a character that is not allowed")]
    InvalidCharacter,
    /// `%` without two hex digits, or an escape of NUL, of a backslash, of invalid UTF-8, or of a control
    /// character at an end of its segment.
    #[error("the path has an escape that is not allowed")]
    InvalidEscape,
    /// An escaped slash or a doubly escaped character, which the route did not opt in to.
    #[error("the path has an encoded slash or a double encoding")]
    EncodedSlash,
    /// Two slashes in a row, or a segment of nothing but parameters (`/;x/`).
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `..` that leads above the root, or a dot segment with a parameter (`..;`).
    #[error("the path has a dot segment that cannot be resolved")]
    DotSegment,
}

/// A path in the form of RFC 3986 §6.2.2: dot segments resolved, unreserved characters decoded,
/// escapes in upper case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CanonicalPath {
    text: Box<str>,
    encoded_slash: bool,
}

impl CanonicalPath {
    /// Normalises the path of a request target (without `?` and query). An encoded slash (`%2F`)
    /// or double encoding (`%25` and two hex digits) is kept and noted in
    /// [`CanonicalPath::has_encoded_slash`]; everything else doubtful is refused.
    pub fn parse(raw: &str) -> Result<Self, PathError> {
        if !raw.starts_with('/') {
            return Err(PathError::NotAbsolute);
        }
        let escapes = check_characters(raw)?;
        let text = if escapes { Cow::Owned(normalise_escapes(raw)?) } else { Cow::Borrowed(raw) };
        let text = if check_segments(&text)? { resolve_dots(&text)?.into() } else { text };
        let encoded_slash = escapes && has_ambiguous_escape(&text);
        // One allocation where nothing changed, else the buffer that was built.
        Ok(Self { text: text.into(), encoded_slash })
    }

    /// The path as policy sees it and the upstream receives it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `%2F` or a double encoding is in it: 400 unless the route says `encoded_slash: true`.
    pub const fn has_encoded_slash(&self) -> bool {
        self.encoded_slash
    }

    /// The path with `;parameters` of every segment cut off; `None` where there are none. A route
    /// that differs between the two is a 400 (servers disagree on what `;` means).
    pub fn without_parameters(&self) -> Option<String> {
        if !self.text.contains(';') {
            return None;
        }
        let mut plain = String::with_capacity(self.text.len());
        for segment in self.text.split('/').skip(1) {
            plain.push('/');
            plain.push_str(segment.split(';').next().unwrap_or_default());
        }
        Some(plain)
    }
}

impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const fn is_unreserved(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~')
}

/// `pchar` and `/` of RFC 3986 §3.3, and four that browsers send unescaped.
const fn is_allowed(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';')
        || matches!(byte, b'=' | b':' | b'@' | b'/' | b'[' | b']' | b'|' | b'^')
}

/// Refuses what may not stand in a path; tells whether there are escapes.
fn check_characters(raw: &str) -> Result<bool, PathError> {
    let mut escapes = false;
    for byte in raw.bytes() {
        if byte == b'%' {
            escapes = true;
        } else if !is_allowed(byte) {
            return Err(PathError::InvalidCharacter);
        }
    }
    Ok(escapes)
}

/// Decodes escaped unreserved characters and writes all other escapes in upper case.
fn normalise_escapes(raw: &str) -> Result<String, PathError> {
    let mut text = String::with_capacity(raw.len());
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            text.push(char::from(byte));
            decoded.push(byte);
            continue;
        }
        let (high, low) = (hex_value(bytes.next())?, hex_value(bytes.next())?);
        let value = high << 4 | low;
        if value == 0 || value == b'\\' {
            return Err(PathError::InvalidEscape);
        }
        if is_unreserved(value) {
            text.push(char::from(value));
        } else {
            text.push('%');
            text.push(hex_digit(high));
            text.push(hex_digit(low));
        }
        decoded.push(value);
    }
    if has_control_at_an_end(&decoded) {
        return Err(PathError::InvalidEscape);
    }
    // Overlong and otherwise invalid UTF-8 means different things to different servers.
    std::str::from_utf8(&decoded).map_err(|_| PathError::InvalidEscape)?;
    Ok(text)
}

/// Whether a segment begins or ends with a control character: who trims it sees another segment.
fn has_control_at_an_end(decoded: &[u8]) -> bool {
    decoded.split(|b| *b == b'/').any(|segment| {
        [segment.first(), segment.last()].iter().flatten().any(|b| b.is_ascii_control())
    })
}

fn hex_value(digit: Option<u8>) -> Result<u8, PathError> {
    match digit {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
        Some(digit @ b'A'..=b'F') => Ok(digit - b'A' + 10),
        _ => Err(PathError::InvalidEscape),
    }
}

fn hex_digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0').to_ascii_uppercase()
}

/// Refuses segments that servers read in different ways; tells whether there are dot segments.
fn check_segments(text: &str) -> Result<bool, PathError> {
    let mut dots = false;
    let mut segments = text.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        // `/a/;x/b` is `/a//b` for a server that cuts parameters off.
        if !last && (segment.is_empty() || segment.starts_with(';')) {
            return Err(PathError::EmptySegment);
        }
        dots |= is_dot_segment(segment)?;
    }
    Ok(dots)
}

/// Whether `segment` is `.` or `..`. What some servers take for one and others do not is an error:
/// with a parameter behind the dots, escaped or not, with blanks or control characters among them.
fn is_dot_segment(segment: &str) -> Result<bool, PathError> {
    if matches!(segment, "." | "..") {
        return Ok(true);
    }
    let mut dots = 0;
    for byte in decoded(segment) {
        match byte {
            b'.' => dots += 1,
            b';' => break,
            0x80.. => return judge_text(segment),
            byte if byte == b' ' || byte.is_ascii_control() => {}
            _ => return Ok(false),
        }
    }
    if matches!(dots, 1 | 2) { Err(PathError::DotSegment) } else { Ok(false) }
}

/// The same of a segment that is not all ASCII: there are more blanks than one.
fn judge_text(segment: &str) -> Result<bool, PathError> {
    let bytes: Vec<u8> = decoded(segment).collect();
    let text = String::from_utf8_lossy(&bytes);
    let bare: String = text.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect();
    let bare = bare.split(';').next().unwrap_or_default();
    if matches!(bare, "." | "..") { Err(PathError::DotSegment) } else { Ok(false) }
}

/// The bytes of a segment of normalised text, without its escapes.
fn decoded(segment: &str) -> impl Iterator<Item = u8> {
    let mut bytes = segment.bytes();
    std::iter::from_fn(move || match bytes.next()? {
        b'%' => {
            let (high, low) = (hex_value(bytes.next()).ok()?, hex_value(bytes.next()).ok()?);
            Some(high << 4 | low)
        }
        byte => Some(byte),
    })
}

/// RFC 3986 §5.2.4, but `..` at the root is an error.
fn resolve_dots(text: &str) -> Result<String, PathError> {
    let mut out = String::with_capacity(text.len());
    let mut segments = text.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => {
                let parent = out.rfind('/').ok_or(PathError::DotSegment)?;
                out.truncate(parent);
            }
            _ => {
                out.push('/');
                out.push_str(segment);
                continue;
            }
        }
        // A dot segment at the end names a folder: its slash stays.
        if segments.peek().is_none() {
            out.push('/');
        }
    }
    Ok(out)
}

/// Whether a normalised text has `%2F`, or `%25` that an upstream decoding twice would act on.
fn has_ambiguous_escape(text: &str) -> bool {
    text.split('%').skip(1).any(|escape| {
        let mut rest = escape.bytes();
        match (rest.next(), rest.next()) {
            (Some(b'2'), Some(b'F')) => true,
            (Some(b'2'), Some(b'5')) => {
                let two = [rest.next(), rest.next()];
                two.iter().all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit()))
            }
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests;
