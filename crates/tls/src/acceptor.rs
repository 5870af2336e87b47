//! From a `ClientHello` to the configuration that answers it, or the alert that ends it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use portcullis_core::ClientPolicy;
use rustls::ServerConfig;
use rustls::SupportedProtocolVersion;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};

use crate::acme::Challenges;
use crate::client_verifier::{HandshakeTime, Verifier};
use crate::{
    Alert, CertificateStore, ClientTerms, ClientTrust, ClientTrusts, HandshakePolicy, Minimum,
    NameTable, Protocol, TlsError, TlsPlan, provider,
};

/// The TLS policy of one listener, compiled. Replace the whole of it to change anything but
/// certificates and whom clients' certificates come from, which change inside their
/// [`CertificateStore`] and [`ClientTrusts`](crate::ClientTrusts).
pub struct TlsAcceptor {
    resolver: Arc<Resolver>,
    otherwise: Arc<Policy>,
    by_name: NameTable<Arc<Policy>>,
    protocols: Vec<Protocol>,
    challenges: Option<Challenges>,
}

/// How a handshake goes on.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The configuration that answers it.
    pub config: Arc<ServerConfig>,
    /// Which certificates it asks of the client.
    pub policy: ClientPolicy,
    /// Whom they must come from, where it asks for any.
    pub trust: Option<ClientTrust>,
}

impl TlsAcceptor {
    /// Compiles a plan. Fails where `without_sni` has no certificate and none is ordered, or terms have no trust.
    pub fn new(plan: TlsPlan) -> Result<Self, TlsError> {
        let TlsPlan { certificates, policy, by_name, trusts, without_sni, protocols } = plan;
        if let Some(name) = without_sni.as_deref().filter(|name| !certificates.expects(name)) {
            return Err(TlsError::WithoutSniUnknown { name: name.to_owned() });
        }
        let resolver = Arc::new(Resolver { certificates, without_sni });
        let mut made: HashMap<HandshakePolicy, Arc<Policy>> = HashMap::new();
        let mut compiled = |policy: HandshakePolicy| {
            if let Some(same) = made.get(&policy) {
                return Ok(Arc::clone(same));
            }
            let new = Arc::new(Policy::new(&policy, &trusts, &resolver, &protocols)?);
            made.insert(policy, Arc::clone(&new));
            Ok::<_, TlsError>(new)
        };
        let mut table = NameTable::default();
        for (name, own) in by_name {
            table.insert(&name, compiled(own.over(&policy))?);
        }
        let otherwise = compiled(policy)?;
        Ok(Self { resolver, otherwise, by_name: table, protocols, challenges: None })
    }

    /// The same policy, which also proves names to the authority that certificates are ordered
    /// from. Those handshakes never ask for a certificate.
    #[must_use]
    pub fn with_challenges(self, challenges: Option<Challenges>) -> Self {
        Self { challenges, ..self }
    }

    /// What answers `hello`, or the alert to send instead.
    pub fn choose(&self, hello: &ClientHello<'_>) -> Result<Chosen, Alert> {
        let name = self.resolver.name(hello).ok_or(Alert::MissingServerName)?;
        self.resolver.certificates.choose(name, hello)?;
        let policy = self.by_name.find(name).unwrap_or(&self.otherwise);
        policy.chosen(&self.resolver, &self.protocols)
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
            .field("minimum", &self.otherwise.minimum)
            .field("protocols", &self.protocols)
            .finish_non_exhaustive()
    }
}

/// One policy of names, and the configuration that says it.
struct Policy {
    minimum: Minimum,
    clients: ClientPolicy,
    trust: Option<ClientTrust>,
    built: ArcSwap<Built>,
}

/// A configuration, and the trust it was made of; 0 where it asks for no certificate.
struct Built {
    generation: u64,
    config: Arc<ServerConfig>,
}

impl Policy {
    fn new(
        policy: &HandshakePolicy,
        trusts: &ClientTrusts,
        resolver: &Arc<Resolver>,
        protocols: &[Protocol],
    ) -> Result<Self, TlsError> {
        let trust =
            match &policy.clients {
                Some(terms) => Some(trusts.find(terms).cloned().ok_or_else(|| {
                    TlsError::InvalidTrust { reason: "it was not read".to_owned() }
                })?),
                None => None,
            };
        let clients = policy.clients.as_ref().map_or(ClientPolicy::NONE, ClientTerms::policy);
        let minimum = policy.minimum;
        let verifier = trust.as_ref().map(ClientTrust::current);
        let built = build(minimum, verifier.as_deref(), resolver, protocols)?;
        Ok(Self { minimum, clients, trust, built: ArcSwap::from_pointee(built) })
    }

    /// A new trust makes a new configuration, with tickets of its own.
    fn chosen(&self, resolver: &Arc<Resolver>, protocols: &[Protocol]) -> Result<Chosen, Alert> {
        let built = self.built.load();
        let verifier = self.trust.as_ref().map(ClientTrust::current);
        let generation = verifier.as_ref().map_or(0, |verifier| verifier.generation());
        let config = if built.generation == generation {
            Arc::clone(&built.config)
        } else {
            let new = build(self.minimum, verifier.as_deref(), resolver, protocols);
            let new = Arc::new(new.map_err(|_| Alert::InternalError)?);
            self.built.store(Arc::clone(&new));
            Arc::clone(&new.config)
        };
        Ok(Chosen { config, policy: self.clients.clone(), trust: self.trust.clone() })
    }
}

fn build(
    minimum: Minimum,
    clients: Option<&Verifier>,
    resolver: &Arc<Resolver>,
    protocols: &[Protocol],
) -> Result<Built, TlsError> {
    let versions: &[&SupportedProtocolVersion] = match minimum {
        Minimum::Tls12 => &[&TLS13, &TLS12],
        Minimum::Tls13 => &[&TLS13],
    };
    let time = Arc::new(HandshakeTime(resolver.certificates.clock().clone()));
    let builder = ServerConfig::builder_with_details(provider(), time)
        .with_protocol_versions(versions)
        .map_err(TlsError::library)?;
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier.for_handshakes()),
        None => builder.with_no_client_auth(),
    };
    let certificates: Arc<dyn ResolvesServerCert> = Arc::clone(resolver) as _;
    let mut config = builder.with_cert_resolver(certificates);
    config.alpn_protocols = protocols.iter().map(|p| p.as_str().as_bytes().to_vec()).collect();
    // Sessions live in tickets alone: a table here would be filled by clients.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = match clients {
        Some(verifier) => verifier.tickets(),
        None => resolver.certificates.ticketer(),
    };
    config.send_tls13_tickets = 2;
    // Early data can be replayed, and no policy could tell.
    config.max_early_data_size = 0;
    let generation = clients.map_or(0, Verifier::generation);
    Ok(Built { generation, config: Arc::new(config) })
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
