//! Hosts and authorities in one canonical form, and the patterns of the allow-list.
//!
//! Strict: what RFC 3986 §3.2 does not allow in an authority is refused, never repaired.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use thiserror::Error;

/// Longest label of a name, in bytes (RFC 1035 §2.3.4).
const LABEL: usize = 63;
/// Longest name without its trailing dot, in bytes (RFC 1035 §2.3.4).
const NAME: usize = 253;

/// Why a text is no authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// Nothing where a host must be.
    #[error("the host is empty")]
    Empty,
    /// A character or shape that no host name has.
    #[error("the host is not a valid name or address")]
    InvalidHost,
    /// Not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    InvalidPort,
    /// `user@host`.
    #[error("user information is not accepted")]
    UserInfo,
}

/// A host in canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// Lower case, without a trailing dot; IDNs as A-labels.
    Name(Box<str>),
    /// An IPv4 literal.
    V4(Ipv4Addr),
    /// An IPv6 literal, shown in brackets.
    V6(Ipv6Addr),
}

impl Host {
    /// Parses what stands before the port.
    fn parse(text: &str) -> Result<Self, AuthorityError> {
        if let Some(inner) = text.strip_prefix('[') {
            let literal = inner.strip_suffix(']').ok_or(AuthorityError::InvalidHost)?;
            return literal.parse().map(Self::V6).map_err(|_| AuthorityError::InvalidHost);
        }
        if text.is_empty() {
            return Err(AuthorityError::Empty);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let last = check_labels(name)?;
        if looks_numeric(last) {
            // Only the dotted quad is an address; `127.1` or `0x7f.1` would be one to some resolvers.
            return text.parse().map(Self::V4).map_err(|_| AuthorityError::InvalidHost);
        }
        Ok(Self::Name(name.to_ascii_lowercase().into_boxed_str()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => write!(f, "{address}"),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

/// Host and, where one was written, port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    /// The host.
    pub host: Host,
    /// The port as written; `None` where there was none.
    pub port: Option<u16>,
}

impl Authority {
    /// Parses the value of a `Host` field or an `:authority` (RFC 3986 §3.2.2, RFC 9110 §7.2): a
    /// name, a dotted quad or an IPv6 literal in brackets, then perhaps a port. One trailing dot is
    /// dropped; an empty port (`host:`) is refused.
    pub fn parse(text: &str) -> Result<Self, AuthorityError> {
        let (host, port) = split_port(text)?;
        Ok(Self { host: Host::parse(host)?, port })
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

/// One entry of the allow-list: an exact host or `*.` and a name, with or without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern {
    /// `*.`: exactly one more label in front of `host`.
    pub wildcard: bool,
    /// The exact host, or the parent of a wildcard.
    pub host: Host,
    /// A port that must match; `None` matches any.
    pub port: Option<u16>,
}

impl HostPattern {
    /// Parses an entry of the file; Unicode names become A-labels (UTS #46), a trailing dot is
    /// dropped. `*` may only be the whole first label of a name.
    pub fn parse(text: &str) -> Result<Self, AuthorityError> {
        let (host, port) = split_port(text)?;
        let (wildcard, host) = match host.strip_prefix("*.") {
            Some(parent) => (true, parent),
            None => (false, host),
        };
        let host = if is_idn(host) { parse_idn(host)? } else { Host::parse(host)? };
        if wildcard && !matches!(host, Host::Name(_)) {
            return Err(AuthorityError::InvalidHost);
        }
        Ok(Self { wildcard, host, port })
    }

    /// Whether `authority` is one of those meant.
    pub fn matches(&self, authority: &Authority) -> bool {
        let port = self.port.is_none_or(|port| authority.port == Some(port));
        port && match (&self.host, &authority.host) {
            (Host::Name(parent), Host::Name(name)) if self.wildcard => is_child(name, parent),
            (expected, host) => expected == host,
        }
    }
}

/// `name` is `parent` with exactly one label more.
fn is_child(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent)
        .and_then(|front| front.strip_suffix('.'))
        .is_some_and(|label| !label.is_empty() && !label.contains('.'))
}

/// Cuts the port off. Colons inside brackets belong to the address.
fn split_port(text: &str) -> Result<(&str, Option<u16>), AuthorityError> {
    if text.is_empty() {
        return Err(AuthorityError::Empty);
    }
    if text.contains('@') {
        return Err(AuthorityError::UserInfo);
    }
    let host_end = if text.starts_with('[') {
        text.find(']').ok_or(AuthorityError::InvalidHost)? + 1
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, rest) = text.split_at_checked(host_end).ok_or(AuthorityError::InvalidHost)?;
    if rest.is_empty() {
        return Ok((host, None));
    }
    let port = rest.strip_prefix(':').ok_or(AuthorityError::InvalidHost)?;
    parse_port(port).map(|port| (host, Some(port))).ok_or(AuthorityError::InvalidPort)
}

/// 1 to 65535 in digits, in the one spelling that prints back the same.
fn parse_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| digits)
}

/// Checks a name without its trailing dot and gives its last label. Letters, digits, `-` inside
/// labels, and `_`, which service names of container platforms have.
fn check_labels(name: &str) -> Result<&str, AuthorityError> {
    let good = |label: &str| {
        (1..=LABEL).contains(&label.len())
            && label
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > NAME || !name.split('.').all(good) {
        return Err(AuthorityError::InvalidHost);
    }
    name.rsplit('.').next().ok_or(AuthorityError::InvalidHost)
}

/// Whether a name that ends in `label` could be read as a number by a resolver: decimal, octal or
/// hexadecimal, as `inet_aton` takes them.
fn looks_numeric(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    hex.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        || label.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_idn(host: &str) -> bool {
    let punycode = |label: &str| label.get(..4).is_some_and(|p| p.eq_ignore_ascii_case("xn--"));
    !host.is_ascii() || host.split('.').any(punycode)
}

/// A name of the file with Unicode or A-labels. Both pass UTS #46, so that a broken A-label is
/// found here rather than never matched.
fn parse_idn(host: &str) -> Result<Host, AuthorityError> {
    let ascii = Uts46::new()
        .to_ascii(
            host.as_bytes(),
            AsciiDenyList::URL,
            Hyphens::CheckFirstLast,
            DnsLength::VerifyAllowRootDot,
        )
        .map_err(|_| AuthorityError::InvalidHost)?;
    match Host::parse(&ascii)? {
        name @ Host::Name(_) => Ok(name),
        // Full-width digits that come out as an address are nobody's host name.
        Host::V4(_) | Host::V6(_) => Err(AuthorityError::InvalidHost),
    }
}

#[cfg(test)]
mod tests;
