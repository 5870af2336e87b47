//! Rules about where requests go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use portcullis_policy::{Endpoint, Place};

use crate::advice::facts::{Facts, named};
use crate::advice::places::{address, is_cleartext, is_here, is_public, is_public_name};
use crate::advice::rule::{Found, Reference, Rule, Severity};
use crate::at::At;
use crate::raw::forward::TokenMode;
use crate::snapshot::ListenAddress;

/// The rules.
pub(super) const RULES: &[Rule] = &[
    Rule {
        number: "A010",
        name: "unused-upstream-tls",
        severity: Severity::High,
        title: "TLS is set up for endpoints that have none",
        why: "requests to these endpoints go in cleartext and nobody is verified, whatever `tls` says",
        fix: "write the endpoints with https://, or take `tls` out",
        references: &[Reference::Asvs("12.3.2"), Reference::Api(8)],
        find: unused_tls,
    },
    Rule {
        number: "A050",
        name: "cleartext-over-the-internet",
        severity: Severity::High,
        title: "Requests cross the internet in cleartext",
        why: "whoever is on the way reads and changes everything that clients sent by TLS",
        fix: "write the endpoint with https://, or reach it through a private network",
        references: &[Reference::Asvs("12.3.1"), Reference::Api(8)],
        find: cleartext_address,
    },
    Rule {
        number: "A051",
        name: "cleartext-upstream",
        severity: Severity::Low,
        title: "Requests go in cleartext to a host of a public name",
        why: "whoever is on the way, or answers for that name, reads and changes everything that clients sent \
              by TLS",
        fix: "write the endpoint with https://",
        references: &[Reference::Asvs("12.3.3"), Reference::Api(8)],
        find: cleartext_name,
    },
    Rule {
        number: "A052",
        name: "original-token-in-cleartext",
        severity: Severity::High,
        title: "The client's own token goes to the app in cleartext",
        why: "whoever reads it on the way can use it everywhere that its audience is taken, until it ends",
        fix: "reach the app by https, or send `token: signed`, which is good for this app and a minute",
        references: &[
            Reference::Rfc(6750, "5.3"),
            Reference::Asvs("12.3.3"),
            Reference::Asvs("10.1.1"),
        ],
        find: original_token,
    },
    Rule {
        number: "A053",
        name: "unsigned-identity",
        severity: Severity::Low,
        title: "An app on the network believes fields that anybody can send",
        why: "whoever reaches the app's port without the gateway can name any user in these fields",
        fix: "send `token: signed` and let the app verify it; or let the app take only the gateway's \
              certificate (`tls.client_certificate`)",
        references: &[
            Reference::Asvs("4.1.3"),
            Reference::Asvs("12.3.5"),
            Reference::Asvs("13.2.1"),
        ],
        find: unsigned_identity,
    },
    Rule {
        number: "A054",
        name: "many-retries",
        severity: Severity::Low,
        title: "A failed request is sent many times",
        why: "an app that fails under load gets a multiple of it",
        fix: "leave `retries` at 1, and let `health` and `eject` find the endpoints that work",
        references: &[Reference::Asvs("13.1.3"), Reference::Api(4)],
        find: many_retries,
    },
    Rule {
        number: "A055",
        name: "metadata-upstream",
        severity: Severity::High,
        title: "An upstream is a metadata service",
        why: "this address hands out the credentials of the machine to whoever can ask",
        fix: "take the upstream out: nobody outside may reach it",
        references: &[Reference::Api(7), Reference::Asvs("13.2.4")],
        find: metadata,
    },
    Rule {
        number: "A056",
        name: "operators-listener-as-upstream",
        severity: Severity::High,
        title: "A route leads to the gateway's own listeners for operators",
        why: "metrics and readiness ask for no token, and the admin listener is for operators alone",
        fix: "let operators and their tools reach these listeners directly",
        references: &[Reference::Asvs("13.4.5"), Reference::Api(8)],
        find: own_listeners,
    },
];

const MANY_RETRIES: u32 = 3;

/// Link-local addresses by which clouds tell a machine who it is.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];
const METADATA_NAMES: [&str; 2] = ["metadata.google.internal", "instance-data.ec2.internal"];

/// Each endpoint with its place.
fn endpoints<'f>(facts: &'f Facts<'_>) -> impl Iterator<Item = (At, &'f Endpoint)> {
    facts.upstreams().flat_map(|(at, raw)| {
        let list = at.key("endpoints");
        let compiled = facts.upstream(raw.name.as_deref());
        let endpoints = compiled.into_iter().flat_map(|settings| &settings.endpoints);
        endpoints.enumerate().map(move |(index, one)| (list.index(index), one)).collect::<Vec<_>>()
    })
}

fn host(endpoint: &Endpoint) -> &str {
    match &endpoint.place {
        Place::Tcp { host, .. } => host,
        Place::Unix(_) => "",
    }
}

fn unused_tls(facts: &Facts<'_>, found: &mut Found) {
    for (at, upstream) in facts.upstreams() {
        let compiled = facts.upstream(upstream.name.as_deref());
        let any_https = compiled.is_some_and(|one| one.endpoints.iter().any(Endpoint::is_https));
        if upstream.tls.is_some() && !any_https {
            let name = named(upstream.name.as_ref());
            let message = format!("no endpoint of the upstream `{name}` is https");
            found.note(at.key("tls"), message);
        }
    }
}

fn cleartext_address(facts: &Facts<'_>, found: &mut Found) {
    for (at, endpoint) in endpoints(facts).filter(|(_, one)| is_cleartext(one)) {
        if address(endpoint).is_some_and(|address| is_public(address.into())) {
            found.note(at, format!("{endpoint} is on the internet and asked in cleartext"));
        }
    }
}

fn cleartext_name(facts: &Facts<'_>, found: &mut Found) {
    for (at, endpoint) in endpoints(facts).filter(|(_, one)| is_cleartext(one)) {
        if is_public_name(host(endpoint)) {
            found.note(at, format!("{endpoint} is asked in cleartext"));
        }
    }
}

fn original_token(facts: &Facts<'_>, found: &mut Found) {
    for route in facts.routes() {
        let Some((at, TokenMode::Original)) = route.token() else { continue };
        let upstream = facts.upstream(route.upstream());
        let cleartext = upstream.and_then(|one| one.endpoints.iter().find(|one| is_cleartext(one)));
        if let Some(endpoint) = cleartext {
            found.note(at, format!("the client's token goes to {endpoint} in cleartext"));
        }
    }
}

fn unsigned_identity(facts: &Facts<'_>, found: &mut Found) {
    for route in facts.routes() {
        let own = route.raw.forward.as_ref().and_then(|one| one.identity.headers.as_ref());
        let default = route.defaults().forward.identity.headers.as_ref();
        let Some((at, _)) = route.said(&["forward", "identity", "headers"], own, default) else {
            continue;
        };
        let token = route.token().map(|(_, mode)| mode);
        let is_proved = matches!(token, Some(TokenMode::Signed | TokenMode::Original));
        let upstream = facts.upstream(route.upstream());
        let is_far = upstream.is_some_and(|one| {
            let shows = one.tls.as_ref().is_some_and(|tls| tls.client_certificate.is_some());
            !shows && one.endpoints.iter().any(|one| !is_here(one))
        });
        if is_far && !is_proved {
            let message = format!(
                "the app of the route `{}` is on the network and believes fields",
                route.name()
            );
            found.note(at, message);
        }
    }
}

fn many_retries(facts: &Facts<'_>, found: &mut Found) {
    for (at, upstream) in facts.upstreams().filter(|(_, one)| one.retries > MANY_RETRIES) {
        let attempts = upstream.retries.saturating_add(1);
        found.note(at.key("retries"), format!("a request may be sent {attempts} times"));
    }
}

fn metadata(facts: &Facts<'_>, found: &mut Found) {
    for (at, endpoint) in endpoints(facts) {
        let by_address = address(endpoint).is_some_and(|one| METADATA.contains(&one));
        if by_address || METADATA_NAMES.contains(&host(endpoint)) {
            found.note(at, format!("{endpoint} gives out the machine's credentials"));
        }
    }
}

fn own_listeners(facts: &Facts<'_>, found: &mut Found) {
    let admin = &facts.snapshot.admin;
    let probes = ListenAddress::Tcp(admin.probes);
    for (at, endpoint) in endpoints(facts) {
        for (own, what) in [(&admin.address, "admin"), (&probes, "probes")] {
            if is_at(endpoint, own) {
                found.note(at.clone(), format!("{endpoint} is the gateway's `{what}` listener"));
            }
        }
    }
}

/// Whether an endpoint is what listens on `own`.
fn is_at(endpoint: &Endpoint, own: &ListenAddress) -> bool {
    match (&endpoint.place, own) {
        (Place::Unix(path), ListenAddress::Unix(own)) => Path::new(&**path) == own,
        (Place::Tcp { host, port }, ListenAddress::Tcp(own)) => {
            *port == own.port() && *port != 0 && is_host(host, own)
        }
        _ => false,
    }
}

fn is_host(host: &str, own: &SocketAddr) -> bool {
    let here = |address: IpAddr| address.is_loopback() || address.is_unspecified();
    match host.parse::<IpAddr>() {
        Ok(address) => address == own.ip() || here(address) && here(own.ip()),
        Err(_) => host == "localhost" && here(own.ip()),
    }
}
