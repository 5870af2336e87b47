//! The chain ends with the peer, each hop after the first is trusted, and what the nearest proxy
//! appended decides, whatever a client sent before it.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portcullis_core::forwarded::{ForwardedHeader, TrustedProxies};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5));
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));

fuzz_target!(|data: &[u8]| {
    check(ForwardedHeader::Forwarded, "forwarded", b"for=203.0.113.9;proto=http", data);
    check(ForwardedHeader::XForwardedFor, "x-forwarded-for", b"203.0.113.9", data);
});

fn check(header: ForwardedHeader, name: &'static str, appended: &[u8], data: &[u8]) {
    let networks = vec!["10.0.0.0/8".parse().expect("a network")];
    let proxies = TrustedProxies { networks, any: false, header };
    let mut headers = HeaderMap::new();
    for line in data.split(|&byte| byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name, value);
        }
    }
    let view = proxies.view(PEER, &headers);
    assert_eq!(view.chain.last(), Some(&PEER));
    assert_eq!(view.chain.first(), Some(&view.address));
    assert!(view.chain.len() <= 33, "the walk is not bounded");
    assert!(view.chain.iter().skip(1).all(|hop| proxies.trusts(*hop)));
    assert_eq!(proxies.view(CLIENT, &headers).chain, [CLIENT], "an untrusted peer was believed");

    let mut line = data.split(|&byte| byte == b'\n').next().unwrap_or_default().to_vec();
    line.extend_from_slice(b", ");
    line.extend_from_slice(appended);
    if let Ok(value) = HeaderValue::from_bytes(&line) {
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static(name), value)]);
        assert_eq!(proxies.view(PEER, &headers).address, CLIENT, "hidden from the proxy");
    }
}
