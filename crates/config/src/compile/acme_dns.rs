//! `certificates.acme.dns`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use portcullis_core::Authority;
use portcullis_tls::acme::{self, DnsMeans, Rfc2136Settings};

use crate::at::At;
use crate::compile::Context;
use crate::problem::{Problem, Problems};
use crate::raw::acme_dns as raw;

/// The port of name servers (RFC 1035 §4.2).
const DNS: u16 = 53;

/// Longest TTL, in seconds: who asked too early would see the old record for so long.
const LONGEST_TTL: u32 = 3600;

/// Longest wait for other servers.
const LONGEST_PROPAGATION: Duration = Duration::from_mins(30);

impl raw::AcmeDns {
    /// Compiles the section; `None` where it has a mistake, or where secrets are not read.
    pub(super) fn compile(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<DnsMeans> {
        match self {
            Self::Exec(program) => {
                let at = at.key("exec");
                let path = context.unwatched_path(&at, &program, problems)?;
                match hook(&program, &path, context) {
                    Ok(()) => Some(DnsMeans::Exec(path)),
                    Err(message) => {
                        let expected = "the absolute path of an executable file";
                        problems.push(Problem::new(at, message).expected(expected));
                        None
                    }
                }
            }
            Self::Rfc2136(server) => {
                server.compile(&at.key("rfc2136"), context, problems).map(DnsMeans::Rfc2136)
            }
        }
    }
}

/// Whether a program can be run, as far as its file tells.
fn hook(said: &str, path: &Path, context: &Context<'_>) -> Result<(), String> {
    if !Path::new(said).is_absolute() {
        return Err(format!("`{said}` is not an absolute path"));
    }
    if !context.reads_files() {
        return Ok(());
    }
    let metadata = path.metadata().map_err(|error| format!("`{said}` cannot be read: {error}"))?;
    let is_executable = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
    is_executable.then_some(()).ok_or_else(|| format!("`{said}` is not an executable file"))
}

impl raw::Rfc2136 {
    fn compile(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<Rfc2136Settings> {
        let Self { server, key_name, algorithm, secret, zone, ttl, propagation } = self;
        let server = problems.required(at, "server", server);
        let key_name = problems.required(at, "key_name", key_name);
        let secret = problems.required(at, "secret", secret);
        let server = server.and_then(|server| address(&server, &at.key("server"), problems));
        let key_name = key_name.and_then(|name| dns_name(name, &at.key("key_name"), problems));
        let zone = match zone {
            Some(zone) => dns_name(zone, &at.key("zone"), problems).map(Some),
            None => Some(None),
        };
        let secret = secret.and_then(|secret| key(secret, &at.key("secret"), context, problems));
        let ttl = seconds(ttl.get(), &at.key("ttl"), problems);
        let propagation = wait(propagation.get(), &at.key("propagation"), problems);
        Some(Rfc2136Settings {
            server: server?,
            key_name: key_name?,
            algorithm: algorithm.into(),
            secret: secret?,
            zone: zone?,
            ttl: ttl?,
            propagation: propagation?,
        })
    }
}

impl From<raw::TsigAlgorithm> for acme::TsigAlgorithm {
    fn from(raw: raw::TsigAlgorithm) -> Self {
        match raw {
            raw::TsigAlgorithm::HmacSha256 => Self::HmacSha256,
            raw::TsigAlgorithm::HmacSha384 => Self::HmacSha384,
            raw::TsigAlgorithm::HmacSha512 => Self::HmacSha512,
        }
    }
}

/// `host:port`.
fn address(text: &str, at: &At, problems: &mut Problems) -> Option<String> {
    match Authority::parse(text) {
        Ok(Authority { host, port }) => Some(format!("{host}:{}", port.unwrap_or(DNS))),
        Err(error) => {
            let problem = Problem::new(at.clone(), format!("`{text}`: {error}"));
            problems.push(problem.expected("a name or an address, with or without a port"));
            None
        }
    }
}

fn dns_name(text: String, at: &At, problems: &mut Problems) -> Option<String> {
    if acme::is_dns_name(&text) {
        return Some(text);
    }
    problems.push(Problem::new(at.clone(), format!("`{text}` is not a name in the DNS")));
    None
}

fn key(
    secret: crate::raw::secret::SecretSource,
    at: &At,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<portcullis_core::Secret> {
    let text = secret.read(at, context, problems)?;
    let key = acme::tsig_key(&text);
    if key.is_none() {
        let problem = Problem::new(at.clone(), "the key is not in base64");
        problems.push(problem.help("it is what `tsig-keygen` writes after `secret`"));
    }
    key
}

fn seconds(ttl: Duration, at: &At, problems: &mut Problems) -> Option<u32> {
    let whole = u32::try_from(ttl.as_secs()).ok();
    let good = whole.filter(|seconds| (1..=LONGEST_TTL).contains(seconds));
    if good.is_none() {
        let problem = Problem::new(at.clone(), "a record cannot be kept for so long or so short");
        problems.push(problem.expected("1s to 1h"));
    }
    good
}

fn wait(propagation: Duration, at: &At, problems: &mut Problems) -> Option<Duration> {
    if propagation <= LONGEST_PROPAGATION {
        return Some(propagation);
    }
    problems.push(Problem::new(at.clone(), "this is too long to wait").expected("at most 30m"));
    None
}
