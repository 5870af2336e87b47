//! `certificates`.

use std::net::IpAddr;

use portcullis_tls::{CertificateSources, CertifiedPair, FilePair};

use crate::at::At;
use crate::compile::Context;
use crate::compile::acme::{self, AcmeTerms, Around};
use crate::compile::hosts::Hosts;
use crate::problem::{Problem, Problems};
use crate::raw::certificates as raw;
use crate::raw::secret::SecretSource;
use crate::read::Items;
use crate::snapshot::{ListenerPlan, TlsTerms};

/// The section, compiled, and what is known of the names that have a certificate.
pub(super) struct CertificateTerms {
    pub(super) tls: TlsTerms,
    /// Names that have a certificate; `None` where files were not read or could not be.
    pub(super) names: Option<Vec<String>>,
}

impl raw::Certificates {
    /// Compiles the section.
    pub(super) fn compile(
        self,
        at: &At,
        hosts: &Hosts,
        listeners: Option<&[ListenerPlan]>,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<CertificateTerms> {
        let Self { acme, files, self_signed, without_sni } = self;
        let before = problems.len();
        let mut names = Some(Vec::new());
        let mut pairs = Vec::new();
        for (at, file) in files.into_at(&at.key("files")) {
            let (pair, more) = file.compile(&at, context, problems);
            pairs.extend(pair);
            names = names.zip(more).map(|(mut names, more)| {
                names.extend(more);
                names
            });
        }
        let self_signed = development(self_signed, &at.key("self_signed"), problems);
        names = names.map(|mut names: Vec<String>| {
            names.extend(self_signed.iter().cloned());
            names
        });
        let covered = names.clone().unwrap_or_default();
        let around = listeners.map(|listeners| Around { hosts, covered: &covered, listeners });
        let acme = match (acme, around) {
            (Some(acme), Some(around)) => acme.compile(&at.key("acme"), &around, context, problems),
            (None, Some(around)) if !context.says(at) => acme::by_default(&around),
            (_, _) => None,
        };
        let (acme, ordered) = acme
            .map_or((None, Vec::new()), |AcmeTerms { settings, names }| (Some(settings), names));
        names = names.map(|mut names| {
            names.extend(ordered.iter().cloned());
            names
        });
        let without_sni = match without_sni {
            raw::WithoutSni::Refuse => None,
            raw::WithoutSni::SameAs(name) => {
                Some(served_without_sni(&name, &at.key("without_sni"), hosts, problems)?)
            }
        };
        let sources = CertificateSources { files: pairs, acme: ordered, self_signed };
        let tls = TlsTerms { sources, acme, by_name: hosts.tls_by_name(), without_sni };
        let incomplete = problems.len() > before || problems.touch(at);
        Some(CertificateTerms { tls, names: names.filter(|_| !incomplete) })
    }
}

impl raw::CertificateFile {
    /// The pair, and the names in it if it could be read.
    fn compile(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> (Option<FilePair>, Option<Vec<String>>) {
        let Self { certificate, key } = self;
        let certificate = problems.required(at, "certificate", certificate);
        let key = problems.required(at, "key", key);
        let (Some(certificate), Some(key)) = (certificate, key) else { return (None, None) };
        let key_at = at.key("key");
        let SecretSource::File(key) = key else {
            let problem = Problem::new(key_at, "the key of a certificate must be a file");
            problems.push(problem.help("write {file: path}, so that both are replaced together"));
            return (None, None);
        };
        let certificate = context.path(&at.key("certificate"), &certificate, problems);
        let key = context.path(&key_at.key("file"), &key, problems);
        let (Some(certificate), Some(key)) = (certificate, key) else { return (None, None) };
        let pair = FilePair { certificate, key };
        if !context.reads_files() {
            return (Some(pair), None);
        }
        match CertifiedPair::read(&pair, context.now()) {
            Ok(read) => (Some(pair), Some(read.names().to_vec())),
            Err(error) => {
                problems.push(Problem::new(at.clone(), error.to_string()));
                (None, None)
            }
        }
    }
}

/// The exact name of `hosts` that a client without SNI is taken to mean.
fn served_without_sni(
    name: &str,
    at: &At,
    hosts: &Hosts,
    problems: &mut Problems,
) -> Option<String> {
    let found = hosts.find(name, at, problems)?;
    let exact = found.into_iter().find_map(|index| hosts.exact_name(index));
    if exact.is_none() {
        let problem = Problem::new(at.clone(), format!("`{name}` is not one name"));
        problems.push(problem.expected("`refuse`, or an exact name of `hosts`"));
    }
    exact
}

/// Names of the certificate for development: none of them may be public.
fn development(raw: Items<String>, at: &At, problems: &mut Problems) -> Vec<String> {
    let mut names = Vec::new();
    for (at, name) in raw.into_at(at) {
        let lower = name.to_ascii_lowercase();
        if is_private(&lower) {
            names.push(lower);
        } else {
            problems.push(
                Problem::new(
                    at,
                    format!("`{name}` may be public: it gets no self-signed certificate"),
                )
                .expected(
                    "localhost, a name below .localhost, .test, .internal or .local, or a private \
                         address",
                )
                .help("give it a certificate by `certificates.files`"),
            );
        }
    }
    names
}

/// Whether a name or address can only be one's own (RFC 6761, RFC 6762, RFC 1918, RFC 4193).
pub(super) fn is_private(name: &str) -> bool {
    if let Ok(address) = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return match address {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_private(),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
        };
    }
    let base = name.strip_prefix("*.").unwrap_or(name);
    let sound = portcullis_core::HostPattern::parse(name).is_ok_and(|host| host.port.is_none());
    let below = [".localhost", ".test", ".internal", ".local"];
    sound && (base == "localhost" || below.iter().any(|below| base.ends_with(below)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn self_signed_is_for_names_of_ones_own() {
        for name in [
            "localhost",
            "app.localhost",
            "api.test",
            "*.api.test",
            "db.internal",
            "printer.local",
            "127.0.0.1",
            "::1",
            "[::1]",
            "10.1.2.3",
            "192.168.0.1",
            "fd00::1",
        ] {
            assert!(is_private(name), "{name}");
        }
        for name in [
            "example.com",
            "test",
            "atest",
            "api.test.evil",
            "localhost.evil.com",
            "8.8.8.8",
            "2001:db8::1",
            "",
            "*",
            "a b.test",
            "api.test:443",
            "local",
        ] {
            assert!(!is_private(name), "{name}");
        }
    }
}
