//! The listeners of the process: bound before anything changes, diffed on reload.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use portcullis_config::snapshot::{ListenAddress, ListenerPlan};
use portcullis_edge::{BoundListener, Edge, Listener, ListenerSettings};
use portcullis_proxy::App;
use portcullis_tls::{Protocol, TlsAcceptor};
use thiserror::Error;

use crate::handover::{Slot, Sockets};

/// Why a listener is not there. The file or the machine must be mended.
#[derive(Debug, Error)]
pub(crate) enum ListenError {
    /// The address cannot be had.
    #[error("listener {name} cannot listen on {address}: {error}")]
    Bind {
        /// Its name.
        name: Arc<str>,
        /// The address.
        address: ListenAddress,
        /// What the system says.
        error: std::io::Error,
    },
    /// A listener cannot change between TLS and cleartext while it runs.
    #[error("listener {0} cannot change between TLS and cleartext without a restart")]
    Kind(Arc<str>),
}

type Policy = Option<Arc<ArcSwap<TlsAcceptor>>>;

#[derive(Debug)]
struct Active {
    plan: ListenerPlan,
    policy: Policy,
    protocols: Arc<ArcSwap<Vec<Protocol>>>,
    proxies: Arc<ArcSwap<Vec<IpNet>>>,
    listener: Listener,
}

/// All that are served.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    active: HashMap<Arc<str>, Active>,
}

/// What a new set needs bound, before it is taken.
#[derive(Debug)]
pub(crate) struct Change {
    wanted: Vec<(ListenerPlan, Option<TlsAcceptor>)>,
    bound: HashMap<Arc<str>, BoundListener>,
}

impl Listeners {
    /// Binds what is new in `wanted`, or takes it from the sockets of a predecessor; nothing that is
    /// served changes yet.
    pub(crate) fn plan(
        &self,
        adopted: &mut Sockets,
        wanted: Vec<(ListenerPlan, Option<TlsAcceptor>)>,
    ) -> Result<Change, ListenError> {
        let mut bound = HashMap::new();
        for (plan, acceptor) in &wanted {
            match self.kept(plan).map(|active| active.policy.is_some() == acceptor.is_some()) {
                Some(true) => continue,
                Some(false) => return Err(ListenError::Kind(Arc::clone(&plan.name))),
                None => {}
            }
            let listener = adopt_or_bind(plan, adopted).map_err(|error| {
                let (name, address) = (Arc::clone(&plan.name), plan.address.clone());
                ListenError::Bind { name, address, error }
            })?;
            bound.insert(Arc::clone(&plan.name), listener);
        }
        Ok(Change { wanted, bound })
    }

    /// Adds the listening sockets to those that a successor gets.
    pub(crate) fn offer(&self, sockets: &mut Sockets) {
        for (name, active) in &self.active {
            if let Some(socket) = active.listener.descriptor() {
                sockets.add(Slot::Listener(Arc::clone(name)), &active.plan.address, socket);
            }
        }
    }

    /// A listener of the same name and address goes on as it is.
    fn kept(&self, plan: &ListenerPlan) -> Option<&Active> {
        self.active.get(&plan.name).filter(|active| active.plan.address == plan.address)
    }

    /// Takes the change: new ones are served, kept ones get their new TLS policy and protocols, the others drain.
    /// Returns a line for each that is new, with its real address.
    pub(crate) fn take(&mut self, change: Change, edge: &Edge, proxy: &Arc<App>) -> Vec<String> {
        let Change { wanted, mut bound } = change;
        let mut before = std::mem::take(&mut self.active);
        let mut lines = Vec::new();
        for (plan, acceptor) in wanted {
            let name = Arc::clone(&plan.name);
            let active = match (bound.remove(&name), before.remove(&name)) {
                (None, Some(served)) => served.renewed(plan, acceptor),
                (Some(listener), old) => {
                    stop(old.as_ref());
                    lines.push(format!("listening {name} {}", listener.shown()));
                    serve(listener, plan, acceptor, edge, proxy)
                }
                (None, None) => continue,
            };
            self.active.insert(name, active);
        }
        for gone in before.values() {
            gone.listener.stop();
        }
        lines
    }
}

impl Active {
    fn renewed(self, plan: ListenerPlan, acceptor: Option<TlsAcceptor>) -> Self {
        if let (Some(policy), Some(acceptor)) = (&self.policy, acceptor) {
            policy.store(Arc::new(acceptor));
        }
        self.protocols.store(Arc::new(plan.protocols.clone()));
        self.proxies.store(Arc::new(plan.proxies.clone()));
        Self { plan, ..self }
    }
}

fn serve(
    listener: BoundListener,
    plan: ListenerPlan,
    acceptor: Option<TlsAcceptor>,
    edge: &Edge,
    proxy: &Arc<App>,
) -> Active {
    let policy: Policy = acceptor.map(|acceptor| Arc::new(ArcSwap::from_pointee(acceptor)));
    let protocols = Arc::new(ArcSwap::from_pointee(plan.protocols.clone()));
    let proxies = Arc::new(ArcSwap::from_pointee(plan.proxies.clone()));
    let settings = ListenerSettings {
        name: Arc::clone(&plan.name),
        tls: policy.clone(),
        protocols: Arc::clone(&protocols),
        proxies: Arc::clone(&proxies),
    };
    let listener = listener.serve(edge, settings, Arc::clone(proxy));
    Active { plan, policy, protocols, proxies, listener }
}

fn adopt_or_bind(plan: &ListenerPlan, adopted: &mut Sockets) -> std::io::Result<BoundListener> {
    let socket = adopted.take(&Slot::Listener(Arc::clone(&plan.name)), &plan.address);
    match (&plan.address, socket) {
        (ListenAddress::Tcp(_), Some(socket)) => BoundListener::adopt(socket),
        (ListenAddress::Tcp(address), None) => BoundListener::bind(*address),
        (ListenAddress::Unix(path), Some(socket)) => BoundListener::adopt_unix(socket, path),
        (ListenAddress::Unix(path), None) => BoundListener::bind_unix(path),
    }
}

fn stop(active: Option<&Active>) {
    if let Some(active) = active {
        active.listener.stop();
    }
}
