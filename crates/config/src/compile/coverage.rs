//! Whether each host that is served over TLS has a certificate, and each TLS setting a listener.

use portcullis_policy::Role;
use portcullis_tls::NameTable;

use crate::at::At;
use crate::compile::Context;
use crate::compile::certificates::CertificateTerms;
use crate::compile::hosts::Hosts;
use crate::problem::{Problem, Problems};
use crate::snapshot::ListenerPlan;

/// Notes hosts without a certificate, and TLS settings that no listener can use.
pub(super) fn check(
    listeners: &[ListenerPlan],
    certificates: &CertificateTerms,
    hosts: &Hosts,
    context: &Context<'_>,
    problems: &mut Problems,
) {
    if listeners.iter().any(|listener| listener.tls.is_some()) {
        let all = listeners.iter().all(|listener| listener.tls.is_some() || is_redirect(listener));
        hosts_without_certificate(certificates, hosts, all, problems);
    } else {
        settings_without_tls(hosts, context, problems);
    }
}

fn is_redirect(listener: &ListenerPlan) -> bool {
    matches!(listener.role, Role::Redirects(_))
}

/// With a cleartext listener beside, a host may be meant for that one alone.
fn hosts_without_certificate(
    certificates: &CertificateTerms,
    hosts: &Hosts,
    all_listeners_speak_tls: bool,
    problems: &mut Problems,
) {
    let Some(names) = &certificates.names else { return };
    let mut table = NameTable::default();
    for name in names {
        table.insert(name, ());
    }
    let covered = |name: &str| match name.strip_prefix("*.") {
        Some(_) => names.iter().any(|have| have.eq_ignore_ascii_case(name)),
        None => table.find(name).is_some(),
    };
    let bare: Vec<(String, &At)> = hosts.names().filter(|(name, _)| !covered(name)).collect();
    if !all_listeners_speak_tls && !names.is_empty() {
        return;
    }
    for (name, at) in bare {
        let help = if name.starts_with("*.") {
            "name one in `certificates.files`, or list it in `certificates.acme.names`: a wildcard is \
             proved by dns-01, so that `certificates.acme.dns` must say how"
        } else {
            "name one in `certificates.files`, order one by `certificates.acme`, or make one by \
             `self_signed` for development"
        };
        let message = format!("no certificate is given for `{name}`");
        problems.push(Problem::new(at.clone(), message).help(help));
    }
}

fn settings_without_tls(hosts: &Hosts, context: &Context<'_>, problems: &mut Problems) {
    let certificates = At::root().key("certificates");
    let said = ["acme", "files", "self_signed", "without_sni"].map(|key| certificates.key(key));
    let said = said.iter().find(|at| context.says(at));
    for at in said.into_iter().chain(hosts.with_tls()) {
        let message = "this has no effect: no listener speaks TLS";
        problems.push(Problem::new(at.clone(), message).on_key());
    }
}
