//! Whose address counts, and who may come at all.

use std::net::IpAddr;

use ipnet::IpNet;
use portcullis_core::forwarded::TrustedProxies;

use crate::Origin;

/// An allow-list and a deny-list of networks; deny wins.
#[derive(Clone, Debug, Default)]
pub struct ClientRules {
    /// Networks that may come; `None`: all.
    pub allow: Option<Vec<IpNet>>,
    /// Networks that may not.
    pub deny: Vec<IpNet>,
    /// The line of the rule.
    pub origin: Origin,
}

impl ClientRules {
    /// Whether `address` may come.
    pub fn admits(&self, address: IpAddr) -> bool {
        let listed = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
        !listed(&self.deny) && self.allow.as_deref().is_none_or(listed)
    }
}

/// The `clients` section, compiled.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Whose word about earlier hops counts.
    pub trusted_proxies: TrustedProxies,
    /// Bits of an IPv6 address that make one client.
    pub ipv6_prefix: u8,
    /// Who may come at all.
    pub rules: ClientRules,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(allow: Option<&[&str]>, deny: &[&str], address: &str, expected: bool) {
        let parse = |list: &[&str]| list.iter().map(|n| n.parse().unwrap()).collect();
        let rules =
            ClientRules { allow: allow.map(parse), deny: parse(deny), origin: Origin::default() };
        assert_eq!(rules.admits(address.parse().unwrap()), expected, "{address}");
    }

    #[test]
    fn deny_wins_over_allow() {
        check(None, &[], "192.0.2.1", true);
        check(None, &["192.0.2.0/24"], "192.0.2.1", false);
        check(Some(&["10.0.0.0/8"]), &[], "192.0.2.1", false);
        check(Some(&["10.0.0.0/8"]), &[], "10.255.0.1", true);
        check(Some(&["10.0.0.0/8"]), &["10.1.0.0/16"], "10.1.0.1", false);
        check(Some(&["2001:db8::/32"]), &[], "2001:db8::1", true);
    }
}
