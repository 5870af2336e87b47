//! The whole policy on one request, compiled from a file: with a cached token, with policies
//! on top, and without a token.

#[path = "fixtures/decide.rs"]
mod fixtures;

use std::error::Error;
use std::hint::black_box;

use criterion::Criterion;
use fixtures::World;

fn main() -> Result<(), Box<dyn Error>> {
    let world = World::new()?;
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("decide");
    for (name, path) in [
        ("cached token", "/v1/users/4711/orders"),
        ("API key", "/v1/reports"),
        ("policy of a claim", "/v1/tenant"),
        ("policy of owner or role", "/v1/users/4711/invoices"),
        ("public", "/healthz"),
    ] {
        let head = world.head(path)?;
        if !world.forwards(&head) {
            return Err(format!("{name}: not forwarded").into());
        }
        group.bench_function(name, |bencher| {
            bencher.iter(|| world.forwards(black_box(&head)));
        });
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}
