//! The rules. A number is never used for another rule.

use portcullis_policy::Endpoint;
use url::Url;

use crate::advice::{Rule, Severity};
use crate::at::At;
use crate::compile::is_loopback;
use crate::raw::File;
use crate::raw::access::Access;
use crate::raw::clients::TrustedProxies;
use crate::raw::issuers::{Keys, TokenPlace};
use crate::raw::listeners::TlsVersion;
use crate::read::Items;
use crate::snapshot::{ListenAddress, Snapshot};

const LOOPBACK_ISSUER: Rule = Rule {
    number: "A001",
    severity: Severity::High,
    why: "whoever can open a port on this machine can issue tokens; this is for demos",
    fix: "name the issuer of production, by https",
};
const ANY_PROXY: Rule = Rule {
    number: "A002",
    severity: Severity::High,
    why: "every client can choose its own address, and with it its limits and rules",
    fix: "list the networks of the proxies in `trusted_proxies`",
};
const PUBLIC_WRITES: Rule = Rule {
    number: "A003",
    severity: Severity::Low,
    why: "anybody can change something behind the gateway",
    fix: "list `methods: [GET]`, or ask for a credential",
};
const SELF_SIGNED: Rule = Rule {
    number: "A004",
    severity: Severity::Low,
    why: "clients cannot tell this server from another; this is for development",
    fix: "give the host a certificate by `certificates.files`",
};
const OLD_TLS: Rule = Rule {
    number: "A005",
    severity: Severity::Low,
    why: "TLS 1.2 handshakes show the certificate and have no protection against quantum computers",
    fix: "leave `minimum_version` at \"1.3\" unless a client needs \"1.2\"",
};
const TOKEN_IN_QUERY: Rule = Rule {
    number: "A006",
    severity: Severity::Low,
    why: "URLs with tokens end in histories and in logs of others (RFC 9700 §4.3.2)",
    fix: "send tokens in the `Authorization` field",
};
const OPEN_ADMIN: Rule = Rule {
    number: "A007",
    severity: Severity::High,
    why: "the admin listener shows the configuration and speaks cleartext",
    fix: "listen on 127.0.0.1 or on a unix socket",
};
const ANY_ORIGIN: Rule = Rule {
    number: "A008",
    severity: Severity::Low,
    why: "scripts of every site can read these answers",
    fix: "list the origins that need them",
};
const UNLIMITED: Rule = Rule {
    number: "A009",
    severity: Severity::Low,
    why: "nothing holds a client that calls this without a credential as fast as it can",
    fix: "give the route a limit by address, or set `clients.limit`",
};

const UNUSED_TLS: Rule = Rule {
    number: "A010",
    severity: Severity::High,
    why: "requests to these endpoints go in cleartext and nobody is verified, whatever `tls` says",
    fix: "write the endpoints with https://, or take `tls` out",
};
const REDIRECTS_ELSEWHERE: Rule = Rule {
    number: "A011",
    severity: Severity::Low,
    why: "clients are sent to port 443, where this listener is only found if something forwards it",
    fix: "set `external_port` to the port that clients reach https on, 443 if that is it",
};

/// Tells every advice to `tell`.
pub(super) fn find(file: &File, snapshot: &Snapshot, tell: &mut dyn FnMut(Rule, &At, String)) {
    issuers(file, tell);
    edge(file, snapshot, tell);
    upstreams(file, snapshot, tell);
    routes(file, snapshot, tell);
}

fn upstreams(file: &File, snapshot: &Snapshot, tell: &mut dyn FnMut(Rule, &At, String)) {
    let at = At::root().key("upstreams");
    for (at, upstream) in file.upstreams.iter().flat_map(|list| list.at(&at)) {
        let name = upstream.name.as_deref().unwrap_or_default();
        let compiled = snapshot.upstreams.get(name);
        let any_https = compiled.is_some_and(|one| one.endpoints.iter().any(Endpoint::is_https));
        if upstream.tls.is_some() && !any_https {
            let message = format!("no endpoint of the upstream `{name}` is https");
            tell(UNUSED_TLS, &at.key("tls"), message);
        }
    }
}

fn issuers(file: &File, tell: &mut dyn FnMut(Rule, &At, String)) {
    for (at, issuer) in file.issuers.at(&At::root().key("issuers")) {
        let (place, text) = match &issuer.keys {
            Keys::Discover => (at.key("issuer"), issuer.issuer.clone()),
            Keys::File(_) => (at.key("issuer"), None),
            Keys::Url(url) => (at.key("keys").key("url"), Some(url.clone())),
        };
        if let Some(url) = text.and_then(|text| Url::parse(&text).ok()).filter(is_loopback) {
            tell(LOOPBACK_ISSUER, &place, format!("keys come from this machine: {url}"));
        }
        for (at, token_place) in issuer.read_token_from.at(&at.key("read_token_from")) {
            if let TokenPlace::Query(name) = token_place {
                tell(TOKEN_IN_QUERY, &at, format!("tokens are taken from the query, as `{name}`"));
            }
        }
    }
    for (at, policy) in file.cors.at(&At::root().key("cors")) {
        let origins = policy.origins.iter().flat_map(Items::iter);
        if origins.into_iter().any(|origin| origin == "*") {
            tell(ANY_ORIGIN, &at.key("origins"), "every origin may read the answers".to_owned());
        }
    }
}

fn edge(file: &File, snapshot: &Snapshot, tell: &mut dyn FnMut(Rule, &At, String)) {
    let root = At::root();
    if matches!(file.clients.trusted_proxies, TrustedProxies::Any(_)) {
        let at = root.key("clients").key("trusted_proxies");
        tell(ANY_PROXY, &at, "every peer is believed about the client's address".to_owned());
    }
    let self_signed = root.key("certificates").key("self_signed");
    for (at, name) in file.certificates.self_signed.at(&self_signed) {
        tell(SELF_SIGNED, &at, format!("`{name}` has a certificate that nobody signed"));
    }
    let listeners = root.key("listeners");
    for (at, listener) in file.listeners.iter().flat_map(|list| list.at(&listeners)) {
        if listener.tls.as_ref().is_some_and(|tls| tls.minimum_version == TlsVersion::Tls12) {
            let name = listener.name.as_deref().unwrap_or_default();
            let at = at.key("tls").key("minimum_version");
            tell(OLD_TLS, &at, format!("the listener `{name}` takes TLS 1.2"));
        }
    }
    redirects(file, snapshot, tell);
    if let ListenAddress::Tcp(address) = snapshot.admin.address
        && !address.ip().is_loopback()
    {
        let at = root.key("admin").key("address");
        tell(
            OPEN_ADMIN,
            &at,
            format!("the admin listener can be reached from elsewhere: {address}"),
        );
    }
}

fn redirects(file: &File, snapshot: &Snapshot, tell: &mut dyn FnMut(Rule, &At, String)) {
    let at = At::root().key("listeners");
    for (at, listener) in file.listeners.iter().flat_map(|list| list.at(&at)) {
        let Some(name) =
            listener.redirect_to.as_deref().filter(|_| listener.external_port.is_none())
        else {
            continue;
        };
        let target = snapshot.listeners.iter().find(|plan| *plan.name == *name);
        if let Some(ListenAddress::Tcp(address)) = target.map(|plan| &plan.address)
            && !matches!(address.port(), 0 | 443)
        {
            let message = format!("the listener `{name}` is on port {}", address.port());
            tell(REDIRECTS_ELSEWHERE, &at.key("redirect_to"), message);
        }
    }
}

/// Whether a method changes nothing (RFC 9110 §9.2.1).
fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "QUERY" | "PROPFIND" | "REPORT" | "SEARCH")
}

fn routes(file: &File, snapshot: &Snapshot, tell: &mut dyn FnMut(Rule, &At, String)) {
    let at = At::root().key("routes");
    let routes = file.routes.iter().flat_map(|routes| routes.at(&at));
    for (at, route) in routes.filter(|(_, route)| matches!(route.access, Some(Access::Public))) {
        let name = route.name.as_deref().unwrap_or_default();
        let methods = route.methods.as_ref().or(file.defaults.methods.as_ref());
        let writes = methods.is_none_or(|list| list.iter().any(|method| !is_safe(method)));
        if writes {
            let message = format!("the public route `{name}` takes methods that change something");
            tell(PUBLIC_WRITES, &at.key("access"), message);
        }
        let limits = route.limits.as_ref().or(file.defaults.limits.as_ref());
        if limits.is_none_or(Items::is_empty) && snapshot.pipeline.flood.is_none() {
            let message = format!("the public route `{name}` has no limit");
            tell(UNLIMITED, &at.key("access"), message);
        }
    }
}
