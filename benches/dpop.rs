//! What a DPoP proof costs: each is seen once, so that there is nothing to remember of it.

use std::error::Error;
use std::hint::black_box;
use std::io;
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use http::{HeaderMap, HeaderValue, Method};
use portcullis_authn::DpopProofs;
use portcullis_authn::dpop::{Asked, FIELD};
use portcullis_core::{Authority, CanonicalPath, Clock};
use portcullis_testkit::Key;
use portcullis_testkit::dpop::{Proof, thumbprint};

const TOKEN: &str = "a.b.c";

fn main() -> Result<(), Box<dyn Error>> {
    let authority = Authority::parse("api.test")?;
    let path = CanonicalPath::parse("/v1/users/4711/orders")?;
    let asked = Asked {
        method: &Method::GET,
        https: true,
        authority: &authority,
        path: &path,
        token: TOKEN,
    };
    let target = format!("https://{authority}{path}");
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("dpop");
    group.measurement_time(Duration::from_secs(3));
    for key in [Key::p256("k"), Key::ed25519("k"), Key::rsa("k")] {
        let jkt = thumbprint(&key);
        let proofs = DpopProofs::rehearsal(Clock::system());
        let signed = || {
            let mut headers = HeaderMap::new();
            let proof = Proof::new(&key, "GET", &target, TOKEN).sign();
            if let Ok(value) = HeaderValue::try_from(proof) {
                headers.insert(FIELD, value);
            }
            headers
        };
        let judged = proofs.judge(&signed(), &asked, &jkt, false);
        judged.map_err(|failure| io::Error::other(format!("{failure:?}")))?;
        group.bench_function(format!("proof: {}", key.alg()), |bencher| {
            bencher.iter_batched_ref(
                signed,
                |headers| proofs.judge(black_box(headers), &asked, &jkt, false).is_ok(),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}
