//! Whose bucket a request counts in: the client's address, cut to a prefix for IPv6.

use std::net::IpAddr;

/// A client for counting: an IPv4 address, or an IPv6 prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientKey(u128);

impl ClientKey {
    /// The key of `address`; an IPv4-mapped IPv6 address equals its IPv4 form (RFC 4291 §2.5.5.2).
    /// `ipv6_prefix` is in bits, 1 to 128; what lies outside counts as the nearer end.
    pub fn new(address: IpAddr, ipv6_prefix: u8) -> Self {
        match canonical(address) {
            // The mapped form, which no IPv6 key can have: such addresses came in as IPv4.
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().to_bits()),
            IpAddr::V6(address) => {
                let host_bits = 128 - u32::from(ipv6_prefix.clamp(1, 128));
                Self(address.to_bits() >> host_bits << host_bits)
            }
        }
    }

    /// The key as bytes, for a limiter.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

/// `address` with an IPv4-mapped form turned into plain IPv4.
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, prefix: u8, same: bool) {
        let key = |text: &str| ClientKey::new(text.parse().expect(text), prefix);
        assert_eq!(key(one) == key(other), same, "{one} and {other} by /{prefix}");
        assert_eq!(key(one).to_bytes() == key(other).to_bytes(), same);
    }

    #[test]
    fn c17_a_prefix_is_one_client() {
        check("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", 64, true);
        check("2001:db8:1:2::1", "2001:db8:1:3::1", 64, false);
        check("2001:db8:1:2::1", "2001:db8:1:3::1", 48, true);
        check("2001:db8:1:2::1", "2001:db8:2:2::1", 48, false);
        check("2001:db8::1", "2001:db8::2", 128, false);
        check("2001:db8::1", "2001:db8::2", 127, false);
        check("2001:db8::2", "2001:db8::3", 127, true);
        check("::1", "fe80::1", 1, false);
        check("::1", "7fff::1", 1, true);
        check("2001:db8::1", "2001:db8::2", 0, true);
        check("2001:db8::1", "2001:db8::2", 255, false);
    }

    #[test]
    fn c16_a_mapped_address_is_its_ipv4_address() {
        check("::ffff:203.0.113.9", "203.0.113.9", 64, true);
        check("::ffff:cb00:7109", "203.0.113.9", 1, true);
        check("203.0.113.9", "203.0.113.10", 1, false);
        // The deprecated compatible form is no IPv4 address.
        check("::203.0.113.9", "203.0.113.9", 128, false);
    }

    proptest! {
        #[test]
        fn ipv4_and_ipv6_never_share_a_key(v4: u32, v6: u128, prefix: u8) {
            let v6 = IpAddr::V6(v6.into());
            prop_assume!(canonical(v6).is_ipv6());
            let v4 = ClientKey::new(IpAddr::V4(v4.into()), prefix);
            prop_assert_ne!(v4, ClientKey::new(v6, prefix));
        }
    }
}
