//! `upstreams`.

use std::sync::Arc;

use portcullis_core::Secret;
use portcullis_policy::{
    Balance, ClientPair, Ejection, HealthCheck, HostHeader, UpstreamSettings, UpstreamTimeouts,
    UpstreamTls,
};

mod endpoint;

use crate::at::At;
use crate::compile::Context;
use crate::compile::check::{self, non_empty, positive};
use crate::compile::issuers::check_certificates;
use crate::problem::{Problem, Problems};
use crate::raw::certificates::CertificateFile;
use crate::raw::issuers::TrustFile;
use crate::raw::upstreams as raw;

/// The most further attempts.
const MOST_RETRIES: u32 = 10;

impl raw::Upstream {
    /// Compiles one upstream.
    pub(super) fn compile(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<(Arc<str>, Arc<UpstreamSettings>)> {
        let Self { name, endpoints, balance, health, eject, timeouts, retries, tls, host_header } =
            self;
        let name = check::name(name, at, problems);
        let list_at = at.key("endpoints");
        let endpoints = problems.required(at, "endpoints", endpoints);
        let endpoints = endpoints.and_then(|list| non_empty(list, &list_at, problems));
        let endpoints = endpoints.map(|list| {
            let one = |(at, text): (At, String)| endpoint::compile(&text, &at, problems);
            list.into_at(&list_at).map(one).collect::<Vec<_>>()
        });
        let endpoints = endpoints.and_then(|list| list.into_iter().collect::<Option<Vec<_>>>());
        let timeouts = timeouts.compile(&at.key("timeouts"), problems);
        let health = match health {
            Some(health) => health.compile(&at.key("health"), problems).map(Some),
            None => Some(None),
        };
        let eject = eject.compile(&at.key("eject"), problems);
        if retries > MOST_RETRIES {
            let problem =
                Problem::new(at.key("retries"), format!("{retries} retries are too many"));
            problems.push(problem.expected(format!("from 0 to {MOST_RETRIES}")));
            return None;
        }
        let any_https =
            endpoints.as_ref().map(|list| list.iter().any(portcullis_policy::Endpoint::is_https));
        let tls = compile_tls(tls, any_https, &at.key("tls"), context, problems);
        let host_header = match host_header {
            raw::HostHeader::Endpoint => HostHeader::Endpoint,
            raw::HostHeader::Keep => HostHeader::Keep,
        };
        let (name, tls) = (name?, tls?);
        let settings = UpstreamSettings {
            name: Arc::clone(&name),
            endpoints: endpoints?,
            balance: balance.compile(),
            health: health?,
            eject: eject?,
            timeouts: timeouts?,
            retries,
            tls,
            host_header,
        };
        Some((name, Arc::new(settings)))
    }
}

impl raw::Balance {
    fn compile(self) -> Balance {
        match self {
            Self::Hash(raw::HashBy::Address) => Balance::HashAddress,
            Self::LeastRequests => Balance::LeastRequests,
            Self::RoundRobin => Balance::RoundRobin,
        }
    }
}

impl raw::Health {
    fn compile(self, at: &At, problems: &mut Problems) -> Option<HealthCheck> {
        let Self { path, host, expect, every, timeout, unhealthy_after, healthy_after } = self;
        let path = problems.required(at, "path", path);
        let path = path.and_then(|path| target(path, &at.key("path"), problems));
        let host = match host {
            Some(host) => authority(host, &at.key("host"), problems).map(Some),
            None => Some(None),
        };
        let expect = statuses(expect, &at.key("expect"), problems);
        let every = positive(every, &at.key("every"), problems);
        let timeout = positive(timeout, &at.key("timeout"), problems);
        let unhealthy_after = at_least_one(unhealthy_after, &at.key("unhealthy_after"), problems);
        let healthy_after = at_least_one(healthy_after, &at.key("healthy_after"), problems);
        Some(HealthCheck {
            path: path?,
            host: host?,
            expect: expect?,
            every: every?,
            timeout: timeout?,
            unhealthy_after: unhealthy_after?,
            healthy_after: healthy_after?,
        })
    }
}

impl raw::Eject {
    fn compile(self, at: &At, problems: &mut Problems) -> Option<Ejection> {
        let Self { after_failures, pause } = self;
        let after_failures = at_least_one(after_failures, &at.key("after_failures"), problems);
        let pause = positive(pause, &at.key("for"), problems);
        Some(Ejection { after_failures: after_failures?, pause: pause? })
    }
}

fn at_least_one(number: u32, at: &At, problems: &mut Problems) -> Option<u32> {
    if number == 0 {
        problems.push(Problem::new(at.clone(), "this cannot be 0").expected("1 or more"));
        return None;
    }
    Some(number)
}

/// A request target in origin form (RFC 9112 §3.2.1).
fn target(path: String, at: &At, problems: &mut Problems) -> Option<Arc<str>> {
    if path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Some(path.into());
    }
    let problem = Problem::new(at.clone(), format!("`{path}` is not a path"));
    problems.push(problem.expected("a path that begins with `/`, perhaps with a query"));
    None
}

fn authority(host: String, at: &At, problems: &mut Problems) -> Option<Arc<str>> {
    if portcullis_core::Authority::parse(&host).is_ok() {
        return Some(host.into());
    }
    let problem = Problem::new(at.clone(), format!("`{host}` is not a host"));
    problems.push(problem.expected("a host, perhaps with a port"));
    None
}

fn statuses(raw: crate::read::Items<u16>, at: &At, problems: &mut Problems) -> Option<Vec<u16>> {
    let mut sound = true;
    let mut found = Vec::new();
    for (at, status) in non_empty(raw, at, problems)?.into_at(at) {
        if !(200..=599).contains(&status) {
            let problem = Problem::new(at, format!("{status} is not the status of an answer"));
            problems.push(problem.expected("from 200 to 599"));
            sound = false;
        }
        found.push(status);
    }
    sound.then_some(found)
}

impl raw::UpstreamTimeouts {
    fn compile(self, at: &At, problems: &mut Problems) -> Option<UpstreamTimeouts> {
        let Self { connect, response_head, between_reads, write, idle } = self;
        let connect = positive(connect, &at.key("connect"), problems);
        let response_head = positive(response_head, &at.key("response_head"), problems);
        let between_reads = positive(between_reads, &at.key("between_reads"), problems);
        let write = positive(write, &at.key("write"), problems);
        let idle = positive(idle, &at.key("idle"), problems);
        Some(UpstreamTimeouts {
            connect: connect?,
            response_head: response_head?,
            between_reads: between_reads?,
            write: write?,
            idle: idle?,
        })
    }
}

/// The outer `None` is a mistake, the inner one an upstream without https.
#[expect(clippy::option_option, reason = "a mistake and no TLS are two things")]
fn compile_tls(
    raw: Option<raw::UpstreamTls>,
    any_https: Option<bool>,
    at: &At,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<Option<UpstreamTls>> {
    let raw::UpstreamTls { trust, server_name, client_certificate } = raw.unwrap_or_default();
    let server_name = match server_name {
        Some(name) => Some(Some(server_name_of(&name, &at.key("server_name"), problems)?)),
        None => Some(None),
    };
    let trust = match trust {
        Some(trust) => trusted(trust, &at.key("trust"), context, problems)?,
        None => None,
    };
    let client_certificate = match client_certificate {
        Some(pair) => client_pair(pair, &at.key("client_certificate"), context, problems)?,
        None => None,
    };
    match any_https {
        Some(true) => {
            Some(Some(UpstreamTls { trust, server_name: server_name?, client_certificate }))
        }
        // That they wait for an https endpoint is an advice (A010).
        Some(false) | None => Some(None),
    }
}

fn server_name_of(name: &str, at: &At, problems: &mut Problems) -> Option<Arc<str>> {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let sound = rustls_pki_types::ServerName::try_from(bare).is_ok();
    if !sound {
        let problem = Problem::new(at.clone(), format!("`{name}` is not a server name"));
        problems.push(problem.expected("a DNS name or an address, without a port"));
        return None;
    }
    Some(Arc::from(bare))
}

/// The outer `None` is a mistake, the inner one that files are not read.
#[expect(clippy::option_option, reason = "a mistake and an unread file are two things")]
fn client_pair(
    raw: CertificateFile,
    at: &At,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<Option<ClientPair>> {
    let CertificateFile { certificate, key } = raw;
    let certificate = problems.required(at, "certificate", certificate);
    let key = problems.required(at, "key", key);
    let (certificate, key) = (certificate?, key?);
    let (at, key_at) = (at.key("certificate"), at.key("key"));
    let path = context.path(&at, &certificate, problems)?;
    let before = problems.len();
    let key = key.read(&key_at, context, problems);
    if !context.reads_files() {
        return Some(None);
    }
    let pem = context.read(&at, &path, problems)?;
    let chain = check_certificates(&pem, &at, problems)?;
    let Some(key) = key else {
        return (problems.len() == before).then_some(None);
    };
    let key = private_key(&key, &chain, &key_at, problems)?;
    Some(Some(ClientPair { chain: Arc::from(chain), key }))
}

/// The key in DER, if it belongs to the first certificate of the chain.
fn private_key(
    pem: &Secret,
    chain: &[Vec<u8>],
    at: &At,
    problems: &mut Problems,
) -> Option<Secret> {
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};

    let Ok(key) = PrivateKeyDer::from_pem_slice(pem.expose()) else {
        let problem = Problem::new(at.clone(), "there is no private key in this");
        problems.push(problem.expected("a private key in PEM"));
        return None;
    };
    let der = Secret::new(key.secret_der());
    let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    if let Err(error) = portcullis_tls::check_client_pair(chain, &key) {
        problems.push(Problem::new(at.clone(), error.to_string()));
        return None;
    }
    Some(der)
}

/// The outer `None` is a mistake, the inner one that files are not read.
#[expect(clippy::option_option, reason = "a mistake and an unread file are two things")]
fn trusted(
    raw: TrustFile,
    at: &At,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<Option<Arc<[Vec<u8>]>>> {
    let TrustFile { file } = raw;
    let file = problems.required(at, "file", file)?;
    let at = at.key("file");
    let path = context.path(&at, &file, problems)?;
    if !context.reads_files() {
        return Some(None);
    }
    let pem = context.read(&at, &path, problems)?;
    check_certificates(&pem, &at, problems).map(|ders| Some(Arc::from(ders)))
}
