//! `clients`, and the `clients` of a route.

use ipnet::IpNet;
use portcullis_core::forwarded::{ForwardedHeader, TrustedProxies};
use portcullis_limit::Quota;
use portcullis_policy::ClientRules;

use crate::at::At;
use crate::compile::Context;
use crate::compile::check::non_empty;
use crate::compile::limits::MAXIMUM_KEYS;
use crate::problem::{Problem, Problems};
use crate::raw::clients as raw;
use crate::raw::network::Network;
use crate::read::Items;
use crate::snapshot::FLOOD_GUARD;

/// The section, compiled, but for the flood guard's counter.
pub(super) struct ClientTerms {
    pub(super) clients: portcullis_policy::Clients,
    pub(super) flood: Option<Quota>,
}

impl raw::Clients {
    /// Compiles the section.
    pub(super) fn compile(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<ClientTerms> {
        let Self { trusted_proxies, header, ipv6_prefix, allow, deny, limit } = self;
        let header = match header {
            raw::ForwardedHeader::Forwarded => ForwardedHeader::Forwarded,
            raw::ForwardedHeader::XForwardedFor => ForwardedHeader::XForwardedFor,
        };
        let trusted = trusted_proxies.compile(&at.key("trusted_proxies"), header, problems);
        if !(1..=128).contains(&ipv6_prefix) {
            let message = format!("an IPv6 prefix has no {ipv6_prefix} bits");
            problems.push(Problem::new(at.key("ipv6_prefix"), message).expected("from 1 to 128"));
            return None;
        }
        let rules = raw::ClientRules { allow, deny }.compile(at, context, problems);
        let flood = match limit {
            Some(limit) => Some(limit.compile(&at.key("limit"), problems)?),
            None => None,
        };
        let clients =
            portcullis_policy::Clients { trusted_proxies: trusted?, ipv6_prefix, rules: rules? };
        Some(ClientTerms { clients, flood })
    }
}

impl raw::TrustedProxies {
    fn compile(
        self,
        at: &At,
        header: ForwardedHeader,
        problems: &mut Problems,
    ) -> Option<TrustedProxies> {
        match self {
            Self::Any(raw::AnyProxy { any }) => {
                let any = problems.required(at, "any", any)?;
                if !any {
                    let problem = Problem::new(at.clone(), "`any: false` says nothing");
                    problems.push(problem.help("write [] to trust nobody"));
                    return None;
                }
                Some(TrustedProxies { networks: Vec::new(), any, header })
            }
            Self::Networks(networks) => {
                let everybody = |network: &Network| network.0.prefix_len() == 0;
                let found = networks.at(at).find(|(_, network)| everybody(network));
                if let Some((at, Network(network))) = found {
                    let message = format!("`{network}` trusts every peer there is");
                    let problem = Problem::new(at, message);
                    let help = "list the proxies' networks, or say it in words: {any: true}";
                    problems.push(problem.help(help));
                    return None;
                }
                let networks = plain(networks);
                Some(TrustedProxies { networks, any: false, header })
            }
        }
    }
}

impl raw::FloodLimit {
    fn compile(self, at: &At, problems: &mut Problems) -> Option<Quota> {
        let Self { rate, burst } = self;
        let rate = problems.required(at, "rate", rate)?;
        Some(Quota {
            name: FLOOD_GUARD.into(),
            count: rate.count,
            period: rate.period,
            burst: burst.unwrap_or(rate.count),
            maximum_keys: MAXIMUM_KEYS,
        })
    }
}

impl raw::ClientRules {
    /// Compiles the rules that stand below `at`.
    pub(super) fn compile(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<ClientRules> {
        let Self { allow, deny } = self;
        let origin = match (context.says(&at.key("allow")), context.says(&at.key("deny"))) {
            (true, _) => context.origin(&at.key("allow")),
            (_, true) => context.origin(&at.key("deny")),
            (false, false) => context.origin(at),
        };
        let allow = match allow {
            Some(allow) => Some(plain(non_empty(allow, &at.key("allow"), problems)?)),
            None => None,
        };
        Some(ClientRules { allow, deny: plain(deny), origin })
    }
}

fn plain(networks: Items<Network>) -> Vec<IpNet> {
    networks.into_vec().into_iter().map(|Network(network)| network).collect()
}
