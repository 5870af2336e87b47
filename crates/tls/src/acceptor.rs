//! From a `ClientHello` to the configuration that answers it, or the alert that ends it.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::SupportedProtocolVersion;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};

use crate::acme::Challenges;
use crate::{Alert, CertificateStore, Minimum, NameTable, Protocol, TlsError, TlsPlan, provider};

/// The TLS policy of one listener, compiled. Replace the whole of it to change anything but
/// certificates, which change inside their [`CertificateStore`].
pub struct TlsAcceptor {
    resolver: Arc<Resolver>,
    minimum: Minimum,
    by_name: NameTable<Minimum>,
    tls12: Arc<ServerConfig>,
    tls13: Arc<ServerConfig>,
    protocols: Vec<Protocol>,
    challenges: Option<Challenges>,
}

impl TlsAcceptor {
    /// Compiles a plan. Fails where `without_sni` has no certificate and none is ordered.
    pub fn new(plan: TlsPlan) -> Result<Self, TlsError> {
        let TlsPlan { certificates, minimum, by_name, without_sni, protocols } = plan;
        if let Some(name) = without_sni.as_deref().filter(|name| !certificates.expects(name)) {
            return Err(TlsError::WithoutSniUnknown { name: name.to_owned() });
        }
        let resolver = Arc::new(Resolver { certificates, without_sni });
        let mut table = NameTable::default();
        for (name, minimum) in by_name {
            table.insert(&name, minimum);
        }
        Ok(Self {
            tls12: server_config(&resolver, &[&TLS13, &TLS12], &protocols)?,
            tls13: server_config(&resolver, &[&TLS13], &protocols)?,
            by_name: table,
            resolver,
            minimum,
            protocols,
            challenges: None,
        })
    }

    /// The same policy, which also proves names to the authority that certificates are ordered
    /// from.
    #[must_use]
    pub fn with_challenges(self, challenges: Option<Challenges>) -> Self {
        Self { challenges, ..self }
    }

    /// The configuration that answers `hello`, or the alert to send instead.
    pub fn config_for(&self, hello: &ClientHello<'_>) -> Result<Arc<ServerConfig>, Alert> {
        let name = self.resolver.name(hello).ok_or(Alert::MissingServerName)?;
        self.resolver.certificates.choose(name, hello)?;
        Ok(match self.by_name.find(name).unwrap_or(&self.minimum) {
            Minimum::Tls12 => Arc::clone(&self.tls12),
            Minimum::Tls13 => Arc::clone(&self.tls13),
        })
    }

    /// The names to prove; `None` where no certificate is ordered.
    pub const fn challenges(&self) -> Option<&Challenges> {
        self.challenges.as_ref()
    }

    /// What is offered by ALPN, most wanted first.
    pub fn protocols(&self) -> &[Protocol] {
        &self.protocols
    }

    /// The certificates it serves from.
    pub fn certificates(&self) -> &CertificateStore {
        &self.resolver.certificates
    }
}

impl fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptor")
            .field("minimum", &self.minimum)
            .field("protocols", &self.protocols)
            .finish_non_exhaustive()
    }
}

fn server_config(
    resolver: &Arc<Resolver>,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[Protocol],
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .map_err(TlsError::library)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(resolver) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = protocols.iter().map(|p| p.as_str().as_bytes().to_vec()).collect();
    // Sessions live in tickets alone: a table here would be filled by clients.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = resolver.certificates.ticketer();
    config.send_tls13_tickets = 2;
    // Early data can be replayed, and no policy could tell.
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Resolver {
    certificates: CertificateStore,
    without_sni: Option<String>,
}

impl Resolver {
    fn name<'a>(&'a self, hello: &'a ClientHello<'_>) -> Option<&'a str> {
        hello.server_name().or(self.without_sni.as_deref())
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certificates.choose(self.name(&hello)?, &hello).ok()
    }
}
