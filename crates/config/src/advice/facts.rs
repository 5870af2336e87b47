//! The file as rules ask about it.

use portcullis_policy::UpstreamSettings;

use crate::advice::routes::RouteFacts;
use crate::at::At;
use crate::raw::File;
use crate::raw::cors::Cors;
use crate::raw::issuers::Issuer;
use crate::raw::limits::Limit;
use crate::raw::listeners::Listener;
use crate::raw::upstreams::Upstream;
use crate::read::Items;
use crate::snapshot::{Snapshot, Trial};
use crate::yaml::tree::Node;

/// A file without mistakes: as it was written, and as it was compiled.
pub(super) struct Facts<'a> {
    pub(super) file: &'a File,
    pub(super) snapshot: &'a Snapshot,
    pub(super) tree: &'a Node,
}

impl<'a> Facts<'a> {
    /// Whether the file itself says what is at `at`.
    pub(super) fn says(&self, at: &At) -> bool {
        self.tree.find(at).exact
    }

    pub(super) fn routes(&self) -> impl Iterator<Item = RouteFacts<'a>> {
        let file = self.file;
        below(file.routes.iter(), "routes").map(move |(at, raw)| RouteFacts { at, raw, file })
    }

    /// Whether a limit refuses: it is not on trial.
    pub(super) fn refuses(&self, limit: &Limit) -> bool {
        let name = named(limit.name.as_ref());
        !self.trials().any(|trial| trial.limits.iter().any(|one| one == name))
    }

    /// Whether the policy of that name refuses: it is not on trial.
    pub(super) fn is_in_force(&self, policy: &str) -> bool {
        !self.trials().any(|trial| trial.policies.iter().any(|one| one == policy))
    }

    /// Trials that are not over.
    fn trials(&self) -> impl Iterator<Item = &'a Trial> {
        self.snapshot.trials.iter().filter(|trial| !trial.ended)
    }

    pub(super) fn issuers(&self) -> impl Iterator<Item = (At, &'a Issuer)> {
        below([&self.file.issuers], "issuers")
    }

    pub(super) fn cors(&self) -> impl Iterator<Item = (At, &'a Cors)> {
        below([&self.file.cors], "cors")
    }

    pub(super) fn limits(&self) -> impl Iterator<Item = (At, &'a Limit)> {
        below([&self.file.limits], "limits")
    }

    pub(super) fn listeners(&self) -> impl Iterator<Item = (At, &'a Listener)> {
        below(self.file.listeners.iter(), "listeners")
    }

    pub(super) fn upstreams(&self) -> impl Iterator<Item = (At, &'a Upstream)> {
        below(self.file.upstreams.iter(), "upstreams")
    }

    /// An upstream as it was compiled.
    pub(super) fn upstream(&self, name: Option<&str>) -> Option<&'a UpstreamSettings> {
        self.snapshot.upstreams.get(name?).map(|settings| &**settings)
    }

    /// Whether anything is served over TLS.
    pub(super) fn speaks_tls(&self) -> bool {
        self.snapshot.listeners.iter().any(|listener| listener.tls.is_some())
    }
}

/// The items of a list at the top of the file, each with its place.
fn below<'a, T: 'a>(
    lists: impl IntoIterator<Item = &'a Items<T>>,
    key: &str,
) -> impl Iterator<Item = (At, &'a T)> {
    let at = At::root().key(key);
    lists.into_iter().flat_map(move |list| list.at(&at))
}

/// A name of the file's own, for messages.
pub(super) fn named(name: Option<&String>) -> &str {
    name.map_or("", String::as_str)
}
