//! `hosts`.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_core::{ClientPolicy, Host, HostPattern};
use portcullis_policy::{HostAllowList, HostClients, Origin};
use portcullis_tls::{ClientMode, ClientTerms, Minimum, NamePolicy};

use crate::at::At;
use crate::compile::Context;
use crate::compile::check::non_empty;
use crate::problem::{Problem, Problems, nearest};
use crate::raw::hosts::{HostDetail, HostEntry, HostTls};
use crate::raw::listeners::TlsVersion;
use crate::read::Items;
use crate::snapshot::ListenerPlan;

/// The allow-list, compiled; one entry for each that could be read.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    entries: Vec<Entry>,
    written: Vec<String>,
    /// Whether some entry could not be read, so that a name that is not found says nothing.
    incomplete: bool,
    /// Of each entry, whether its clients are asked for a certificate; once that is known.
    asking: Option<Vec<bool>>,
}

#[derive(Debug)]
struct Entry {
    at: At,
    pattern: HostPattern,
    origin: Origin,
    tls: NamePolicy,
}

impl Hosts {
    /// Compiles the section.
    pub(super) fn compile(
        raw: Option<Items<HostEntry>>,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Self {
        let root = At::root();
        let mut hosts = Self { incomplete: true, ..Self::default() };
        let Some(raw) = problems.required(&root, "hosts", raw) else { return hosts };
        let at = root.key("hosts");
        let Some(raw) = non_empty(raw, &at, problems) else { return hosts };
        let before = problems.len();
        hosts.incomplete = problems.touch(&at);
        for (at, entry) in raw.into_at(&at) {
            hosts.push(entry, &at, context, problems);
        }
        hosts.incomplete |= problems.len() > before;
        hosts
    }

    fn push(&mut self, raw: HostEntry, at: &At, context: &Context<'_>, problems: &mut Problems) {
        let (name, name_at, tls) = match raw {
            HostEntry::Name(name) => (Some(name), at.clone(), Some(NamePolicy::default())),
            HostEntry::WithTls(HostDetail { name, tls }) => {
                let name = problems.required(at, "name", name);
                let tls = tls.unwrap_or_default().compile(&at.key("tls"), context, problems);
                (name, at.key("name"), tls)
            }
        };
        let (Some(name), Some(tls)) = (name, tls) else { return };
        let pattern = match HostPattern::parse(&name) {
            Ok(pattern) => pattern,
            Err(error) => {
                problems.push(not_a_host(&name, name_at, &error.to_string()));
                return;
            }
        };
        if self.entries.iter().any(|entry| entry.pattern == pattern) {
            problems.push(Problem::new(name_at, format!("the host `{name}` stands here twice")));
            return;
        }
        let is_same_name = |entry: &&Entry| {
            entry.pattern.host == pattern.host && entry.pattern.wildcard == pattern.wildcard
        };
        if let Some(other) = self.entries.iter().find(is_same_name)
            && other.tls != tls
        {
            // A handshake names a host and no port: it could follow one of the two alone.
            let message =
                format!("`{name}` has other TLS settings than an entry above of the same host");
            let problem = Problem::new(name_at, message);
            problems
                .push(problem.help("a handshake says no port: give both entries the same `tls`"));
            return;
        }
        if tls != NamePolicy::default() && !matches!(pattern.host, Host::Name(_)) {
            let message = "an address has no TLS settings by name: no client sends it as SNI";
            problems.push(Problem::new(at.key("tls"), message));
        }
        self.written.push(name);
        let origin = context.origin(at);
        self.entries.push(Entry { at: at.clone(), pattern, origin, tls });
    }

    /// The allow-list for the pipeline.
    pub(super) fn allow_list(&self, listeners: &[ListenerPlan]) -> HostAllowList {
        let names = self.tls_names();
        let entries = self.entries.iter().map(|entry| portcullis_policy::HostEntry {
            pattern: entry.pattern.clone(),
            tls12: entry.tls.minimum == Some(Minimum::Tls12),
            clients: entry.own_clients(&names).map(|own| host_clients(own.as_ref())),
            origin: entry.origin,
        });
        let listeners = listeners.iter().filter_map(|listener| {
            let clients = listener.tls.as_ref()?.policy.clients.as_ref();
            Some((Arc::clone(&listener.name), host_clients(clients).policy))
        });
        HostAllowList::new(entries, listeners)
    }

    /// What handshakes find by name: the first entry of two for one name.
    fn tls_names(&self) -> HashMap<String, &NamePolicy> {
        let mut names = HashMap::new();
        for entry in &self.entries {
            if let Some(name) = entry.tls_name() {
                names.entry(name).or_insert(&entry.tls);
            }
        }
        names
    }

    /// Notes of each entry whether its clients are asked for a certificate by any listener.
    pub(super) fn note_listeners(&mut self, listeners: &[ListenerPlan]) {
        let names = self.tls_names();
        let tls = || listeners.iter().filter_map(|listener| listener.tls.as_ref());
        let asks = |entry: &Entry| match entry.own_clients(&names) {
            Some(own) => own.is_some() && tls().next().is_some(),
            None => tls().any(|terms| terms.policy.clients.is_some()),
        };
        self.asking = Some(self.entries.iter().map(asks).collect());
    }

    /// Those of the entries `served` whose clients are never asked for a certificate, as they are
    /// written; `None` where nobody can tell, as something else is wrong.
    pub(super) fn without_certificates(&self, served: &[usize]) -> Option<Vec<&str>> {
        let asking = self.asking.as_ref().filter(|_| !self.incomplete)?;
        let unasked = served.iter().filter(|index| asking.get(**index) == Some(&false));
        Some(unasked.filter_map(|index| self.written.get(*index)).map(String::as_str).collect())
    }

    /// Whether some entry could not be read, so that a name that is not found says nothing.
    pub(super) const fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// How many entries there are.
    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Positions of the entries that `name`, said by a route, means. A name without a port means
    /// all entries of that host.
    pub(super) fn find(&self, name: &str, at: &At, problems: &mut Problems) -> Option<Vec<usize>> {
        let wanted = match HostPattern::parse(name) {
            Ok(wanted) => wanted,
            Err(error) => {
                problems.push(not_a_host(name, at.clone(), &error.to_string()));
                return None;
            }
        };
        let meant = |entry: &Entry| {
            let same =
                entry.pattern.host == wanted.host && entry.pattern.wildcard == wanted.wildcard;
            same && (wanted.port.is_none() || wanted.port == entry.pattern.port)
        };
        let numbered = self.entries.iter().enumerate();
        let found: Vec<usize> = numbered.filter(|(_, e)| meant(e)).map(|(i, _)| i).collect();
        if found.is_empty() {
            if !self.incomplete {
                problems.push(self.unknown(name, at));
            }
            return None;
        }
        Some(found)
    }

    fn unknown(&self, name: &str, at: &At) -> Problem {
        let names: Vec<&str> = self.written.iter().map(String::as_str).collect();
        let problem = Problem::new(at.clone(), format!("`{name}` is not an entry of `hosts`"));
        let problem = problem.one_of(name, &names);
        if nearest(name, &names).is_some() {
            return problem;
        }
        problem.help(format!("add `{name}` to `hosts`, or every request for it is answered 421"))
    }

    /// TLS by name. An exact name without settings of its own has those of the listener, and not
    /// those of a wildcard that it is below.
    pub(super) fn tls_by_name(&self) -> Vec<(String, NamePolicy)> {
        let named = self.entries.iter().filter_map(|e| Some((e.tls_name()?, e.tls.clone())));
        named.collect()
    }

    /// Names with their places, for the question of who has a certificate. Addresses are left out:
    /// no client sends one as SNI.
    pub(super) fn names(&self) -> impl Iterator<Item = (String, &At)> {
        self.entries.iter().filter_map(|entry| Some((entry.tls_name()?, &entry.at)))
    }

    /// Entries that have TLS settings of their own.
    pub(super) fn with_tls(&self) -> impl Iterator<Item = &At> {
        self.entries
            .iter()
            .filter(|entry| entry.tls != NamePolicy::default())
            .map(|entry| &entry.at)
    }

    /// The name of the entry `index`, if it is one name.
    pub(super) fn exact_name(&self, index: usize) -> Option<String> {
        let entry = self.entries.get(index).filter(|entry| !entry.pattern.wildcard);
        entry.and_then(Entry::tls_name)
    }

    /// The first exact name, if there is one.
    pub(super) fn first_name(&self) -> Option<String> {
        (0..self.entries.len()).find_map(|index| self.exact_name(index))
    }
}

fn host_clients(terms: Option<&ClientTerms>) -> HostClients {
    HostClients {
        policy: terms.map_or(ClientPolicy::NONE, ClientTerms::policy),
        required: terms.is_some_and(|terms| terms.mode == ClientMode::Required),
    }
}

impl Entry {
    /// What the name asks of clients where that is not the listener's. Of two entries for one name
    /// the first says it, as no handshake tells ports apart.
    fn own_clients<'n>(
        &self,
        names: &HashMap<String, &'n NamePolicy>,
    ) -> Option<&'n Option<ClientTerms>> {
        names.get(&self.tls_name()?)?.clients.as_ref()
    }

    fn tls_name(&self) -> Option<String> {
        let Host::Name(name) = &self.pattern.host else { return None };
        Some(if self.pattern.wildcard { format!("*.{name}") } else { name.to_string() })
    }
}

impl HostTls {
    fn compile(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<NamePolicy> {
        let Self { minimum_version, client_certificates } = self;
        let clients = match client_certificates {
            Some(raw) => Some(raw.compile(&at.key("client_certificates"), context, problems)?),
            None => None,
        };
        Some(NamePolicy { minimum: minimum_version.map(TlsVersion::compile), clients })
    }
}

impl TlsVersion {
    /// The version in the words of the TLS crate.
    pub(super) const fn compile(self) -> Minimum {
        match self {
            Self::Tls12 => Minimum::Tls12,
            Self::Tls13 => Minimum::Tls13,
        }
    }
}

fn not_a_host(name: &str, at: At, reason: &str) -> Problem {
    let problem = Problem::new(at, format!("`{name}` is not a host: {reason}"))
        .expected("a name, `*.` and a name, or an address; with or without a port");
    if let Some((_, rest)) = name.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        return problem.help(format!("write the host alone: `{host}`"));
    }
    if name == "*" || name.matches('*').count() > 1 {
        return problem.help("a wildcard is one label in front of a name: `*.example.com`");
    }
    problem
}
