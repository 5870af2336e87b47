//! What a token costs the first time it is seen, and each time after.

#[path = "fixtures/tokens.rs"]
mod fixtures;

use std::error::Error;
use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use fixtures::Fixture;

fn main() -> Result<(), Box<dyn Error>> {
    let fixture = Fixture::new()?;
    fixture.check()?;
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("tokens");
    for (alg, token) in &fixture.tokens {
        group.bench_function(format!("cold: {}", alg.as_str()), |bencher| {
            bencher.iter_batched_ref(
                || fixture.issuer(),
                |issuer| fixture.verify(issuer, black_box(token)),
                BatchSize::SmallInput,
            );
        });
        let issuer = fixture.issuer();
        group.bench_function(format!("cached: {}", alg.as_str()), |bencher| {
            bencher.iter(|| fixture.verify(&issuer, black_box(token)));
        });
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}
