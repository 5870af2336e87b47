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
        if decoded(key).is_ok_and(|key| *key == *name) && found.replace(value).is_some() {
            return Err(format!("`request.query.{name}` stands there twice"));
        }
    }
    Ok(found)
}

fn decoded(raw: &str) -> Result<Cow<'_, str>, ()> {
    if !raw.contains(['%', '+']) {
        return Ok(Cow::Borrowed(raw));
    }
    let blanks = raw.replace('+', " ");
    let text = percent_decode_str(&blanks).decode_utf8().map_err(|_| ())?;
    Ok(Cow::Owned(text.into_owned()))
}
