//! The certificate that a client showed in its handshake, and who vouches for it.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::Timestamp;

/// Which certificates a handshake asks of clients. Equal where the demand is the same: same mode,
/// same trust, same revocation lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientPolicy(Option<Arc<str>>);

impl ClientPolicy {
    /// Asks for none.
    pub const NONE: Self = Self(None);

    /// Asks for those that `terms` describe.
    pub fn asking(terms: &str) -> Self {
        Self(Some(Arc::from(terms)))
    }

    /// Whether a certificate is asked for at all.
    pub const fn asks(&self) -> bool {
        self.0.is_some()
    }
}

impl fmt::Display for ClientPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("none"))
    }
}

/// A name in a certificate's subject alternative names (RFC 5280 §4.2.1.6). Names of different
/// kinds are never equal, whatever their text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AlternativeName {
    /// A DNS name, in lower case; `*.example.com` is that text and no pattern.
    Dns(String),
    /// A mailbox, as it was written.
    Email(String),
    /// An address.
    Ip(IpAddr),
    /// A URI, as it was written: SPIFFE ids are such.
    Uri(String),
}

impl AlternativeName {
    /// The name that `text` means: an address, a URI (with a scheme), a mailbox (with `@`), or a DNS
    /// name. `None` where it is none of them.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.contains(|c: char| c == ' ' || c == '*' || !c.is_ascii_graphic())
        {
            return None;
        }
        if let Ok(address) = text.parse() {
            return Some(Self::Ip(address));
        }
        if has_scheme(text) {
            return Some(Self::Uri(text.to_owned()));
        }
        if text.contains('@') {
            return Some(Self::Email(text.to_owned()));
        }
        let is_dns = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        text.chars().all(is_dns).then(|| Self::Dns(text.to_ascii_lowercase()))
    }

    /// Whether it is a SPIFFE id.
    pub fn is_spiffe(&self) -> bool {
        matches!(self, Self::Uri(uri) if uri.starts_with("spiffe://"))
    }
}

fn has_scheme(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(sound)
        && !rest.is_empty()
}

impl fmt::Display for AlternativeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(text) | Self::Email(text) | Self::Uri(text) => f.write_str(text),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// What a certificate says, once it was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The client's own certificate, DER.
    pub leaf: Vec<u8>,
    /// The certificates between it and the trust, DER, the leaf's issuer first.
    pub chain: Vec<Vec<u8>>,
    /// Its subject (RFC 4514); empty where it names none.
    pub subject: String,
    /// Its issuer (RFC 4514).
    pub issuer: Arc<str>,
    /// Its subject alternative names, each once, in the order of the certificate.
    pub names: Vec<AlternativeName>,
    /// SHA-256 of the leaf, base64url without padding (`x5t#S256`, RFC 8705 §3.1).
    pub thumbprint: String,
    /// What stands for claims of a token: `iss`, `cnf` with the thumbprint (RFC 8705 §3.1).
    pub claims: Arc<Map<String, Value>>,
    /// When it begins.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
}

impl ClientCertificate {
    /// Its SPIFFE id: the only URI among its names. A certificate with several URIs has none (X.509-SVID
    /// §2: more than one must be rejected).
    pub fn spiffe_id(&self) -> Option<&AlternativeName> {
        let mut uris = self.names.iter().filter(|name| matches!(name, AlternativeName::Uri(_)));
        match (uris.next(), uris.next()) {
            (Some(only), None) => Some(only).filter(|only| only.is_spiffe()),
            _ => None,
        }
    }

    /// Who it stands for where no name of it was asked for: its only SPIFFE id, else its subject,
    /// else the first of its names, else its thumbprint. Never empty.
    pub fn identity(&self) -> Cow<'_, str> {
        if let Some(id) = self.spiffe_id() {
            return Cow::Owned(id.to_string());
        }
        if !self.subject.is_empty() {
            return Cow::Borrowed(&self.subject);
        }
        match self.names.first() {
            Some(name) => Cow::Owned(name.to_string()),
            None => Cow::Borrowed(&self.thumbprint),
        }
    }
}

/// Whether a certificate that was good in the handshake still is: asked on every request of its
/// connection, so it must be cheap where nothing changed.
pub trait Vouch: fmt::Debug + Send + Sync {
    /// `Err` says why it is good no more.
    fn judge(&self, certificate: &ClientCertificate) -> Result<(), Cow<'static, str>>;
}

/// A certificate that a client showed, and who vouches for it.
#[derive(Clone, Debug)]
pub struct ShownCertificate {
    /// What it says.
    pub certificate: Arc<ClientCertificate>,
    /// Whether it is still good.
    pub vouch: Arc<dyn Vouch>,
}

impl ShownCertificate {
    /// Judges it as of now.
    pub fn judge(&self) -> Result<(), Cow<'static, str>> {
        self.vouch.judge(&self.certificate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_name_is_told_by_its_text() {
        #[track_caller]
        fn check(text: &str, expected: Option<&AlternativeName>) {
            assert_eq!(AlternativeName::parse(text).as_ref(), expected, "{text}");
        }
        let uri = |text: &str| AlternativeName::Uri(text.to_owned());
        check("spiffe://example.org/billing", Some(&uri("spiffe://example.org/billing")));
        check("urn:uuid:1", Some(&uri("urn:uuid:1")));
        check("https://a@b/", Some(&uri("https://a@b/")));
        check("Billing.Example.ORG", Some(&AlternativeName::Dns("billing.example.org".into())));
        check("ops@Example.org", Some(&AlternativeName::Email("ops@Example.org".into())));
        check("10.0.0.1", Some(&AlternativeName::Ip([10, 0, 0, 1].into())));
        check("::1", Some(&AlternativeName::Ip(std::net::Ipv6Addr::LOCALHOST.into())));
        for odd in ["", " ", "a b", "*.example.org", "spiffe://*", "a\0b", "é.org", "a/b", "x:"] {
            check(odd, None);
        }
    }

    #[test]
    fn somebody_is_always_meant() {
        #[track_caller]
        fn check(subject: &str, names: &[&str], expected: &str) {
            let names = names.iter().map(|name| AlternativeName::parse(name).unwrap()).collect();
            let certificate = ClientCertificate {
                leaf: Vec::new(),
                chain: Vec::new(),
                subject: subject.to_owned(),
                issuer: "CN=ca".into(),
                names,
                thumbprint: "thumb".to_owned(),
                claims: Arc::default(),
                not_before: Timestamp::from_unix_seconds(0),
                not_after: Timestamp::from_unix_seconds(1),
            };
            assert_eq!(certificate.identity(), expected);
        }
        check("CN=a", &["spiffe://x/a"], "spiffe://x/a");
        check("CN=a", &["spiffe://x/a", "spiffe://x/b"], "CN=a");
        check("CN=a", &["spiffe://x/a", "https://x/a"], "CN=a");
        check("CN=a", &["spiffe://x/a", "a.test"], "spiffe://x/a");
        check("CN=a", &["a.test"], "CN=a");
        check("", &["a.test", "b.test"], "a.test");
        check("", &[], "thumb");
    }
}
