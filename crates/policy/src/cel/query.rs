//! One parameter of a query, where there is no doubt about it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The value of the parameter `name`; `None` where there is none. A parameter that stands there twice,
/// or that some servers would read in another way, has no value that could be judged.
pub(super) fn parameter<'q>(query: &'q str, name: &str) -> Result<Option<Cow<'q, str>>, String> {
    let value = only(query.split('&'), name)?;
    // Some servers split at `;` too.
    let other = if query.contains(';') { only(query.split(['&', ';']), name)? } else { value };
    if value != other {
        return Err(format!("`request.query.{name}` depends on what `;` means"));
    }
    value.map(decoded).transpose().map_err(|()| format!("`request.query.{name}` is not UTF-8"))
}

/// The value of the one part that is called `name`.
fn only<'q>(parts: impl Iterator<Item = &'q str>, name: &str) -> Result<Option<&'q str>, String> {
    let mut found = None;
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let key = bytes(key);
        if *key == *name.as_bytes() {
            if found.replace(value).is_some() {
                return Err(format!("`request.query.{name}` stands there twice"));
            }
        } else if same_parameter(&key, name) {
            return Err(format!("`request.query.{name}` is spelt in another way"));
        }
    }
    Ok(found)
}

/// Whether some servers read a parameter that is called `key` as `name`: without case, without what stands
/// around it, as a list (`name[]`) or a mapping, up to a zero byte, with `_` for signs that their
/// languages have not in names.
pub(super) fn same_parameter(key: &[u8], name: &str) -> bool {
    let name = name.as_bytes();
    if reads_as(key, name) {
        return true;
    }
    let is_around = |byte: &u8| *byte <= b' ' || matches!(byte, b'[' | b']');
    let from = key.iter().position(|byte| !is_around(byte)).unwrap_or(key.len());
    let key = key.get(from..).and_then(|key| key.split_at_checked(name.len()));
    key.is_some_and(|(start, rest)| {
        let ends = rest.iter().all(|byte| *byte <= b' ') || matches!(rest, [0 | b'[' | b']', ..]);
        ends && reads_as(start, name)
    })
}

fn reads_as(one: &[u8], other: &[u8]) -> bool {
    let as_read = |byte: u8| match byte {
        b'.' | b' ' | b'[' => b'_',
        byte => byte.to_ascii_lowercase(),
    };
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| as_read(*one) == as_read(*other))
}

fn bytes(raw: &str) -> Cow<'_, [u8]> {
    if !raw.contains(['%', '+']) {
        return Cow::Borrowed(raw.as_bytes());
    }
    let blanks = raw.replace('+', " ");
    Cow::Owned(percent_decode_str(&blanks).collect())
}

fn decoded(raw: &str) -> Result<Cow<'_, str>, ()> {
    match bytes(raw) {
        Cow::Borrowed(_) => Ok(Cow::Borrowed(raw)),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| ()),
    }
}
