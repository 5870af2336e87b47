//! Client certificates in `access` of a route.

use portcullis_authn::Possession;
use portcullis_core::AlternativeName;
use portcullis_policy::{Access, CertificateWay, Demand, Route, TokenWay};

use crate::at::At;
use crate::compile::Context;
use crate::compile::check::non_empty;
use crate::compile::hosts::Hosts;
use crate::problem::{Problem, Problems};
use crate::raw::access as raw;
use crate::read::Items;

impl raw::CertificateNames {
    /// `at` is that of the mapping.
    pub(super) fn compile(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<CertificateWay> {
        let Some(san) = self.san else {
            if !problems.touch(at) {
                let problem = Problem::new(at.clone(), "`san` is missing");
                problems.push(problem.help(
                    "write `client_certificate` alone, if any certificate of the trust will do",
                ));
            }
            return None;
        };
        let san_at = at.key("san");
        let mut names = Vec::new();
        let mut sound = !problems.touch(&san_at);
        for (at, text) in non_empty(san, &san_at, problems)?.into_at(&san_at) {
            match AlternativeName::parse(&text) {
                Some(name) if names.contains(&name) => {
                    problems.push(Problem::new(at, format!("`{text}` stands here twice")));
                    sound = false;
                }
                Some(name) => names.push(name),
                None => {
                    problems.push(not_a_name(at, &text));
                    sound = false;
                }
            }
        }
        sound.then(|| CertificateWay { names, origin: context.origin(at) })
    }
}

fn not_a_name(at: At, text: &str) -> Problem {
    let problem = Problem::new(at, format!("`{text}` is not a subject alternative name")).expected(
        "a URI such as spiffe://example.org/billing, a DNS name, a mailbox or an address",
    );
    if text.contains('*') { problem.help("names are compared whole: list each") } else { problem }
}

/// Compiles what is needed on top; `None` where a mistake was noted.
pub(super) fn also(
    raw: Option<Items<raw::Demand>>,
    at: &At,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<Vec<CertificateWay>> {
    let Some(raw) = raw else { return Some(Vec::new()) };
    let mut all: Vec<CertificateWay> = Vec::new();
    let mut sound = !problems.touch(at);
    for (at, demand) in non_empty(raw, at, problems)?.into_at(at) {
        let way = match demand {
            raw::Demand::ClientCertificate => Some(any(&at, context)),
            raw::Demand::Named(raw::NamedDemand { client_certificate }) => {
                let names = problems.required(&at, "client_certificate", client_certificate);
                names.and_then(|n| n.compile(&at.key("client_certificate"), context, problems))
            }
        };
        match way {
            Some(way) if all.iter().any(|other| other.names == way.names) => {
                problems.push(Problem::new(at, "the same certificate is asked for twice"));
                sound = false;
            }
            Some(way) => all.push(way),
            None => sound = false,
        }
    }
    sound.then_some(all)
}

/// Any certificate of the trust.
pub(super) fn any(at: &At, context: &Context<'_>) -> CertificateWay {
    CertificateWay { names: Vec::new(), origin: context.origin(at) }
}

/// Notes a route that asks for certificates, or tells its app of them, which its hosts never ask
/// clients for.
pub(super) fn check_certificates(
    route: &Route,
    served: &[usize],
    hosts: &Hosts,
    at: &At,
    context: &Context<'_>,
    problems: &mut Problems,
) {
    let Some(unasked) = hosts.without_certificates(served) else { return };
    let Some(first) = unasked.first() else { return };
    let none = unasked.len() == served.len();
    if let Some((key, needed)) = asked(&route.access)
        && (needed || none)
    {
        problems.push(never_asked(at.key("access").key(key), first));
    }
    let told_at = at.key("forward").key("identity").key("headers");
    let told = route.forward.identity.headers.iter().any(|(_, value)| value.is_of_connection());
    // What stands in `defaults` is for the routes that it fits.
    if told && none && context.says(&told_at) {
        problems.push(never_asked(told_at, first));
    }
}

/// Where certificates are asked for, and whether nobody comes in without.
fn asked(access: &Access) -> Option<(&'static str, bool)> {
    let Access::AnyOf(demand) = access else { return None };
    let Demand { tokens, certificates, also, .. } = demand;
    if !also.is_empty() {
        return Some(("also", true));
    }
    let bound = |way: &TokenWay| way.issuer.settings().proof.certificate == Possession::Required;
    if certificates.is_empty() && !tokens.iter().any(bound) {
        return None;
    }
    Some(("any_of", tokens.iter().all(bound) && demand.api_keys.is_none() && !demand.anonymous))
}

fn never_asked(at: At, host: &str) -> Problem {
    let message = format!("no handshake for `{host}` asks clients for a certificate");
    Problem::new(at, message).help(
        "say `tls: {client_certificates: {mode: optional, …}}` at a listener or at the host, or \
         name in `hosts` of the route those that do",
    )
}
