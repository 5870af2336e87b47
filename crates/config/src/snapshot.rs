//! Everything the file says, compiled: immutable, swapped as a whole or not at all.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use portcullis_authn::{ApiKeys, DpopProofs, IntrospectionServer, Issuer, KeyCache, ReadFrom};
use portcullis_core::{Secret, Timestamp};
use portcullis_limit::{Limiter, Penalties, Slots};
use portcullis_policy::{Pipeline, Role, UpstreamSettings};
use portcullis_tls::acme::AcmeSettings;
use portcullis_tls::{CertificateSources, ClientTerms, HandshakePolicy, NamePolicy, Protocol};

/// A compiled file.
#[derive(Debug)]
pub struct Snapshot {
    /// Everything that judges a request.
    pub pipeline: Pipeline,
    /// Where requests come in, in the order of the file.
    pub listeners: Vec<ListenerPlan>,
    /// Certificates and TLS by name, for all listeners.
    pub tls: TlsTerms,
    /// Bounds and deadlines of connections.
    pub connections: ConnectionTerms,
    /// Issuers by name.
    pub issuers: HashMap<Arc<str>, Arc<Issuer>>,
    /// Keys of issuers by name: what a later snapshot takes over.
    pub keys: HashMap<Arc<str>, KeyCache>,
    /// Introspection servers by name of their issuer: what a later snapshot takes over.
    pub servers: HashMap<Arc<str>, IntrospectionServer>,
    /// The API keys.
    pub api_keys: ApiKeyTerms,
    /// DPoP proofs that were seen: what a later snapshot takes over.
    pub dpop: Arc<DpopProofs>,
    /// Counters by name of their limit, the flood guard's as [`FLOOD_GUARD`]: what a later snapshot
    /// takes over.
    pub limiters: HashMap<Arc<str>, Limiter>,
    /// Counters of requests at once, by name of their limit: what a later snapshot takes over.
    pub slots: HashMap<Arc<str>, Slots>,
    /// What only reports, and until when.
    pub trials: Vec<Trial>,
    /// What is held against wrong credentials, by name of the limit: what a later snapshot takes over.
    pub penalties: HashMap<Arc<str>, Penalties>,
    /// Where requests go, by name.
    pub upstreams: HashMap<Arc<str>, Arc<UpstreamSettings>>,
    /// Where what must be remembered lives.
    pub state: StateTerms,
    /// The signed identity token.
    pub identity: IdentityTerms,
    /// The listeners for operators.
    pub admin: AdminTerms,
    /// What is written down.
    pub telemetry: TelemetryTerms,
    /// Fields by which some app is told who calls, the signed token's among them: no client may
    /// send them on any route.
    pub identity_fields: Vec<HeaderName>,
    /// Every file that was named, secrets and certificates too: a change of one is a change of all.
    pub files: Vec<PathBuf>,
    /// SHA-256 of the file, in hex.
    pub hash: String,
    /// What is running, with its defaults and without secrets.
    pub redacted: serde_json::Value,
}

/// API keys.
#[derive(Clone, Debug)]
pub struct ApiKeyTerms {
    /// The keys: the handle that was taken over.
    pub keys: Arc<ApiKeys>,
    /// The field that carries one, where any route takes them.
    pub field: Option<HeaderName>,
}

/// Rules that only report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Names of limits.
    pub limits: Vec<String>,
    /// Names of policies.
    pub policies: Vec<String>,
    /// Names of routes whose `request.body` only reports.
    pub requests: Vec<String>,
    /// When they begin to refuse.
    pub until: Timestamp,
    /// Whether that was over when the file was read.
    pub ended: bool,
}

/// Name of the flood guard among the limiters; no limit of the file can have it.
pub const FLOOD_GUARD: &str = "clients.limit";

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerPlan {
    /// Its name in the file.
    pub name: Arc<str>,
    /// Where it listens; port 0 takes a free one.
    pub address: ListenAddress,
    /// What is spoken: offered by ALPN in this order; in cleartext recognised by how it begins.
    pub protocols: Vec<Protocol>,
    /// How TLS is spoken; `None` is cleartext.
    pub tls: Option<ListenerTerms>,
    /// Peers that announce their clients by the PROXY protocol.
    pub proxies: Vec<IpNet>,
    /// What is done with what comes in.
    pub role: Role,
}

/// TLS of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTerms {
    /// What is asked of clients, where no name says otherwise.
    pub policy: HandshakePolicy,
}

/// Certificates and TLS by name.
#[derive(Clone, Debug, Default)]
pub struct TlsTerms {
    /// Where certificates come from.
    pub sources: CertificateSources,
    /// Whom certificates are ordered from; `None` where none are.
    pub acme: Option<AcmeSettings>,
    /// What host names say otherwise, the first entry for a name before others; `*.` and a parent
    /// stands for one label more.
    pub by_name: Vec<(String, NamePolicy)>,
    /// The name assumed for a client that sends none; `None` refuses it.
    pub without_sni: Option<String>,
}

impl Snapshot {
    /// Whom clients' certificates must come from, for all listeners and names.
    pub fn client_terms(&self) -> impl Iterator<Item = &ClientTerms> {
        let of_listeners = self.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        let of_listeners = of_listeners.filter_map(|terms| terms.policy.clients.as_ref());
        let of_names = self.tls.by_name.iter().filter_map(|(_, own)| own.clients.as_ref());
        of_listeners.chain(of_names.flatten())
    }
}

/// Bounds and deadlines of connections.
#[derive(Clone, Debug)]
pub struct ConnectionTerms {
    /// Connections of the process.
    pub maximum: usize,
    /// Connections of one client.
    pub per_client: usize,
    /// Peers that `per_client` does not hold: trusted proxies.
    pub per_client_exempt: Vec<IpNet>,
    /// Bits of an IPv6 address that make one client.
    pub ipv6_prefix: u8,
    /// For a TLS handshake.
    pub tls_handshake: Duration,
    /// For a whole request head.
    pub head_time: Duration,
    /// Bytes of a request head.
    pub head_size: usize,
    /// Fields of a request head.
    pub head_fields: usize,
    /// Bytes of a request target.
    pub target_size: usize,
    /// Bytes a second that a request's body must have.
    pub minimum_body_rate: u64,
    /// For one write to the client.
    pub write: Duration,
    /// Between requests of a connection.
    pub idle: Duration,
    /// HTTP/2 streams open at once on one connection.
    pub streams_per_connection: u32,
    /// After SIGTERM: still accepting, but not ready.
    pub drain_delay: Duration,
    /// After the delay: for what is under way to end.
    pub drain_grace: Duration,
}

/// Where what must be remembered lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateTerms {
    /// The SQLite file; `None`: `state.db` in the state folder.
    pub durable: Option<PathBuf>,
    /// What seals the records, strong enough for it; `None`: one that is made and kept in the state
    /// folder.
    pub encryption_key: Option<Secret>,
}

/// The signed identity token.
#[derive(Clone, Debug)]
pub struct IdentityTerms {
    /// Its `iss`; empty where no route asks for a signed token and none can be derived.
    pub issuer: String,
    /// The ES256 key, PEM; `None`: one that is made and kept in `state.durable`.
    pub signing_key: Option<Secret>,
    /// The field it is sent in.
    pub header: HeaderName,
    /// From `iat` to `exp`.
    pub lifetime: Duration,
    /// Whether any route asks for it.
    pub is_used: bool,
}

/// The listeners for operators.
#[derive(Clone, Debug)]
pub struct AdminTerms {
    /// Where `/config` and `/decisions` are.
    pub address: ListenAddress,
    /// The bearer token they ask for; `None`: one that is made and kept in the state folder.
    pub token: Option<Secret>,
    /// Where `/healthz`, `/readyz` and `/metrics` are.
    pub probes: SocketAddr,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// Address and port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddress {
    /// As the file writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryTerms {
    /// One JSON line a request.
    pub access_log: LogTarget,
    /// One JSON line a denial and a configuration event.
    pub audit_log: Option<LogTarget>,
    /// Query parameters that no log shows, beside the built-in ones.
    pub redact_query: Vec<String>,
    /// Fields that no log shows, beside the built-in ones; in lower case.
    pub redact_headers: Vec<String>,
}

impl TelemetryTerms {
    /// The same with the field that carries API keys among those that no log shows.
    pub(crate) fn with_key_field(mut self, field: Option<&HeaderName>) -> Self {
        self.redact_headers.extend(field.map(|name| name.as_str().to_owned()));
        self
    }

    /// The same with the query parameters that carry tokens among those that no log shows.
    pub(crate) fn with_tokens_of<'i>(
        mut self,
        issuers: impl Iterator<Item = &'i Arc<Issuer>>,
    ) -> Self {
        for place in issuers.flat_map(|issuer| &issuer.settings().read_from) {
            if let ReadFrom::Query(name) = place {
                self.redact_query.push(name.clone());
            }
        }
        self
    }
}

/// Where a log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Lines are added to this file.
    File(PathBuf),
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
}
