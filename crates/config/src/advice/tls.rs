//! Rules about TLS and certificates.

use crate::advice::facts::{Facts, named};
use crate::advice::rule::{Found, Reference, Rule, Severity};
use crate::at::At;
use crate::raw::access::Credential;
use crate::raw::client_certificates::{ClientCertificates, ClientMode};
use crate::raw::forward::IdentityValue;
use crate::raw::hosts::HostEntry;
use crate::raw::listeners::TlsVersion;

/// The rules.
pub(super) const RULES: &[Rule] = &[
    Rule {
        number: "A004",
        name: "self-signed-certificate",
        severity: Severity::Low,
        title: "A certificate that nobody signed",
        why: "clients cannot tell this server from another; this is for development",
        fix: "give the host a certificate by `certificates.files` or `certificates.acme`",
        references: &[Reference::Asvs("12.2.2")],
        find: self_signed,
    },
    Rule {
        number: "A005",
        name: "tls-1-2",
        severity: Severity::Low,
        title: "TLS 1.2 is taken",
        why: "TLS 1.2 handshakes show the certificate and have no protection against quantum computers",
        fix: "leave `minimum_version` at \"1.3\" unless a client needs \"1.2\"",
        references: &[Reference::Asvs("12.1.1"), Reference::Rfc(9325, "3.1.1")],
        find: old_tls,
    },
    Rule {
        number: "A032",
        name: "unused-client-certificates",
        severity: Severity::Low,
        title: "Clients are asked for certificates that nothing looks at",
        why: "`optional` keeps nobody out; it reads as if certificates were needed here",
        fix: "ask for one in a route's `access`, set `mode: required`, or take `client_certificates` out",
        references: &[Reference::Api(8), Reference::Asvs("12.1.3")],
        find: unused_certificates,
    },
    Rule {
        number: "A033",
        name: "no-revocation-lists",
        severity: Severity::Low,
        title: "Revoked client certificates are taken",
        why: "a certificate that its authority revoked, because its key was lost, lets its holder in until it \
              ends",
        fix: "name the authority's lists in `crl`, unless its certificates live for hours",
        references: &[Reference::Rfc(5280, "6.3"), Reference::Asvs("12.1.4")],
        find: no_lists,
    },
    Rule {
        number: "A035",
        name: "acme-staging",
        severity: Severity::Low,
        title: "Certificates come from an authority for trials",
        why: "no client trusts a staging authority, and users learn to pass over the warning",
        fix: "take `directory` out, or name the authority's production directory",
        references: &[Reference::Asvs("12.2.2")],
        find: staging,
    },
];

fn self_signed(facts: &Facts<'_>, found: &mut Found) {
    let at = At::root().key("certificates").key("self_signed");
    for (at, name) in facts.file.certificates.self_signed.at(&at) {
        found.note(at, format!("`{name}` has a certificate that nobody signed"));
    }
}

fn old_tls(facts: &Facts<'_>, found: &mut Found) {
    for (at, listener) in facts.listeners() {
        if listener.tls.as_ref().is_some_and(|tls| tls.minimum_version == TlsVersion::Tls12) {
            let name = named(listener.name.as_ref());
            let at = at.key("tls").key("minimum_version");
            found.note(at, format!("the listener `{name}` takes TLS 1.2"));
        }
    }
    let at = At::root().key("hosts");
    for (at, entry) in facts.file.hosts.iter().flat_map(|list| list.at(&at)) {
        let HostEntry::WithTls(host) = entry else { continue };
        if host.tls.as_ref().is_some_and(|tls| tls.minimum_version == Some(TlsVersion::Tls12)) {
            let name = named(host.name.as_ref());
            let at = at.key("tls").key("minimum_version");
            found.note(at, format!("the host `{name}` takes TLS 1.2"));
        }
    }
}

/// What is asked of clients in handshakes, by listeners and hosts.
fn asked<'f>(facts: &'f Facts<'_>) -> Vec<(At, &'f ClientCertificates)> {
    let of_listeners = facts.listeners().filter_map(|(at, listener)| {
        let asked = listener.tls.as_ref()?.client_certificates.as_ref()?;
        Some((at.key("tls").key("client_certificates"), asked))
    });
    let at = At::root().key("hosts");
    let hosts = facts.file.hosts.iter().flat_map(|list| list.at(&at));
    let of_hosts = hosts.filter_map(|(at, entry)| {
        let HostEntry::WithTls(host) = entry else { return None };
        let asked = host.tls.as_ref()?.client_certificates.as_ref()?;
        Some((at.key("tls").key("client_certificates"), asked))
    });
    let all: Vec<_> = of_listeners.chain(of_hosts).collect();
    all.into_iter().filter(|(_, asked)| asked.mode != ClientMode::None).collect()
}

fn unused_certificates(facts: &Facts<'_>, found: &mut Found) {
    if looks_at_certificates(facts) {
        return;
    }
    for (at, asked) in asked(facts) {
        if asked.mode == ClientMode::Optional {
            found.note(at.key("mode"), "no route looks at the certificate");
        }
    }
}

fn looks_at_certificates(facts: &Facts<'_>) -> bool {
    let tells = |value: &IdentityValue| {
        matches!(
            value,
            IdentityValue::Certificate
                | IdentityValue::CertificateChain
                | IdentityValue::CertificateThumbprint
        )
    };
    let default = facts.file.defaults.forward.identity.headers.as_ref();
    facts.routes().any(|route| {
        let by_access = route.credentials().any(|one| {
            matches!(one, Credential::ClientCertificate)
                || matches!(one, Credential::Named(named) if named.client_certificate.is_some())
        });
        let on_top = route.rules().is_some_and(|rules| rules.also.is_some());
        let own = route.raw.forward.as_ref().and_then(|one| one.identity.headers.as_ref());
        let told = own.or(default).is_some_and(|headers| headers.values().any(tells));
        by_access || on_top || told
    })
}

fn no_lists(facts: &Facts<'_>, found: &mut Found) {
    for (at, _) in asked(facts).into_iter().filter(|(_, asked)| asked.crl.is_none()) {
        found.note(at, "certificates are asked for, and nothing is known of revocations");
    }
}

fn staging(facts: &Facts<'_>, found: &mut Found) {
    let Some(acme) = &facts.file.certificates.acme else { return };
    let host = url::Url::parse(&acme.directory).ok();
    let host = host.as_ref().and_then(url::Url::host_str).unwrap_or_default();
    let first = host.split('.').next().unwrap_or_default();
    if first.split('-').any(|word| word == "staging") {
        let at = At::root().key("certificates").key("acme").key("directory");
        found.note(at, format!("`{host}` gives out certificates that nobody trusts"));
    }
}
