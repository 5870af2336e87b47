//! The table of spoofing attempts, the grammar of RFC 7239, and properties of the walk.

use std::collections::HashSet;

use http::HeaderName;
use proptest::prelude::*;

use super::*;

const LB: &str = "10.0.0.5";

fn proxies(header: ForwardedHeader) -> TrustedProxies {
    let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
    TrustedProxies { networks, any: false, header }
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let value = |line: &str| HeaderValue::from_bytes(line.as_bytes()).unwrap();
    lines.iter().map(|(name, line)| (HeaderName::from_static(name), value(line))).collect()
}

#[track_caller]
fn check(peer: &str, lines: &[(&'static str, &str)], expected: &[&str], https: Option<bool>) {
    let header = match lines {
        [("forwarded", _), ..] => ForwardedHeader::Forwarded,
        _ => ForwardedHeader::XForwardedFor,
    };
    let proxies = proxies(header);
    let view = proxies.view(peer.parse().unwrap(), &headers(lines));
    let chain: Vec<String> = view.chain.iter().map(ToString::to_string).collect();
    assert_eq!(chain, expected, "{lines:?}");
    assert_eq!(Some(&view.address), view.chain.first(), "{lines:?}");
    assert_eq!(view.https, https, "{lines:?}");
    assert_eq!(view.by_trusted_proxy, proxies.trusts(peer.parse().unwrap()));
}

#[track_caller]
fn check_for(line: &str, expected: &[&str]) {
    check(LB, &[("x-forwarded-for", line)], expected, None);
}

#[track_caller]
fn check_forwarded(line: &str, expected: &[&str], https: Option<bool>) {
    check(LB, &[("forwarded", line)], expected, https);
}

#[test]
fn c16_nobody_is_believed_but_trusted_proxies() {
    for line in ["1.2.3.1", "1.2.3.2", "10.0.0.7", "garbage"] {
        check("203.0.113.9", &[("x-forwarded-for", line)], &["203.0.113.9"], None);
    }
    check("::ffff:203.0.113.9", &[("x-forwarded-for", "1.2.3.4")], &["203.0.113.9"], None);
    check("::ffff:10.0.0.5", &[("x-forwarded-for", "1.2.3.4")], &["1.2.3.4", LB], None);
    let nobody = TrustedProxies::default();
    assert!(!nobody.trusts("127.0.0.1".parse().unwrap()));
    let anyone = TrustedProxies { any: true, ..TrustedProxies::default() };
    let view = anyone
        .view("203.0.113.9".parse().unwrap(), &headers(&[("x-forwarded-for", "1.1.1.1, 2.2.2.2")]));
    assert_eq!(view.address.to_string(), "1.1.1.1");
}

#[test]
fn c16_the_rightmost_untrusted_hop_is_the_client() {
    check_for("1.2.3.4, 203.0.113.9", &["203.0.113.9", LB]);
    check_for("1.2.3.5,203.0.113.9", &["203.0.113.9", LB]);
    check_for("203.0.113.9, 10.0.0.7", &["203.0.113.9", "10.0.0.7", LB]);
    check_for("203.0.113.9, garbage", &[LB]);
    check_for("10.0.0.7, 10.0.0.8", &["10.0.0.7", "10.0.0.8", LB]);
    check_for("garbage, 10.0.0.8", &["10.0.0.8", LB]);
    check_for("\u{e9}, 203.0.113.9", &["203.0.113.9", LB]);
    check(LB, &[], &[LB], None);
    check(
        LB,
        &[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "203.0.113.9")],
        &["203.0.113.9", LB],
        None,
    );
    check(
        LB,
        &[("x-forwarded-for", "1.1.1.1, 2.2.2.2"), ("x-forwarded-for", "10.0.0.9")],
        &["2.2.2.2", "10.0.0.9", LB],
        None,
    );
}

#[test]
fn c16_ports_brackets_quotes_and_mapped_forms_are_one_address() {
    check_for("\"[2001:db8::1]:4711\"", &["2001:db8::1", LB]);
    check_for("[2001:db8::1]:4711", &["2001:db8::1", LB]);
    check_for("[2001:db8::1]", &["2001:db8::1", LB]);
    check_for("2001:DB8::1", &["2001:db8::1", LB]);
    check_for("203.0.113.9:555", &["203.0.113.9", LB]);
    check_for("\"203.0.113.9:555\"", &["203.0.113.9", LB]);
    check_for("::ffff:203.0.113.9", &["203.0.113.9", LB]);
    check_for("[::ffff:203.0.113.9]:80", &["203.0.113.9", LB]);
    check_for("203.0.113.9, ::ffff:10.0.0.9", &["203.0.113.9", "10.0.0.9", LB]);
    check_for("\t203.0.113.9 ", &["203.0.113.9", LB]);
}

#[test]
fn c16_what_cannot_be_read_ends_the_walk() {
    for element in [
        "",
        " ",
        "unknown",
        "_hidden",
        "203.0.113",
        "203.0.113.09",
        "203.0.113.9:",
        "203.0.113.9:x",
        "203.0.113.9:70000",
        "203.0.113.9:+80",
        "[2001:db8::1",
        "2001:db8::1]",
        "[203.0.113.9]",
        "[2001:db8::1]80",
        "fe80::1%eth0",
        "\"203.0.113.9",
        "203.0.113.9\"",
        "203.0.113.9 x",
        "203.0.113.9;x",
        "0x7f.1",
        "2130706433",
        "localhost",
        "\u{661}.1.1.1",
    ] {
        check_for(&format!("198.51.100.1, {element}"), &[LB]);
        check_for(&format!("198.51.100.1, {element}, 10.0.0.9"), &["10.0.0.9", LB]);
    }
}

#[test]
fn c16_the_walk_is_bounded() {
    let long = |hops: usize| format!("203.0.113.9{}", ", 10.0.0.9".repeat(hops));
    let view = |line: &str| {
        let headers = headers(&[("x-forwarded-for", line)]);
        proxies(ForwardedHeader::XForwardedFor).view(LB.parse().unwrap(), &headers)
    };
    assert_eq!(view(&long(31)).address.to_string(), "203.0.113.9");
    assert_eq!(view(&long(32)).address.to_string(), "10.0.0.9");
    assert_eq!(view(&long(5_000)).chain.len(), MAXIMUM_HOPS + 1);
}

#[test]
fn c15_the_scheme_is_the_nearest_trusted_proxys_word() {
    let proto = |peer, line, https| {
        let chain: &[&str] = &[peer];
        check(peer, &[("x-forwarded-proto", line)], chain, https);
    };
    proto(LB, "https", Some(true));
    proto(LB, "HTTPS", Some(true));
    proto(LB, "wss", Some(true));
    proto(LB, "http", Some(false));
    proto(LB, "https, http", Some(false));
    proto(LB, "http,https", Some(true));
    proto(LB, "https, garbage", None);
    proto(LB, "", None);
    proto("203.0.113.9", "https", None);
    check(LB, &[("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")], &[LB], Some(false));
    check(
        LB,
        &[("x-forwarded-for", "203.0.113.9, 10.0.0.9"), ("x-forwarded-proto", "https")],
        &["203.0.113.9", "10.0.0.9", LB],
        Some(true),
    );
}

#[test]
fn rfc7239_elements_name_a_hop_and_its_scheme() {
    check_forwarded("for=192.0.2.60;proto=http;by=203.0.113.43", &["192.0.2.60", LB], Some(false));
    check_forwarded(
        "for=192.0.2.60; proto=https; by=203.0.113.43",
        &["192.0.2.60", LB],
        Some(true),
    );
    check_forwarded("For=\"[2001:db8:cafe::17]:4711\"", &["2001:db8:cafe::17", LB], None);
    check_forwarded("for=192.0.2.43, for=198.51.100.17", &["198.51.100.17", LB], None);
    check_forwarded(
        "for=192.0.2.43;proto=https, for=10.0.0.9;proto=http",
        &["192.0.2.43", "10.0.0.9", LB],
        Some(true),
    );
    check_forwarded("for=\"192.0.2.4\\3:80\"", &["192.0.2.43", LB], None);
    check_forwarded("for=\"192.0.2.43:_port\"", &["192.0.2.43", LB], None);
    check_forwarded("for=[2001:db8::1]:80", &["2001:db8::1", LB], None);
    check_forwarded("for=192.0.2.43;secret=\"a,b;\\\"c\\\\\"", &["192.0.2.43", LB], None);
    check_forwarded("host=x;FOR=192.0.2.43;PROTO=HTTPS", &["192.0.2.43", LB], Some(true));
    check(
        LB,
        &[("forwarded", "for=1.1.1.1"), ("forwarded", "for=203.0.113.9")],
        &["203.0.113.9", LB],
        None,
    );
}

#[test]
fn rfc7239_what_names_no_hop_ends_the_walk() {
    for element in [
        "",
        "for",
        "for=",
        "for=unknown",
        "for=_hidden",
        "for=\"_gazonk\"",
        "proto=https",
        "for=x",
        "for=1.1.1.1;for=2.2.2.2",
        "for=1.1.1.1;proto=http;proto=https",
        "for=1.1.1.1;",
        ";for=1.1.1.1",
        "for=2001:db8::1",
        "for=\"2001:db8::1\"",
        "for =1.1.1.1",
        "for= 1.1.1.1",
        "for=1.1.1.1 x",
        "for=\"1.1.1.1",
        "for=1.1.1.1\"",
        "for=\"1.1.1.1\"x",
        "=1.1.1.1",
        "f or=1.1.1.1",
        "for=\"\"",
        "for=\"1.1.1.1\\",
        "for=\"1.1.1.1\\\"",
    ] {
        check_forwarded(&format!("for=198.51.100.1, {element}"), &[LB], None);
    }
}

#[test]
fn an_unclosed_quote_swallows_no_later_hop() {
    check_forwarded("for=\"x, for=203.0.113.9", &["203.0.113.9", LB], None);
    check_forwarded("for=\"x, for=203.0.113.9;host=\"a,b\"", &["203.0.113.9", LB], None);
    check_forwarded("for=\"x\\, for=\"203.0.113.9\"", &["203.0.113.9", LB], None);
}

fn noise() -> impl Strategy<Value = String> {
    let known = vec![
        "1.2.3.4",
        "10.0.0.9",
        "2001:db8::1",
        "[fd00::1]:80",
        "::ffff:10.1.2.3",
        "for=",
        "proto=https",
        "for=9.9.9.9",
        "for=\"[2001:db8::2]:1\"",
        "\"",
        "\\",
        ";",
        ",",
        ", ",
        "unknown",
        "_x",
        "=",
        "[",
        "]",
    ];
    let piece =
        prop_oneof![3 => prop::sample::select(known).prop_map(str::to_owned), 1 => "[\\t -~]{0,4}"];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Every address that some reading of `text` could find.
fn named(text: &str) -> HashSet<IpAddr> {
    let inside = |byte: char| byte.is_ascii_hexdigit() || matches!(byte, '.' | ':');
    let text = text.replace('\\', "");
    let mut found = HashSet::new();
    for from in 0..text.len() {
        let run = text[from..].find(|c| !inside(c)).map_or(text.len(), |length| from + length);
        found.extend((from..=run).filter_map(|to| text[from..to].parse().ok()).map(canonical));
    }
    found
}

proptest! {
    #[test]
    fn an_address_comes_from_the_peer_or_the_header(
        first in noise(),
        second in noise(),
        trusted: bool,
        forwarded: bool,
    ) {
        let (name, header) = if forwarded {
            ("forwarded", ForwardedHeader::Forwarded)
        } else {
            ("x-forwarded-for", ForwardedHeader::XForwardedFor)
        };
        let peer: IpAddr = if trusted { LB } else { "203.0.113.9" }.parse().unwrap();
        let headers = headers(&[(name, &first), (name, &second)]);
        let view = proxies(header).view(peer, &headers);
        let mut known = named(&first);
        known.extend(named(&second));
        known.insert(peer);
        for hop in &view.chain {
            prop_assert!(known.contains(hop), "{} in {:?}", hop, headers);
        }
        prop_assert_eq!(view.chain.last(), Some(&peer));
        prop_assert_eq!(view.chain.first(), Some(&view.address));
        // Only the first may be untrusted: whoever follows has vouched for the one before.
        for hop in view.chain.iter().skip(1) {
            prop_assert!(proxies(header).trusts(*hop) || view.chain.len() == 1);
        }
    }

    /// Whatever a client sends, what the proxy appends decides.
    #[test]
    fn a_client_cannot_hide_from_the_proxy(sent in noise()) {
        for (name, header, appended) in [
            ("x-forwarded-for", ForwardedHeader::XForwardedFor, "203.0.113.9"),
            ("forwarded", ForwardedHeader::Forwarded, "for=203.0.113.9;proto=http"),
        ] {
            let line = format!("{sent}, {appended}");
            let view = proxies(header).view(LB.parse().unwrap(), &headers(&[(name, &line)]));
            prop_assert_eq!(view.address.to_string(), "203.0.113.9");
        }
    }
}
