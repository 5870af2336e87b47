//! Networks, addresses and folders: who else is there.

use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use portcullis_policy::{Endpoint, Place, Scheme};

/// Networks that are no part of the internet (RFC 1918, RFC 6598, RFC 4193, RFC 3927, loopback).
const PRIVATE: [&str; 10] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "0.0.0.0/32",
    "fc00::/7",
    "fe80::/10",
    "::/127",
];

/// Names that are no part of the internet's (RFC 6761, RFC 6762, RFC 8375, and what is used).
const PRIVATE_NAMES: [&str; 10] = [
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home.arpa",
    "private",
    "corp",
    "test",
    "svc",
];

/// Folders that everybody on the machine may write to.
const SHARED_FOLDERS: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/run/lock"];

fn private() -> impl Iterator<Item = IpNet> {
    PRIVATE.iter().filter_map(|text| text.parse().ok())
}

/// Whether strangers can have addresses in a network.
pub(super) fn is_public(network: IpNet) -> bool {
    !private().any(|known| known.contains(&network))
}

/// Whether a network is so large that strangers are in it: one of the internet's that no single
/// operator has.
pub(super) fn is_too_wide(network: IpNet) -> bool {
    let least = match network {
        IpNet::V4(_) => 11,
        IpNet::V6(_) => 24,
    };
    network.prefix_len() < least && is_public(network)
}

/// Whether an endpoint is on this machine.
pub(super) fn is_here(endpoint: &Endpoint) -> bool {
    match &endpoint.place {
        Place::Unix(_) => true,
        Place::Tcp { host, .. } => match host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => &**host == "localhost" || host.ends_with(".localhost"),
        },
    }
}

/// Whether requests to an endpoint can be read on the way.
pub(super) fn is_cleartext(endpoint: &Endpoint) -> bool {
    !matches!(endpoint.scheme, Scheme::Https) && !is_here(endpoint)
}

/// The address of an endpoint, where it is one.
pub(super) fn address(endpoint: &Endpoint) -> Option<IpAddr> {
    match &endpoint.place {
        Place::Tcp { host, .. } => host.parse().ok(),
        Place::Unix(_) => None,
    }
}

/// Whether the internet's DNS may have a name: it has a dot, and does not end as private names do.
pub(super) fn is_public_name(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let private = |suffix: &&str| host.strip_suffix(*suffix).is_some_and(ends_label);
    let address = host.parse::<IpAddr>().is_ok();
    !address && host.contains('.') && !PRIVATE_NAMES.iter().any(private)
}

fn ends_label(rest: &str) -> bool {
    rest.is_empty() || rest.ends_with('.')
}

/// The folder that everybody may write to and that `path` is in.
pub(super) fn shared_folder(path: &Path) -> Option<&'static str> {
    SHARED_FOLDERS.into_iter().find(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_networks_have_strangers_in_them() {
        let wide = |text: &str| is_too_wide(text.parse().unwrap());
        for text in [
            "0.0.0.0/0",
            "0.0.0.0/1",
            "128.0.0.0/1",
            "8.0.0.0/7",
            "104.0.0.0/8",
            "::/0",
            "2000::/3",
        ] {
            assert!(wide(text), "{text}");
        }
        for text in [
            "10.0.0.0/8",
            "192.168.0.0/16",
            "104.16.0.0/13",
            "203.0.113.0/24",
            "2a06:98c0::/29",
            "fd00::/8",
        ] {
            assert!(!wide(text), "{text}");
        }
    }

    #[test]
    fn private_names_are_known_by_their_end() {
        for name in ["app", "orders.internal", "db.shop.svc", "x.svc.cluster.local", "a.test"] {
            assert!(!is_public_name(name), "{name}");
        }
        for name in ["api.example.com", "mylocal.net", "notinternal.org", "api.example.com."] {
            assert!(is_public_name(name), "{name}");
        }
        assert!(!is_public_name("10.0.0.5") && !is_public_name("::1"));
    }

    #[test]
    fn shared_folders_are_whole_folders() {
        assert_eq!(shared_folder(Path::new("/tmp/state.db")), Some("/tmp"));
        assert_eq!(shared_folder(Path::new("/tmpfs/state.db")), None);
        assert_eq!(shared_folder(Path::new("/var/lib/state.db")), None);
    }
}
