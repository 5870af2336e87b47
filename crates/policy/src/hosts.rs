//! The host allow-list: it runs before routing, so that a forged `Host` reaches no route, no log
//! label and no upstream.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_core::{Authority, ClientPolicy, ConnMeta, Host, HostPattern};

use crate::Origin;

/// The allow-list, exact entries before wildcards.
#[derive(Clone, Debug, Default)]
pub struct HostAllowList {
    exact: HashMap<Host, Vec<Entry>>,
    wildcards: Vec<Entry>,
    /// What each entry asks of clients, by position.
    clients: Vec<Option<HostClients>>,
    /// What listeners ask of clients, by name.
    listeners: HashMap<Arc<str>, ClientPolicy>,
}

/// One entry of the file's list.
#[derive(Clone, Debug)]
pub struct HostEntry {
    /// Which hosts it means.
    pub pattern: HostPattern,
    /// Whether the entry itself allows TLS 1.2.
    pub tls12: bool,
    /// Which certificates the entry itself asks of clients; `None` leaves it to the listener.
    pub clients: Option<HostClients>,
    /// Its line.
    pub origin: Origin,
}

/// Which certificates are asked of the clients of a host or listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostClients {
    /// What a connection must have been asked for.
    pub policy: ClientPolicy,
    /// Whether a client without a certificate is refused.
    pub required: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    entry: HostEntry,
    index: usize,
}

/// Evidence that a host is allowed, with the entry that allows it. Later stages take this and never
/// a raw `Host`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    index: usize,
    origin: Origin,
    tls12: bool,
}

impl AllowedHost {
    /// Position of the entry in the file's list.
    pub const fn index(self) -> usize {
        self.index
    }

    /// The line of the entry.
    pub const fn origin(self) -> Origin {
        self.origin
    }

    /// Whether the entry itself allows TLS 1.2.
    pub const fn allows_tls12(self) -> bool {
        self.tls12
    }
}

impl HostAllowList {
    /// From the entries in file order, and what each listener that speaks TLS asks of clients.
    pub fn new(
        entries: impl IntoIterator<Item = HostEntry>,
        listeners: impl IntoIterator<Item = (Arc<str>, ClientPolicy)>,
    ) -> Self {
        let mut list = Self { listeners: listeners.into_iter().collect(), ..Self::default() };
        for (index, entry) in entries.into_iter().enumerate() {
            list.clients.push(entry.clients.clone());
            if entry.pattern.wildcard {
                list.wildcards.push(Entry { entry, index });
            } else {
                let host = entry.pattern.host.clone();
                list.exact.entry(host).or_default().push(Entry { entry, index });
            }
        }
        list
    }

    /// Admits the host of `authority`. An entry with a port matches that port alone, where an
    /// authority without one has the `default_port` of its scheme.
    pub fn admit(&self, authority: &Authority, default_port: u16) -> Option<AllowedHost> {
        let exact = self.exact.get(&authority.host).map_or(&[][..], Vec::as_slice);
        exact
            .iter()
            .chain(&self.wildcards)
            .find(|entry| entry.matches(authority, default_port))
            .map(|Entry { entry, index }| AllowedHost {
                index: *index,
                origin: entry.origin,
                tls12: entry.tls12,
            })
    }
}

impl HostAllowList {
    /// Whether the entry at `index` lets no client finish its handshake without a certificate.
    pub fn requires_certificate(&self, index: usize) -> bool {
        self.clients.get(index).and_then(Option::as_ref).is_some_and(|clients| clients.required)
    }

    /// Whether a connection may carry requests for `host`: in its handshake it was asked for the very
    /// certificates that are asked for there. So no host is reached under the policy of another,
    /// nor under one that was replaced.
    pub fn fits(&self, host: AllowedHost, conn: &ConnMeta) -> bool {
        let own = self.clients.get(host.index()).and_then(Option::as_ref);
        match (&conn.tls, own) {
            (None, own) => own.is_none_or(|own| !own.required),
            (Some(tls), Some(own)) => tls.policy == own.policy,
            (Some(tls), None) => {
                let asked = self.listeners.get(&conn.listener).unwrap_or(&ClientPolicy::NONE);
                tls.policy == *asked
            }
        }
    }
}

impl Entry {
    fn matches(&self, authority: &Authority, default_port: u16) -> bool {
        if authority.port.is_some() || self.entry.pattern.port.is_none() {
            return self.entry.pattern.matches(authority);
        }
        let host = authority.host.clone();
        self.entry.pattern.matches(&Authority { host, port: Some(default_port) })
    }
}

impl HostAllowList {
    /// The names in it without their ports, wildcards as they stand; addresses are left out.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let entries = self.exact.values().flatten().chain(&self.wildcards);
        entries.filter_map(|Entry { entry, .. }| {
            let Host::Name(name) = &entry.pattern.host else { return None };
            Some(if entry.pattern.wildcard { format!("*.{name}") } else { name.to_string() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(hosts: &[&str], authority: &str, expected: Option<usize>) {
        let entries = hosts.iter().map(|host| HostEntry {
            pattern: HostPattern::parse(host).unwrap(),
            tls12: false,
            clients: None,
            origin: Origin(1),
        });
        let list = HostAllowList::new(entries, []);
        let admitted = list.admit(&Authority::parse(authority).unwrap(), 443);
        assert_eq!(admitted.map(AllowedHost::index), expected, "{authority} against {hosts:?}");
    }

    #[test]
    fn exact_entries_come_before_wildcards() {
        check(&["*.app.test", "a.app.test"], "a.app.test", Some(1));
        check(&["*.app.test", "a.app.test"], "b.app.test", Some(0));
        check(&["*.app.test"], "app.test", None);
        check(&["*.app.test"], "a.b.app.test", None);
    }

    #[test]
    fn a_port_in_the_entry_binds() {
        check(&["api.test:443"], "api.test", Some(0));
        check(&["api.test:443"], "api.test:443", Some(0));
        check(&["api.test:443"], "api.test:8443", None);
        check(&["api.test"], "api.test:8443", Some(0));
    }

    #[test]
    fn names_are_told_without_ports_and_addresses() {
        let hosts = ["a.test", "b.test:8443", "*.c.test", "127.0.0.1", "[::1]:443"];
        let entries = hosts.map(|host| HostEntry {
            pattern: HostPattern::parse(host).unwrap(),
            tls12: false,
            clients: None,
            origin: Origin(1),
        });
        let mut names: Vec<String> = HostAllowList::new(entries, []).names().collect();
        names.sort();
        assert_eq!(names, ["*.c.test", "a.test", "b.test"]);
    }

    #[test]
    fn look_alikes_are_refused_among_many() {
        let names: Vec<String> = (0..500).map(|n| format!("h{n}.test")).collect();
        let hosts: Vec<&str> = names.iter().map(String::as_str).collect();
        check(&hosts, "H499.test.", Some(499));
        check(&hosts, "h499.test.evil.test", None);
        check(&hosts, "evilh499.test", None);
    }
}
