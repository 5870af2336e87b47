//! `upstreams`.

use std::sync::Arc;

use portcullis_policy::{Endpoint, HostHeader, UpstreamSettings, UpstreamTimeouts, UpstreamTls};
use url::Url;

use crate::at::At;
use crate::compile::Context;
use crate::compile::check::{self, non_empty, positive};
use crate::compile::issuers::check_certificates;
use crate::problem::{Problem, Problems};
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
        let Self { name, endpoints, balance, timeouts, retries, tls, host_header } = self;
        let raw::Balance::RoundRobin = balance;
        let name = check::name(name, at, problems);
        let list_at = at.key("endpoints");
        let endpoints = problems.required(at, "endpoints", endpoints);
        let endpoints = endpoints.and_then(|list| non_empty(list, &list_at, problems));
        let endpoints = endpoints.map(|list| {
            let one = |(at, text): (At, String)| endpoint(&text, &at, problems);
            list.into_at(&list_at).map(one).collect::<Vec<_>>()
        });
        let endpoints = endpoints.and_then(|list| list.into_iter().collect::<Option<Vec<_>>>());
        let timeouts = timeouts.compile(&at.key("timeouts"), problems);
        if retries > MOST_RETRIES {
            let problem =
                Problem::new(at.key("retries"), format!("{retries} retries are too many"));
            problems.push(problem.expected(format!("from 0 to {MOST_RETRIES}")));
            return None;
        }
        let any_https = endpoints.as_ref().map(|list| list.iter().any(|one| one.https));
        let tls = compile_tls(tls, any_https, &at.key("tls"), context, problems);
        let host_header = match host_header {
            raw::HostHeader::Endpoint => HostHeader::Endpoint,
            raw::HostHeader::Keep => HostHeader::Keep,
        };
        let (name, tls) = (name?, tls?);
        let settings = UpstreamSettings {
            name: Arc::clone(&name),
            endpoints: endpoints?,
            timeouts: timeouts?,
            retries,
            tls,
            host_header,
        };
        Some((name, Arc::new(settings)))
    }
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
    let said = raw.is_some();
    let raw::UpstreamTls { trust, server_name } = raw.unwrap_or_default();
    let server_name = match server_name {
        Some(name) => Some(Some(server_name_of(&name, &at.key("server_name"), problems)?)),
        None => Some(None),
    };
    let trust = match trust {
        Some(trust) => trusted(trust, &at.key("trust"), context, problems)?,
        None => None,
    };
    match any_https {
        Some(true) => Some(Some(UpstreamTls { trust, server_name: server_name? })),
        Some(false) if said && !problems.touch(at) => {
            let problem = Problem::new(at.clone(), "this has no effect: no endpoint is https");
            problems.push(problem.on_key());
            None
        }
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

/// `http://host:port` or `https://host:port`, and nothing behind it.
fn endpoint(text: &str, at: &At, problems: &mut Problems) -> Option<Endpoint> {
    for later in ["h2c://", "unix:"] {
        if text.starts_with(later) {
            problems.push(Problem::not_in_this_version(at.clone(), later.trim_end_matches("//")));
            return None;
        }
    }
    let problem = |message: String| {
        Problem::new(at.clone(), message).expected("http:// or https://, a host and perhaps a port")
    };
    let url = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        Ok(_) | Err(_) => {
            let wrong = problem(format!("`{text}` is not an endpoint"));
            problems.push(if text.contains("://") {
                wrong
            } else {
                wrong.help(format!("did you mean `http://{text}`?"))
            });
            return None;
        }
    };
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    let bare = authority.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        let help = format!("did you mean `{}://{bare}`?", url.scheme());
        problems.push(problem("an endpoint has no path".to_owned()).help(help));
        return None;
    }
    if authority.contains('@') || !url.username().is_empty() {
        problems.push(problem("an endpoint has no user and password".to_owned()));
        return None;
    }
    let host = match url.host()? {
        url::Host::Domain(name) => Arc::from(name),
        url::Host::Ipv4(address) => Arc::from(address.to_string()),
        url::Host::Ipv6(address) => Arc::from(address.to_string()),
    };
    let port = url.port_or_known_default().filter(|port| *port != 0);
    if port.is_none() {
        problems.push(problem("an endpoint has no port 0".to_owned()));
    }
    Some(Endpoint { https: url.scheme() == "https", host, port: port? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(bool, &str, u16)>) {
        let mut problems = Problems::default();
        let endpoint = endpoint(text, &At::root().key("x"), &mut problems);
        let found = endpoint.as_ref().map(|e| (e.https, &*e.host, e.port));
        assert_eq!(found, expected, "{text}");
        assert_eq!(problems.len(), usize::from(expected.is_none()), "{text}: {problems:?}");
    }

    #[test]
    fn endpoints_are_scheme_host_and_port() {
        check("http://10.0.0.5:8000", Some((false, "10.0.0.5", 8000)));
        check("https://orders.internal", Some((true, "orders.internal", 443)));
        check("http://[::1]:8080/", Some((false, "::1", 8080)));
        check("http://app", Some((false, "app", 80)));
        for bad in [
            "10.0.0.5:8000",
            "app",
            "ftp://app",
            "http://app/x",
            "http://app?x",
            "http://app/#x",
            "http://u:p@app",
            "http://@app",
            "http://",
            "http://app:0",
            "http://app:99999",
            "",
            "h2c://app",
            "unix:/run/app.sock",
        ] {
            check(bad, None);
        }
    }
}
