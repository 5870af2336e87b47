//! What counting one request costs: known keys, refused ones, and a flood of new ones.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use portcullis_core::{ClientKey, Clock};
use portcullis_limit::{Limiter, Quota};

const MAXIMUM_KEYS: usize = 100_000;

fn limiter(count: u32, burst: u32) -> Limiter {
    let number = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    let quota = Quota {
        name: "bench".into(),
        count: number(count),
        period: Duration::from_mins(1),
        burst: number(burst),
        maximum_keys: MAXIMUM_KEYS,
    };
    Limiter::new(quota, Clock::system())
}

fn key(number: u64) -> [u8; 16] {
    let address = u128::from(number) << 64 | 0x2001_0db8 << 96;
    ClientKey::new(std::net::Ipv6Addr::from(address).into(), 64).to_bytes()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("limiter");
    group.throughput(Throughput::Elements(1));

    let generous = limiter(u32::MAX, u32::MAX);
    group.bench_function("admitted", |bencher| bencher.iter(|| generous.admit(black_box(&key(1)))));

    let strict = limiter(1, 1);
    strict.admit(&key(1));
    group.bench_function("refused", |bencher| bencher.iter(|| strict.admit(black_box(&key(1)))));

    // The table is full of keys that may be evicted.
    let flooded = limiter(1, 3);
    let mut number = 0;
    group.bench_function("a new key each time", |bencher| {
        bencher.iter(|| {
            number += 1;
            flooded.admit(black_box(&key(number)))
        });
    });

    // The table is full of keys that are being refused, so all newcomers share a bucket.
    let pinned = limiter(1, 1);
    (0..2 * MAXIMUM_KEYS as u64).for_each(|number| {
        pinned.admit(&key(number));
    });
    number = u64::from(u32::MAX);
    group.bench_function("a new key, and no room", |bencher| {
        bencher.iter(|| {
            number += 1;
            pinned.admit(black_box(&key(number)))
        });
    });

    group.finish();
    criterion.final_summary();
}
