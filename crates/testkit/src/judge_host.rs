//! The judge's grammar of `Host` (RFC 9110 §7.2, RFC 3986 §3.2.2).

/// `uri-host [ ":" port ]`, and no empty host: `http` has none (RFC 9110 §4.2.1).
pub(crate) fn is_host(text: &[u8], needs_port: bool) -> bool {
    let (host, port) = match text.iter().rposition(|b| *b == b':') {
        Some(colon) if !text[colon..].contains(&b']') => (&text[..colon], Some(&text[colon + 1..])),
        _ => (text, None),
    };
    let has_port = port.is_some_and(|port| !port.is_empty());
    let port_fits = port.is_none_or(|port| {
        port.iter().all(u8::is_ascii_digit)
            && std::str::from_utf8(port).is_ok_and(|p| p.is_empty() || p.parse::<u16>().is_ok())
    });
    port_fits && (has_port || !needs_port) && (is_literal(host) || is_name(host))
}

fn is_literal(host: &[u8]) -> bool {
    let inner = host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    let inner = inner.and_then(|inner| std::str::from_utf8(inner).ok());
    inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok() || is_future(inner))
}

/// `IPvFuture` of RFC 3986: in the grammar, though nobody has one.
fn is_future(inner: &str) -> bool {
    let Some((version, rest)) = inner.strip_prefix(['v', 'V']).and_then(|i| i.split_once('.'))
    else {
        return false;
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:".contains(&b);
    !version.is_empty()
        && version.bytes().all(|b| b.is_ascii_hexdigit())
        && !rest.is_empty()
        && rest.bytes().all(fits)
}

fn is_name(host: &[u8]) -> bool {
    let mut at = 0;
    while let Some(byte) = host.get(at) {
        match byte {
            b'%' if host
                .get(at + 1..at + 3)
                .is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit)) =>
            {
                at += 3;
            }
            b if b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(b) => at += 1,
            _ => return false,
        }
    }
    !host.is_empty()
}
