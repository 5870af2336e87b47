//! The PROXY protocol, versions 1 and 2: a balancer announces whose connection it carries.
//!
//! Strict and bounded: a header is one of the forms of the specification, byte for byte, or the
//! connection ends. What follows it is never read here.

use std::net::SocketAddr;

use proxy_header::{ParseConfig, ProxyHeader};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// What a header of version 2 begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What a header of version 1 begins with.
const GREETING: &[u8] = b"PROXY ";

/// The longest line of version 1, its CRLF included.
const LONGEST_LINE: usize = 107;

/// Signature, version and command, family, length.
const FIXED: usize = 16;

/// Most bytes behind the fixed part of version 2: addresses and what a balancer adds to them.
const LONGEST_REST: usize = 4096;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Bytes of the header.
    pub length: usize,
    /// The client, and the address it connected to; `None` where the balancer speaks for itself
    /// (`LOCAL`) or does not know (`UNKNOWN`).
    pub addresses: Option<(SocketAddr, SocketAddr)>,
}

/// The bytes are no header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no header of the PROXY protocol")]
pub struct NoHeader;

/// The header at the start of `bytes`; `None` while it is not complete, and then all of `bytes`
/// belongs to it.
pub fn parse(bytes: &[u8]) -> Result<Option<Announcement>, NoHeader> {
    if begins(bytes, SIGNATURE) {
        parse_binary(bytes)
    } else if begins(bytes, GREETING) {
        parse_line(bytes)
    } else {
        Err(NoHeader)
    }
}

/// Whether `bytes` are the start of something that begins with `start`.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(one, other)| one == other)
}

fn parse_line(bytes: &[u8]) -> Result<Option<Announcement>, NoHeader> {
    let head = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    let Some(end) = head.iter().position(|byte| *byte == b'\n') else {
        return if head.len() < LONGEST_LINE { Ok(None) } else { Err(NoHeader) };
    };
    let line = head.get(..=end).ok_or(NoHeader)?;
    let words = line.strip_suffix(b"\r\n").and_then(|text| text.strip_prefix(GREETING));
    let words = words.and_then(|words| std::str::from_utf8(words).ok()).ok_or(NoHeader)?;
    if words == "UNKNOWN" || words.starts_with("UNKNOWN ") {
        return Ok(Some(Announcement { length: line.len(), addresses: None }));
    }
    let mut ports = words.split(' ').skip(3);
    let (source, destination, rest) = (ports.next(), ports.next(), ports.next());
    if !source.is_some_and(is_port) || !destination.is_some_and(is_port) || rest.is_some() {
        return Err(NoHeader);
    }
    announced(line).map(Some)
}

/// Digits alone, without a leading zero.
fn is_port(text: &str) -> bool {
    let is_plain = text == "0" || !text.starts_with('0');
    is_plain && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_binary(bytes: &[u8]) -> Result<Option<Announcement>, NoHeader> {
    let Some((&[command, family, high, low], _)) =
        bytes.get(SIGNATURE.len()..).and_then(|rest| rest.split_first_chunk::<4>())
    else {
        return Ok(None);
    };
    let rest = usize::from(u16::from_be_bytes([high, low]));
    if rest > LONGEST_REST {
        return Err(NoHeader);
    }
    let length = FIXED + rest;
    let Some(header) = bytes.get(..length) else { return Ok(None) };
    match (command, family) {
        // LOCAL, whatever the family; and clients that have no address of the Internet.
        (0x20, _) | (0x21, 0x00 | 0x31) => Ok(Some(Announcement { length, addresses: None })),
        // TCP over IPv4 and IPv6.
        (0x21, 0x11 | 0x21) => announced(header).map(Some),
        _ => Err(NoHeader),
    }
}

/// The addresses of a header that is complete.
fn announced(header: &[u8]) -> Result<Announcement, NoHeader> {
    let config = ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: true };
    let (parsed, length) = ProxyHeader::parse(header, config).map_err(|_| NoHeader)?;
    let addresses = parsed.proxied_address().ok_or(NoHeader)?;
    if length != header.len() {
        return Err(NoHeader);
    }
    Ok(Announcement { length, addresses: Some((addresses.source, addresses.destination)) })
}

/// Reads the header and not a byte more. Has no deadline of its own.
pub(crate) async fn take(io: &mut TcpStream) -> Result<Announcement, NoHeader> {
    let mut header = Vec::new();
    let mut seen = [0; 256];
    loop {
        let length = io.peek(&mut seen).await.map_err(|_| NoHeader)?;
        let known = header.len();
        header.extend_from_slice(seen.get(..length).unwrap_or_default());
        let found = parse(&header)?;
        let ours = found.map_or(header.len(), |found| found.length).saturating_sub(known);
        let read = io.read_exact(seen.get_mut(..ours).unwrap_or_default()).await;
        match found {
            _ if length == 0 || read.is_err() => return Err(NoHeader),
            Some(found) => return Ok(found),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest].concat()
    }

    const FOUR: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 1, 0xbb];

    #[track_caller]
    fn check(bytes: &[u8], client: Option<&str>) {
        let followed = [bytes, b"GET / HTTP/1.1\r\n"].concat();
        let found = parse(&followed).unwrap().expect("complete");
        assert_eq!(found.length, bytes.len());
        assert_eq!(found.addresses.map(|(source, _)| source), client.map(|c| c.parse().unwrap()));
        for length in 0..bytes.len() {
            assert_eq!(parse(&bytes[..length]), Ok(None), "{length}");
        }
    }

    #[test]
    fn headers_of_both_versions_are_read() {
        check(b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n", Some("192.0.2.1:12345"));
        check(b"PROXY TCP6 2001:db8::1 2001:db8::2 0 443\r\n", Some("[2001:db8::1]:0"));
        check(b"PROXY UNKNOWN\r\n", None);
        check(b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None);
        check(&binary(0x21, 0x11, FOUR), Some("192.0.2.1:12345"));
        check(&binary(0x21, 0x11, &[FOUR, &[4, 0, 2, 0, 0]].concat()), Some("192.0.2.1:12345"));
        check(&binary(0x21, 0x11, &[FOUR, &[9; 3000]].concat()), Some("192.0.2.1:12345"));
        let mut six = [0; 36];
        (six[15], six[33]) = (1, 80);
        check(&binary(0x21, 0x21, &six), Some("[::1]:80"));
        check(&binary(0x20, 0x00, b""), None);
        check(&binary(0x20, 0xff, FOUR), None);
        check(&binary(0x21, 0x00, b"12345"), None);
    }

    #[test]
    fn anything_else_is_none() {
        for line in [
            "GET / HTTP/1.1\r\n",
            "PROXX",
            "proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
            "PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n",
            "PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n",
            "PROXY TCP4 ::1 ::2 1 2\r\n",
            "PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
            "PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
            "PROXY UNKNOWNX\r\n",
            "PROXY \r\n",
            "\r\n\r\n\0\r\nQUIT\r\n",
        ] {
            assert_eq!(parse(line.as_bytes()), Err(NoHeader), "{line:?}");
        }
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
        assert_eq!(parse(long.as_bytes()), Err(NoHeader));
        for (command, family, rest) in [
            (0x11, 0x11, FOUR),
            (0x22, 0x11, FOUR),
            (0x21, 0x12, FOUR),
            (0x21, 0x41, FOUR),
            (0x21, 0x21, FOUR),
            (0x21, 0x11, b"short".as_slice()),
            (0x20, 0x00, &[0; LONGEST_REST + 1]),
        ] {
            assert_eq!(parse(&binary(command, family, rest)), Err(NoHeader), "{command} {family}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_no_more_is_taken_than_is_there(bytes: Vec<u8>, kind in 0..3) {
            let start = [b"".as_slice(), GREETING, SIGNATURE][usize::try_from(kind).unwrap()];
            let bytes = [start, &bytes].concat();
            if let Ok(Some(found)) = parse(&bytes) {
                prop_assert!(found.length <= bytes.len());
                prop_assert_eq!(parse(&bytes[..found.length]), Ok(Some(found)));
            }
        }
    }
}
