//! Rules about secrets and files.

use std::path::{Path, PathBuf};

use crate::advice::facts::Facts;
use crate::advice::places::shared_folder;
use crate::advice::rule::{Found, Reference, Rule, Severity};
use crate::at::At;
use crate::raw::secret::SecretSource;
use crate::raw::state::Durable;
use crate::snapshot::{ListenAddress, LogTarget};

/// The rules.
pub(super) const RULES: &[Rule] = &[
    Rule {
        number: "A064",
        name: "secret-in-environment",
        severity: Severity::Low,
        title: "A lasting secret comes from the environment",
        why: "the environment goes to child processes, into dumps and into what tools show of a process; and \
              it cannot be changed while the process runs",
        fix: "put the secret into a file that only the gateway may read: `{file: …}`",
        references: &[Reference::Asvs("13.3.1"), Reference::Asvs("13.3.2")],
        find: in_environment,
    },
    Rule {
        number: "A065",
        name: "key-beside-data",
        severity: Severity::Low,
        title: "The key lies beside what it seals",
        why: "whoever gets a copy of the folder, a backup perhaps, has both",
        fix: "keep `encryption_key` in another place, such as a secret of the system that is mounted",
        references: &[Reference::Asvs("13.3.1"), Reference::Asvs("13.3.2")],
        find: key_beside_data,
    },
    Rule {
        number: "A066",
        name: "shared-folder",
        severity: Severity::Low,
        title: "A file is in a folder that everybody on the machine may write to",
        why: "another user of the machine can be there first, with a file of his own; and what is there may \
              be cleared away",
        fix: "use a folder of the gateway's own, such as /var/lib/portcullis or /run/portcullis",
        references: &[Reference::Asvs("13.3.2"), Reference::Api(8)],
        find: shared,
    },
];

/// The secrets that stay the same for long.
fn secrets<'f>(facts: &'f Facts<'_>) -> impl Iterator<Item = (At, &'f SecretSource)> {
    let root = At::root();
    let file = facts.file;
    [
        (root.key("admin").key("token"), file.admin.token.as_ref()),
        (root.key("identity").key("signing_key"), file.identity.signing_key.as_ref()),
        (root.key("state").key("encryption_key"), file.state.encryption_key.as_ref()),
    ]
    .into_iter()
    .filter_map(|(at, secret)| Some((at, secret?)))
}

fn in_environment(facts: &Facts<'_>, found: &mut Found) {
    for (at, secret) in secrets(facts) {
        if matches!(secret, SecretSource::Env(_) | SecretSource::Reference(_)) {
            found.note(at, "this secret comes from the environment");
        }
    }
    let at = At::root().key("certificates").key("files");
    for (at, pair) in facts.file.certificates.files.at(&at) {
        let from = pair.key.as_ref();
        if from.is_some_and(|key| !matches!(key, SecretSource::File(_))) {
            found.note(at.key("key"), "this private key comes from the environment");
        }
    }
}

fn key_beside_data(facts: &Facts<'_>, found: &mut Found) {
    let state = &facts.file.state;
    let Some(Durable::Place(place)) = &state.durable else { return };
    let Some(SecretSource::File(key)) = &state.encryption_key else { return };
    let database = place.split_once(':').map_or("", |(_, path)| path);
    if Path::new(database).parent() == Path::new(key).parent() {
        let at = At::root().key("state").key("encryption_key");
        found.note(at, format!("`{key}` is in the folder of the database"));
    }
}

fn shared(facts: &Facts<'_>, found: &mut Found) {
    for (at, path) in paths(facts) {
        if let Some(folder) = shared_folder(&path) {
            let path = path.display();
            found.note(at, format!("`{path}` is in {folder}, where everybody may write"));
        }
    }
}

/// The files and sockets that are trusted or written.
fn paths(facts: &Facts<'_>) -> Vec<(At, PathBuf)> {
    let root = At::root();
    let snapshot = facts.snapshot;
    let mut all = Vec::new();
    if let Some(path) = &snapshot.state.durable {
        all.push((root.key("state").key("durable"), path.clone()));
    }
    for (at, secret) in secrets(facts) {
        if let SecretSource::File(path) = secret {
            all.push((at, PathBuf::from(path)));
        }
    }
    if let ListenAddress::Unix(path) = &snapshot.admin.address {
        all.push((root.key("admin").key("address"), path.clone()));
    }
    for (at, listener) in facts.listeners() {
        let path = listener.address.as_deref().and_then(|text| text.strip_prefix("unix:"));
        all.extend(path.map(|path| (at.key("address"), PathBuf::from(path))));
    }
    let at = root.key("certificates").key("files");
    for (at, pair) in facts.file.certificates.files.at(&at) {
        all.extend(pair.certificate.as_ref().map(|path| (at.key("certificate"), path.into())));
        if let Some(SecretSource::File(path)) = &pair.key {
            all.push((at.key("key"), path.into()));
        }
    }
    all.extend(logs(facts));
    all
}

fn logs(facts: &Facts<'_>) -> impl Iterator<Item = (At, PathBuf)> {
    let telemetry = &facts.snapshot.telemetry;
    let at = At::root().key("telemetry");
    [
        (at.key("access_log").key("to"), Some(&telemetry.access_log)),
        (at.key("audit_log").key("to"), telemetry.audit_log.as_ref()),
    ]
    .into_iter()
    .filter_map(|(at, target)| match target? {
        LogTarget::File(path) => Some((at, path.clone())),
        LogTarget::Stderr | LogTarget::Stdout => None,
    })
}
