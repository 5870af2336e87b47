//! `certificates.acme`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::{Host, HostPattern, Secret};
use portcullis_tls::NameTable;
use portcullis_tls::acme::{AcmeSettings, ChallengeType, DEFAULT_DIRECTORY, ExternalAccount};
use url::Url;

use crate::at::At;
use crate::compile::Context;
use crate::compile::certificates::is_private;
use crate::compile::check::non_empty;
use crate::compile::hosts::Hosts;
use crate::compile::issuers::is_loopback;
use crate::problem::{Problem, Problems};
use crate::raw::acme as raw;
use crate::read::Items;
use crate::snapshot::ListenerPlan;

/// What the section says.
pub(super) struct AcmeTerms {
    pub(super) settings: AcmeSettings,
    pub(super) names: Vec<String>,
}

/// What the section is judged by.
pub(super) struct Around<'a> {
    pub(super) hosts: &'a Hosts,
    /// Names that have a certificate already.
    pub(super) covered: &'a [String],
    pub(super) listeners: &'a [ListenerPlan],
}

impl Around<'_> {
    fn speaks(&self, tls: bool) -> bool {
        self.listeners.iter().any(|listener| listener.tls.is_some() == tls)
    }
}

/// What the file means without `certificates`: certificates for all that lack one.
pub(super) fn by_default(around: &Around<'_>) -> Option<AcmeTerms> {
    if !around.speaks(true) {
        return None;
    }
    let names = wanted(DEFAULT_DIRECTORY, around);
    (!names.is_empty()).then(|| AcmeTerms {
        settings: AcmeSettings {
            directory: DEFAULT_DIRECTORY.to_owned(),
            contact: Vec::new(),
            challenge: ChallengeType::TlsAlpn01,
            external_account: None,
            trust_pem: None,
            dns: None,
        },
        names,
    })
}

impl raw::Acme {
    /// Compiles the section; `None` where it has a mistake.
    pub(super) fn compile(
        self,
        at: &At,
        around: &Around<'_>,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<AcmeTerms> {
        let Self { directory, contact, challenge, dns, external_account, trust, names } = self;
        let directory = secure_url(directory, &at.key("directory"), problems);
        let contact = addresses(contact, &at.key("contact"), problems);
        let external_account = match external_account {
            Some(account) => {
                account.compile(&at.key("external_account"), context, problems).map(Some)
            }
            None => Some(None),
        };
        let trust_pem = match trust {
            Some(trust) => trust.read(&at.key("trust"), context, problems).map(Some),
            None => Some(None),
        };
        let (names_at, said) = (at.key("names"), names.is_some());
        let names = match (names, &directory) {
            (Some(names), directory) => {
                let is_public = directory.as_deref() == Some(DEFAULT_DIRECTORY);
                listed(names, &names_at, around.hosts, is_public, problems)
            }
            (None, Some(directory)) => Some(wanted(directory, around)),
            (None, None) => None,
        };
        let challenge = challenge.kind();
        let has_dns = dns.is_some() || problems.touch(&at.key("dns"));
        let dns = dns.and_then(|dns| dns.compile(&at.key("dns"), context, problems));
        check_ways(challenge, has_dns, at, around, context, problems);
        for (at, name) in names.iter().flatten().enumerate() {
            if name.starts_with("*.") && !has_dns {
                let at = names_at.index(at);
                let message = format!("`{name}` is a wildcard, which only `dns-01` can prove");
                problems.push(Problem::new(at, message).help(DNS_HELP));
            }
        }
        let (names, directory) = (names?, directory?);
        if names.is_empty() && !said {
            problems.push(nothing_to_order(at, &directory));
            return None;
        }
        let settings = AcmeSettings {
            directory,
            contact: contact?,
            challenge,
            external_account: external_account?.flatten(),
            trust_pem: trust_pem?.flatten(),
            dns,
        };
        Some(AcmeTerms { settings, names })
    }
}

const DNS_HELP: &str =
    "say how TXT records are set: `certificates.acme.dns: {exec: …}` or `{rfc2136: …}`";

fn nothing_to_order(at: &At, directory: &str) -> Problem {
    let problem = Problem::new(at.clone(), "there is no name to order a certificate for").on_key();
    if directory == DEFAULT_DIRECTORY {
        return problem.help(
            "names such as localhost and those below .test, .internal and .local get none from a \
             public authority: name a private one in `directory`, or use `self_signed`",
        );
    }
    problem.help("list `names`, or take `acme` out: every host has a certificate")
}

/// Whether the ways to prove names can be gone.
fn check_ways(
    challenge: ChallengeType,
    has_dns: bool,
    at: &At,
    around: &Around<'_>,
    context: &Context<'_>,
    problems: &mut Problems,
) {
    if !around.speaks(true) {
        // Said once, for all of `certificates`.
        return;
    }
    let key = at.key("challenge");
    let here = if context.says(&key) { key } else { at.clone() };
    let problem = match challenge {
        ChallengeType::Dns01 if !has_dns => {
            Problem::new(here, "`dns-01` needs a way to set TXT records").help(DNS_HELP)
        }
        ChallengeType::Http01 if !around.speaks(false) => {
            let message =
                "`http-01` needs a listener without TLS, that port 80 of the names leads to";
            Problem::new(here, message).help("add one, or write `challenge: tls-alpn-01`")
        }
        ChallengeType::Dns01 | ChallengeType::Http01 | ChallengeType::TlsAlpn01 => return,
    };
    problems.push(problem);
}

impl raw::Challenge {
    const fn kind(self) -> ChallengeType {
        match self {
            Self::Dns01 => ChallengeType::Dns01,
            Self::Http01 => ChallengeType::Http01,
            Self::TlsAlpn01 => ChallengeType::TlsAlpn01,
        }
    }
}

impl raw::ExternalAccount {
    /// The account; without a key where files are not read.
    #[expect(clippy::option_option, reason = "a mistake and nothing read are two things")]
    fn compile(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<Option<ExternalAccount>> {
        let Self { key_id, hmac } = self;
        let key_id = problems.required(at, "key_id", key_id);
        let hmac = problems.required(at, "hmac", hmac);
        let (key_id, hmac) = (key_id?, hmac?);
        if key_id.is_empty() {
            problems.push(Problem::new(at.key("key_id"), "the name of the key is empty"));
            return None;
        }
        if !context.reads_files() {
            return Some(None);
        }
        let at = at.key("hmac");
        let text = hmac.read(&at, context, problems)?;
        let Some(hmac) = decoded(&text) else {
            let problem = Problem::new(at, "the key is not in base64url");
            problems.push(problem.help("take it as the authority gives it out, without quotes"));
            return None;
        };
        Some(Some(ExternalAccount { key_id, hmac }))
    }
}

fn decoded(text: &Secret) -> Option<Secret> {
    let text = text.expose_str()?.trim_end_matches('=');
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| !bytes.is_empty())?;
    Some(Secret::new(bytes))
}

/// The URL of a directory: over https, as RFC 8555 §6.1 requires.
fn secure_url(text: String, at: &At, problems: &mut Problems) -> Option<String> {
    let message = match Url::parse(&text) {
        Err(error) => format!("`{text}` is not a URL: {error}"),
        Ok(url) if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) => {
            format!("`{text}` is not an https URL, which ACME requires (RFC 8555 §6.1)")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "the URL of a directory has no user or password in it".to_owned()
        }
        Ok(url) if url.fragment().is_some() => "the URL of a directory has no fragment".to_owned(),
        Ok(_) => return Some(text),
    };
    let expected = "the https URL of an ACME directory; http on loopback alone";
    problems.push(Problem::new(at.clone(), message).expected(expected));
    None
}

/// Mail addresses, as URLs.
fn addresses(raw: Items<String>, at: &At, problems: &mut Problems) -> Option<Vec<String>> {
    let mut contact = Vec::new();
    let mut sound = true;
    for (at, text) in raw.into_at(at) {
        let address = text.strip_prefix("mailto:").unwrap_or(&text);
        if is_address(address) {
            contact.push(format!("mailto:{address}"));
        } else {
            sound = false;
            let problem = Problem::new(at, format!("`{text}` is not a mail address"));
            problems.push(problem.expected("one address, such as ops@example.com"));
        }
    }
    sound.then_some(contact)
}

/// Whether this is one address without what RFC 8555 §7.3 leaves out: several, and header fields.
fn is_address(text: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_graphic() && !b"@,?&%<>\"'\\".contains(&byte))
    };
    text.split_once('@').is_some_and(|(local, host)| plain(local) && plain(host))
}

/// Every exact name of `hosts` that has no certificate yet. A public authority has none for private
/// names.
fn wanted(directory: &str, around: &Around<'_>) -> Vec<String> {
    let mut covered = NameTable::default();
    for name in around.covered {
        covered.insert(name, ());
    }
    let is_public = directory == DEFAULT_DIRECTORY;
    let names = around.hosts.names().map(|(name, _)| name);
    let names = names.filter(|name| {
        !name.starts_with("*.") && covered.find(name).is_none() && !(is_public && is_own(name))
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    // One host may stand there with several ports.
    names.dedup();
    names
}

/// The names of the file: each is one that clients can ask for.
fn listed(
    raw: Items<String>,
    at: &At,
    hosts: &Hosts,
    is_public: bool,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let raw = non_empty(raw, at, problems)?;
    let served: Vec<String> = hosts.names().map(|(name, _)| name).collect();
    let mut names: Vec<String> = Vec::new();
    let before = problems.len();
    for (at, text) in raw.into_at(at) {
        let name = match ordered(&text) {
            Ok(name) => name,
            Err(message) => {
                let expected = "a DNS name, or `*.` and a DNS name, without a port";
                problems.push(Problem::new(at, message).expected(expected));
                continue;
            }
        };
        if names.contains(&name) {
            problems.push(Problem::new(at, format!("`{text}` stands here twice")));
        } else if !hosts.is_incomplete() && !is_served(&name, &served) {
            let message = format!("`{text}` is no name of `hosts`");
            let problem = Problem::new(at, message);
            problems.push(problem.help(format!("add `{text}` to `hosts`, or take it out here")));
        } else if is_public && is_own(&name) {
            let message = format!("`{text}` can only be a name of your own");
            let problem = Problem::new(at, message);
            problems.push(problem.help(
                "no public authority issues for it: name the `directory` of one that does, or use \
                 `certificates.files`",
            ));
        } else {
            names.push(name);
        }
    }
    (problems.len() == before).then_some(names)
}

/// Whether no public authority issues for `name`: it has no place in the public DNS.
fn is_own(name: &str) -> bool {
    is_private(name) || !name.contains('.')
}

fn ordered(text: &str) -> Result<String, String> {
    let pattern = HostPattern::parse(text).map_err(|error| format!("`{text}`: {error}"))?;
    match (pattern.host, pattern.port) {
        (Host::Name(name), None) if name.contains('.') => {
            Ok(if pattern.wildcard { format!("*.{name}") } else { name.to_string() })
        }
        (Host::Name(_), None) => Ok(text.to_ascii_lowercase()),
        (Host::Name(_), Some(_)) => Err(format!("`{text}` has a port, a certificate has none")),
        _ => Err(format!("`{text}` is an address, and certificates are ordered for names")),
    }
}

/// Whether some host can be asked for by `name`, or `name` is a wildcard that covers one.
fn is_served(name: &str, served: &[String]) -> bool {
    let (mut hosts, mut own) = (NameTable::default(), NameTable::default());
    for host in served {
        hosts.insert(host, ());
    }
    own.insert(name, ());
    let equal = |host: &String| host.as_str() == name;
    hosts.find(name).is_some() || served.iter().any(|host| equal(host) || own.find(host).is_some())
}
