//! The sections that say who may connect and how: hosts, certificates, clients, connections.

use crate::at::At;
use crate::compile::clients::ClientTerms;
use crate::compile::hosts::Hosts;
use crate::compile::{Context, coverage, redirects};
use crate::problem::Problems;
use crate::raw::certificates::Certificates;
use crate::raw::clients::Clients;
use crate::raw::connections::Connections;
use crate::raw::hosts::HostEntry;
use crate::read::Items;
use crate::snapshot::{ConnectionTerms, ListenerPlan, TlsTerms};

/// The sections as they were read.
pub(super) struct Edge {
    pub(super) connections: Connections,
    pub(super) hosts: Option<Items<HostEntry>>,
    pub(super) certificates: Certificates,
    pub(super) clients: Clients,
}

/// The sections, compiled; `None` for one with a mistake.
pub(super) struct EdgeTerms {
    pub(super) hosts: Hosts,
    pub(super) tls: Option<TlsTerms>,
    pub(super) clients: Option<ClientTerms>,
    pub(super) connections: Option<ConnectionTerms>,
}

impl Edge {
    /// Compiles the sections. The bounds of connections are judged even where `clients`, from which
    /// they have the trusted proxies, has a mistake.
    pub(super) fn compile(
        self,
        listeners: Option<&[ListenerPlan]>,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> EdgeTerms {
        let Self { connections, hosts, certificates, clients } = self;
        let root = At::root();
        let mut hosts = Hosts::compile(hosts, context, problems);
        if let Some(listeners) = listeners {
            hosts.note_listeners(listeners);
        }
        let at = root.key("certificates");
        let certificates = certificates.compile(&at, &hosts, listeners, context, problems);
        if let (Some(listeners), Some(certificates)) = (listeners, &certificates) {
            coverage::check(listeners, certificates, &hosts, context, problems);
        }
        let clients = clients.compile(&root.key("clients"), context, problems);
        if let (Some(listeners), Some(terms)) = (listeners, &clients) {
            redirects::check_proxies(listeners, &terms.clients.trusted_proxies, problems);
        }
        let (trusted, prefix) = clients.as_ref().map_or((Vec::new(), 64), |terms| {
            (terms.clients.trusted_proxies.networks.clone(), terms.clients.ipv6_prefix)
        });
        let at = root.key("connections");
        let connections = connections.compile(&at, trusted, prefix, problems);
        EdgeTerms { hosts, tls: certificates.map(|terms| terms.tls), clients, connections }
    }
}
