//! The pieces of RFC 7239 §4 and §6: elements, pairs, nodes.

use std::net::IpAddr;

use super::Hop;
use crate::address::canonical;

/// Splits a field line at the commas outside of quotes, the last element first. Reading from the
/// right keeps an unclosed quote of the client from swallowing what a proxy appended after it.
pub(super) fn elements_from_right(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let (before, element) = split_last(text);
        rest = before;
        Some(element)
    })
}

fn split_last(text: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let mut quoted = false;
    for (at, &byte) in text.iter().enumerate().rev() {
        match byte {
            // Inside a string, `\"` does not end it (RFC 9110 §5.6.4).
            b'"' if !(quoted && is_escaped(text, at)) => quoted = !quoted,
            b',' if !quoted => {
                return (text.get(..at), text.get(at + 1..).unwrap_or_default());
            }
            _ => {}
        }
    }
    (None, text)
}

/// Whether an odd number of backslashes stands before `at`.
fn is_escaped(text: &[u8], at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    before.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// One `forwarded-element`: what a proxy says of the hop before it. `None` where it does not name
/// an address, says something twice, or is malformed.
pub(super) fn forwarded_element(element: &[u8]) -> Option<Hop> {
    let mut rest = std::str::from_utf8(element).ok()?.trim_matches([' ', '\t']);
    let (mut address, mut proto) = (None, None);
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = parse_value(after)?;
        if !name.bytes().all(is_token) || name.is_empty() {
            return None;
        }
        let slot = if name.eq_ignore_ascii_case("for") {
            &mut address
        } else if name.eq_ignore_ascii_case("proto") {
            &mut proto
        } else {
            &mut None
        };
        if slot.replace(value).is_some() {
            return None;
        }
        // Blanks around `;` are not in the grammar, but in the RFC's own examples.
        let after = after.trim_start_matches([' ', '\t']);
        match after.strip_prefix(';') {
            Some(next) => rest = next.trim_start_matches([' ', '\t']),
            None if after.is_empty() => break,
            None => return None,
        }
    }
    let address = canonical(node(&address?)?);
    Some(Hop { address, https: proto.and_then(|proto| scheme(proto.as_bytes())) })
}

/// A token or quoted-string at the head of `text`, and what follows it.
fn parse_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        // Many proxies leave out the quotes around an IPv6 address or a port.
        let bare = |byte| is_token(byte) || matches!(byte, b':' | b'[' | b']');
        let end = text.bytes().position(|byte| !bare(byte)).unwrap_or(text.len());
        let (value, after) = text.split_at_checked(end)?;
        return (!value.is_empty()).then(|| (value.to_owned(), after));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// RFC 9110 §5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+')
        || matches!(byte, b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

/// A `node` (RFC 7239 §6) that is an address: IPv4, or IPv6 in brackets, perhaps with a port, which
/// is checked and dropped. `unknown` and obfuscated names are no addresses.
pub(super) fn node(text: &str) -> Option<IpAddr> {
    let (address, port) = if let Some(inner) = text.strip_prefix('[') {
        let (literal, after) = inner.split_once(']')?;
        (IpAddr::V6(literal.parse().ok()?), after)
    } else {
        let end = text.find(':').unwrap_or(text.len());
        let (literal, after) = text.split_at_checked(end)?;
        (IpAddr::V4(literal.parse().ok()?), after)
    };
    let good = match port.strip_prefix(':') {
        Some(port) => is_port(port),
        None => port.is_empty(),
    };
    good.then_some(address)
}

/// `port` or `obfport` of RFC 7239 §6.
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(hidden) => !hidden.is_empty() && hidden.bytes().all(is_token),
        None => text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok(),
    }
}

/// Whether a scheme means TLS; `None` for one that is not of the web.
pub(super) fn scheme(text: &[u8]) -> Option<bool> {
    let text = text.trim_ascii();
    let is = |name: &str| text.eq_ignore_ascii_case(name.as_bytes());
    if is("https") || is("wss") {
        Some(true)
    } else if is("http") || is("ws") {
        Some(false)
    } else {
        None
    }
}
