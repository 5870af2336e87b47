//! `listeners`, and addresses to listen on in general.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use portcullis_policy::{Origin, Role, ToHttps};
use portcullis_tls::{HandshakePolicy, Minimum, Protocol};

use crate::at::At;
use crate::compile::Context;
use crate::compile::check::{self, non_empty};
use crate::compile::redirects::{self, Declared, HTTPS};
use crate::problem::{Problem, Problems};
use crate::raw::listeners as raw;
use crate::read::Items;
use crate::snapshot::{ListenAddress, ListenerPlan, ListenerTerms};

/// What a listener speaks where the file does not say, most wanted first. In cleartext HTTP/2 is
/// for those who know of it (RFC 9113 §3.3).
const ALL: [Protocol; 2] = [Protocol::H2, Protocol::Http11];

/// Compiles the section. Left out, it is `https` on `[::]:443` and, on `[::]:80`, `http` that sends
/// there.
pub(super) fn compile(
    raw: Option<Items<raw::Listener>>,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<Vec<ListenerPlan>> {
    let at = At::root().key("listeners");
    let Some(raw) = raw else {
        return if problems.touch(&at) { None } else { Some(by_default()) };
    };
    let mut plans: Vec<ListenerPlan> = Vec::new();
    let mut sound = !problems.touch(&at);
    let raw = non_empty(raw, &at, problems)?;
    let declared = Declared::of(&raw);
    for (at, listener) in raw.into_at(&at) {
        let Some(plan) = listener.compile(&at, &declared, context, problems) else {
            sound = false;
            continue;
        };
        if plans.iter().any(|other| other.name == plan.name) {
            let message = format!("there are two listeners with the name `{}`", plan.name);
            let problem = Problem::new(at.key("name"), message);
            problems.push(problem.help("give each its own name"));
        }
        if let Some(other) = plans.iter().find(|other| clash(&other.address, &plan.address)) {
            let message = format!("the listener `{}` has the same address", other.name);
            problems.push(Problem::new(at.key("address"), message));
        }
        plans.push(plan);
    }
    sound.then_some(plans)
}

fn by_default() -> Vec<ListenerPlan> {
    let plan = |name: &str, port: u16, tls, role| ListenerPlan {
        name: Arc::from(name),
        address: ListenAddress::Tcp((std::net::Ipv6Addr::UNSPECIFIED, port).into()),
        protocols: ALL.to_vec(),
        tls,
        proxies: Vec::new(),
        role,
    };
    let policy = HandshakePolicy { minimum: Minimum::Tls13, clients: None };
    let tls = ListenerTerms { policy };
    let redirects = Role::Redirects(ToHttps { port: HTTPS, origin: Origin::default() });
    vec![plan("https", 443, Some(tls), Role::Serves), plan("http", 80, None, redirects)]
}

impl raw::Listener {
    fn compile(
        self,
        at: &At,
        declared: &Declared,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<ListenerPlan> {
        let role = redirects::compile(&self, at, declared, context, problems);
        let is_redirect = self.redirect_to.is_some();
        let Self { name, address, protocols, tls, cleartext, proxy_protocol, .. } = self;
        let name = check::name(name, at, problems);
        let text = problems.required(at, "address", address);
        let address = text.and_then(|text| place_of(&text, &at.key("address"), context, problems));
        let is_unix = matches!(address, Some(ListenAddress::Unix(_)));
        let proxies = match proxy_protocol {
            Some(proxies) => proxies.compile(is_unix, &at.key("proxy_protocol"), problems)?,
            None => Vec::new(),
        };
        if cleartext && tls.is_some() {
            let message = "a cleartext listener has no TLS settings";
            problems.push(Problem::new(at.key("tls"), message).help("take out one of the two"));
            return None;
        }
        let protocols = match protocols {
            Some(protocols) => protocol_list(protocols, &at.key("protocols"), problems)?,
            None => ALL.to_vec(),
        };
        let tls = if cleartext || is_redirect {
            None
        } else {
            Some(tls.unwrap_or_default().compile(&at.key("tls"), context, problems)?)
        };
        let (name, address, role) = (name?, address?, role?);
        Some(ListenerPlan { name, address, protocols, tls, proxies, role })
    }
}

impl raw::ListenerTls {
    /// `None` where a mistake was noted.
    fn compile(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<ListenerTerms> {
        let Self { minimum_version, client_certificates } = self;
        let clients = match client_certificates {
            Some(raw) => raw.compile(&at.key("client_certificates"), context, problems)?,
            None => None,
        };
        Some(ListenerTerms {
            policy: HandshakePolicy { minimum: minimum_version.compile(), clients },
        })
    }
}

impl raw::ProxyProtocol {
    /// The networks; `None` where a mistake was noted.
    fn compile(self, is_unix: bool, at: &At, problems: &mut Problems) -> Option<Vec<IpNet>> {
        if is_unix {
            let message = "whoever connects to a unix socket has no address to be known by";
            let problem = Problem::new(at.clone(), message);
            problems.push(problem.help("take out `proxy_protocol`, or listen on an address"));
            return None;
        }
        let from = problems.required(at, "from", self.from)?;
        let from = non_empty(from, &at.key("from"), problems)?;
        Some(from.into_at(&at.key("from")).map(|(_, network)| network.0).collect())
    }
}

fn protocol_list(
    raw: Items<raw::Protocol>,
    at: &At,
    problems: &mut Problems,
) -> Option<Vec<Protocol>> {
    let mut protocols = Vec::new();
    for (at, protocol) in non_empty(raw, at, problems)?.into_at(at) {
        let protocol = match protocol {
            raw::Protocol::H2 => Protocol::H2,
            raw::Protocol::Http11 => Protocol::Http11,
        };
        if protocols.contains(&protocol) {
            let message = format!("`{}` stands here twice", protocol.as_str());
            problems.push(Problem::new(at, message));
            return None;
        }
        protocols.push(protocol);
    }
    Some(protocols)
}

/// An address and port, or `unix:` and a path, to listen on.
pub(super) fn place_of(
    text: &str,
    at: &At,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<ListenAddress> {
    match text.strip_prefix("unix:") {
        Some(path) => context.unwatched_path(at, path, problems).map(ListenAddress::Unix),
        None => address_of(text, at, problems).map(ListenAddress::Tcp),
    }
}

/// An address and port to listen on.
fn has_plain_port(text: &str) -> bool {
    let port = text.rsplit_once(':').map_or("", |(_, port)| port);
    port == "0" || port.starts_with(|first: char| matches!(first, '1'..='9'))
}

/// An address and port to listen on.
pub(super) fn address_of(text: &str, at: &At, problems: &mut Problems) -> Option<SocketAddr> {
    if text.starts_with("unix:") {
        let problem = Problem::new(at.clone(), "a unix socket cannot be had here");
        problems.push(problem.expected("an address and port, such as 127.0.0.1:9902"));
        return None;
    }
    // One form for each address: `08443` and `+443` are refused, though the parser takes the first.
    if let Ok(address) = text.parse::<SocketAddr>()
        && has_plain_port(text)
    {
        return Some(address);
    }
    let problem = Problem::new(at.clone(), format!("`{text}` is not an address and port"))
        .expected("an address and port, such as \"[::]:443\" or 127.0.0.1:8080");
    let help = match text.rsplit_once(':') {
        Some(("", port)) => Some(format!("did you mean \"[::]:{port}\"?")),
        Some(("localhost", port)) => Some(format!("did you mean 127.0.0.1:{port}?")),
        Some((host, port)) if host.parse::<std::net::Ipv6Addr>().is_ok() => {
            Some(format!("did you mean \"[{host}]:{port}\"?"))
        }
        Some(_) => None,
        None => Some(format!("say the port too: `{text}:443`")),
    };
    problems.push(match help {
        Some(help) => problem.help(help),
        None => problem,
    });
    None
}

/// Whether both cannot be listened on at once.
pub(super) fn clash(one: &ListenAddress, other: &ListenAddress) -> bool {
    one == other && !matches!(one, ListenAddress::Tcp(address) if address.port() == 0)
}
