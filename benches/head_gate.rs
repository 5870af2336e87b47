//! What judging a request head costs before the proxy sees it.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use portcullis_edge::head_gate::{HeadGate, HeadLimits};

const LIMITS: HeadLimits = HeadLimits { size: 32 * 1024, fields: 100, target: 8 * 1024 };

const SMALL: &str = "GET /v1/users/4711/orders HTTP/1.1\r\nHost: api.example.com\r\n\r\n";

/// As a browser sends it: with a token, cookies and all the rest.
fn browser() -> String {
    let fields = [
        ("Host", "api.example.com"),
        ("Connection", "keep-alive"),
        ("Authorization", "Bearer eyJhbGciOiJFUzI1NiIsImtpZCI6ImVzMjU2In0"),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0"),
        ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ("Accept-Language", "en-GB,en;q=0.9,de;q=0.8"),
        ("Referer", "https://app.example.com/orders?page=2"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Site", "same-site"),
        ("Cookie", "theme=dark; session=0123456789abcdef0123456789abcdef"),
    ];
    let lines: String =
        fields.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat()).collect();
    format!("GET /v1/users/4711/orders?page=2&sort=date HTTP/1.1\r\n{lines}\r\n")
}

fn main() {
    let browser = browser();
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("head gate");
    for (name, head) in [("small", SMALL), ("browser", &browser)] {
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| HeadGate::new(LIMITS).judge(black_box(head.as_bytes())));
        });
    }
    let smuggled =
        SMALL.replace("\r\n\r\n", "\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n");
    group.throughput(Throughput::Bytes(smuggled.len() as u64));
    group.bench_function("refused", |bencher| {
        bencher.iter(|| HeadGate::new(LIMITS).judge(black_box(smuggled.as_bytes())));
    });
    group.finish();
    criterion.final_summary();
}
