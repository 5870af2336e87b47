//! The field lines: `name ":" OWS value OWS`, no folding, no space before the colon (RFC 9112 §5).

use portcullis_core::Denial;

use super::codings::Codings;

/// What was seen of the fields that decide over framing and routing.
#[derive(Debug, Default)]
pub(super) struct Seen<'a> {
    pub(super) host: Option<&'a [u8]>,
    pub(super) content_length: Option<&'a [u8]>,
    pub(super) codings: Option<Codings>,
    pub(super) upgrade: bool,
}

/// Names that no `Connection` field may nominate: removing them would frame or route anew.
const UNTOUCHABLE: [&str; 3] = ["content-length", "host", "transfer-encoding"];

pub(super) fn collect<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<Seen<'a>, Denial> {
    let mut seen = Seen::default();
    for line in lines {
        let (name, value) = split(line)?;
        note(&mut seen, name, value)?;
    }
    Ok(seen)
}

/// Whether a `Connection` value nominates a field that frames or routes the request.
fn nominates_framing(value: &[u8]) -> bool {
    value
        .split(|b| *b == b',')
        .map(<[u8]>::trim_ascii)
        .any(|token| UNTOUCHABLE.iter().any(|name| squeezed_equal(token, name)))
}

/// Whether a field name is that of framing or routing but for its `-` and `_`: CGI and WSGI read
/// `_` as `-`, and what others make of `Transfer--Encoding` nobody knows.
pub(crate) fn is_disguised(name: &[u8]) -> bool {
    let is_like = |known: &&str| squeezed_equal(name, known);
    UNTOUCHABLE
        .iter()
        .find(|known| is_like(known))
        .is_some_and(|known| !name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether `bytes` may be a field value: no control character but HTAB (RFC 9110 §5.5).
pub(crate) fn is_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| *b == b'\t' || (*b >= 0x20 && *b != 0x7f))
}

fn split(line: &[u8]) -> Result<(&[u8], &[u8]), Denial> {
    let colon = line
        .iter()
        .position(|b| *b == b':')
        .ok_or_else(|| malformed("a field line has no colon"))?;
    let (name, rest) = line.split_at(colon);
    if name.is_empty() || !name.iter().all(|b| is_token_byte(*b)) {
        // A line that begins with white space (folding) and a space before the colon end here too.
        return Err(malformed("a field name is not a token"));
    }
    let value = trim_ows(rest.strip_prefix(b":").unwrap_or(rest));
    if is_value(value) {
        Ok((name, value))
    } else {
        Err(malformed("a field value has a control character"))
    }
}

fn note<'a>(seen: &mut Seen<'a>, name: &[u8], value: &'a [u8]) -> Result<(), Denial> {
    if name.eq_ignore_ascii_case(b"host") {
        once(&mut seen.host, value, "more than one Host field")
    } else if name.eq_ignore_ascii_case(b"content-length") {
        once(&mut seen.content_length, value, "more than one Content-Length field")
    } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
        seen.codings.get_or_insert_default().read(value)
    } else if name.eq_ignore_ascii_case(b"connection") {
        if nominates_framing(value) {
            return Err(malformed("Connection nominates a field that frames the request"));
        }
        if !is_token_list(value) {
            return Err(malformed("Connection is not a list of tokens"));
        }
        Ok(())
    } else if is_disguised(name) {
        Err(malformed("a framing field is spelled in another way"))
    } else {
        seen.upgrade |= name.eq_ignore_ascii_case(b"upgrade");
        Ok(())
    }
}

fn once<'a>(
    slot: &mut Option<&'a [u8]>,
    value: &'a [u8],
    twice: &'static str,
) -> Result<(), Denial> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(malformed(twice)),
    }
}

/// Equal but for case, `-` and `_`.
fn squeezed_equal(bytes: &[u8], name: &str) -> bool {
    let letters = |b: &u8| !matches!(b, b'-' | b'_');
    let said = bytes.iter().copied().filter(letters).map(|b| b.to_ascii_lowercase());
    said.eq(name.bytes().filter(letters))
}

fn malformed(reason: &'static str) -> Denial {
    Denial::Malformed { reason: reason.into() }
}

/// `tchar` of RFC 9110 §5.6.2.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Cuts optional white space, which is SP and HTAB alone.
pub(super) fn trim_ows(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Whether `value` is a list of tokens; elements may be empty (RFC 9110 §5.6.1.2).
fn is_token_list(value: &[u8]) -> bool {
    value.split(|b| *b == b',').map(trim_ows).all(|item| item.is_empty() || is_token(item))
}

/// Whether `bytes` are one token.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| is_token_byte(*b))
}
