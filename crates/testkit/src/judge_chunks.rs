//! The judge's grammar of the chunked coding (RFC 9112 §7.1).

use crate::judge::{Read, line};
use crate::judge_fields::{Field, is_token, quoted, section};

/// Field names that may not come in trailers: they frame or route (RFC 9110 §6.5.1).
const NEVER_IN_TRAILERS: [&str; 3] = ["content-length", "host", "transfer-encoding"];

/// The content, the trailer fields, and what follows.
pub(crate) fn read(bytes: &[u8], mut at: usize) -> Read<(Vec<u8>, Vec<Field>, usize)> {
    let mut content = Vec::new();
    loop {
        let Some((size, end)) = size_line(bytes, at)? else { return Ok(None) };
        at = end;
        if size == 0 {
            break;
        }
        let Ok(size) = usize::try_from(size) else { return Ok(None) };
        let Some(chunk) = bytes[at..].get(..size) else { return Ok(None) };
        content.extend_from_slice(chunk);
        at += size;
        match &bytes[at..] {
            [b'\r', b'\n', ..] => at += 2,
            [] | [b'\r'] => return Ok(None),
            _ => return Err("a chunk that is longer than its size"),
        }
    }
    let Some((trailers, end)) = section(bytes, at)? else { return Ok(None) };
    let frames = |(name, _): &Field| NEVER_IN_TRAILERS.iter().any(|n| n.eq_ignore_ascii_case(name));
    if trailers.iter().any(frames) {
        return Err("a trailer field that frames or routes");
    }
    Ok(Some((content, trailers, end)))
}

fn size_line(bytes: &[u8], at: usize) -> Read<(u64, usize)> {
    let Some((text, end)) = line(bytes, at)? else { return Ok(None) };
    let digits = text.iter().position(|b| !b.is_ascii_hexdigit()).unwrap_or(text.len());
    let (digits, extensions) = text.split_at(digits);
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    let size = u64::from_str_radix(digits, 16).map_err(|_| "a chunk size that is no number")?;
    if extensions.is_empty() || are_extensions(extensions) {
        Ok(Some((size, end)))
    } else {
        Err("something after a chunk size that is no extension")
    }
}

/// `*( BWS ";" BWS name [ BWS "=" BWS value ] )`.
fn are_extensions(mut text: &[u8]) -> bool {
    while !text.is_empty() {
        let Some(rest) = extension(text) else { return false };
        text = rest;
    }
    true
}

fn extension(text: &[u8]) -> Option<&[u8]> {
    let text = blanks(text).strip_prefix(b";")?;
    let text = token(blanks(text))?;
    let Some(value) = blanks(text).strip_prefix(b"=") else { return Some(text) };
    let value = blanks(value);
    match quoted(value) {
        Some(length) => Some(&value[length..]),
        None => token(value),
    }
}

fn token(text: &[u8]) -> Option<&[u8]> {
    let length = text.iter().position(|b| !is_token(&[*b])).unwrap_or(text.len());
    (length > 0).then(|| &text[length..])
}

fn blanks(text: &[u8]) -> &[u8] {
    let length = text.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(text.len());
    &text[length..]
}
