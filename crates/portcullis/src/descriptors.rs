//! File descriptors: as many as the system gives, and a word where they are too few.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors beside those of connections: listeners, logs, watches, the runtime.
const OTHERS: u64 = 128;

/// Raises the soft limit to the hard one, as it stands at 1,024 on many systems.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Warns where `connections` clients, each with a connection to an app, do not fit.
pub(crate) fn warn_if_few(connections: usize) {
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(2) + OTHERS;
    if let Some(limit) = getrlimit(Resource::Nofile).current.filter(|limit| *limit < needed) {
        tracing::warn!(
            limit,
            needed,
            "fewer open files than connections.maximum may need: raise LimitNOFILE or lower it"
        );
    }
}
