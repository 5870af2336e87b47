//! What a request's target, host and forwarding fields cost before policy sees them.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use http::{HeaderMap, HeaderValue};
use portcullis_core::forwarded::{ForwardedHeader, TrustedProxies};
use portcullis_core::{Authority, CanonicalPath};

const PATHS: [(&str, &str); 4] = [
    ("plain", "/v1/users/4711/orders"),
    ("escapes", "/v1/users/J%c3%b6rg%20M/orders"),
    ("dots", "/v1/./users/x/../4711/orders"),
    ("refused", "/v1/users/..%5c..%5cadmin"),
];

const AUTHORITIES: [(&str, &str); 4] = [
    ("name", "api.example.com"),
    ("name and port", "API.Example.com.:8443"),
    ("IPv6", "[2001:db8::1]:8443"),
    ("refused", "api.example.com, evil.test"),
];

const CHAINS: [(&str, ForwardedHeader, &str, &str); 3] = [
    ("one hop", ForwardedHeader::XForwardedFor, "x-forwarded-for", "203.0.113.9"),
    (
        "three hops",
        ForwardedHeader::XForwardedFor,
        "x-forwarded-for",
        "1.2.3.4, 203.0.113.9, 10.0.0.7, 10.0.0.8",
    ),
    (
        "RFC 7239",
        ForwardedHeader::Forwarded,
        "forwarded",
        "for=\"[2001:db8::1]:4711\";proto=https;by=10.0.0.5",
    ),
];

fn paths(group: &mut BenchmarkGroup<'_, WallTime>) {
    for (name, path) in PATHS {
        group.bench_function(format!("path: {name}"), |bencher| {
            bencher.iter(|| CanonicalPath::parse(black_box(path)));
        });
    }
}

fn authorities(group: &mut BenchmarkGroup<'_, WallTime>) {
    for (name, authority) in AUTHORITIES {
        group.bench_function(format!("authority: {name}"), |bencher| {
            bencher.iter(|| Authority::parse(black_box(authority)));
        });
    }
}

fn chains(group: &mut BenchmarkGroup<'_, WallTime>) {
    let peer = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5));
    for (name, header, field, value) in CHAINS {
        let networks = "10.0.0.0/8".parse().into_iter().collect();
        let proxies = TrustedProxies { networks, any: false, header };
        let headers: HeaderMap =
            [(http::HeaderName::from_static(field), HeaderValue::from_static(value))]
                .into_iter()
                .collect();
        group.bench_function(format!("client: {name}"), |bencher| {
            bencher.iter(|| proxies.view(black_box(peer), black_box(&headers)));
        });
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("normaliser");
    paths(&mut group);
    authorities(&mut group);
    chains(&mut group);
    group.finish();
    criterion.final_summary();
}
