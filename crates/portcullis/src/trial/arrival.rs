//! How a made-up request comes in: on which listener, and from whom.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use portcullis_config::snapshot::{ListenAddress, ListenerPlan, Snapshot};

use super::Trial;

/// What is known of its connection.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The name of the listener.
    pub listener: Arc<str>,
    /// The TCP peer; `None` on a unix socket.
    pub peer: Option<SocketAddr>,
}

impl Trial {
    /// On the listener that is named, or the first of the file with TLS for https and without for http;
    /// from `address`, or from this machine. What cannot come in is a mistake of whoever made it up.
    pub(crate) fn arrival(
        &self,
        named: Option<&str>,
        address: Option<IpAddr>,
        snapshot: &Snapshot,
    ) -> Result<Arrival, String> {
        let plan = match named {
            Some(name) => self.named(name, snapshot)?,
            None => self.first(snapshot)?,
        };
        let listener = Arc::clone(&plan.name);
        let peer = match (&plan.address, address) {
            (ListenAddress::Tcp(_), address) => {
                Some((address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), 0).into())
            }
            (ListenAddress::Unix(_), None) => None,
            (ListenAddress::Unix(_), Some(_)) => {
                return Err(format!(
                    "listener `{listener}` is a unix socket: who connects to it has no address"
                ));
            }
        };
        Ok(Arrival { listener, peer })
    }

    fn named<'s>(&self, name: &str, snapshot: &'s Snapshot) -> Result<&'s ListenerPlan, String> {
        let Some(plan) = snapshot.listeners.iter().find(|plan| *plan.name == *name) else {
            let names: Vec<String> =
                snapshot.listeners.iter().map(|plan| format!("`{}`", plan.name)).collect();
            let names = names.join(", ");
            return Err(format!("the file has no listener {name:?}, it has {names}"));
        };
        match (self.https, plan.tls.is_some()) {
            (true, false) => Err(format!(
                "listener `{name}` speaks no TLS: use http://, with the field of a trusted proxy where \
                 that ended TLS (`X-Forwarded-Proto: https`)"
            )),
            (false, true) => Err(format!("listener `{name}` speaks TLS: use https://")),
            (true, true) | (false, false) => Ok(plan),
        }
    }

    fn first<'s>(&self, snapshot: &'s Snapshot) -> Result<&'s ListenerPlan, String> {
        let fits = |plan: &&ListenerPlan| plan.tls.is_some() == self.https;
        snapshot.listeners.iter().find(fits).ok_or_else(|| {
            let told = if self.https {
                "no listener of the file speaks TLS: use http://, with the field of a trusted proxy where \
                 that ended TLS (`X-Forwarded-Proto: https`)"
            } else {
                "every listener of the file speaks TLS: use https://"
            };
            told.to_owned()
        })
    }
}
