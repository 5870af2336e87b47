//! The client's address and scheme behind trusted proxies: RFC 7239 and `X-Forwarded-*`, walked
//! from the nearest hop outwards, stopping at the first hop that is not trusted.

mod grammar;

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

use crate::address::canonical;

const FORWARDED: &str = "forwarded";
const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Hops that are read at most. No honest chain is longer, and the work stays bounded.
const MAXIMUM_HOPS: usize = 32;

/// Which field tells of earlier hops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For` and `X-Forwarded-Proto`.
    #[default]
    XForwardedFor,
}

/// Whose word about earlier hops counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    /// Networks of trusted proxies; empty: nobody.
    pub networks: Vec<IpNet>,
    /// `{any: true}`.
    pub any: bool,
    /// The field they write.
    pub header: ForwardedHeader,
}

/// What is believed about the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientView {
    /// The client's address, IPv4-mapped forms made plain.
    pub address: IpAddr,
    /// Whether the TCP peer is a trusted proxy.
    pub by_trusted_proxy: bool,
    /// Hops from the client to us, oldest first, as believed; ends with the TCP peer.
    pub chain: Vec<IpAddr>,
    /// `X-Forwarded-Proto` / `proto=` of a trusted peer: `Some(true)` for https.
    pub https: Option<bool>,
}

/// What one hop says about the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hop {
    address: IpAddr,
    https: Option<bool>,
}

impl TrustedProxies {
    /// Whether `address` is a trusted proxy.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        self.any || self.networks.iter().any(|network| network.contains(&address))
    }

    /// Who the client behind `peer` is. Each trusted hop's word about the hop before it is believed
    /// (RFC 7239 §8.1). The walk ends at the first address that is not trusted, which is the
    /// client, or at the first hop that cannot be read: then the nearest known one is the client.
    pub fn view(&self, peer: IpAddr, headers: &HeaderMap) -> ClientView {
        let address = canonical(peer);
        let mut view =
            ClientView { address, by_trusted_proxy: false, chain: vec![address], https: None };
        if !self.trusts(address) {
            return view;
        }
        view.by_trusted_proxy = true;
        match self.header {
            ForwardedHeader::Forwarded => {
                let elements = lines(headers, FORWARDED).flat_map(grammar::elements_from_right);
                self.walk(&mut view, elements.map(grammar::forwarded_element));
            }
            ForwardedHeader::XForwardedFor => {
                let elements = lines(headers, X_FORWARDED_FOR)
                    .flat_map(|line| line.rsplit(|&byte| byte == b','));
                self.walk(&mut view, elements.map(x_forwarded_for_element));
                // The last word is that of the nearest proxy.
                view.https = lines(headers, X_FORWARDED_PROTO)
                    .flat_map(|line| line.rsplit(|&byte| byte == b','))
                    .next()
                    .and_then(grammar::scheme);
            }
        }
        view.chain.reverse();
        view
    }

    fn walk(&self, view: &mut ClientView, hops: impl Iterator<Item = Option<Hop>>) {
        for hop in hops.take(MAXIMUM_HOPS).map_while(|hop| hop) {
            view.address = hop.address;
            view.https = hop.https;
            view.chain.push(hop.address);
            if !self.trusts(hop.address) {
                break;
            }
        }
    }
}

/// The lines of a field from the last to the first: as one list, read from its end.
fn lines<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).into_iter().rev().map(HeaderValue::as_bytes)
}

fn x_forwarded_for_element(element: &[u8]) -> Option<Hop> {
    let text = std::str::from_utf8(element).ok()?.trim_matches([' ', '\t']);
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let address = grammar::node(quoted.unwrap_or(text)).or_else(|| text.parse().ok())?;
    Some(Hop { address: canonical(address), https: None })
}

#[cfg(test)]
mod tests;
